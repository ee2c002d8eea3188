"""``timmy-tui worker``: the process that runs the heartbeat."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Mapping

from timmy_tui.commands.output import say
from timmy_tui.config import Settings


def run_here(settings: Settings, env: Mapping[str, str], *, bound: bool = False) -> int:
    """Run the worker until it is told to end. ``bound``: standard input is a pipe whose end is the parent's.

    Raises :class:`~timmy_tui.services.worker.queue.WorkerError`.
    """
    from timmy_tui.services.worker.run import run_worker

    parent = sys.stdin.fileno() if bound else None
    code = run_worker(settings, env, parent=parent, tell=_silent if bound else _tell)
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        # A probe that hangs in a dead mount: Python would wait for it for ever.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(code)
    return code


def _tell(line: str) -> None:
    """A terminal that is gone is no reason to fail."""
    with contextlib.suppress(OSError):
        say(line)


def _silent(line: str) -> None:
    """Standard output is the log, which says it in its own way."""
