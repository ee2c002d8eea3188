"""The names of the day files, without listing years of them at every look."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from timmy_tui import text
from timmy_tui.services.ticks.errors import TickLogError

SETTLE_S = 2.0
"""A folder's time has a grain: a file made in the same grain as the last one leaves it as it is."""

_FILE_NAME = re.compile(r"ticks_(\d{8})\.jsonl(?:\.(\d{1,4}))?")


def day_name(day: date) -> str:
    """The file name of a local date's ticks."""
    return f"ticks_{day:%Y%m%d}.jsonl"


def unreadable(path: Path, error: OSError) -> TickLogError:
    """The service's error for a file or folder that the system refuses."""
    reason = error.strerror or type(error).__name__
    return TickLogError(f"Can't read {text.clean(str(path))}: {text.clean_error(reason)}", "Check its permissions")


class TickFolder:
    """The tick files of one folder. ``clock`` is monotonic seconds."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self._stamped_at = 0.0
        self._names: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """All tick files, oldest first, a day's rotated ones (``.2``, ``.1``) before its own; the same object when
        nothing came or went. Raises :class:`TickLogError` when there is no such folder.
        """
        now = self._clock()
        try:
            stat = os.stat(self.path)
            stamp = (stat.st_dev, stat.st_ino, stat.st_mtime_ns)
            if stamp == self._stamp and now - self._stamped_at > SETTLE_S:
                return self._names
            listed = os.listdir(self.path)
        except (FileNotFoundError, NotADirectoryError):
            raise TickLogError(
                f"No tick log at {text.clean(str(self.path))} yet",
                "The first tick makes it: timmy-tui tick, with timmy-tui worker running",
            ) from None
        except OSError as error:
            raise unreadable(self.path, error) from None
        if stamp != self._stamp:
            self._stamp, self._stamped_at = stamp, now
        matches = [match for name in listed if (match := _FILE_NAME.fullmatch(name))]
        matches.sort(key=lambda match: (match[1], -int(match[2] or 0)))
        names = tuple(match[0] for match in matches)
        if names != self._names:
            self._names = names
        return self._names
