"""One file of an export: lines, their count and their digest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from timmy_tui.services.appending import make_private_folder
from timmy_tui.services.export.spool import FLUSH_BYTES, write_all
from timmy_tui.services.json_lines import one_line


class WrittenFile(Struct, frozen=True):
    """A file that is on disk."""

    path: Path
    rows: int
    bytes: int
    sha256: str


class OutputFile:
    """A new file for the owner only. It appears with its first line, and is on disk when the context ends well.

    Every method raises ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._pending = bytearray()
        self._digest = hashlib.sha256()
        self._rows = self._bytes = 0

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None and self._rows:
                self._flush()
                os.fsync(self._open())
        finally:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    @property
    def written(self) -> WrittenFile:
        """What was written, when the context has ended."""
        return WrittenFile(self._path, self._rows, self._bytes, self._digest.hexdigest())

    def write_line(self, line: bytes) -> None:
        """Append ``line``, which holds no newline, and a newline."""
        self._pending += one_line(line)
        self._pending += b"\n"
        self._rows += 1
        if len(self._pending) >= FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._digest.update(self._pending)
        self._bytes += len(self._pending)
        write_all(self._open(), self._pending)
        self._pending.clear()

    def _open(self) -> int:
        if self._fd is None:
            make_private_folder(self._path.parent)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return self._fd


def write_text(path: Path, text: str) -> WrittenFile:
    """Write a whole new file that ends with a newline. ``OSError``."""
    with OutputFile(path) as file:
        for line in text.removesuffix("\n").split("\n"):
            file.write_line(line.encode())
    return file.written
