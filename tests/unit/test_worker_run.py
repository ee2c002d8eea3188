"""When a worker refuses to run, when a console starts one, and what it costs to import."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace
from worker_process import ROOT, settings_of

from timmy_tui.services.worker.autostart import ensure_worker
from timmy_tui.services.worker.lock import only_worker
from timmy_tui.services.worker.observe import read_lock
from timmy_tui.services.worker.queue import WorkerError
from timmy_tui.services.worker.records import LOCK_NAME
from timmy_tui.services.worker.run import run_worker


def test_a_queue_with_a_consumer_of_its_own_is_left_alone(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "timmy", task="tasks.heartbeat_tick")
    with pytest.raises(WorkerError, match=r"heartbeat\.task is tasks\.heartbeat_tick"):
        run_worker(settings, {})
    assert not (tmp_path / "timmy").exists()


def test_one_worker_per_home(tmp_path: Path) -> None:
    waits: list[float] = []
    with only_worker(tmp_path):
        assert read_lock(tmp_path / LOCK_NAME).pid == os.getpid()
        with (
            pytest.raises(WorkerError, match=f"worker {os.getpid()} runs for"),
            only_worker(tmp_path, pause=waits.append),
        ):
            pytest.fail("two workers")
    assert sum(waits) < 2
    assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o600
    with only_worker(tmp_path):
        pass


def test_an_observer_that_looks_does_not_keep_a_worker_from_starting(tmp_path: Path) -> None:
    done = threading.Event()

    def observe() -> None:
        while not done.is_set():
            read_lock(tmp_path / LOCK_NAME)

    observer = threading.Thread(target=observe)
    observer.start()
    try:
        for _ in range(30):
            with only_worker(tmp_path):
                assert read_lock(tmp_path / LOCK_NAME).held
    finally:
        done.set()
        observer.join()


@pytest.mark.parametrize("url", ["amqp://h", "sqlite:relative.db", "sqlite://relative.db"])
def test_a_senseless_queue_is_an_error_before_anything_is_made(tmp_path: Path, url: str) -> None:
    with pytest.raises(WorkerError, match=r"queue\.url"):
        run_worker(settings_of(tmp_path / "timmy", url=url), {})
    assert not (tmp_path / "timmy").exists()


def test_a_queue_that_can_not_be_opened_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "queue.db").mkdir()
    with pytest.raises(WorkerError, match=r"the queue .*queue\.db: unable to open database file"):
        run_worker(settings_of(tmp_path), {})


def test_a_console_starts_no_worker_where_none_is_wanted(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "timmy")
    config = settings.config
    unwanted = [
        replace(settings, demo=True),
        settings_of(tmp_path / "timmy", task="tasks.heartbeat_tick"),
        settings_of(tmp_path / "timmy", enabled=False),
        replace(settings, config=replace(config, worker=replace(config.worker, autostart=False))),
    ]
    assert [ensure_worker(settings, os.environ) for settings in unwanted] == [None] * 4
    with only_worker(tmp_path / "timmy"):
        assert ensure_worker(settings, os.environ) is None


def test_asking_and_following_import_no_huey_and_nothing_of_the_network() -> None:
    program = (
        "import sys, timmy_tui.services.worker.enqueue, timmy_tui.services.worker.follow,"
        "timmy_tui.services.worker.autostart, timmy_tui.commands.tick, timmy_tui.commands.worker\n"
        "print([name for name in ('huey', 'redis', 'httpx', 'textual', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
