"""Every candidate of every day and session, the newest first; texts are read again when a card is shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import tzinfo
from itertools import pairwise
from math import inf, isnan, nan
from pathlib import Path

from timmy_tui import text
from timmy_tui.services.labels.records import candidate_key
from timmy_tui.services.reading import SourceError
from timmy_tui.services.review.candidates import TEXT_LENGTH, CandidateFile
from timmy_tui.services.review.records import Entry
from timmy_tui.services.review.sessions import SessionCandidates, SessionExchange
from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.folder import TickFolder
from timmy_tui.services.ticks.records import IndexProgress

LATEST_FILES = 3
"""Files looked at by every :meth:`CandidateIndex.grow`."""

OLDER_FILES = 4
"""Older files looked at by one, in turn."""

SESSIONS_EVERY_S = 10.0
"""The store of a Hermes at work changes with every message; a new session may wait so long to become a card."""

PUBLISH_FILES = 16
"""Files read between two looks that a reader can have at a build in progress; the first two show at once."""


class CandidateIndex:
    """The candidates of ``directory`` and of the Hermes store. Equal ones, by their key, are one.

    :meth:`build` and :meth:`grow` belong in a thread, a second caller waits for the first; the rest may be called
    from any other meanwhile. ``zone`` is the zone of times that name none; None = this machine's.
    """

    def __init__(
        self,
        directory: Path,
        sessions: SessionCandidates,
        *,
        zone: tzinfo | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self.trouble: SourceError | None = None
        """Why a file or the sessions could not be read last, if so; what was known of them stays."""
        self._zone = zone
        self._folder = TickFolder(directory)
        self._sessions = sessions
        self._session_stamp: object = None
        self._sessions_read_at = -inf
        self._monotonic = monotonic
        self._session_entries: tuple[Entry, ...] = ()
        self._names: tuple[str, ...] = ()
        self._files: dict[str, CandidateFile] = {}
        self._by_key: dict[str, Entry] = {}
        self._entries: tuple[Entry, ...] = ()
        self._turn = 0
        self._complete = False
        self._one_at_a_time = threading.Lock()

    @property
    def complete(self) -> bool:
        """Every file was read to its end."""
        return self._complete

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every candidate, the newest first; a new object for every change."""
        return self._entries

    @property
    def bad_lines(self) -> int:
        """Lines of all days that are no tick."""
        return sum(file.bad_lines for file in self._files.values())

    def find(self, key: str) -> Entry | None:
        """The candidate of a key."""
        return self._by_key.get(key)

    def build(
        self,
        on_progress: Callable[[IndexProgress], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Read every file, the newest first. What is read when it is stopped stays; a second call goes on.

        No log at all is no candidate, and a file that can't be read costs its own (:attr:`trouble`). Raises
        :class:`~timmy_tui.services.ticks.errors.TickLogError` for a folder that can't be listed.
        """
        with self._one_at_a_time:
            self._list()
            total_bytes = sum(self._size_of(name) for name in self._names)
            done_bytes = 0

            def count(taken_bytes: int) -> None:
                nonlocal done_bytes
                done_bytes += taken_bytes
                on_progress(IndexProgress(min(done_bytes, total_bytes), total_bytes))

            self.trouble = None
            begun_anew = not self._by_key
            for number, name in enumerate(reversed(self._names)):
                if should_stop():
                    return
                grown = self._grow_file(name, count, should_stop)
                if begun_anew:
                    # Older than all that is there, so it stands behind it: nothing is sorted, nothing held twice.
                    for entry in reversed(self._files[name].entries if grown else ()):
                        self._by_key.setdefault(entry.key, entry)
                    if number < 2 or number % PUBLISH_FILES == 0:
                        self._entries = tuple(self._by_key.values())
            if self._read_sessions() or not begun_anew or not self._sorted():
                self._publish()
            else:
                self._entries = tuple(self._by_key.values())
            self._complete = not should_stop()

    def grow(self) -> bool:
        """Take in what is new since; True when a candidate came or went. Raises as :meth:`build` does."""
        with self._one_at_a_time:
            self.trouble = None
            changed = self._list()
            names = self._names
            older = max(0, len(names) - LATEST_FILES)
            turn = sorted({(self._turn + step) % older for step in range(OLDER_FILES)}) if older else []
            self._turn += OLDER_FILES
            look_at = range(len(names)) if changed else [*turn, *range(older, len(names))]
            for number in look_at:
                changed = self._grow_file(names[number], lambda _: None, lambda: False) or changed
            changed = self._read_sessions() or changed
            if changed:
                self._publish()
            return changed

    def _list(self) -> bool:
        """Look at which files there are; True when that has changed."""
        try:
            names = self._folder.names()
        except TickLogError:
            if self.directory.is_dir():
                raise
            names = ()
        if names is self._names or names == self._names:
            return False
        self._names = names
        # A rotated file has another name now: its candidates come with that, and are known by their keys.
        self._files = {name: file for name, file in self._files.items() if name in names}
        return True

    def _grow_file(self, name: str, on_bytes: Callable[[int], None], should_stop: Callable[[], bool]) -> bool:
        file = self._files.get(name)
        try:
            disturbed = file is not None and file.disturbed()
            if file is None or disturbed:
                file = CandidateFile(self.directory / name, self._zone)
            grown = file.grow(on_bytes, should_stop)
        except TickLogError as error:
            self.trouble = error
            return False
        self._files[name] = file
        return grown or disturbed

    def _read_sessions(self) -> bool:
        """Read the sessions again if their store has changed, and not too often: a busy one changes all the time."""
        try:
            stamp = self._sessions.stamp()
            now = self._monotonic()
            if stamp == self._session_stamp or now - self._sessions_read_at < SESSIONS_EVERY_S:
                return False
            before, self._session_entries = self._session_entries, self._sessions.read(_session_entry)
            self._session_stamp, self._sessions_read_at = stamp, now
        except SourceError as error:
            self.trouble = error
            return False
        return self._session_entries != before

    def _sorted(self) -> bool:
        """The files were in the order of their ticks' times, as they nearly always are."""
        ages = map(age, self._by_key.values())
        return all(newer <= older for newer, older in pairwise(ages))

    def _publish(self) -> None:
        """Show what is known; of equal candidates the newest."""
        files = [self._files[name] for name in reversed(self._names) if name in self._files]
        everything: list[Entry] = [entry for file in files for entry in reversed(file.entries)]
        everything.extend(self._session_entries)
        everything.sort(key=age)
        by_key: dict[str, Entry] = {}
        for entry in everything:
            by_key.setdefault(entry.key, entry)
        self._by_key, self._entries = by_key, tuple(by_key.values())

    def _size_of(self, name: str) -> int:
        try:
            return (self.directory / name).stat().st_size
        except OSError:
            return 0


def age(entry: Entry) -> float:
    """Sorts the newest first, and what has no time last."""
    return float("inf") if isnan(entry.at) else -entry.at


def _session_entry(exchange: SessionExchange) -> Entry:
    return Entry(
        key=candidate_key(exchange.prompt, exchange.completion),
        at=nan if exchange.at is None else exchange.at,
        severity="unknown",
        model=exchange.model or "",
        source=exchange.source,
        by_model=True,
        own_label=None,
        text=text.clean(exchange.completion, limit=TEXT_LENGTH).casefold(),
        name=text.clean(exchange.session_id),
        session_id=exchange.session_id,
    )
