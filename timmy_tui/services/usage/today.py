"""What models and providers did today, followed as the usage log grows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from timmy_tui.services.moments import epoch_seconds
from timmy_tui.services.ticks.backwards import end_of_lines, lines_backwards
from timmy_tui.services.ticks.cursor import Cursor
from timmy_tui.services.usage.reading import MOST_SECONDS, MOST_TOKENS
from timmy_tui.services.usage.recording import usage_moment
from timmy_tui.services.usage.records import UsageError
from timmy_tui.text import clean, clean_error, local_moment

NAMES_LIMIT = 500
"""Models or providers told apart; a log with more is no log of this machine's."""


LEAST_SECONDS = 1e-6
"""A shorter generation is no measurement."""


class Use(Struct, frozen=True):
    """What one model or provider did today."""

    name: str
    calls: int
    tokens_per_s: float | None
    """Of the generation alone, over all of today's calls that tell it."""


class UsageToday(Struct, frozen=True):
    """The calls since midnight, local time."""

    models: tuple[Use, ...] = ()
    providers: tuple[Use, ...] = ()

    def of_model(self, name: str) -> Use | None:
        """What a model did; None when nothing."""
        return next((use for use in self.models if use.name == name), None)

    def of_provider(self, name: str) -> Use | None:
        """What a provider did; None when nothing."""
        return next((use for use in self.providers if use.name == name), None)


class _Line(Struct):
    timestamp: object = None
    model: object = None
    provider: object = None
    tokens_out: object = None
    eval_sec: object = None


class _Sum:
    def __init__(self) -> None:
        self.calls = 0
        self.tokens = self.seconds = 0.0


_decoder = msgspec.json.Decoder(_Line)


class UsageFollower:
    """Reads the log at ``path`` from its end back to midnight, then what is new. ``clock`` is Unix seconds."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._midnight = self._day_before = ""
        self._cursor = Cursor()
        self._identity: tuple[int, int] | None = None
        self._models: dict[str, _Sum] = {}
        self._providers: dict[str, _Sum] = {}
        self._shown = UsageToday()

    def read(self) -> UsageToday:
        """Today's use; the same object as before when nothing changed. Blocks; raises :class:`UsageError`."""
        with self._one_at_a_time:
            try:
                return self._read()
            except FileNotFoundError:
                self._forget("")
                return self._shown
            except OSError as error:
                told = f"Can't read {clean(str(self._path))}: {clean_error(error.strerror or error)}"
                raise UsageError(told, "Check its permissions") from None

    def _read(self) -> UsageToday:
        now = local_moment(self._clock())
        start = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() if now is not None else 0.0
        midnight = usage_moment(start)
        stat = os.stat(self._path)
        identity = (stat.st_dev, stat.st_ino)
        if identity == self._identity and midnight == self._midnight and self._cursor.unchanged(stat):
            return self._shown
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            stat = os.fstat(fd)
            known = (identity, midnight) == (self._identity, self._midnight)
            if not known or self._cursor.disturbance(fd, stat) is not None:
                self._forget(midnight)
                self._identity = identity
                end = end_of_lines(fd)
                for line in lines_backwards(fd, end):
                    if not self._take(line.data):
                        break
                self._cursor.start_at(fd, end)
            for line in self._cursor.read(fd, stat, 1 << 30):
                self._take(line.data)
        finally:
            os.close(fd)
        shown = UsageToday(_uses(self._models), _uses(self._providers))
        if shown != self._shown:
            self._shown = shown
        return self._shown

    def _forget(self, midnight: str) -> None:
        self._midnight, self._identity, self._cursor = midnight, None, Cursor()
        self._day_before = _day_before(midnight)
        self._models, self._providers = {}, {}
        if self._shown != UsageToday():
            self._shown = UsageToday()

    def _take(self, data: bytes) -> bool:
        """Count a line; False for one of an earlier day. The log's moments sort as they are spelt."""
        try:
            line = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return True
        if not isinstance(line.timestamp, str) or line.timestamp.isdigit():
            at = epoch_seconds(line.timestamp)
            if at is None:
                return True
            line.timestamp = usage_moment(at)
        if line.timestamp < self._midnight:
            # Lines are written when a call ends, and somebody else's clock may be off: a day of tolerance.
            return line.timestamp >= self._day_before
        if not line.timestamp[:4].isdigit():
            return True
        for sums, name in ((self._models, line.model), (self._providers, line.provider)):
            if isinstance(name, str) and name and (name in sums or len(sums) < NAMES_LIMIT):
                _count(sums.setdefault(name, _Sum()), line)
        return True


def _count(into: _Sum, line: _Line) -> None:
    into.calls += 1
    tokens, seconds = line.tokens_out, line.eval_sec
    if not isinstance(tokens, int) or not isinstance(seconds, int | float):
        return
    if 0 <= tokens <= MOST_TOKENS and LEAST_SECONDS <= seconds <= MOST_SECONDS:
        into.tokens += tokens
        into.seconds += seconds


def _day_before(midnight: str) -> str:
    """A day earlier, as the log spells it; the same for what is no moment."""
    try:
        return usage_moment(datetime.fromisoformat(midnight).timestamp() - 86_400)
    except ValueError:
        return midnight


def _uses(sums: dict[str, _Sum]) -> tuple[Use, ...]:
    found: Iterable[tuple[str, _Sum]] = sums.items()
    return tuple(
        Use(clean(name), total.calls, total.tokens / total.seconds if total.seconds else None) for name, total in found
    )
