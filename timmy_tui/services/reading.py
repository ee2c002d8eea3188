"""What a source last said, with when: the one shape in which every source reaches a view."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from msgspec import Struct

T_co = TypeVar("T_co", covariant=True)

State = Literal["waiting", "fresh", "stale", "absent"]


class SourceError(Exception):
    """A source could not be read. Each service raises its own subclass and nothing else.

    ``message`` is one cleaned line in the user's words; ``hint`` says what to do, a command where there is one.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Reading(Struct, Generic[T_co], frozen=True):
    """A value with its age, or the error that stands in its place, or both (an old value and why it is old)."""

    value: T_co | None = None
    at: float | None = None
    """Unix seconds at which ``value`` was read."""
    error: str | None = None
    error_since: float | None = None
    """Unix seconds of the first failure in a row."""
    hint: str = ""
    next_at: float | None = None
    """Unix seconds of the next attempt."""
    max_age_s: float = float("inf")
    """A value older than this is stale even when nothing failed (a suspended machine, a stuck source)."""

    def state(self, now: float) -> State:
        """``waiting`` before the first answer; ``fresh``; ``stale`` = old value; ``absent`` = error only."""
        if self.value is None:
            return "absent" if self.error is not None else "waiting"
        if self.error is not None or (self.age_s(now) or 0) > self.max_age_s:
            return "stale"
        return "fresh"

    def says_same_as(self, other: Reading[object]) -> bool:
        """Whether a view of this reading looks like a view of ``other``, ages aside."""
        return (
            self.error == other.error
            and self.hint == other.hint
            and (self.value is None) == (other.value is None)
            and (self.value is other.value or self.value == other.value)
        )

    def age_s(self, now: float) -> float | None:
        """Seconds since the value was read."""
        return None if self.at is None else max(0.0, now - self.at)
