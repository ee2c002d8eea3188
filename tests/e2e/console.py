"""A console on a pseudo-terminal: keys go in as bytes, bytes come out, and a pyte screen shows what they paint.

    with Console(env) as console:
        console.wait_for("Models")
        console.press("j", ENTER)
        assert console.stop() == 0

Nothing here sleeps: every wait ends with the data that it waits for, or fails with the screen as it was.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = (sys.executable, "-m", "timmy_tui")
APPS = ROOT / "tests" / "e2e" / "apps"

ENTER, ESCAPE, TAB, SHIFT_TAB, SPACE = "\r", "\x1b", "\t", "\x1b[Z", " "
DOWN, LEFT, RIGHT = "\x1b[B", "\x1b[D", "\x1b[C"
CTRL_P, CTRL_R, CTRL_T = "\x10", "\x12", "\x14"

WAIT_S = 20.0
"""How long anything may take on a busy machine; a wait that ends well ends at once."""

# pyte prints the last letter of the first two and takes the pointer's shape for a title; a terminal does not.
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>][0-9;]*[a-z]|\x1b\[\?[0-9]+\$p|\x1b\]22;[a-z-]*\x07")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|\][0-9a-z;-]{0,40})?\Z")


class Screen(pyte.Screen):
    """A screen that notes what a terminal would have typed back."""

    def __init__(self, columns: int, rows: int) -> None:
        self.answers: list[str] = []
        super().__init__(columns, rows)

    def write_process_input(self, data: str) -> None:
        """A report (DSR, DA) that the program would read as keys."""
        self.answers.append(data)


class Console:
    """One process on a pty of its own, leader of its session like a shell's child in a new window."""

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        columns: int = 120,
        rows: int = 36,
        command: Sequence[str] = CONSOLE,
        arguments: Sequence[str] = (),
        ignore_hangup: bool = False,
    ) -> None:
        self.screen = Screen(columns, rows)
        self.raw = bytearray()
        """Every byte that reached the terminal, in order."""
        self._stream = pyte.ByteStream(self.screen)
        self._fed = 0
        self._open = True
        self._master, slave = pty.openpty()
        self._set_size(columns, rows)
        try:
            self.process = subprocess.Popen(
                [*command, *arguments],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=ROOT,
                env={**env, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
                preexec_fn=lambda: _take_terminal(ignore_hangup),
                close_fds=True,
            )
        finally:
            os.close(slave)

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT_S)
        self.hang_up()

    # What is seen.

    @property
    def text(self) -> str:
        """The screen as it is now, one line per row."""
        self._paint()
        columns = range(self.screen.columns)
        rows = (self.screen.buffer[y] for y in range(self.screen.lines))
        # ``screen.display`` says the same and takes many times as long.
        return "\n".join("".join([row[x].data for x in columns]).rstrip() for row in rows)

    @property
    def output(self) -> str:
        """Everything that was ever written, escape sequences and all."""
        return self.raw.decode("utf-8", "replace")

    def wait_for(self, *wanted: str, timeout_s: float = WAIT_S) -> str:
        """The screen, as soon as it shows all of ``wanted`` at once."""
        return self.wait_until(lambda text: all(part in text for part in wanted), f"{wanted}", timeout_s)

    def wait_gone(self, *unwanted: str, timeout_s: float = WAIT_S) -> str:
        """The screen, as soon as it shows none of ``unwanted``."""
        return self.wait_until(lambda text: not any(part in text for part in unwanted), f"{unwanted} to go", timeout_s)

    def wait_until(self, holds: Callable[[str], bool], what: str, timeout_s: float = WAIT_S) -> str:
        """The screen, as soon as ``holds`` of its text."""
        until = time.monotonic() + timeout_s
        while True:
            text = self.text
            if holds(text):
                return text
            if not self._read(until):
                end = f"the process ended with {self.process.poll()}" if not self._open else "nothing came"
                raise AssertionError(f"waited for {what}; {end}; the screen:\n{text}\n{self.output[-2000:]!r}")

    def wait_raw(self, wanted: bytes, *, since: int = 0, timeout_s: float = WAIT_S) -> int:
        """Where ``wanted`` ends in the raw bytes at or after ``since``, as soon as it is there."""
        until = time.monotonic() + timeout_s
        while (at := self.raw.find(wanted, since)) < 0:
            assert self._read(until), f"waited for {wanted!r}; the end of it all: {bytes(self.raw[-500:])!r}"
        return at + len(wanted)

    # What is done.

    def press(self, *keys: str | bytes) -> None:
        """Type. After ``ESCAPE`` wait for what it does: followed at once by a key it would be alt and that key."""
        data = b"".join(key.encode() if isinstance(key, str) else key for key in keys)
        while data:
            data = data[os.write(self._master, data) :]

    def paste(self, text: str) -> None:
        """Paste as a terminal with bracketed paste does: it keeps back ESC and its like, and nothing else."""
        kept = "".join(character for character in text if character >= " " or character in "\t\r\n")
        self.press(b"\x1b[200~" + kept.encode() + b"\x1b[201~")

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; the kernel tells the process."""
        self._paint()
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Close the terminal's end."""
        if self._master >= 0:
            os.close(self._master)
            self._master, self._open = -1, False

    def end(self, timeout_s: float = WAIT_S) -> int:
        """The exit code, when the process has ended by itself; what it still wrote is taken in."""
        until = time.monotonic() + timeout_s
        while self._open:
            assert self._read(until) or not self._open, f"still runs; the screen:\n{self.text}"
        return self.process.wait(max(0.1, until - time.monotonic()))

    def stop(self) -> int:
        """``q``, and the exit code."""
        self.press("q")
        return self.end()

    # How.

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self, until: float) -> bool:
        """Take in what is there, waiting for it; False when nothing came in time or the terminal is closed."""
        if not self._open:
            return False
        wait_s = max(0.0, until - time.monotonic())
        took = False
        while select.select([self._master], [], [], wait_s)[0]:
            try:
                data = os.read(self._master, 65_536)
            except OSError:  # EIO: the last process that had it open has ended
                data = b""
            if not data:
                self._open = False
                break
            self.raw += data
            took, wait_s = True, 0.0
        return took

    def _paint(self) -> None:
        new = bytes(self.raw[self._fed :])
        unfinished = _UNFINISHED.search(new)
        if unfinished:
            new = new[: unfinished.start()]
        self._fed += len(new)
        self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", new))


def _take_terminal(ignore_hangup: bool) -> None:
    """Runs in the child: a session of its own whose terminal is the pty."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if ignore_hangup:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
