"""Reading the usage log in one pass: its calls summed by day, model, task, caller and provider.

Nothing is kept of a line but its sums and its latency (8 bytes), so that a log of years fits into memory.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import FileIO
from math import inf, isfinite
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta, Struct

from timmy_tui.services.moments import epoch_seconds
from timmy_tui.services.usage.records import UsageError
from timmy_tui.text import clean, clean_error

BLOCK_BYTES = 256 * 1024
"""Read and decoded at once; more is slower: its calls no longer fit into the processor's cache."""

MAX_LINE_BYTES = 4 * 1024 * 1024
"""A longer line is counted and skipped."""

NAME_LIMIT = 80
"""Characters kept of a model's, a task's or a caller's name."""

NAMES_LIMIT = 200
"""Names told apart in each column; a log with more (a caller per process) has the rest as :data:`OTHERS`."""

GROUPS_LIMIT = 100_000
"""Groups told apart; behind it days are no longer."""

HOURS_LIMIT = 100_000
"""Hours remembered with their day: eleven years."""

UNKNOWN = ""
"""A day, a model, a task or a caller that a line does not tell."""

OTHERS = "(others)"

MOST_TOKENS = 10**12
MOST_SECONDS = 10**8
"""Larger figures are no measurements: they count as unknown."""

_BAD = (msgspec.MsgspecError, ValueError, RecursionError)

_Tokens = Annotated[int, Meta(ge=0, le=MOST_TOKENS)] | None
_Seconds = Annotated[float, Meta(ge=0, le=MOST_SECONDS)] | None


class UsageGroup(Struct, frozen=True):
    """The calls of one day that have model, task, caller and provider in common."""

    day: str
    """Local, ``2026-11-20``; empty where the line tells no usable time."""
    model: str
    task: str
    caller: str
    provider: str
    calls: int
    succeeded: int
    failed: int
    """The rest does not tell."""
    tokens_in: int | None
    """Of all calls that tell it; None when none does."""
    tokens_out: int | None
    saved_in: int
    """Tokens of the calls that did not fail: what somebody else would have been paid for."""
    saved_out: int
    latencies_s: array[float]
    """Of the calls that did not fail, as they come."""
    busy_s: float
    """All calls together, as their callers waited for them."""
    generated_tokens: int
    generation_s: float
    """Both of the calls that tell how long the generation alone took."""
    answered_tokens: int
    answer_s: float
    """Both of the other calls: with loading and reading the prompt."""


class UsageSums(Struct, frozen=True):
    """What the log says of a stretch of time."""

    groups: tuple[UsageGroup, ...]
    bad_lines: int = 0
    """Lines that are no call; oversized ones among them."""
    oversized_lines: int = 0
    untimed_calls: int = 0
    """Calls that tell no usable time: whether they belong to a stretch that has bounds nobody can know."""


class UsageTimeZone(Protocol):
    """Gives the local day of Unix seconds; raises ``ValueError``, ``OverflowError`` or ``OSError`` without one."""

    def __call__(self, at: float) -> str: ...


class _CallLine(Struct, gc=False):
    """A line as it should be: what is read of it."""

    timestamp: str
    task_type: str | None = None
    model: str | None = None
    latency_sec: _Seconds = None
    tokens_in: _Tokens = None
    tokens_out: _Tokens = None
    success: bool | None = None
    provider: str | None = None
    caller: str | None = None
    eval_sec: _Seconds = None


class _Sum:
    """A group while it is summed. A year may have tens of thousands: making one costs what it does not yet hold."""

    calls = untold = failed = 0
    tokens_in = tokens_out = in_unknown = out_unknown = in_failed = out_failed = 0
    generated = answered = 0
    generation_s = answer_s = failed_s = 0.0

    def __init__(self) -> None:
        self.latencies = array("d")


_Names = tuple[str, str, str, str, str]
"""Day, model, task, caller, provider."""

_Key = tuple[str, str | None, str | None, str | None, str | None]
"""The same as lines have them."""

_OUTSIDE = "outside"
"""Stands for the day of a call that is not in the stretch."""


def read_usage(
    path: Path,
    since: float | None = None,
    until: float | None = None,
    *,
    day_of: UsageTimeZone | None = None,
    block_bytes: int = BLOCK_BYTES,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> UsageSums:
    """Sum the calls from ``since`` to before ``until`` (Unix seconds; None = no bound).

    Calls without a usable time count only where there is no bound. A log that is not there is an empty one.
    May take a second for a million calls: call it in a thread. Raises :class:`UsageError`.
    """
    reader = _Reader(-inf if since is None else since, inf if until is None else until, day_of or local_day)
    for part in (*rotated(path), path):
        _read_file(part, reader, block_bytes, max_line_bytes)
    return reader.sums()


def rotated(path: Path) -> list[Path]:
    """The parts that a rotation has moved away, ``….jsonl.1``, the oldest first; compressed ones are not read."""
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return []
    numbers = [name.removeprefix(f"{path.name}.") for name in names if name.startswith(f"{path.name}.")]
    return [path.with_name(f"{path.name}.{number}") for number in sorted(filter(str.isdigit, numbers), key=int)[::-1]]


def _read_file(path: Path, reader: _Reader, block_bytes: int, max_line_bytes: int) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hold us up
        with FileIO(descriptor) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(0, "it is no regular file")
            for block in _blocks(file, block_bytes, max_line_bytes, reader):
                reader.take(block)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        reason = clean_error(error.strerror or error)
        raise UsageError(f"Can't read {clean(str(path))}: {reason}", "Check the file's permissions") from None


def log_mark(path: Path) -> tuple[int, ...] | None:
    """What differs when the log has grown or was replaced; None without one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def local_day(at: float) -> str:
    """The day of Unix seconds in the machine's zone."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d")


def day_starts(last: date, days: int) -> float:
    """Unix seconds at which the stretch of ``days`` local days that ends with ``last`` begins."""
    first = date.fromordinal(max(1, last.toordinal() - days + 1))
    return datetime(first.year, first.month, first.day).astimezone().timestamp()


def _blocks(file: FileIO, block_bytes: int, max_line_bytes: int, reader: _Reader) -> Iterator[bytes]:
    """The file in blocks of whole lines, the last one perhaps without its newline."""
    rest, skipping = b"", False
    while read := file.read(block_bytes):
        first = read.find(b"\n")
        if first < 0 or len(rest) + first > max_line_bytes or skipping:
            # The only line that can be too long is the one that began in an earlier block.
            skipping = skipping or len(rest) + (len(read) if first < 0 else first) > max_line_bytes
            if first < 0:
                rest = b"" if skipping else rest + read
                continue
            reader.oversized_lines += 1
            rest, read, skipping = b"", read[first + 1 :], False
        end = read.rfind(b"\n") + 1
        yield rest + read[:end]
        rest = read[end:]
    if skipping:
        reader.oversized_lines += 1
    elif rest:
        yield rest


class _Reader:
    """Sums blocks of lines. A day is worked out once for each hour, and so is the place of what calls name."""

    def __init__(self, since: float, until: float, day_of: UsageTimeZone) -> None:
        self.bad_lines = self.oversized_lines = self.untimed_calls = 0
        self._since, self._until, self._local_day = since, until, day_of
        self._lines = msgspec.json.Decoder(_CallLine)
        self._any = msgspec.json.Decoder()
        self._sums: dict[_Names, _Sum] = {}
        self._shortcuts: dict[_Key, _Sum] = {}
        self._hours: dict[str, str] = {}
        self._split_hours: set[str] = set()
        self._cleaned: dict[tuple[str | None, ...], tuple[str, str, str, str]] = {}
        self._names: tuple[dict[str | None, str], ...] = ({}, {}, {}, {})

    def take(self, block: bytes) -> None:
        """Sum the lines of ``block``; one that is not as it should be costs its block the faster way."""
        try:
            calls = self._lines.decode_lines(block)
        except _BAD:
            calls = [call for raw in block.split(b"\n") if (call := self._call(raw)) is not None]
        self._add(calls)

    def sums(self) -> UsageSums:
        """What was summed."""
        groups = tuple(_group(names, found) for names, found in self._sums.items())
        return UsageSums(groups, self.bad_lines + self.oversized_lines, self.oversized_lines, self.untimed_calls)

    def _call(self, raw: bytes) -> _CallLine | None:
        raw = raw.strip(b" \t\r\0").removeprefix(b"\xef\xbb\xbf")
        if not raw:
            return None
        try:
            return self._lines.decode(raw)
        except _BAD:
            pass
        try:
            tree = self._any.decode(raw)
        except _BAD:
            tree = None
        if not isinstance(tree, dict) or "timestamp" not in tree:
            self.bad_lines += 1
            return None
        return _CallLine(
            timestamp=_moment_text(tree["timestamp"]),
            task_type=_text(tree.get("task_type")),
            model=_text(tree.get("model")),
            latency_sec=_seconds(tree.get("latency_sec")),
            tokens_in=_tokens(tree.get("tokens_in")),
            tokens_out=_tokens(tree.get("tokens_out")),
            success=tree["success"] if isinstance(tree.get("success"), bool) else None,
            provider=_text(tree.get("provider")),
            caller=_text(tree.get("caller")),
            eval_sec=_seconds(tree.get("eval_sec")),
        )

    def _add(self, calls: list[_CallLine]) -> None:
        hours, shortcuts, day_of, place = self._hours, self._shortcuts, self._day_of_call, self._place
        for call in calls:
            moment = call.timestamp
            day = hours.get(moment[:13]) if moment[-1:] == "Z" else None
            if day is None:
                day = day_of(moment)
            if day is _OUTSIDE:
                continue
            key = (day, call.model, call.task_type, call.caller, call.provider)
            found = shortcuts.get(key)
            if found is None:
                found = place(key)
            found.calls += 1
            latency_s, tokens_in, tokens_out = call.latency_sec, call.tokens_in, call.tokens_out
            # What is rare is counted, not what is usual: this runs a million times.
            if tokens_in is None:
                found.in_unknown += 1
            else:
                found.tokens_in += tokens_in
            if tokens_out is None:
                found.out_unknown += 1
            else:
                found.tokens_out += tokens_out
            if not call.success:
                if call.success is None:
                    found.untold += 1
                else:
                    found.failed += 1
                    found.failed_s += latency_s or 0.0
                    found.in_failed += tokens_in or 0
                    found.out_failed += tokens_out or 0
                    continue
            if latency_s is not None:
                found.latencies.append(latency_s)
            if tokens_out is not None:
                eval_s = call.eval_sec
                if eval_s:
                    found.generated += tokens_out
                    found.generation_s += eval_s
                elif latency_s:
                    found.answered += tokens_out
                    found.answer_s += latency_s

    def _place(self, key: _Key) -> _Sum:
        """Where calls with these names, as the line has them, are summed."""
        raw = key[1:]
        known = self._cleaned.get(raw)
        if known is None:
            model, task, caller, provider = (_name(names, name) for names, name in zip(self._names, raw, strict=True))
            known = (model, task, caller, provider)
            if len(self._cleaned) < NAMES_LIMIT**2:
                self._cleaned[raw] = known
        names = (key[0], *known)
        found = self._sums.get(names)
        if found is None:
            if len(self._sums) >= GROUPS_LIMIT:
                names = (UNKNOWN, OTHERS, OTHERS, OTHERS, OTHERS)
            found = self._sums.setdefault(names, _Sum())
        if len(self._shortcuts) >= GROUPS_LIMIT:
            self._shortcuts.clear()
        self._shortcuts[key] = found
        return found

    def _day_of_call(self, moment: str) -> str:
        """The local day of a moment. Of a moment in UTC whose hour lies in one day, the hour is remembered."""
        hour = moment[:13]
        if moment[-1:] == "Z" and hour not in self._split_hours:
            day = self._day_of_hour(hour)
            if day is not None:
                if len(self._hours) >= HOURS_LIMIT:
                    self._hours.clear()
                self._hours[hour] = day
                return day
            if len(self._split_hours) < HOURS_LIMIT:
                self._split_hours.add(hour)
        return self._day(moment)

    def _day_of_hour(self, hour: str) -> str | None:
        """The local day of a whole hour; None when it spans two days or a bound, or is no hour."""
        first = _unix(f"{hour}:00:00+00:00")
        if first is None:
            return None
        last = first + 3599.999
        if last < self._since or first >= self._until:
            return _OUTSIDE
        if first < self._since or last >= self._until:
            return None
        try:
            day, end_day = self._local_day(first), self._local_day(last)
        except (ValueError, OverflowError, OSError):
            return None
        return day if day == end_day else None

    def _day(self, moment: str) -> str:
        """The local day of one moment."""
        at = _unix(moment)
        if at is not None and not self._since <= at < self._until:
            return _OUTSIDE
        if at is not None:
            try:
                return self._local_day(at)
            except (ValueError, OverflowError, OSError):
                pass
        self.untimed_calls += 1
        return UNKNOWN if self._since == -inf and self._until == inf else _OUTSIDE


def _group(names: _Names, found: _Sum) -> UsageGroup:
    return UsageGroup(
        *names,
        calls=found.calls,
        succeeded=found.calls - found.failed - found.untold,
        failed=found.failed,
        tokens_in=found.tokens_in if found.calls > found.in_unknown else None,
        tokens_out=found.tokens_out if found.calls > found.out_unknown else None,
        saved_in=found.tokens_in - found.in_failed,
        saved_out=found.tokens_out - found.out_failed,
        latencies_s=found.latencies,
        busy_s=sum(found.latencies) + found.failed_s,
        generated_tokens=found.generated,
        generation_s=found.generation_s,
        answered_tokens=found.answered,
        answer_s=found.answer_s,
    )


def _name(known: dict[str | None, str], raw: str | None) -> str:
    name = known.get(raw)
    if name is None:
        if len(known) >= NAMES_LIMIT:
            return OTHERS
        # A long raw name must not stay in memory: beyond its limit it is known by what is kept of it.
        name = clean((raw or UNKNOWN).strip(), limit=NAME_LIMIT)
        known[raw if raw is None or len(raw) <= NAME_LIMIT else name] = name
    return name


def _unix(moment: str) -> float | None:
    """Unix seconds of an ISO 8601 moment, or of a number; one without a zone is meant as UTC."""
    if moment[:1].isdigit() and (at := epoch_seconds(moment)) is not None:
        return at  # to ``fromisoformat`` a dozen digits may be a day of the Middle Ages
    try:
        parsed = datetime.fromisoformat(moment[:40])
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _moment_text(value: object) -> str:
    """A line's time as a text: numbers of seconds or of parts of them are times too."""
    return value if isinstance(value, str) else "" if epoch_seconds(value) is None else str(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and 0 <= value <= MOST_SECONDS else None


def _tokens(value: object) -> int | None:
    seconds_or_count = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if seconds_or_count is None or not 0 <= seconds_or_count <= MOST_TOKENS:
        return None
    return int(seconds_or_count)
