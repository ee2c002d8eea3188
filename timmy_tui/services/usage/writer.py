"""Writes usage lines beside an event loop: a call never waits for its line."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from timmy_tui.services.usage.recording import record_call
from timmy_tui.services.usage.records import UsageCall


class UsageWriter:
    """A thread that appends each call by itself, begun by the first. :meth:`close` waits for the last line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._calls: queue.SimpleQueue[UsageCall | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, call: UsageCall) -> None:
        """Have a call written soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="usage", daemon=True)
            self._thread.start()
        self._calls.put(call)

    def close(self) -> None:
        """Wait until every line is written. Blocks for a moment."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._calls.put(None)
            thread.join()

    def _write(self) -> None:
        while (call := self._calls.get()) is not None:
            record_call(self._path, call)
