"""What can be told of the worker and its queue from outside."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

WorkerState = Literal["up", "stuck", "down", "elsewhere"]
RequestState = Literal["queued", "running", "done", "failed", "lost"]
ProgressState = Literal["queued", "running", "done", "failed", "lost", "no_worker", "timed_out"]
Trigger = Literal["schedule", "manual"]

LOCK_NAME = "worker.lock"
"""In ``TIMMY_HOME``: the worker holds an exclusive flock on it and writes its pid into it."""

BAD_PREFIX = "timmy-bad:"
"""The queue's keys under which messages that are none are kept."""

BEAT_PREFIX = "timmy.beat:"
"""Queue keys ``timmy.beat:HOST:PID`` hold JSON bytes :class:`Beat`, written once a second."""

REQUEST_PREFIX = "timmy.request:"
"""Queue keys ``timmy.request:ID`` hold JSON bytes :class:`RequestRecord`."""

DAILY_PREFIX = "timmy.daily:"
"""Queue keys ``timmy.daily:HOST:YYYYMMDD`` say that a host has tidied up on that day (UTC)."""

REQUEST_FILE = "tick-request.json"
"""In ``TIMMY_HOME``: the last :class:`TickRequest` of this home; whoever asks holds an exclusive flock on it."""

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
    bad_messages: int = 0
    """Messages of the queue that could not be read, and were set aside."""


class RequestRecord(Struct, frozen=True):
    """One tick, from the wish for it to its end; a scheduled one is its own claim on its minute."""

    id: str
    """A hex id for a manual tick, ``HOST@20261120T0310`` for the tick of that UTC minute."""
    state: RequestState
    host: str
    """Who asked; from ``running`` on, whose worker runs it."""
    trigger: Trigger
    asked_at: float
    since: float
    """When it came into this state."""
    pid: int | None = None
    """The worker's process, from ``running`` on; of a scheduled tick from the start."""
    phase: str | None = None
    """What a running tick does at the moment."""
    tick_id: str | None = None
    """Reserved while it runs: whether such a tick was written is told by the log. Of a done one, its tick's."""
    error: str | None = None
    """One clean line: why it failed or was lost."""


class TickRequest(Struct, frozen=True):
    """What :func:`~timmy_tui.services.worker.enqueue.request_tick` gives, to be followed."""

    id: str
    asked_at: float
    already: bool = False
    """It was under way before: this is the one."""
    task: str = ""
    """Somebody else's task that was asked for; empty = our own."""
    log_name: str = ""
    log_bytes: int = 0
    """Where the tick log ended when somebody else's task was asked for."""


class TickProgress(Struct, frozen=True):
    """How a request stands."""

    state: ProgressState
    since: float
    """When it came into this state, in Unix seconds."""
    elapsed_s: float
    """Since it was asked for."""
    tick_id: str | None = None
    """Of a done one."""
    reason: str | None = None
    """Why it is no tick (yet), in one line."""
    host: str | None = None
    phase: str | None = None

    @property
    def ended(self) -> bool:
        """Nothing more will come of it, or nobody is there to do it."""
        return self.state not in ("queued", "running")
