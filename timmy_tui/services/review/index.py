"""Every candidate of every day and session, the newest first; texts are read again when a card is shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from math import isnan, nan
from operator import attrgetter
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

PUBLISH_FILES = 16
"""Files read between two looks that a reader can have at a build in progress; the first two show at once."""


class CandidateIndex:
    """The candidates of ``directory`` and of the Hermes store. Equal ones, by their key, are one.

    :meth:`build` and :meth:`grow` belong in a thread, a second caller waits for the first; the rest may be called
    from any other meanwhile. ``zone`` is the zone of times that name none; None = this machine's.
    """

    def __init__(self, directory: Path, sessions: SessionCandidates, *, zone: tzinfo | None = None) -> None:
        self.directory = directory
        self.trouble: SourceError | None = None
        """Why the sessions could not be read last, if so; their candidates of before stay."""
        self._zone = zone
        self._folder = TickFolder(directory)
        self._sessions = sessions
        self._session_stamp: object = None
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

        No log at all is no candidate. Raises :class:`~timmy_tui.services.ticks.errors.TickLogError`.
        """
        with self._one_at_a_time:
            self._list()
            total_bytes = sum(self._size_of(name) for name in self._names)
            done_bytes = 0

            def count(taken_bytes: int) -> None:
                nonlocal done_bytes
                done_bytes += taken_bytes
                on_progress(IndexProgress(min(done_bytes, total_bytes), total_bytes))

            for number, name in enumerate(reversed(self._names)):
                if should_stop():
                    return
                if self._grow_file(name, count, should_stop) and (number < 2 or number % PUBLISH_FILES == 0):
                    self._publish()
            self._read_sessions()
            self._publish()
            self._complete = not should_stop()

    def grow(self) -> bool:
        """Take in what is new since; True when a candidate came or went. Raises as :meth:`build` does."""
        with self._one_at_a_time:
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
        disturbed = file is not None and file.disturbed()
        if file is None or disturbed:
            file = CandidateFile(self.directory / name, self._zone)
        grown = file.grow(on_bytes, should_stop)
        self._files[name] = file
        return grown or disturbed

    def _read_sessions(self) -> bool:
        try:
            stamp = self._sessions.stamp()
            if stamp == self._session_stamp:
                return False
            self._session_entries = tuple(_session_entry(exchange) for exchange in self._sessions.read())
            self._session_stamp, self.trouble = stamp, None
        except SourceError as error:
            self.trouble = error
            return False
        return True

    def _publish(self) -> None:
        """Show what is known; of equal candidates the newest."""
        files = [self._files[name] for name in reversed(self._names) if name in self._files]
        everything: list[Entry] = [entry for file in files for entry in reversed(file.entries)]
        everything.extend(self._session_entries)
        everything.sort(key=_age)
        by_key: dict[str, Entry] = {}
        for entry in everything:
            by_key.setdefault(entry.key, entry)
        self._by_key, self._entries = by_key, tuple(by_key.values())

    def _size_of(self, name: str) -> int:
        try:
            return (self.directory / name).stat().st_size
        except OSError:
            return 0


def _age(entry: Entry) -> float:
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
    )


def names_of(entries: Iterable[Entry], what: str) -> Sequence[str]:
    """Every ``model`` or ``source`` of the candidates, by name."""
    return sorted({name for name in map(attrgetter(what), entries) if name})
