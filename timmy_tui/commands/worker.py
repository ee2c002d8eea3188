"""``timmy-tui worker``: the process that runs the heartbeat."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping

from timmy_tui.commands.output import say
from timmy_tui.config import Settings
from timmy_tui.startup import settled


def run_here(settings: Settings, env: Mapping[str, str], *, bound: bool = False) -> int:
    """Run the worker until it is told to end. ``bound``: standard input is a pipe whose end is the parent's.

    Raises :class:`~timmy_tui.services.worker.queue.WorkerError`.
    """
    from timmy_tui.services.worker.run import run_worker

    parent = sys.stdin.fileno() if bound else None
    settled()
    return run_worker(settings, env, parent=parent, tell=_silent if bound else _tell)


def _tell(line: str) -> None:
    """A terminal that is gone is no reason to fail."""
    with contextlib.suppress(OSError):
        say(line)


def _silent(line: str) -> None:
    """Standard output is the log, which says it in its own way."""
