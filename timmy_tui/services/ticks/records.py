"""Tick and label records. Shown strings have passed ``text.clean``; times are Unix seconds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from timmy_tui.text import Json

Severity = Literal["ok", "warning", "critical", "fallback", "unknown"]
Label = Literal["chosen", "rejected", "skipped"]


class Decision(Struct, frozen=True):
    """What was decided; any part may be missing in an old log."""

    severity: str
    """As the log has it; :attr:`Tick.severity` is the normalised one."""
    reasoning: str
    actions: tuple[str, ...]


class Attempt(Struct, frozen=True):
    """One provider's try within a tick."""

    provider: str
    error: str | None
    duration_ms: float | None


class TickPlace(Struct, frozen=True):
    """Where a tick's line stands, so that the whole tick can be read again."""

    path: str
    offset: int
    length: int


class TickHead(Struct, frozen=True):
    """What the strip, lists and counts need of a tick."""

    tick_id: str
    at: float | None
    severity: Severity
    model: str | None
    by_model: bool
    """A model decided; False = the hard-coded rules did."""
    label: Label | None
    """The tick's own ``dpo_label``; label events are folded by :mod:`timmy_tui.services.ticks.labels`."""
    summary: str
    """The first line of the reasoning."""
    place: TickPlace
    by_rules: bool = False
    """The hard-coded rules decided, whatever the severity; neither they nor a model did where there is no decision."""


class IndexedTick(Struct, frozen=True):
    """What the index of all days holds of a tick: enough for a row of a list, without the file."""

    at: float | None
    severity: Severity
    place: TickPlace
    content: int
    """The hash of its line, to see whether the place still holds this tick."""


class Tick(Struct, frozen=True):
    """One heartbeat record, whole."""

    head: TickHead
    timestamp: str
    """As the log has it."""
    trigger: str | None
    previous_tick: str | None
    perception: Json
    decision: Decision | None
    actions: tuple[str, ...]
    prompt: str | None
    response: str | None
    provider: str | None
    session_id: str | None
    duration_ms: float | None
    attempts: tuple[Attempt, ...]
    host: str | None
    writer: str | None


class LabelCounts(Struct, frozen=True):
    """How many candidates carry each label now."""

    chosen: int = 0
    rejected: int = 0
    skipped: int = 0


class IndexProgress(Struct, frozen=True):
    """How far the index of all days has come."""

    done_bytes: int
    total_bytes: int


LATE_S = 60.0
"""A tick may take this long after it is due."""


class HeartbeatReading(Struct, frozen=True):
    """The heartbeat at one moment."""

    recent: tuple[TickHead, ...]
    """The ticks of the last 24 hours, in file order."""
    last: Tick | None
    """The last tick of the log, whatever its day."""
    previous: Tick | None
    """The one before, for what changed."""
    ticks_today: int
    by_severity: tuple[tuple[Severity, int], ...]
    """Of today's ticks."""
    model_decisions: int
    """Of today's ticks."""
    fallback_decisions: int
    bad_lines: int
    """Lines of today's file that are no tick, each counted once."""
    incomplete_line: bool
    """The file ends in the middle of a line."""
    labels: LabelCounts
    every_s: float
    """The expected interval."""
    note: str | None = None
    """What happened to the file last: rotated, truncated, replaced, gone."""
    unlabelled: int = 0
    """Of :attr:`recent`, what a model decided and nobody has labelled."""

    def next_at(self) -> float | None:
        """When the next tick is due, by the last one's time."""
        if self.last is None or self.last.head.at is None:
            return None
        return self.last.head.at + self.every_s

    def late(self, now: float) -> bool:
        """The next tick should be there; a model that thinks has :data:`LATE_S`."""
        due = self.next_at()
        return due is not None and now - due > LATE_S

    def overdue(self, now: float) -> bool:
        """No tick for two and a half intervals: one may be slow, two are a silence."""
        return self.last is not None and self.last.head.at is not None and now - self.last.head.at > 2.5 * self.every_s
