"""Writes usage lines beside an event loop: a call never waits for its line."""

from __future__ import annotations

import logging
import queue
import threading
from pathlib import Path

from timmy_tui.services.usage.recording import record_calls
from timmy_tui.services.usage.records import UsageCall

CLOSE_S = 5.0
"""How long the end waits for the last lines: another process may hold the log's lock and be stopped."""

GATHER_S = 0.01
"""How long a line waits for others: a thread that wakes for each of a thousand calls slows the calls down."""

_log = logging.getLogger(__name__)

_Calls = queue.SimpleQueue[UsageCall | None]
"""None ends it."""


class UsageWriter:
    """A thread that appends the calls, begun by the first. :meth:`close` waits for the last line, but not for ever."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun: tuple[_Calls, threading.Event, threading.Thread] | None = None

    def put(self, call: UsageCall) -> None:
        """Have a call written soon."""
        if self._begun is None:
            calls: _Calls = queue.SimpleQueue()  # each thread its own: none takes what is meant for another
            ending = threading.Event()
            thread = threading.Thread(target=_write, args=(self._path, calls, ending), name="usage", daemon=True)
            thread.start()
            self._begun = calls, ending, thread
        self._begun[0].put(call)

    def close(self) -> None:
        """Wait until every line is written, at most :data:`CLOSE_S`. Blocks."""
        begun, self._begun = self._begun, None
        if begun is not None:
            calls, ending, thread = begun
            calls.put(None)
            ending.set()
            thread.join(CLOSE_S)
            if thread.is_alive():
                _log.warning("the usage log is locked; some calls may be missing in it")


def _write(path: Path, calls: _Calls, ending: threading.Event) -> None:
    ended = False
    while not ended:
        taken = [calls.get()]
        ending.wait(GATHER_S)
        while not calls.empty():
            taken.append(calls.get())
        ended = None in taken
        record_calls(path, [call for call in taken if call is not None])
