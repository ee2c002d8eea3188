"""When a worker's own periodic work is due.

The ticks of the schedule never go through the queue: where machines share one, a message would be taken by whoever is
free, while every host has to beat for itself. Each worker looks at the clock and runs its own; the claim on the minute
is a key of the queue that only one writer can make, so that neither a restart within the minute nor a second worker
of the same host beats twice. What was missed is not made up for: only the minute that it is now counts.
"""

from __future__ import annotations

from datetime import UTC, datetime

EXPORT_RETRY_S = 600.0
"""The pause after an export that failed."""


def minute_of(now: float) -> int:
    """Whole minutes since 1970, UTC."""
    return int(now // 60)


def tick_due(minute: int, every_minutes: int) -> bool:
    """Whether the minute is one of the schedule: 10 means :00, :10, :20… of every hour, UTC."""
    return minute % every_minutes == 0


def scheduled_id(host: str, minute: int) -> str:
    """The id of a host's tick of one minute: ``mbp@20261120T0310``."""
    return f"{host}@{datetime.fromtimestamp(minute * 60, UTC):%Y%m%dT%H%M}"


def day_of(now: float) -> str:
    """The UTC day, ``20261120``."""
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%d}"


def export_due(now: float, exported_at: float | None, tried_at: float | None, every_s: float) -> bool:
    """Whether the sessions should be exported: by the age of the last export, so that no sleep of the machine's
    postpones one by hours. A failure is not repeated at once; a clock that was set back does not stop it.
    """
    if tried_at is not None and 0 <= now - tried_at < EXPORT_RETRY_S:
        return False
    return exported_at is None or not 0 <= now - exported_at < every_s
