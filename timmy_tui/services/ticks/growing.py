"""One file of the tick log that is read to its end, and again when it has grown: what indexes are made from."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

from timmy_tui.services.ticks.cursor import Cursor, TailLine
from timmy_tui.services.ticks.folder import unreadable

STEP_BYTES = 4 * 1024 * 1024
"""Bytes taken in between two looks at whether to stop."""


class GrowingFile(ABC):
    """Gives a subclass each complete line once; it keeps what it needs of them, and says how many it kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cursor = Cursor()
        self._identity: tuple[int, int] | None = None

    @abstractmethod
    def __len__(self) -> int:
        """How many lines were kept."""

    @abstractmethod
    def _take(self, lines: list[TailLine]) -> None:
        """Take in new lines."""

    def disturbed(self) -> bool:
        """What was read of the file is no longer what it holds, or the file is gone."""
        try:
            stat = os.stat(self.path)
            if self._identity != (stat.st_dev, stat.st_ino):
                return self._identity is not None
            if self._cursor.unchanged(stat):
                return False
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise unreadable(self.path, error) from None
        try:
            return self._cursor.disturbance(fd, stat) is not None
        except OSError as error:
            raise unreadable(self.path, error) from None
        finally:
            os.close(fd)

    def grow(self, on_bytes: Callable[[int], None], should_stop: Callable[[], bool]) -> bool:
        """Take in what is new; True when something of it was kept.

        Raises :class:`~timmy_tui.services.ticks.errors.TickLogError` for a file that can't be read.
        """
        known = len(self)
        try:
            if self._identity is not None and self._cursor.unchanged(os.stat(self.path)) and not self._cursor.behind():
                return False
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise unreadable(self.path, error) from None
        try:
            stat = os.fstat(fd)
            self._identity = (stat.st_dev, stat.st_ino)
            for lines, taken_bytes in self._steps(fd, stat):
                self._take(lines)
                on_bytes(taken_bytes)
                if should_stop():
                    break
        except OSError as error:
            raise unreadable(self.path, error) from None
        finally:
            os.close(fd)
        return len(self) != known

    def _steps(self, fd: int, stat: os.stat_result) -> Iterator[tuple[list[TailLine], int]]:
        while True:
            position = self._cursor.position
            lines = self._cursor.read(fd, stat, STEP_BYTES)
            yield lines, self._cursor.position - position
            if not self._cursor.behind() or self._cursor.position == position:
                return
