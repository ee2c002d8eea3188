"""The end of the worker that a console started."""

from __future__ import annotations

import signal
import subprocess
import sys

from timmy_tui.services.worker import autostart
from timmy_tui.services.worker.autostart import OwnWorker

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"


class Undying(subprocess.Popen[bytes]):
    """A process in the kernel, on a lost mount: no signal ends it. Here it is merely not seen to end."""

    def wait(self, timeout: float | None = None) -> int:
        if timeout is None:
            return super().wait()
        raise subprocess.TimeoutExpired("worker", timeout)


def deaf(kind: type[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """A process that does not listen to SIGTERM."""
    process = kind([sys.executable, "-c", DEAF], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_worker_that_does_not_listen_is_killed() -> None:
    with deaf(subprocess.Popen) as process:
        OwnWorker(process).stop(0.05)
        assert process.returncode == -signal.SIGKILL


def test_a_worker_that_nothing_ends_does_not_keep_the_console() -> None:
    with deaf(Undying) as process:
        OwnWorker(process).stop(0.05)
        assert process.stdin is not None
        assert process.stdin.closed
        assert autostart.KILLED_S <= 2
