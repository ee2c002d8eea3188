"""The simulated worker: holds the lock, beats once a second, takes tasks from Huey's queue."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from timmy_tui.services.demo.errors import DemoError
from timmy_tui.services.worker.records import BEAT_PREFIX, LOCK_NAME, Beat, RequestState
from timmy_tui.services.worker.requests import put_record, records_of

BEAT_EVERY_S = 1.0
LOCK_TRIES = 20
LOCK_PAUSE_S = 0.05
"""An observer that looks holds a free lock for an instant."""


class SimulatedWorker:
    """What a console sees of a worker that is up (facts/huey.md §6).

    Tasks are taken, not run: the story decides what they do.
    """

    def __init__(self, home: Path, *, queue_name: str = "timmy") -> None:
        from huey import SqliteHuey

        self.host = socket.gethostname()
        self.pid = os.getpid()
        self.running: str | None = None
        self.running_since: float | None = None
        self.tick_id: str | None = None
        self._beat_at = float("-inf")
        queue_path = home / "queue.db"
        queue_path.touch(mode=0o600)
        self._descriptor: int | None = _lock(home / LOCK_NAME, self.pid)
        self._queue = SqliteHuey(name=queue_name, filename=str(queue_path), fsync=False)
        self._tasks = {name: self._queue.task(name=name)(_nothing) for name in ("heartbeat_tick", "rotate_logs")}
        self._own: dict[bytes, str] = {}

    def beat(self, now: float) -> None:
        """Write the beat, at most once a second."""
        if now - self._beat_at < BEAT_EVERY_S:
            return
        self._beat_at = now
        beat = Beat(now, self.host, self.pid, self.running, self.running_since, self.tick_id)
        self._queue.storage.put_data(f"{BEAT_PREFIX}{self.host}:{self.pid}", msgspec.json.encode(beat))

    def enqueue(self, name: str) -> None:
        """Put one of the worker's own periodic tasks into the queue."""
        message = bytes(self._queue.serialize_task(self._tasks[name].s()))
        self._own[message] = name
        self._queue.storage.enqueue(message)

    def take(self) -> str | None:
        """The next task's name: one of the worker's own, or ``manual`` for one that a console put there."""
        message = self._queue.storage.dequeue()
        return None if message is None else self._own.pop(bytes(message), "manual")

    def begin(self, name: str, now: float, *, asked: bool = False) -> None:
        """Say that a task runs; ``asked`` when a console asked for it and follows it."""
        self.running, self.running_since = name, now
        if asked:
            self._note("queued", "running", now)
        self._beat_at = float("-inf")
        self.beat(now)

    def done(self, now: float, tick_id: str | None = None) -> None:
        """Say that it has ended."""
        self.running = self.running_since = None
        self._note("running", "done", now, tick_id)
        self.tick_id = tick_id or self.tick_id
        self._beat_at = float("-inf")
        self.beat(now)

    def _note(self, before: RequestState, after: RequestState, now: float, tick_id: str | None = None) -> None:
        """Move the records of ticks that were asked for, as the real worker does."""
        for record in records_of(self._queue):
            if record.state == before:
                moved = replace(record, state=after, since=now, pid=self.pid, tick_id=tick_id)
                put_record(self._queue, moved)

    def stop(self) -> None:
        """Release the lock and the queue."""
        self._queue.storage.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _nothing() -> None:
    """The simulated tasks do their work in the story."""


def _lock(path: Path, pid: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for attempt in range(LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < LOCK_TRIES:
                time.sleep(LOCK_PAUSE_S)
            continue
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{pid}\n".encode())
        return descriptor
    os.close(descriptor)
    raise DemoError(f"another worker holds {path.name}", "give the demo a folder of its own")
