"""Walls between this program and the terminal: what goes out, what comes in, and how it ends (facts/textual.md §3)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import threading
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from timmy_tui.glyphs import PLAIN

if TYPE_CHECKING:
    from textual.app import App

_REPLACEMENT = "\ufffd"
_HARMLESS = ("Zs", "Co")
"""Not printable by Python's rule, and yet signs with a width: spaces of every kind, a font's own icons."""


class _Shown:
    """For ``str.translate``: each character by what Unicode says it is, asked when it comes."""

    def __getitem__(self, code: int) -> str:
        character = chr(code)
        harmless = character.isprintable() or unicodedata.category(character) in _HARMLESS
        return character if harmless else _REPLACEMENT


_SHOWN = _Shown()

END_WITHIN_S = 5.0
"""How long an app may take to restore the terminal after a signal."""

FEW_COLOURS = frozenset({"ansi", "linux", "rxvt", "screen", "tmux", "vt100", "vt220", "xterm"})
"""What ``TERM`` is where nothing is said of 256 colours."""

TERMINAL_CHECK_S = 5.0
"""How often a vanished terminal is looked for; without it Textual spins for ever (§3.3)."""


class NoControl(LineFilter):
    """The last wall: no control, bidi or invisible character leaves in a segment of text.

    ``text.clean`` has made them visible long before; this stands behind every text sink that it could miss.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments with what is unsafe replaced, and unchanged where nothing is."""
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment
            if segment.control or segment.text.isprintable()
            else Segment(segment.text.translate(_SHOWN), segment.style, segment.control)
            for segment in segments
        ]


NO_CONTROL = NoControl()


class PlainSigns(LineFilter):
    """``--ascii``: every sign of ours or of Textual's becomes a plain one, whichever widget drew it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments with plain signs; letters of foreign text stay as they are."""
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(segment.text.translate(PLAIN), segment.style, segment.control)
            for segment in segments
        ]


PLAIN_SIGNS = PlainSigns()


class Watchdog:
    """Ends a process that was told to end and can't: closing a terminal that vanished may block for ever."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def arm(self, code: int) -> None:
        """End the process with ``code`` in :data:`END_WITHIN_S` unless :meth:`disarm` comes first."""
        if self._timer is None:
            self._timer = threading.Timer(END_WITHIN_S, os._exit, (code,))
            self._timer.daemon = True
            self._timer.start()

    def disarm(self) -> None:
        """The app has ended by itself."""
        if self._timer is not None:
            self._timer.cancel()


def end_on_signals(app: App[None], watchdog: Watchdog) -> None:
    """SIGTERM and SIGHUP end the app through its own exit, so that the terminal is restored."""

    def end(code: int) -> None:
        watchdog.arm(code)
        app.exit(return_code=code)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, 128 + number)


def has_few_colours(env: Mapping[str, str]) -> bool:
    """A terminal that tells of no more than 16 colours: ours would all become white and red there."""
    return not env.get("COLORTERM") and env.get("TERM", "") in FEW_COLOURS


def terminal_is_gone() -> bool:
    """Whether the terminal has vanished under a process that SIGHUP did not reach."""
    stdin = sys.__stdin__
    if stdin is None:
        return True
    try:
        termios.tcgetattr(stdin.fileno())
    except (termios.error, OSError, ValueError):
        return True
    return False


def leave_at_once() -> None:
    """End the process without touching a terminal that no longer exists."""
    os._exit(129)
