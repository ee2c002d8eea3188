"""What can be told of the worker and its queue from outside."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

WorkerState = Literal["up", "stuck", "down", "elsewhere"]

LOCK_NAME = "worker.lock"
"""In ``TIMMY_HOME``: the worker holds an exclusive flock on it and writes its pid into it."""

BEAT_PREFIX = "timmy.beat:"
"""Queue keys ``timmy.beat:HOST:PID`` hold JSON bytes :class:`Beat`, written once a second."""

BEAT_STALE_S = 5.0
"""A beat older than this says that the process no longer beats (facts/huey.md §6)."""


class Beat(Struct, frozen=True):
    """What a worker says of itself once a second, as JSON."""

    at: float
    host: str
    pid: int
    running: str | None = None
    """The task that runs, by name."""
    running_since: float | None = None
    tick_id: str | None = None


class WorkerReading(Struct, frozen=True):
    """The verdict of facts/huey.md §6: lock held, beat fresh = up; held, stale = stuck; fresh only = elsewhere."""

    state: WorkerState
    pid: int | None
    host: str | None
    beat_at: float | None
    pending: int | None
    """Tasks in the queue; None when the queue can't be read."""
    running: str | None
    running_since: float | None
    queue: str
    """The queue's address, secrets masked."""
    queue_error: str | None
