"""Label events and what they amount to. Shown strings have passed ``text.clean``; times are Unix seconds."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from msgspec import Struct

from timmy_tui.services.ticks.records import Decision, Label, LabelCounts

Kind = Literal["label", "edit", "prefer", "note"]
Preferred = Literal["original", "alternative", "neither"]

LABELS_NAME = "labels.jsonl"
"""In ``TIMMY_HOME/heartbeat``."""

VERSION = 1


def candidate_key(prompt: str, completion: str) -> str:
    """The hex SHA-256 that names a candidate: prompt, NUL, completion, both verbatim (not cleaned)."""
    return hashlib.sha256(
        prompt.encode("utf-8", "surrogatepass") + b"\0" + completion.encode("utf-8", "surrogatepass")
    ).hexdigest()


def decision_text(decision: Decision) -> str:
    """An operator's decision as the completion that a model should have written: the keys as the prompt names them."""
    tree = {"actions": list(decision.actions), "severity": decision.severity, "reasoning": decision.reasoning}
    return json.dumps(tree, ensure_ascii=False)


class Alternative(Struct, frozen=True):
    """Another answer to the very same prompt."""

    response: str
    """Verbatim: to be exported, never to be shown."""
    model: str | None = None
    provider: str | None = None
    sampled_at: str | None = None
    """ISO 8601."""
    seed: int | None = None


class LabelEvent(Struct, frozen=True, gc=False):
    """One event that says something of a candidate."""

    event_id: str
    event: Kind
    candidate: str
    tick_id: str
    order: int
    """The place among all events read: a later word has a larger one."""
    operator: str | None
    label: Label | None = None
    """In ``label`` events."""
    blind: bool = False
    """A second look: the operator did not see what was said before."""
    note: str = ""
    shown_at: float | None = None
    answered_at: float | None = None
    correction: str | None = None
    """In ``edit`` events: the operator's completion, verbatim; None for an edit that is no decision."""
    preferred: Preferred | None = None
    """In ``prefer`` events."""
    alternative: Alternative | None = None

    @property
    def said(self) -> Label | None:
        """What the word says of the candidate as the model wrote it: who corrects it has rejected it."""
        return "rejected" if self.event == "edit" else self.label

    @property
    def took_s(self) -> float | None:
        """Seconds from the card's appearance to the answer."""
        if self.shown_at is None or self.answered_at is None or self.answered_at < self.shown_at:
            return None
        return self.answered_at - self.shown_at


class Answer(Struct, frozen=True):
    """What was said of one candidate, the last word on each matter."""

    label: Label | None = None
    """Of the candidate as the model wrote it: an edit in force makes it rejected."""
    edit: LabelEvent | None = None
    """The correction, unless the original was chosen or skipped after it."""
    prefer: LabelEvent | None = None
    note: str = ""
    last: LabelEvent | None = None
    """The last word of all."""

    @property
    def given(self) -> bool:
        """There is an answer: a label, an edit, or a preference."""
        return self.label is not None or self.edit is not None or self.prefer is not None


UNANSWERED = Answer()


class LabelFold(Struct, frozen=True):
    """What the events read so far amount to. A new object for every change, so identity tells of one."""

    counts: LabelCounts
    events: int
    bad_lines: int
    """Lines that are no label event at all."""
    unknown_events: int
    """Events of another version or kind: a newer program wrote them."""
    incomplete: bool
