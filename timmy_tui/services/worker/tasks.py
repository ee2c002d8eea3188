"""What the worker does: the heartbeat's tick, the export of sessions, tidying up. One at a time."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.config import Settings
from timmy_tui.services.events import append_event
from timmy_tui.services.reading import SourceError
from timmy_tui.services.session_export import export_sessions, last_export_at
from timmy_tui.services.worker.app import queue_errors
from timmy_tui.services.worker.logged import is_logged
from timmy_tui.services.worker.prune import prune
from timmy_tui.services.worker.records import RequestRecord, Trigger
from timmy_tui.services.worker.requests import put_record, record_of
from timmy_tui.services.worker.tick_function import TickFunction, TickWritten
from timmy_tui.text import clean, clean_error

if TYPE_CHECKING:
    from huey import Huey

TICK_GRACE_S = 10.0
"""A tick keeps its own deadline; one that does not is ended so much later."""

log = logging.getLogger(__name__)


class Doing(Struct, frozen=True):
    """The task that runs."""

    name: str
    since: float


class Tasks:
    """Runs the tasks of one worker and keeps their records in the queue; :attr:`doing` may be read by any thread.

    Nothing that a task raises leaves it: it is logged, and told by the tick's record and an event. A queue that is
    away costs the record, never the tick.
    """

    def __init__(
        self,
        settings: Settings,
        env: Mapping[str, str],
        huey: Huey,
        *,
        host: str,
        clock: Callable[[], float],
        tick: TickFunction,
        tell: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.host = host
        self.doing: Doing | None = None
        self.exported_at = last_export_at(settings)
        self.export_tried_at: float | None = None
        self._env = env
        self._huey = huey
        self._clock = clock
        self._tick = tick
        self._tell = tell
        self._away = queue_errors(huey)
        self._lock = threading.Lock()
        self._record: RequestRecord | None = None
        self._phase: str | None = None
        self._cancel: Callable[[], object] | None = None
        self._trouble = ""
        self._failures: dict[str, str] = {}

    def register(self) -> None:
        """Make the tasks known to the queue: an unknown message is destroyed by the worker that takes it."""
        for function in (self.heartbeat_tick, self.session_export, self.prune):
            self._huey.task(name=function.__name__)(function)

    def heartbeat_tick(self, request_id: str, trigger: str) -> None:
        """One tick. A request that was begun before is not run again, whatever brought its message back."""
        known = self._asked(lambda: record_of(self._huey, request_id))
        if known is not None and known.state != "queued":
            log.warning("request %s is %s already; not run again", clean(request_id, limit=80), known.state)
            return
        now = self._clock()
        kind: Trigger = "manual" if trigger == "manual" else "schedule"
        record = known or RequestRecord(request_id, "queued", self.host, kind, now, now)
        record = replace(record, state="running", host=self.host, pid=os.getpid(), since=now)
        with _Run(self, "heartbeat_tick", record) as run:
            written = _run_apart(self._ticking(kind))
            run.done(written.tick_id)
            self._tell(clean(f"{written.tick_id} {written.severity} ({kind})"))

    def session_export(self) -> None:
        """Export the new pairs of the Hermes store."""
        self.export_tried_at = self._clock()
        with _Run(self, "session_export"):
            exported = export_sessions(self.settings, clock=self._clock)
            if exported.more:
                self.export_tried_at = None  # the rest at the next minute
            else:
                self.exported_at = self._clock()
            if exported.pairs:
                log.info("exported %d pairs to %s", exported.pairs, exported.path)

    def prune(self) -> None:
        """Delete old events and old keys of ours in the queue."""
        with _Run(self, "prune"):
            events, keys = prune(self._huey, self.settings.database_path, self._clock())
            log.info("pruned %d events and %d queue keys", events, keys)

    def note_phase(self) -> None:
        """Write down what the running tick does at the moment. The main thread calls it, between two beats."""
        phase, record = self._phase, self._record
        if record is None or phase is None or record.phase == phase:
            return
        with self._lock:
            if self._record is not None and self._record.id == record.id:
                self._record = replace(self._record, phase=clean(phase, limit=40))
                self._put(self._record)

    def cancel(self) -> None:
        """Ask the running tick to end now; it is reported as lost. One that is being recorded is as good as done."""
        with self._lock:
            if self._cancel is not None and self._phase != "record":
                self._cancel()

    def give_up(self) -> None:
        """Report a tick that did not even end when it was asked to."""
        with self._lock:
            record, self._record = self._record, None
        if record is not None:
            self._tell_no_tick(replace(record, state="lost", since=self._clock(), error=STOPPED))

    def begin(self, name: str, record: RequestRecord | None) -> None:
        """Note that a task begins."""
        self.doing = Doing(name, self._clock())
        if record is not None:
            with self._lock:
                self._record, self._phase = record, None
                self._put(record)

    def end(self, name: str, tick_id: str | None, error: BaseException | None) -> None:
        """Note that it has ended, and how."""
        with self._lock:
            record, self._record, self._cancel = self._record, None, None
        if isinstance(error, asyncio.CancelledError):
            log.warning("%s was ended: %s", name, STOPPED)
        elif isinstance(error, SourceError | TimeoutError):
            said = self._told(error)
            if said != self._failures.get(name):  # a Hermes that is not there is no news every ten minutes
                log.warning("%s failed: %s", name, said)
            self._failures[name] = said
        elif error is not None:
            log.error("%s failed", name, exc_info=error)
        if record is not None:
            now = self._clock()
            if error is None:
                self.tell_end(replace(record, state="done", since=now, tick_id=tick_id))
            elif isinstance(error, asyncio.CancelledError):
                self._tell_no_tick(replace(record, state="lost", since=now, error=STOPPED))
            else:
                self._tell_no_tick(replace(record, state="failed", since=now, error=self._told(error)))
        self.doing = None

    def _tell_no_tick(self, record: RequestRecord) -> None:
        """Tell the end of a tick that went wrong; when that was after it had been written, it is done."""
        if is_logged(self.settings.heartbeat_dir, record):
            record = replace(record, state="done", error=None)
        self.tell_end(record)

    def tell_end(self, record: RequestRecord) -> None:
        """Write a tick's last record; before that, an event and a line when there is no tick of it.

        In this order: whoever is killed in between leaves a tick that is reported twice, not one that is forgotten.
        """
        if record.state != "done":
            self._tell(f"tick {record.state}: {record.error}")
            tell_event(self.settings, record)
        self._put(record)

    def _told(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError) and not error.args:
            return f"the tick took longer than {self.settings.config.heartbeat.timeout_s + TICK_GRACE_S:g} s"
        return clean_error(error)

    async def _ticking(self, trigger: Trigger) -> TickWritten:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            with self._lock:
                self._cancel = partial(loop.call_soon_threadsafe, task.cancel)
        try:
            async with asyncio.timeout(self.settings.config.heartbeat.timeout_s + TICK_GRACE_S):
                return await self._tick(
                    self.settings,
                    self._env,
                    trigger=trigger,
                    clock=self._clock,
                    on_phase=self._note,
                    on_id=self._reserved,
                )
        finally:
            with self._lock:
                self._cancel = None

    def _note(self, phase: str) -> None:
        self._phase = phase

    def _reserved(self, tick_id: str) -> None:
        """Write down the id that the tick will have, long before the tick: who is killed in between is found out."""
        with self._lock:
            if self._record is not None:
                self._record = replace(self._record, tick_id=tick_id)
                self._put(self._record)

    def _put(self, record: RequestRecord) -> None:
        self._asked(lambda: put_record(self._huey, record))

    def _asked(self, ask: Callable[[], RequestRecord | None]) -> RequestRecord | None:
        """What the queue says; None while it is away, which is logged once."""
        try:
            answer = ask()
        except self._away as error:
            trouble = clean_error(error)
            if trouble != self._trouble:
                log.warning("the queue is away: %s", trouble)
            self._trouble = trouble
            return None
        self._trouble = ""
        return answer


STOPPED = "the worker was stopped before the tick was done"


def tell_event(settings: Settings, record: RequestRecord) -> None:
    """Append the event of a tick that failed or was lost; a database that is away costs the event only."""
    try:
        append_event(
            settings.database_path,
            f"tick.{record.state}",
            "worker",
            task_id=record.id,
            data={"message": record.error, "trigger": record.trigger, "host": record.host, "pid": record.pid},
            now=record.since,
        )
    except SourceError as error:
        log.warning("no event for request %s: %s", clean(record.id, limit=80), error.message)


class _Run:
    """One task from begin to end; the last frame that its exceptions reach."""

    def __init__(self, tasks: Tasks, name: str, record: RequestRecord | None = None) -> None:
        self._tasks = tasks
        self._name = name
        self._record = record
        self._tick_id: str | None = None

    def done(self, tick_id: str) -> None:
        self._tick_id = tick_id

    def __enter__(self) -> _Run:
        self._tasks.begin(self._name, self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._tasks.end(self._name, self._tick_id, error)
        return isinstance(error, Exception | asyncio.CancelledError)


def _run_apart(ticking: Coroutine[object, object, TickWritten]) -> TickWritten:
    """Run a coroutine in a loop of its own; a thread that it left stuck in a dead mount is not waited for."""
    threads = ThreadPoolExecutor(thread_name_prefix="tick")
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(threads)
        try:
            return runner.run(ticking)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            runner.get_loop().set_default_executor(ThreadPoolExecutor(1))
