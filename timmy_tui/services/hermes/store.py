"""The Hermes store: what was run, by which model, for how many tokens; read only, and only what changed."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.services.hermes.beside import failed_jobs, other_profiles
from timmy_tui.services.hermes.connection import (
    BUSY_TIMEOUT_S,
    HermesError,
    StoreFile,
    explained_stat,
    missing_store,
)
from timmy_tui.services.hermes.profiles import DATABASE_NAME, HermesPlace, find_place
from timmy_tui.services.hermes.records import HermesReading, SearchHit, Tokens, Transcript
from timmy_tui.services.hermes.routing import ROUTING_PATH, read_routing
from timmy_tui.services.hermes.search import find_messages
from timmy_tui.services.hermes.transcript import read_transcript
from timmy_tui.services.hermes.window import BUCKETS, SessionWindow
from timmy_tui.text import clean

__all__ = ["HermesError", "HermesStore"]

STOP_CHECK_STEPS = 5_000
"""Steps of SQLite's machine, about a thousand messages, between two looks at whether a search is still wanted."""

SETTLED_S = 0.1
COARSE_SETTLED_S = 2.5
"""A file changed within this time may change again without a new time stamp: a file system's clock ticks
every few milliseconds, a coarse one's every one or two seconds."""

_FileStamp = tuple[int, int, int, int]


class Stamp(Struct, frozen=True):
    """The state of the database file and of its WAL, told without opening them."""

    database: _FileStamp
    wal: _FileStamp | None
    """None also for an empty WAL, which a reader may leave."""

    def settled(self, wall: float) -> bool:
        """A later change can't carry the same stamp."""
        newest_ns = max(self.database[3], self.wal[3] if self.wal else 0)
        needed_s = COARSE_SETTLED_S if newest_ns % 1_000_000_000 == 0 else SETTLED_S
        return abs(wall - newest_ns / 1e9) > needed_s


class HermesStore:
    """Reads the store below ``home``; every method may block, so call it in a thread. Any thread will do.

    Raises :class:`HermesError`, and nothing else. Nothing under ``home`` is ever written.

    ``wall`` is the clock that stamps files; ``pause`` waits between two attempts.
    """

    def __init__(
        self,
        home: Path,
        *,
        profile: str = "",
        hours: float = 24,
        clock: Callable[[], float] = time.time,
        wall: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        self.home = home
        self.profile = profile
        self.hours = hours
        self._clock = clock
        self._wall = wall
        self._pause = pause
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.Lock()
        self._place: HermesPlace | None = None
        self._window: SessionWindow | None = None
        self._stamp: Stamp | None = None
        self._settled = False
        self._routing: HermesReading | None = None
        self._told: tuple[HermesReading, object, HermesReading] | None = None
        """The last reading of the window, what stood beside it, and both as one."""

    def read(self) -> HermesReading:
        """The sessions that started within the last ``hours``, by the rule of ``hermes insights``.

        The same object while nothing changed; then nothing is opened, only the files' stamps are looked at.
        As time passes, sessions leave and buckets move on without a query.
        """
        with self._lock:
            place = find_place(self.home, self.profile)
            if place != self._place:
                self._place, self._window, self._stamp, self._routing = place, None, None, None
            return self._read(place, self._clock())

    def _read(self, place: HermesPlace, now: float) -> HermesReading:
        file = self._file(place)
        stamp = _stamp_of(file.path)
        if stamp is None:
            self._stamp = None
            if self._window is not None or not os.path.isfile(place.folder / ROUTING_PATH):
                raise missing_store(place.folder)
            return self._read_routing(place, now)
        if self._window is None:
            self._window = SessionWindow(clean(str(file.path)), place.profile, self.hours)
        window = self._window
        if stamp != self._stamp or not self._settled or not window.reaches(now):
            if self._stamp is not None and stamp.database[:2] != self._stamp.database[:2]:
                window.forget()  # another file took its place
            self._stamp = None
            settled = stamp.settled(self._wall())
            file.ask(lambda connection: window.refresh(connection, now))
            self._stamp, self._settled = stamp, settled
        return self._with_beside(window.reading(now), place, now)

    def _with_beside(self, reading: HermesReading, place: HermesPlace, now: float) -> HermesReading:
        """The reading with what stands beside the store; the same object while both say the same."""
        beside = other_profiles(place, self._wall()), failed_jobs(place.folder)
        if self._told is None or self._told[0] is not reading or self._told[1] != beside:
            told = replace(reading, other_profiles=beside[0], failed_jobs=beside[1])
            if self._told is not None and self._told[2] == told:
                told = self._told[2]
            self._told = reading, beside, told
        return self._told[2]

    def _read_routing(self, place: HermesPlace, now: float) -> HermesReading:
        path = place.folder / ROUTING_PATH
        cut = now - self.hours * 3600
        sessions = tuple(session for session in read_routing(path) if session.started_at >= cut)
        reading = HermesReading(
            path=clean(str(path)),
            profile=place.profile,
            hours=self.hours,
            sessions=sessions,
            by_source=tuple(Counter(session.source for session in sessions).most_common()),
            by_model=(),
            tool_calls=(),
            tokens=Tokens(),
            local_tokens=0,
            cloud_tokens=0,
            unknown_tokens=0,
            cost_usd=None,
            unpriced_sessions=0,
            tokens_by_bucket=(0,) * BUCKETS,
            routing_only=True,
        )
        if reading != self._routing:
            self._routing = reading
        return self._routing

    def transcript(self, session_id: str, limit: int = 2_000) -> Transcript:
        """The last ``limit`` messages of a session, in order."""
        id = session_id.encode("utf-8", "replace").decode()
        return self._present().ask(lambda connection: read_transcript(connection, id, limit))

    def search(
        self, text: str, limit: int = 50, *, should_stop: Callable[[], bool] = lambda: False
    ) -> tuple[SearchHit, ...]:
        """At most ``limit`` messages that hold every word of ``text``, from all sessions, best first.

        ``should_stop`` is asked while SQLite works; a search that it ends has found nothing.
        """

        def find(connection: sqlite3.Connection) -> tuple[SearchHit, ...]:
            connection.set_progress_handler(should_stop, STOP_CHECK_STEPS)
            try:
                return find_messages(connection, text, max(0, limit))
            except sqlite3.OperationalError:
                if should_stop():
                    return ()
                raise

        return () if should_stop() else self._present().ask(find)

    def _present(self) -> StoreFile:
        place = find_place(self.home, self.profile)
        file = self._file(place)
        if _stamp_of(file.path) is None:
            raise missing_store(place.folder)
        return file

    def _file(self, place: HermesPlace) -> StoreFile:
        return StoreFile(place.folder / DATABASE_NAME, pause=self._pause, busy_timeout_s=self._busy_timeout_s)


def _stamp_of(path: Path) -> Stamp | None:
    """The stamp of the database at ``path``; None when there is no such file. Raises :class:`HermesError`."""
    try:
        database = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explained_stat(error, path) from error
    try:
        wal = os.stat(f"{path}-wal")
    except OSError:  # no WAL, or none that SQLite could use either
        return Stamp(_numbers(database), None)
    return Stamp(_numbers(database), _numbers(wal) if wal.st_size else None)


def _numbers(status: os.stat_result) -> _FileStamp:
    # Not the ctime: SQLite's own readers change the WAL's owner, to what it is, when they run as root.
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
