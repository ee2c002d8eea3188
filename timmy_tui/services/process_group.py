"""The process group that a child of ours leads (``start_new_session=True``): signals, and an end at a deadline."""

from __future__ import annotations

import os
import signal
import subprocess


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal the group that the process ``leader`` leads; a group that is gone needs none."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        pass


def ended_within(process: subprocess.Popen[bytes], deadline_s: float) -> int | None:
    """The exit code; None when the process and its group had to be killed at the deadline. Blocks."""
    try:
        return process.wait(deadline_s)
    except subprocess.TimeoutExpired:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
        return None
