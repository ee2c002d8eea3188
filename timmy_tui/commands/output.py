"""Standard output as the commands see it: its size, its colours, its signs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

from msgspec import Struct

from timmy_tui.config import Settings
from timmy_tui.glyphs import ASCII, UNICODE, Glyphs

PIPE_SIZE = (240, 24)
"""Columns and rows where there is no terminal to ask: nothing is cut for want of a screen."""


class Output(Struct, frozen=True):
    """What standard output can show."""

    terminal: bool
    columns: int
    rows: int
    colour: bool
    glyphs: Glyphs


def stdout_now(settings: Settings, env: Mapping[str, str]) -> Output:
    """Standard output at this moment; a terminal may be resized between two calls."""
    terminal = sys.stdout.isatty()
    size = shutil.get_terminal_size(PIPE_SIZE)
    return Output(
        terminal=terminal,
        columns=size.columns,
        rows=size.lines,
        colour=terminal and not env.get("NO_COLOR") and env.get("TERM", "dumb") != "dumb",
        glyphs=ASCII if settings.config.ascii or not _speaks_unicode() else UNICODE,
    )


def say(text: str) -> None:
    """Write ``text`` and a newline to standard output at once; what its encoding lacks becomes ``?``."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    sys.stdout.flush()


def show_progress(text: str) -> None:
    """Put ``text`` in the place of the last progress, on standard error where that is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()


def silence_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush can't fail on a closed pipe."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "").replace("_", "") in ("utf8", "utf16", "utf32")
