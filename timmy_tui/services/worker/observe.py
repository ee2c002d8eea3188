"""The worker as it can be told from outside: who holds its lock, and when it last beat (facts/huey.md §6)."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from timmy_tui.config import Settings
from timmy_tui.services.worker.queue import QueueUnreadable, QueueView, WorkerError, parse_queue, read_queue
from timmy_tui.services.worker.records import BEAT_STALE_S, LOCK_NAME, Beat, WorkerReading, WorkerState
from timmy_tui.text import clean, clean_error


class LockState(Struct, frozen=True):
    """The worker's lock file at one moment."""

    held: bool
    pid: int | None = None
    """What the holder wrote into it."""
    taken_at: float | None = None
    """Unix seconds of the file's last change: the holder writes its pid when it takes the lock."""


def read_lock(path: Path) -> LockState:
    """Whether a process holds ``path`` locked. Never makes the file; raises :class:`WorkerError`.

    A free lock is shared by us for an instant: a worker that starts should try for its own more than once.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return LockState(held=False)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        held = not _lockable(descriptor)
        text = os.read(descriptor, 64)
        taken_at = os.fstat(descriptor).st_mtime
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(descriptor)
    digits = text.split(maxsplit=1)[0] if text.split() else b""
    pid = int(digits) if digits.isdigit() and len(digits) < 10 else None
    return LockState(held, pid, taken_at) if held else LockState(held=False)


def _lockable(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # not for as long as the file is read: a worker may be starting
    return True


def _is_fresh(beat: Beat, now: float) -> bool:
    """By age in either direction: a beat from far in the future says nothing about now."""
    return abs(now - beat.at) <= BEAT_STALE_S


def _unreadable(path: Path, error: OSError) -> WorkerError:
    reason = clean_error(error.strerror or error)
    return WorkerError(f"can't tell whether the worker runs: {clean(path.name)}: {reason}", "timmy-tui doctor")


class WorkerObserver:
    """Looks at the worker and its queue; changes neither. :meth:`read` blocks, so call it in a thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        env: Mapping[str, str] | None = None,
        host: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._env = env
        self._host = clean(socket.gethostname() if host is None else host, limit=80)
        self._clock = clock

    def read(self) -> WorkerReading:
        """The worker now; an unreadable queue is told in ``queue_error``. Raises :class:`WorkerError`."""
        lock = read_lock(self._settings.timmy_home / LOCK_NAME)
        view, shown, queue_error = self._look()
        now = self._clock()
        beat = self._beat(view.beats if view else (), lock, now)
        state = self._state(lock, beat, now, beats_known=view is not None)
        alive = state in ("up", "elsewhere")
        told = beat if alive or state == "stuck" else None
        return WorkerReading(
            state=state,
            pid=lock.pid or (told.pid if told else None),
            host=self._host if lock.held else beat.host if beat else None,
            beat_at=beat.at if beat else None,
            pending=view.pending if view else None,
            running=told.running if told else None,
            running_since=told.running_since if told else None,
            queue=shown,
            queue_error=queue_error,
            bad_messages=view.bad_messages if view else 0,
        )

    def _look(self) -> tuple[QueueView | None, str, str | None]:
        """The queue's content if it can be read, its address, and what was wrong."""
        try:
            address = parse_queue(self._settings, self._env)
        except WorkerError as error:
            return None, "", error.message
        try:
            return read_queue(address, self._host), address.shown, None
        except QueueUnreadable as error:
            return None, address.shown, str(error)

    def _beat(self, beats: tuple[Beat, ...], lock: LockState, now: float) -> Beat | None:
        """The beat that counts: the lock holder's, else the freshest; dead workers' beats stay behind."""
        elsewhere = tuple(beat for beat in beats if beat.host != self._host)
        if lock.held:
            here = tuple(beat for beat in beats if beat.host == self._host and lock.pid in (None, beat.pid))
            # A machine's name can change while a worker runs; its pid does not.
            beats = here or tuple(beat for beat in elsewhere if beat.pid == lock.pid)
        elif any(_is_fresh(beat, now) for beat in elsewhere):
            beats = elsewhere
        return min(beats, key=lambda beat: abs(now - beat.at), default=None)

    def _state(self, lock: LockState, beat: Beat | None, now: float, *, beats_known: bool) -> WorkerState:
        fresh = beat is not None and _is_fresh(beat, now)
        if lock.held:
            starting = lock.taken_at is not None and abs(now - lock.taken_at) <= BEAT_STALE_S
            return "up" if fresh or starting or not beats_known else "stuck"
        # A fresh beat of this host without the lock is one that a killed worker left behind.
        return "elsewhere" if beat is not None and fresh and beat.host != self._host else "down"
