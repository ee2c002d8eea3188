"""What a tick asked and what was answered, verbatim: the two texts that a label is about (DESIGN §5)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from timmy_tui.services.heartbeat.prompt import build_prompt
from timmy_tui.services.ticks.parse import BadLine, decode_head, decode_leniently
from timmy_tui.text import Json

PromptSource = Literal["as sent", "reconstructed"]
CompletionSource = Literal["raw text", "re-serialised JSON"]


class Exchange(Struct, frozen=True):
    """The verbatim prompt and completion of a tick: to be hashed or exported, never to be shown."""

    tick_id: str
    prompt: str
    completion: str
    prompt_source: PromptSource = "as sent"
    completion_source: CompletionSource = "raw text"


class _Texts(Struct):
    """The keys that an exchange is made of; any type, as the log has them."""

    timestamp: object = None
    previous_tick: object = None
    perception: msgspec.Raw = msgspec.Raw(b"null")
    decision: msgspec.Raw = msgspec.Raw(b"null")
    prompt: object = None
    response: object = None


_decoder = msgspec.json.Decoder(_Texts)


def exchange_of(line: bytes) -> Exchange | None:
    """The texts of one line's tick; None for a line that is no tick, and for a tick without any decision.

    A tick without a ``response`` has its decision as the completion, as JSON with the keys in the file's order. One
    without a ``prompt`` gets the prompt that its perception makes with today's template: a part of its identity, so
    the first version's words must stay as they are (:data:`~timmy_tui.services.heartbeat.prompt.TEMPLATE_VERSION`).
    """
    head = decode_head(line)
    if isinstance(head, BadLine):
        return None
    tick_id = str(head.tick_id)
    try:
        texts = _decoder.decode(line)
        prompt, response = texts.prompt, texts.response
        if isinstance(prompt, str) and isinstance(response, str):
            return Exchange(tick_id, prompt, response)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return _exchange_of_tree(tick_id, line)


def _exchange_of_tree(tick_id: str, line: bytes) -> Exchange | None:
    """The exchange of an old tick, whose decision is spelt as Python does (DESIGN §5)."""
    tree = decode_leniently(line)
    if isinstance(tree, BadLine):
        return None
    prompt, response, decision = tree.get("prompt"), tree.get("response"), tree.get("decision")
    if not isinstance(response, str) and not isinstance(decision, dict):
        return None
    sent = isinstance(prompt, str)
    return Exchange(
        tick_id=tick_id,
        prompt=prompt if isinstance(prompt, str) else _reconstructed(tick_id, tree),
        completion=response if isinstance(response, str) else json.dumps(decision),
        prompt_source="as sent" if sent else "reconstructed",
        completion_source="raw text" if isinstance(response, str) else "re-serialised JSON",
    )


def _reconstructed(tick_id: str, tree: dict[str, object]) -> str:
    previous = tree.get("previous_tick")
    perception: Json = tree.get("perception")  # type: ignore[assignment]  # json.loads gave it
    return build_prompt(perception, _moment(tick_id, tree), previous if isinstance(previous, str) else None)


def _moment(tick_id: str, tree: dict[str, object]) -> datetime:
    """When it was, as the log spells it and in no other zone: a label must be found again on any machine."""
    timestamp = tree.get("timestamp")
    try:
        if isinstance(timestamp, str):
            return datetime.fromisoformat(timestamp)
    except ValueError:
        pass
    try:
        return datetime.strptime(tick_id[:15], "%Y%m%d_%H%M%S")  # noqa: DTZ007
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
