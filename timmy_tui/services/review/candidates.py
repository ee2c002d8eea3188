"""The candidates of one tick file."""

from __future__ import annotations

import json
import sys
from datetime import tzinfo
from math import nan
from pathlib import Path

import msgspec

from timmy_tui import text
from timmy_tui.services.labels.records import candidate_key
from timmy_tui.services.review.exchange import exchange_of
from timmy_tui.services.review.records import HEARTBEAT, Entry
from timmy_tui.services.ticks.cursor import TailLine
from timmy_tui.services.ticks.glued import taken_apart
from timmy_tui.services.ticks.growing import GrowingFile
from timmy_tui.services.ticks.parse import (
    BadLine,
    DecisionFacts,
    HeadFacts,
    at_of,
    by_model,
    decode_head,
    label_of,
    severity_of,
)

TEXT_LENGTH = 100
"""Characters of a decision that the text filter looks in."""


class _DecidedFacts(DecisionFacts):
    actions: object = None


class _LineFacts(HeadFacts):
    """All that is needed of a line, in one decoding."""

    decision: _DecidedFacts | None = None
    prompt: object = None
    response: object = None


_decoder = msgspec.json.Decoder(_LineFacts)


class CandidateFile(GrowingFile):
    """What can be labelled in one file, in file order. A tick without any decision is no candidate."""

    def __init__(self, path: Path, zone: tzinfo | None) -> None:
        super().__init__(path)
        self.entries: list[Entry] = []
        self.bad_lines = 0
        self._zone = zone
        self._path = str(path)

    def __len__(self) -> int:
        return len(self.entries)

    def _take(self, lines: list[TailLine]) -> None:
        texts: dict[str, str] = {}  # a calm model says the same all day: held once
        for line, facts in taken_apart(lines, lambda line: _decoded(line.data)):
            if isinstance(facts, BadLine):
                self.bad_lines += 1
                continue
            key = _key_of(facts, line.data)
            if key is None:
                continue
            at = at_of(facts, self._zone)
            told = _told(facts)
            self.entries.append(
                Entry(
                    key=key,
                    at=nan if at is None else at,
                    severity=severity_of(facts),
                    model=_name(facts.model),
                    source=HEARTBEAT,
                    by_model=by_model(facts),
                    own_label=label_of(facts),
                    text=texts.setdefault(told, told),
                    name=text.clean(str(facts.tick_id)),
                    path=self._path,
                    offset=line.offset,
                    length=len(line.data),
                )
            )


def _decoded(line: bytes) -> HeadFacts | BadLine:
    """The line's facts; as :class:`_LineFacts` where the typed decoder takes it."""
    try:
        facts = _decoder.decode(line)
        if isinstance(facts.tick_id, str) and facts.tick_id:
            return facts
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return decode_head(line)


def _key_of(facts: HeadFacts, line: bytes) -> str | None:
    """The candidate's key, as :func:`exchange_of` would have it; None where nothing was decided."""
    if isinstance(facts, _LineFacts) and isinstance(facts.prompt, str) and isinstance(facts.response, str):
        return candidate_key(facts.prompt, facts.response)
    exchange = exchange_of(line)
    return None if exchange is None else candidate_key(exchange.prompt, exchange.completion)


def _name(value: object) -> str:
    """A model's name; a handful in a hundred thousand ticks, so each is held once."""
    return sys.intern(text.clean(value)) if isinstance(value, str) else ""


def _told(facts: HeadFacts) -> str:
    """The reasoning and the actions in one folded line."""
    decision = facts.decision
    told = decision.reasoning if decision is not None and isinstance(decision.reasoning, str) else ""
    if isinstance(decision, _DecidedFacts) and decision.actions:
        told = f"{told[:TEXT_LENGTH]} {json.dumps(decision.actions, ensure_ascii=False)}"
    return text.clean(told, limit=TEXT_LENGTH).casefold()
