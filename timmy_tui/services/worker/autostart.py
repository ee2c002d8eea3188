"""A worker of the console's own, for when nobody runs one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import timmy_tui
from timmy_tui.config import Settings
from timmy_tui.services.appending import make_private_folder
from timmy_tui.services.process_group import signal_group
from timmy_tui.services.worker.observe import WorkerObserver
from timmy_tui.services.worker.queue import WorkerError
from timmy_tui.text import clean, clean_error

KILLED_S = 2.0

MOMENT_S = 0.5
"""An idle worker ends within this."""


class OwnWorker:
    """A worker process that ends with this one, however this one ends."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs. One that found another worker has ended at once, and that is fine."""
        return self._process.poll() is None

    def stop(self, timeout_s: float, on_wait: Callable[[], None] = lambda: None) -> None:
        """Ask it to end, wait ``timeout_s`` for its tick, then end it and what it started. Blocks.

        ``on_wait`` is called when that takes longer than a moment.
        """
        self._process.terminate()
        try:
            if not self._ends_within(MOMENT_S):
                on_wait()
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            signal_group(self._process.pid, signal.SIGKILL)
            try:
                self._process.wait(KILLED_S)
            except subprocess.TimeoutExpired:  # in the kernel, on a lost mount: nobody can end it
                pass
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _ends_within(self, timeout_s: float) -> bool:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True


def ensure_worker(settings: Settings, env: Mapping[str, str]) -> OwnWorker | None:
    """Start a worker when none is alive anywhere and the configuration wants one; None otherwise. Blocks.

    It has a session of its own, writes to the log, and holds the reading end of a pipe that only this process can
    write to: its end tells it that we are gone. Raises :class:`WorkerError`.
    """
    config = settings.config
    if settings.demo or config.heartbeat.task or not (config.heartbeat.enabled and config.worker.autostart):
        return None
    if WorkerObserver(settings, env=env).read().state != "down":
        return None
    command = [sys.executable, "-m", "timmy_tui"]
    if settings.config_path.exists():
        command += ["--config", str(settings.config_path)]
    try:
        make_private_folder(settings.worker_log_path.parent)
        output = os.open(
            settings.worker_log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
    except OSError as error:
        raise _not_started(error) from None
    try:
        process = subprocess.Popen(
            [*command, "worker", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**env, "TIMMY_HOME": str(settings.timmy_home)},
            cwd=Path(timmy_tui.__file__).parents[1],  # the same program as this one, whatever folder we are in
            start_new_session=True,
        )
    except OSError as error:
        raise _not_started(error) from None
    finally:
        os.close(output)
    return OwnWorker(process)


def _not_started(error: OSError) -> WorkerError:
    return WorkerError(f"no worker could be started: {clean(clean_error(error.strerror or error))}", "timmy-tui worker")
