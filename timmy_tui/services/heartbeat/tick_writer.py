"""The tick log's writing side: ids that nobody else has, and one durable line per tick (DESIGN §5)."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from timmy_tui import __version__
from timmy_tui.services.appending import AppendError, append_locked, refused, write_lock
from timmy_tui.services.json_lines import one_line
from timmy_tui.services.ticks.backwards import end_of_lines, lines_backwards
from timmy_tui.services.ticks.cursor import MAX_LINE_BYTES
from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.folder import TickFolder
from timmy_tui.services.ticks.parse import BadLine, decode_head
from timmy_tui.services.ticks.records import Attempt
from timmy_tui.text import Json, clean

Trigger = Literal["schedule", "manual"]

LOCK_NAME = "ticks.lock"
"""In the log's folder; the lock of every tick file. It holds the ids given out last, see :class:`_GivenOut`."""

REMEMBERED_S = 2 * 3600
"""An id given out is remembered so long: the hour that comes twice in autumn, and a log rotated meanwhile."""

SEARCHED_BYTES = 2 * MAX_LINE_BYTES
"""How much of a day's log is looked through for an id: its last lines, hours of them where they are of usual length.

This is the second net: what was given out in the last hours is remembered, see :data:`REMEMBERED_S`.
"""

LINE_LIMIT_BYTES = MAX_LINE_BYTES - 4_096
"""A longer line is one that no reader takes in."""

_ID = re.compile(rb'"tick_id"\s*:\s*"((?:\d{8}_\d{6})(?:_(\d{1,9}))?)"')


class TickDraft(Struct, frozen=True):
    """A finished tick before it is written; the fields of the record that the writer does not fill in itself."""

    tick_id: str
    """From :meth:`TickWriter.reserve`."""
    started_at: float
    """Unix seconds; the record's ``timestamp``."""
    trigger: Trigger
    perception: Json
    decision: dict[str, Json]
    actions: list[Json]
    prompt: str
    response: str | None
    """Verbatim: it is hashed together with the prompt (DESIGN §5)."""
    provider: str | None
    model: str | None
    session_id: str | None
    duration_ms: float
    attempts: tuple[Attempt, ...]
    decided_by: Literal["model", "rules"] = "model"
    prompt_note: str | None = None
    """Why :attr:`prompt` may not be all that the model was told; None = it is (DESIGN §9.8)."""


class WrittenTick(Struct, frozen=True):
    """A tick that is on disk."""

    tick_id: str
    previous_tick: str | None
    path: Path
    line: bytes
    """Without its newline."""


class _Record(Struct, omit_defaults=True):
    """One line, its keys in the order of DESIGN §5; those that have a default stand there where they say something."""

    tick_id: str
    timestamp: str
    trigger: Trigger
    previous_tick: str | None
    perception: Json
    decision: dict[str, Json]
    actions: list[Json]
    prompt: str
    response: str | None
    provider: str | None
    model: str | None
    session_id: str | None
    duration_ms: int
    attempts: tuple[Attempt, ...]
    host: str
    writer: str
    decided_by: Literal["model", "rules"] = "model"
    """``rules``: the severity is theirs, whatever word it is."""
    prompt_note: str | None = None


class _GivenOut(Struct):
    """The highest number given out for one second."""

    number: int
    at: float


class TickWriter:
    """Writes the ticks of one folder, beside any number of other writers. Every method blocks and is thread-safe.

    ``zone`` is the zone of ids and file names; None = this machine's. Raises
    :class:`~timmy_tui.services.appending.AppendError`, and nothing else.
    """

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
        *,
        host: str | None = None,
    ) -> None:
        self.directory = directory
        self._clock = clock
        self._zone = zone
        self._host = clean(socket.gethostname() if host is None else host, limit=80)

    def reserve(self, at: float | None = None) -> str:
        """An id for a tick that started at ``at`` (now): its local time, with ``_2``, ``_3``… where that is taken.

        No other caller gets it, in whatever process, also when this tick is never written.
        """
        moment = self._clock() if at is None else at
        with write_lock(self.directory / LOCK_NAME) as lock:
            return self._next_id(lock, self._local(moment).strftime("%Y%m%d_%H%M%S"))

    def last_id(self) -> str | None:
        """The id of the log's last tick; None for an empty log."""
        try:
            names = TickFolder(self.directory).names()
        except TickLogError:
            return None
        for name in reversed(names):
            found = self._last_id_of(self.directory / name)
            if found is not None:
                return found
        return None

    def write(self, draft: TickDraft) -> WrittenTick:
        """Write the tick; when this returns it is on disk, whole and once.

        It goes to the file of its id's date. Should its id be in the log already, it gets the next one.
        """
        with write_lock(self.directory / LOCK_NAME) as lock:
            tick_id = draft.tick_id
            if tick_id in self._ids_of(tick_id[:15]):  # the memory of ids was lost
                tick_id = self._next_id(lock, tick_id[:15])
            previous = self.last_id()
            line = self._line(draft, tick_id, previous)
            path = self._day_path(tick_id)
            append_locked(path, line)
        return WrittenTick(tick_id, previous, path, line)

    def _local(self, moment: float) -> datetime:
        return datetime.fromtimestamp(moment, UTC).astimezone(self._zone)

    def _day_path(self, tick_id: str) -> Path:
        return self.directory / f"ticks_{tick_id[:8]}.jsonl"

    def _next_id(self, lock: int, second: str) -> str:
        """The first free id of a second, noted down in the lock file."""
        now = self._clock()
        given = {name: entry for name, entry in _read_given(lock).items() if abs(now - entry.at) < REMEMBERED_S}
        logged = max((_number(tick_id) for tick_id in self._ids_of(second)), default=0)
        number = max(logged, given[second].number if second in given else 0) + 1
        given[second] = _GivenOut(number, now)
        try:
            _write_given(lock, given)
        except OSError as error:
            raise refused(self.directory / LOCK_NAME, error) from None
        return second if number == 1 else f"{second}_{number}"

    def _ids_of(self, second: str) -> set[str]:
        """The ids of one second that the end of the day's log holds: ids are given out in the order of time."""
        try:
            with self._day_path(second).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - SEARCHED_BYTES))
                content = file.read(SEARCHED_BYTES)
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise refused(self._day_path(second), error) from None
        if second.encode() not in content:
            return set()
        return {match[1].decode() for match in _ID.finditer(content) if match[1][:15] == second.encode()}

    def _last_id_of(self, path: Path) -> str | None:
        try:
            with path.open("rb") as file:
                for line in lines_backwards(file.fileno(), end_of_lines(file.fileno())):
                    facts = decode_head(line.data)
                    if not isinstance(facts, BadLine):
                        return clean(str(facts.tick_id))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(path, error) from None
        return None

    def _line(self, draft: TickDraft, tick_id: str, previous: str | None) -> bytes:
        record = _Record(
            tick_id=tick_id,
            timestamp=self._local(draft.started_at).isoformat(timespec="microseconds"),
            trigger=draft.trigger,
            previous_tick=previous,
            perception=draft.perception,
            decision=draft.decision,
            actions=draft.actions,
            prompt=draft.prompt,
            response=draft.response,
            provider=draft.provider,
            model=draft.model,
            session_id=draft.session_id,
            duration_ms=round(draft.duration_ms),
            attempts=tuple(
                replace(attempt, duration_ms=None if attempt.duration_ms is None else round(attempt.duration_ms))
                for attempt in draft.attempts
            ),
            host=self._host,
            writer=f"timmy-tui {__version__}",
            decided_by=draft.decided_by,
            prompt_note=draft.prompt_note,
        )
        line = _encoded(record)
        if len(line) > LINE_LIMIT_BYTES and record.response is not None:
            record.response = record.response[: max(0, len(record.response) - (len(line) - LINE_LIMIT_BYTES))]
            line = _encoded(record)
            if len(line) > LINE_LIMIT_BYTES:  # escapes make characters longer than one byte
                record.response = None
                line = _encoded(record)
        if len(line) > LINE_LIMIT_BYTES:
            raise AppendError(
                f"The tick {tick_id} is {len(line):,} bytes long; no reader takes more than {LINE_LIMIT_BYTES:,}",
                "Let the probes say less",
            )
        return line


def _encoded(record: _Record) -> bytes:
    try:
        return one_line(msgspec.json.encode(record))
    except UnicodeEncodeError:  # a lone surrogate of a model's; the escape of it is valid JSON
        return json.dumps(msgspec.to_builtins(record), separators=(",", ":")).encode()


def _number(tick_id: str) -> int:
    return int(tick_id[16:] or "1")


def _read_given(lock: int) -> dict[str, _GivenOut]:
    """The ids given out last; a damaged memory is an empty one, :meth:`TickWriter.write` looks again."""
    try:
        return msgspec.json.decode(os.pread(lock, 1_000_000, 0), type=dict[str, _GivenOut])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def _write_given(lock: int, given: dict[str, _GivenOut]) -> None:
    text = msgspec.json.encode(given)
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))
