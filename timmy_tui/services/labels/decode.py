"""One line of the label log as an event."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from msgspec import Struct

from timmy_tui import text
from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.heartbeat.decision import verbatim_decision
from timmy_tui.services.labels.records import VERSION, Alternative, Kind, LabelEvent, Preferred, decision_text
from timmy_tui.services.moments import unix_seconds
from timmy_tui.services.ticks.parse import BadLine, decode_tree
from timmy_tui.services.ticks.records import Label

_LABELS: dict[str | None, Label] = {"chosen": "chosen", "rejected": "rejected", "skipped": "skipped"}
_KINDS: dict[str, Kind] = {"label": "label", "edit": "edit", "prefer": "prefer", "note": "note"}
_PREFERRED: dict[str | None, Preferred] = {
    "original": "original",
    "alternative": "alternative",
    "neither": "neither",
}


class Undo(Struct, frozen=True):
    """An event that voids another one."""

    event_id: str
    undoes: str


class UnknownEvent(Struct, frozen=True):
    """An event of another version or kind: a newer program wrote it, and it is left alone."""


def decode_event(data: bytes, order: int) -> LabelEvent | Undo | UnknownEvent | BadLine:
    """The event of one line. One without an id of its own is named by its content."""
    tree = decode_tree(data) if data else BadLine("oversized")
    if isinstance(tree, BadLine):
        return tree
    word = tree.get("event")
    if not isinstance(word, str):
        return BadLine("no event")
    kind = _KINDS.get(word)
    if tree.get("v") != VERSION or (kind is None and word != "undo"):
        return UnknownEvent()
    event_id = _line(tree, "event_id") or hashlib.sha256(data).hexdigest()
    if kind is None:
        undone = _line(tree, "undoes")
        return BadLine("undoes nothing") if undone is None else Undo(event_id, undone)
    candidate, label = _line(tree, "candidate"), _LABELS.get(_line(tree, "label"))
    if candidate is None or (kind == "label" and label is None):
        return BadLine("no candidate or label")
    return LabelEvent(
        event_id=event_id,
        event=kind,
        candidate=candidate,
        tick_id=_line(tree, "tick_id") or "",
        order=order,
        operator=_line(tree, "operator"),
        label=label if kind == "label" else None,
        blind=tree.get("blind") is True,
        note=_block(tree, "note"),
        shown_at=_at(tree, "shown_at"),
        answered_at=_at(tree, "answered_at"),
        correction=_correction(tree) if kind == "edit" else None,
        preferred=_PREFERRED.get(_line(tree, "preferred")) if kind == "prefer" else None,
        alternative=_alternative(tree.get("alternative")) if kind == "prefer" else None,
    )


def _line(tree: dict[str, object], key: str) -> str | None:
    value = tree.get(key)
    return text.clean(value) if isinstance(value, str) and value else None


def _block(tree: dict[str, object], key: str) -> str:
    value = tree.get(key)
    return text.clean(value, limit=4_000, multiline=True) if isinstance(value, str) else ""


def _at(tree: dict[str, object], key: str) -> float | None:
    value = tree.get(key)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return unix_seconds((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _correction(tree: dict[str, object]) -> str | None:
    """The completion that the operator wrote: a decision, or (for a candidate that is none) a plain text."""
    decision, response = tree.get("decision"), tree.get("response")
    if isinstance(decision, dict):
        try:
            return decision_text(verbatim_decision(json.dumps(decision)))
        except (CallError, ValueError, RecursionError):
            return None
    return response if isinstance(response, str) and response.strip() else None


def _alternative(value: object) -> Alternative | None:
    if not isinstance(value, dict) or not isinstance(value.get("response"), str):
        return None
    seed = value.get("seed")
    return Alternative(
        response=value["response"],
        model=_line(value, "model"),
        provider=_line(value, "provider"),
        sampled_at=_line(value, "sampled_at"),
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
    )
