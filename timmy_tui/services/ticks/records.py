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
    session_id: str | None = None
    """Of the Hermes session that decided."""


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


AHEAD_S = 60.0
"""So much may two clocks differ; a tick that is later than this is of a clock that is wrong, or a stray."""

LATE_S = 60.0
"""A tick may take this long after it is due."""


class HeartbeatReading(Struct, frozen=True):
    """The heartbeat at one moment."""

    recent: tuple[TickHead, ...]
    """The ticks of the last 24 hours, in file order."""
    last: Tick | None
    """The last tick of the log that is not ahead of the clock, whatever its day; one that is where no other is."""
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
    unreadable: str | None = None
    """Why no line of the newest file is a tick, with how many there are; None where one is, or none stands there."""
    ahead: TickHead | None = None
    """The newest tick whose time is later than the clock here, by more than :data:`AHEAD_S` at the reading."""
    ahead_host: str | None = None
    counting: bool = False
    """Today's file is so long that it is still being counted: what is said of today is of its first part."""
    arrived_at: float | None = None
    """When a tick of an unknown or later time came last."""
    unlabelled: int = 0
    """Of :attr:`recent`, what a model decided and nobody has labelled."""

    def model(self) -> str | None:
        """Which model decided last; None where none did of late."""
        heads = (*self.recent, *([self.last.head] if self.last is not None else []))
        return next((head.model for head in reversed(heads) if head.by_model and head.model), None)

    def next_at(self) -> float | None:
        """When the next tick is due, by the last one's time, or by when it came."""
        at = self._last_sign()
        return None if at is None else at + self.every_s

    def _last_sign(self) -> float | None:
        """When the heart was heard last. A time that is ahead says nothing, but that the line came does."""
        at = None if self.last is None or self.last_is_ahead else self.last.head.at
        times = [time for time in (at, self.arrived_at) if time is not None]
        return max(times, default=None)

    @property
    def last_is_ahead(self) -> bool:
        """There is no tick but such whose times are ahead of the clock."""
        return self.last is not None and self.ahead is not None and self.last.head.place == self.ahead.place

    def age_s(self, now: float) -> float | None:
        """How old the last tick is; None when nobody knows."""
        if self.last is None or self.last.head.at is None or self.last_is_ahead:
            return None
        return max(0.0, now - self.last.head.at)

    def late(self, now: float) -> bool:
        """The next tick should be there; a model that thinks has :data:`LATE_S`."""
        due = self.next_at()
        return due is not None and now - due > LATE_S

    def overdue(self, now: float) -> bool:
        """No tick for two and a half intervals: one may be slow, two are a silence."""
        at = self._last_sign()
        return at is not None and now - at > 2.5 * self.every_s
