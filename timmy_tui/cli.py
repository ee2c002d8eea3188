"""The entry point: the console at once, every other command through the tree of commands.

Opening the console needs no option parser, and its first paint should not wait for one to be imported.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

from timmy_tui.commands.errors import CommandError
from timmy_tui.config import ConfigError, load_settings
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean_error

USAGE_ERROR = 2
COULD_NOT_LOOK = 3
"""What ``status`` ends with where it looked at nothing: 2 is "critical", and 3 "unknown" to every monitoring system."""
INTERRUPTED = 130
CLOSED_PIPE = 141
"""128 + SIGPIPE, as other programs end when their reader leaves."""

LEAVE_S = 1.0
"""What a thread gets to end what it has begun: a write takes moments, only a read that hangs takes longer."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; every expected failure is one line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    failed = COULD_NOT_LOOK if _is_status(words) else USAGE_ERROR
    try:
        code = _invoked(words)
        sys.stdout.flush()
    except BrokenPipeError:
        from timmy_tui.commands.output import silence_stdout

        silence_stdout()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except SourceError as error:
        return _failed(f"{error.message}; {error.hint}" if error.hint else error.message, failed)
    except (CommandError, ConfigError) as error:
        return _failed(error, failed)
    except OSError as error:
        from timmy_tui.commands.output import silence_stdout

        silence_stdout()
        return _failed(error, failed)
    return code


def _is_status(words: list[str]) -> bool:
    """Whether a command line asks for the status, whatever flags stand before it."""
    left = iter(words)
    for word in left:
        if word in ("--config", "--theme", "--operator"):
            next(left, None)
        elif not word.startswith("-"):
            return word == "status"
    return False


def open_closed_streams() -> None:
    """Point standard streams that were closed (``>&-``) at nothing.

    Python has none for them then, and the next file that is opened would stand in their place.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _invoked(words: list[str]) -> int:
    if not words:
        from timmy_tui.commands.console import run_here

        return run_here(load_settings(os.environ), os.environ)
    from timmy_tui.commands.tree import invoke

    return invoke(words)


def _failed(error: BaseException | str, code: int) -> int:
    sys.stderr.write(f"timmy-tui: {clean_error(error)}\n")
    return code


def main() -> NoReturn:
    """The entry point of ``timmy-tui``.

    Collecting garbage while modules are imported finds none and costs a tenth of the start; every command that goes
    on running switches it on again (:func:`timmy_tui.startup.settled`).
    """
    gc.disable()
    open_closed_streams()
    code = run()
    if _threads_hang():  # Python would wait for them for ever: a lost network mount
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _threads_hang() -> bool:
    until = time.monotonic() + LEAVE_S
    threads = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    waited_for = [thread for thread in threads if not thread.daemon]
    for thread in waited_for:
        thread.join(max(0.0, until - time.monotonic()))
    return any(thread.is_alive() for thread in waited_for)
