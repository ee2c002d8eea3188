"""The lock that makes a worker the only one of its home (facts/huey.md §6)."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from timmy_tui.services.appending import make_private_folder
from timmy_tui.services.worker.observe import read_lock
from timmy_tui.services.worker.queue import WorkerError
from timmy_tui.services.worker.records import LOCK_NAME
from timmy_tui.text import clean, clean_error

TRIES = 20
PAUSE_S = 0.05
"""An observer that looks holds a free lock for an instant."""


@contextmanager
def only_worker(home: Path, *, pause: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Hold the worker's lock of ``home``, our pid in it. Raises :class:`WorkerError` when another worker does.

    The file stays when the lock is let go: a worker that starts at this moment may have opened it already.
    """
    path = home / LOCK_NAME
    try:
        make_private_folder(home)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise WorkerError(f"{clean(str(path))}: {clean_error(error.strerror or error)}", "timmy-tui doctor") from None
    try:
        if not _taken(descriptor, pause):
            pid = read_lock(path).pid
            who = f"worker {pid}" if pid else "another worker"
            raise WorkerError(f"{who} runs for {clean(str(home))} already", "one is enough")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int, pause: Callable[[float], None]) -> bool:
    for attempt in range(TRIES):
        if attempt:
            pause(PAUSE_S)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False
