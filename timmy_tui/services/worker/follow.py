"""How a request stands, by one look that changes nothing. It blocks: call it in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from timmy_tui.config import Settings
from timmy_tui.services.worker.app import this_host
from timmy_tui.services.worker.foreign import tick_since
from timmy_tui.services.worker.logged import is_logged
from timmy_tui.services.worker.observe import WorkerObserver, read_lock
from timmy_tui.services.worker.queue import QueueUnreadable, parse_queue, read_queue
from timmy_tui.services.worker.records import (
    LOCK_NAME,
    ProgressState,
    RequestRecord,
    TickProgress,
    TickRequest,
)
from timmy_tui.services.worker.requests import peek_record
from timmy_tui.text import clean_error

NO_WORKER_AFTER_S = 2.0
"""A worker that is being started takes its lock within this."""

VANISHED_AFTER_S = 5.0
"""Nothing waits and yet the request did not begin: a worker died between taking its message and saying so."""

BEAT_LOST_S = 15.0
"""Another machine's worker that has not beaten for so long is dead; a shorter silence may be the network's."""

NO_WORKER = "no worker: start one with timmy-tui worker"


def follow(
    settings: Settings,
    request: TickRequest,
    clock: Callable[[], float] = time.time,
    *,
    env: Mapping[str, str] | None = None,
    host: str | None = None,
) -> TickProgress:
    """How ``request`` stands. Raises :class:`~timmy_tui.services.worker.queue.WorkerError`."""
    look = _Look(settings, request, clock, env, host)
    return look.foreign() if request.task else look.own()


def under_way(
    settings: Settings,
    request: TickRequest,
    clock: Callable[[], float] = time.time,
    *,
    env: Mapping[str, str] | None = None,
    host: str | None = None,
) -> bool:
    """Whether ``request`` may still become a tick: then no other is asked for.

    Ours may take its time while it waits or its worker lives; of somebody else's nothing is known but its deadline.
    """
    look = _Look(settings, request, clock, env, host, patient=not request.task)
    return not (look.foreign() if request.task else look.own()).ended


class _Look:
    """One look at one request."""

    def __init__(
        self,
        settings: Settings,
        request: TickRequest,
        clock: Callable[[], float],
        env: Mapping[str, str] | None,
        host: str | None,
        *,
        patient: bool = False,
    ) -> None:
        self._patient = patient
        self._settings = settings
        self._request = request
        self._clock = clock
        self._env = env
        self._host = this_host(host)
        self._address = parse_queue(settings, env)
        self._now = clock()
        self._record: RequestRecord | None = None

    @property
    def _elapsed_s(self) -> float:
        return max(0.0, self._now - self._request.asked_at)

    def own(self) -> TickProgress:
        """A tick of ours, by its record and by the worker that has it."""
        try:
            self._record = peek_record(self._address, self._request.id)
            if self._record is not None and self._record.state == "running" and not self._lives(self._record):
                # A worker that ends in good order writes the outcome before it lets its lock go.
                self._record = peek_record(self._address, self._request.id)
                if self._record is not None and self._record.state == "running":
                    return self._no_tick("lost", f"worker {self._record.pid} ended while the tick ran")
            if self._record is not None and self._record.state in ("failed", "lost"):
                return self._no_tick(self._record.state, self._record.error)
            if self._record is not None and self._record.state == "done":
                return self._progress("done", None)
            if self._record is not None and self._record.state == "running":
                return self._in_time("running", f"{self._record.phase or 'it is'} still running")
            return self._queued()
        except QueueUnreadable as error:
            runs = self._record is not None and self._record.state == "running"
            return self._in_time("running" if runs else "queued", str(error))

    def foreign(self) -> TickProgress:
        """Somebody else's tick, by the log. Whether it runs is told by the queue's emptiness alone."""
        request = self._request
        try:
            tick_id = tick_since(self._settings.heartbeat_dir, request.log_name, request.log_bytes)
            if tick_id is not None:
                return TickProgress("done", self._now, self._elapsed_s, tick_id=tick_id)
            waiting = read_queue(self._address, "").pending
        except QueueUnreadable as error:
            return self._in_time("queued", str(error))
        except OSError as error:
            return self._in_time("queued", clean_error(error.strerror or error))
        if waiting:
            return self._in_time("queued", f"still queued for {request.task}; is its consumer running?")
        return self._in_time("running", f"{request.task} has not written one")

    def _queued(self) -> TickProgress:
        reading = WorkerObserver(self._settings, env=self._env, host=self._host, clock=self._clock).read()
        if reading.pending == 0 and self._elapsed_s > VANISHED_AFTER_S:
            again = peek_record(self._address, self._request.id)
            if again is None or again.state == "queued":
                return self._progress("lost", "its worker ended before the tick ran")
        if reading.state == "down":
            late = self._elapsed_s >= NO_WORKER_AFTER_S and not self._patient
            return self._progress("no_worker" if late else "queued", NO_WORKER)
        if reading.state == "stuck":
            return self._in_time("queued", f"worker {reading.pid} is stuck" if reading.pid else "the worker is stuck")
        return self._in_time("queued", f"behind {reading.running}" if reading.running else "still queued")

    def _lives(self, record: RequestRecord) -> bool:
        """Whether the worker that runs the tick is alive: here by its lock, elsewhere by its beat."""
        if record.host == self._host:
            lock = read_lock(self._settings.timmy_home / LOCK_NAME)
            return lock.held and lock.pid in (None, record.pid)
        beats = read_queue(self._address).beats
        beat = next((beat for beat in beats if (beat.host, beat.pid) == (record.host, record.pid)), None)
        return beat is not None and abs(self._now - beat.at) <= BEAT_LOST_S

    def _no_tick(self, state: ProgressState, reason: str | None) -> TickProgress:
        """``state``, unless the tick was written before its worker could say so; another host's log is not here."""
        record = self._record
        if record is not None and record.host == self._host and is_logged(self._settings.heartbeat_dir, record):
            return self._progress("done", None)
        return self._progress(state, reason)

    def _in_time(self, state: ProgressState, waiting_for: str) -> TickProgress:
        """``state`` until the deadline, then what it still waits for."""
        timeout_s = self._settings.config.heartbeat.timeout_s
        if self._elapsed_s > timeout_s and not self._patient:
            return self._progress("timed_out", f"no tick after {timeout_s:.0f} s ({waiting_for})")
        return self._progress(state, None if state == "running" else waiting_for)

    def _progress(self, state: ProgressState, reason: str | None) -> TickProgress:
        record = self._record
        return TickProgress(
            state=state,
            since=record.since if record else self._request.asked_at,
            elapsed_s=self._elapsed_s,
            tick_id=record.tick_id if record and state == "done" else None,
            reason=reason,
            host=record.host if record and record.pid is not None else None,
            phase=record.phase if record and state == "running" else None,
        )
