"""A program on a terminal of its own: what it wrote, when, and what then stands on the screen.

Bytes are only stamped while the clock matters; the terminal emulator, which is slow, gets them afterwards.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import pyte

COLUMNS, ROWS = 120, 40
GLYPHS = 8
"""A frame with so many visible characters is no accident."""

_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=?][0-9;]*(?:u|\$p)|\x1b\[[<>=][0-9;]*[A-Za-z]")

Seen = Callable[["Terminal"], bool]


class Terminal:
    """Starts ``argv`` on a new terminal at once; :attr:`started_at` and all times are ``time.perf_counter`` seconds."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.chunks: list[tuple[float, bytes]] = []
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self._fed = 0
        self.ended = False
        self.started_at = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execve(argv[0], list(argv), dict(env))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def write(self, keys: bytes) -> float:
        """Press keys; returns when."""
        at = time.perf_counter()
        os.write(self.fd, keys)
        return at

    def take(self) -> None:
        """Note what can be read right now."""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return
        self.chunks.append((time.perf_counter(), data))

    def written_bytes(self, since: float, until: float) -> int:
        """How much the program wrote in a stretch of time."""
        return sum(len(data) for at, data in self.chunks if since <= at < until)

    def catch_up(self) -> None:
        """Bring the screen to the last byte."""
        while self._fed < len(self.chunks):
            self._feed_one()

    def first(self, seen: Seen) -> float | None:
        """When ``seen`` was first true of the screen, among the chunks that it has not got yet."""
        while self._fed < len(self.chunks):
            at = self._feed_one()
            if seen(self):
                return at
        return None

    def _feed_one(self) -> float:
        at, data = self.chunks[self._fed]
        self._fed += 1
        self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data))
        return at

    def text(self) -> str:
        """The screen as lines of text."""
        return "\n".join(self.screen.display)


def painted(terminal: Terminal) -> bool:
    """Most of the screen has been painted over the terminal's own background."""
    cells = (cell for row in terminal.screen.buffer.values() for cell in row.values())
    return sum(cell.bg != "default" for cell in cells) > COLUMNS * ROWS // 2


def painted_with_text(terminal: Terminal) -> bool:
    """The first frame, with something to read in it."""
    return sum(not character.isspace() for character in terminal.text()) >= GLYPHS and painted(terminal)


def watch(terminals: Sequence[Terminal], seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Note what the programs write, for so long or until something is true (asked after each chunk)."""
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        alive = {terminal.fd: terminal for terminal in terminals if not terminal.ended}
        if len(alive) < len(terminals):
            raise RuntimeError("the program has ended:\n" + _last_words(terminals))
        ready, _, _ = select.select(list(alive), [], [], left)
        for fd in ready:
            alive[fd].take()
        if ready and until():
            return


def _last_words(terminals: Sequence[Terminal]) -> str:
    for terminal in terminals:
        terminal.catch_up()
    return "\n".join(terminal.text().strip() for terminal in terminals if terminal.ended)


def python(*arguments: str) -> list[str]:
    """The command line of this very interpreter."""
    return [sys.executable, *arguments]
