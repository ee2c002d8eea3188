"""The redacted texts of an export in a file without a name: a dataset may be larger than memory."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import msgspec
from msgspec import Struct

from timmy_tui.services.export.answers import Word
from timmy_tui.services.export.passages import Passage

FLUSH_BYTES = 1024 * 1024


class Sample(Struct, frozen=True, array_like=True):
    """One candidate with what was said of it, ready to be written. Every string is redacted and well-formed."""

    tick_id: str
    origin: str
    source: str
    model: str
    severity: str
    prompt_source: str
    completion_source: str
    note: str
    redacted: bool
    prompt: Passage
    completion: Passage
    label_by: Word = Word()
    correction: Passage | None = None
    correction_by: Word = Word()
    alternative: Passage | None = None
    alternative_model: str = ""
    preference_by: Word = Word()


class Spool:
    """Samples in the order in which they were put in, found again by their number."""

    def __init__(self, folder: Path) -> None:
        """Raises ``OSError``, as every method does."""
        path = folder / ".spool"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink(path)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Sample)
        self._ends = array("Q", [0])
        self._pending = bytearray()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def put(self, sample: Sample) -> int:
        """Keep ``sample``; its number."""
        data = self._encoder.encode(sample)
        self._pending += data
        self._ends.append(self._ends[-1] + len(data))
        if len(self._pending) >= FLUSH_BYTES:
            self.flush()
        return len(self) - 1

    def flush(self) -> None:
        """Write what is pending; to be called once between the last :meth:`put` and the first :meth:`get`."""
        write_all(self._fd, self._pending)
        self._pending.clear()

    def get(self, number: int) -> Sample:
        """The sample of that number."""
        start = self._ends[number]
        return self._decoder.decode(os.pread(self._fd, self._ends[number + 1] - start, start))

    def close(self) -> None:
        """Let the file go."""
        os.close(self._fd)


def write_all(fd: int, data: bytes | bytearray) -> None:
    """Write ``data`` whole. ``OSError``."""
    with memoryview(data) as view:
        written = 0
        while written < len(view):
            written += os.write(fd, view[written:])
