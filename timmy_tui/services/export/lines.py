"""The complete lines of one log file, and the digest of its bytes, in one pass."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from timmy_tui.services.ticks.cursor import MAX_LINE_BYTES
from timmy_tui.services.ticks.folder import unreadable

BLOCK_BYTES = 512 * 1024

_MARGIN = b"\0 \t\r"


class InputFile(Struct, frozen=True):
    """A file that was read, as far as it was when it was opened."""

    name: str
    bytes: int
    sha256: str


class LogReader:
    """Reads a file once. It may grow meanwhile; what is behind its first size is not read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.oversized_lines = 0
        self.incomplete = False
        """The file ends in the middle of a line, which is left alone: its writer may be at it."""
        self._read_bytes = 0
        self._digest = hashlib.sha256()

    @property
    def input_file(self) -> InputFile:
        """The file, after :meth:`lines` has come to its end."""
        return InputFile(self.path.name, self._read_bytes, self._digest.hexdigest())

    def lines(self, on_bytes: Callable[[int], None] = lambda count: None) -> Iterator[bytes]:
        """Each complete line without its margin (blanks, CR, the NULs of a hole). Raises ``TickLogError``."""
        pending = b""
        too_long = False
        for block in self._blocks():
            on_bytes(len(block))
            end = block.rfind(b"\n")
            if end < 0:
                pending += block
                if len(pending) > MAX_LINE_BYTES and pending.strip(b"\0"):
                    pending, too_long = b"", True
                continue
            first, *others = block[:end].split(b"\n")
            if too_long or len(pending) + len(first) > MAX_LINE_BYTES + BLOCK_BYTES:
                self.oversized_lines += 1
                too_long = False
            else:
                others.insert(0, pending + first)
            pending = block[end + 1 :]
            for raw in others:
                data = raw.strip(_MARGIN)
                if data:
                    yield data
        self.incomplete = too_long or bool(pending.strip(_MARGIN))

    def _blocks(self) -> Iterator[bytes]:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise unreadable(self.path, error) from None
        try:
            left = os.fstat(fd).st_size
            while left:
                block = os.read(fd, min(BLOCK_BYTES, left))
                if not block:
                    return
                left -= len(block)
                self._read_bytes += len(block)
                self._digest.update(block)
                yield block
        except OSError as error:
            raise unreadable(self.path, error) from None
        finally:
            os.close(fd)
