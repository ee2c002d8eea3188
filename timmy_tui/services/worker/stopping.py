"""How a worker learns that it should end: signals, and the end of the console that started it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

log = logging.getLogger(__name__)


class StopFlag:
    """Set by signals and by the parent's end; asked twice, the running task is not waited for."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self) -> None:
        """Once to end, twice to end now."""
        self.asked += 1


@contextmanager
def stopped_by_signals(flag: StopFlag) -> Iterator[None]:
    """Let signals set the flag, where signals can be had: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: flag.ask()) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch_parent(parent: int, flag: StopFlag) -> None:
    """Wait for the end of the pipe that the parent holds: the kernel closes it, however the parent dies."""
    try:
        while os.read(parent, 4096):
            pass
    except OSError:
        log.warning("the parent can't be watched")
        return
    log.info("the console that started this worker is gone")
    flag.ask()
