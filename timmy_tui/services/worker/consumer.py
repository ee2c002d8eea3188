"""Huey's consumer as this worker runs it: one thread, our own clock beside the queue, a beat, an orderly end.

Imported by the worker process only: it imports Huey.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from huey.consumer import Consumer, ConsumerStopped, Scheduler, Worker

from timmy_tui.services.worker.app import queue_errors
from timmy_tui.services.worker.logged import is_logged
from timmy_tui.services.worker.periodic import day_of, export_due, minute_of, scheduled_id, tick_due
from timmy_tui.services.worker.records import BEAT_PREFIX, DAILY_PREFIX, Beat, RequestRecord
from timmy_tui.services.worker.recover import mark_lost
from timmy_tui.services.worker.requests import claim
from timmy_tui.services.worker.stopping import StopFlag
from timmy_tui.services.worker.tasks import Doing, Tasks, tell_event
from timmy_tui.text import clean_error

if TYPE_CHECKING:
    from huey import Huey

BEAT_EVERY_S = 1.0
MAX_DELAY_S = 0.5
"""The longest pause between two looks into a SQLite queue (facts/huey.md §2: Huey's own 10 s are felt at the key)."""
CANCELLED_S = 3.0
"""How long a tick that was asked to end may take to end its model call."""

log = logging.getLogger(__name__)


class Schedule:
    """The work that this worker gives itself: looked for by the scheduler's thread, done by the worker's."""

    def __init__(self, huey: Huey, tasks: Tasks, *, clock: Callable[[], float]) -> None:
        self._huey = huey
        self._tasks = tasks
        self._clock = clock
        self._started_at = clock()
        self._minute = -1
        self._unsettled: frozenset[str] | None = None
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()
        self._away = queue_errors(huey)

    def look(self) -> None:
        """Once in every minute: what is due now."""
        now = self._clock()
        minute = minute_of(now)
        if minute == self._minute:
            return
        self._minute = minute
        self.recover()
        config = self._tasks.settings.config
        if config.heartbeat.enabled and tick_due(minute, config.heartbeat.every_minutes):
            self._tick(minute, now)
        every_s = config.session_export.every_hours * 3600.0
        if config.session_export.enabled and export_due(
            now, self._tasks.exported_at, self._tasks.export_tried_at, every_s
        ):
            self._add("session_export", self._tasks.session_export)
        if self._first_of("prune", f"{DAILY_PREFIX}{self._tasks.host}:{day_of(now)}"):
            self._add("prune", self._tasks.prune)

    def next(self) -> Callable[[], None] | None:
        """Work that is due, taken off the list."""
        try:
            return self._waiting.popleft()[1]
        except IndexError:
            return None

    def recover(self) -> None:
        """Report what earlier workers of this host left unfinished; again while the queue is away or it is too early.

        Later looks are at those requests only: of any other, this worker may have just taken the message.
        """
        if self._unsettled is not None and not self._unsettled:
            return
        settings = self._tasks.settings
        try:
            found = mark_lost(
                self._huey,
                self._tasks.host,
                started_at=self._started_at,
                now=self._clock(),
                among=self._unsettled,
                logged=partial(is_logged, settings.heartbeat_dir),
                tell=self._tell_lost,
            )
        except self._away as error:
            log.warning("the queue is away: %s", clean_error(error))
            return
        self._unsettled = found.unsettled

    def _tell_lost(self, record: RequestRecord) -> None:
        log.warning("tick lost: %s", record.error)
        tell_event(self._tasks.settings, record)

    def _tick(self, minute: int, now: float) -> None:
        host = self._tasks.host
        record = RequestRecord(scheduled_id(host, minute), "queued", host, "schedule", now, now, pid=os.getpid())
        if any(name == "heartbeat_tick" for name, _ in self._waiting):
            return  # the last one still waits for its turn
        try:
            if not claim(self._huey, record):
                return  # run by a worker that was here before
        except self._away as error:
            # The heartbeat beats whatever else fails; the flock says that nobody else does it here.
            log.warning("no claim on %s: %s", record.id, clean_error(error))
        self._add("heartbeat_tick", lambda: self._tasks.heartbeat_tick(record.id, "schedule"))

    def _first_of(self, name: str, key: str) -> bool:
        try:
            return bool(self._huey.storage.put_if_empty(key, b"1"))
        except self._away as error:
            log.warning("no %s: %s", name, clean_error(error))
            return False

    def _add(self, name: str, work: Callable[[], None]) -> None:
        if not any(known == name for known, _ in self._waiting):
            self._waiting.append((name, work))


class _OwnWorkFirst(Worker):  # type: ignore[misc]
    """Does what the schedule has before it takes the next message: there is one thread, so never two at once."""

    schedule: Schedule

    def loop(self, now: object = None) -> None:
        work = self.schedule.next()
        if work is None:
            super().loop(now)
        else:
            work()


class _Clockwork(Scheduler):  # type: ignore[misc]
    """Looks at the clock once a second."""

    schedule: Schedule

    def loop(self, now: object = None) -> None:
        self.schedule.look()
        super().loop(now)


class TickConsumer(Consumer):  # type: ignore[misc]
    """Beats in the main thread once a second and whenever a task begins or ends, until the last one has."""

    worker_class = _OwnWorkFirst
    scheduler_class = _Clockwork

    def __init__(
        self,
        huey: Huey,
        tasks: Tasks,
        schedule: Schedule,
        stop_flag: StopFlag,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._tasks = tasks
        self._schedule = schedule
        self._asked_to_stop = stop_flag
        self._clock = clock
        self._beat_key = f"{BEAT_PREFIX}{tasks.host}:{os.getpid()}"
        self._beat_at = float("-inf")
        self._told: Doing | None = None
        self._away = queue_errors(huey)
        self._trouble = ""
        super().__init__(
            huey,
            workers=1,
            periodic=False,
            max_delay=MAX_DELAY_S,
            shutdown_timeout=tasks.settings.config.worker.stop_timeout_s,
        )

    def loop(self, health_check_ts: float | None = None) -> float | None:
        """One turn of the main thread, ten a second."""
        self._tasks.note_phase()
        self._beat()
        if self._asked_to_stop.asked:
            self.stop(graceful=True)
            raise ConsumerStopped
        checked: float | None = super().loop(health_check_ts)
        return checked

    def unbeat(self) -> None:
        """Take the beat away: nobody beats here any more."""
        try:
            self.huey.storage.delete_data(self._beat_key)
        except self._away as error:
            log.warning("the queue is away: %s", clean_error(error))

    def _create_worker(self) -> Worker:
        worker = super()._create_worker()
        worker.schedule = self._schedule
        return worker

    def _create_scheduler(self) -> Scheduler:
        scheduler = super()._create_scheduler()
        scheduler.schedule = self._schedule
        return scheduler

    def _set_signal_handlers(self) -> None:
        """None: :func:`~timmy_tui.services.worker.run.run_worker` has set its own; Huey's would re-exec on SIGHUP."""

    def _join_workers(self) -> bool:
        deadline = time.monotonic() + self.shutdown_timeout
        cancelled = False
        threads: list[threading.Thread] = [thread for _, thread in self.worker_threads] + [self.scheduler]
        while any(thread.is_alive() for thread in threads):
            if time.monotonic() > deadline or self._asked_to_stop.asked > 1:
                if cancelled and time.monotonic() > deadline:
                    return False
                if not cancelled:
                    cancelled, deadline = True, time.monotonic() + CANCELLED_S
                    self._tasks.cancel()
            self._tasks.note_phase()
            self._beat()
            threads[0].join(0.05)
            if not threads[0].is_alive():
                threads[-1].join(0.05)
        return True

    def _beat(self) -> None:
        doing = self._tasks.doing
        if doing is self._told and time.monotonic() - self._beat_at < BEAT_EVERY_S:
            return
        self._beat_at, self._told = time.monotonic(), doing
        beat = Beat(
            at=self._clock(),
            host=self._tasks.host,
            pid=os.getpid(),
            running=doing.name if doing else None,
            running_since=doing.since if doing else None,
        )
        in_file = hasattr(self.huey.storage, "open_anew")
        try:
            if in_file and self.huey.storage.open_anew():
                log.warning("the queue's file was removed or replaced: the one that stands there now is used")
            self.huey.storage.put_data(self._beat_key, msgspec.json.encode(beat))
        except self._away as error:
            trouble = clean_error(error)
            if in_file:
                # Opened while somebody else still had the shared memory of a removed log: it is made anew by the
                # first connection after a moment without any.
                self.huey.storage.close()
            if trouble != self._trouble:
                log.warning("no beat: %s", trouble)
            self._trouble = trouble
        else:
            self._trouble = ""
