"""The verdict on the worker, with real locks held by real processes and beats in a real queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from huey import SqliteHuey

from timmy_tui.config import Config, QueueConfig, Settings
from timmy_tui.services.worker.observe import WorkerObserver
from timmy_tui.services.worker.queue import WorkerError
from timmy_tui.services.worker.records import BEAT_PREFIX, BEAT_STALE_S, LOCK_NAME, Beat

HERE = "mbp.local"
NOW = 1_795_144_500.0

HOLDER = """
import fcntl, os, sys
lock = open(sys.argv[1], "a+")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.truncate(0)
lock.write(sys.argv[2].replace("PID", str(os.getpid())))
lock.flush()
print("held", flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that holds the worker's lock."""

    def __init__(self, home: Path, text: str = "PID\n") -> None:
        self.path = home / LOCK_NAME
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(self.path), text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"
        self.pid = self.process.pid

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.communicate()


class World:
    """A home with a queue, an observer on host ``mbp.local``, and a clock that only the test moves."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.now = NOW
        self.huey = SqliteHuey("timmy", filename=str(home / "queue.db"))
        self.observer = WorkerObserver(settings(home), env={}, host=HERE, clock=lambda: self.now)
        self.holders: list[Holder] = []

    def hold(self, text: str = "PID\n") -> Holder:
        holder = Holder(self.home, text)
        self.holders.append(holder)
        os.utime(holder.path, (NOW - 3600, NOW - 3600))
        return holder

    def beat(self, pid: int, *, host: str = HERE, age_s: float = 0.5, running: str | None = None) -> None:
        value = Beat(at=self.now - age_s, host=host, pid=pid, running=running, running_since=self.now - age_s)
        self.huey.storage.put_data(f"{BEAT_PREFIX}{host}:{pid}", msgspec.json.encode(value))


def settings(home: Path, url: str = "sqlite") -> Settings:
    return Settings(
        config=Config(queue=QueueConfig(url=url)),
        timmy_home=home,
        hermes_home=home,
        config_path=home / "tui.yaml",
        ollama_host="",
    )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    for holder in world.holders:
        if holder.process.poll() is None:
            holder.end()


def test_in_an_empty_home_the_worker_is_down_and_nothing_is_made(tmp_path: Path) -> None:
    reading = WorkerObserver(settings(tmp_path), clock=lambda: NOW).read()
    assert (reading.state, reading.pid, reading.pending, reading.queue_error) == ("down", None, 0, None)
    assert reading.queue == str(tmp_path / "queue.db")
    assert list(tmp_path.iterdir()) == []


def test_a_held_lock_and_a_fresh_beat_are_up(world: World) -> None:
    holder = world.hold()
    world.beat(holder.pid, running="heartbeat_tick")
    reading = world.observer.read()
    assert (reading.state, reading.pid, reading.host) == ("up", holder.pid, HERE)
    assert reading.beat_at == NOW - 0.5
    assert (reading.running, reading.running_since) == ("heartbeat_tick", NOW - 0.5)


def test_a_stopped_process_keeps_its_lock_and_is_stuck_once_its_beat_is_old(world: World) -> None:
    holder = world.hold()
    world.beat(holder.pid, age_s=0, running="heartbeat_tick")
    holder.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, holder.pid, os.WSTOPPED)
    world.now += BEAT_STALE_S
    assert world.observer.read().state == "up"
    world.now += 0.1
    reading = world.observer.read()
    assert (reading.state, reading.pid, reading.running) == ("stuck", holder.pid, "heartbeat_tick")
    holder.process.send_signal(signal.SIGCONT)
    world.beat(holder.pid)
    assert world.observer.read().state == "up"


def test_a_killed_worker_is_down_at_once_whatever_its_last_beat_says(world: World) -> None:
    holder = world.hold()
    world.beat(holder.pid, age_s=0, running="heartbeat_tick")
    holder.end(signal.SIGKILL)
    reading = world.observer.read()
    assert (reading.state, reading.pid, reading.running) == ("down", None, None)
    assert reading.beat_at == NOW


def test_a_fresh_beat_of_another_host_is_elsewhere(world: World) -> None:
    world.beat(7, host="gpu-box", running="heartbeat_tick")
    world.beat(8, age_s=0.1)
    reading = world.observer.read()
    assert (reading.state, reading.host, reading.pid) == ("elsewhere", "gpu-box", 7)
    assert reading.running == "heartbeat_tick"


def test_a_stale_beat_of_another_host_is_nobody(world: World) -> None:
    world.beat(7, host="gpu-box", age_s=BEAT_STALE_S + 1)
    assert world.observer.read().state == "down"


def test_another_hosts_beat_does_not_excuse_a_stuck_worker_here(world: World) -> None:
    holder = world.hold()
    world.beat(holder.pid, age_s=60)
    world.beat(holder.pid, host="container-with-the-same-pids", age_s=0.1)
    assert world.observer.read().state == "stuck"


def test_a_dead_predecessors_beat_does_not_count_for_the_holder(world: World) -> None:
    holder = world.hold()
    world.beat(holder.pid + 1, age_s=0.1)
    world.beat(holder.pid, age_s=30)
    assert world.observer.read().state == "stuck"
    world.beat(holder.pid, age_s=1)
    reading = world.observer.read()
    assert (reading.state, reading.beat_at) == ("up", NOW - 1)


def test_a_beat_from_the_future_is_not_fresh(world: World) -> None:
    holder = world.hold()
    world.beat(holder.pid, age_s=-3600)
    assert world.observer.read().state == "stuck"


def test_a_machine_that_changed_its_name_still_knows_its_worker(world: World) -> None:
    holder = world.hold()
    world.beat(holder.pid, host="mbp")
    assert world.observer.read().state == "up"


@pytest.mark.parametrize("text", ["", "no pid\n", "-5\n", "99999999999999999999\n", "\x01\x7f"])
def test_a_lock_file_without_a_pid_is_still_a_lock(world: World, text: str) -> None:
    world.hold(text)
    world.beat(4711)
    reading = world.observer.read()
    assert (reading.state, reading.pid) == ("up", 4711)


def test_a_worker_that_has_just_started_is_not_called_stuck(world: World) -> None:
    holder = world.hold()
    os.utime(holder.path, (NOW - 1, NOW - 1))
    assert world.observer.read().state == "up"
    world.now += 10
    assert world.observer.read().state == "stuck"


def test_looking_does_not_keep_the_lock(world: World) -> None:
    (world.home / LOCK_NAME).write_text("1\n")
    assert world.observer.read().state == "down"
    world.hold()


def test_waiting_tasks_are_counted(world: World) -> None:
    @world.huey.task()
    def nothing() -> None: ...

    nothing()
    nothing()
    assert world.observer.read().pending == 2


def test_a_damaged_queue_leaves_the_lock_to_tell(world: World) -> None:
    world.huey.storage.close()
    for path in world.home.glob("queue.db*"):
        path.unlink()
    (world.home / "queue.db").write_bytes(b"nonsense" * 1000)
    holder = world.hold()
    reading = world.observer.read()
    assert (reading.state, reading.pid, reading.pending) == ("up", holder.pid, None)
    assert "damaged" in (reading.queue_error or "")
    holder.end()
    assert world.observer.read().state == "down"


def test_a_senseless_queue_is_told_beside_the_locks_verdict(tmp_path: Path) -> None:
    reading = WorkerObserver(settings(tmp_path, "amqp://me:hunter2@h"), env={}, clock=lambda: NOW).read()
    assert (reading.state, reading.pending) == ("down", None)
    assert "accepted: sqlite" in (reading.queue_error or "")
    assert "hunter2" not in repr(reading)


def test_a_lock_that_can_not_be_opened_is_the_services_own_error(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(WorkerError, match=r"worker\.lock"):
        WorkerObserver(settings(tmp_path), clock=lambda: NOW).read()
    home = tmp_path / "a-file"
    home.write_text("")
    with pytest.raises(WorkerError, match="can't tell whether the worker runs"):
        WorkerObserver(settings(home), clock=lambda: NOW).read()


def test_a_pipe_in_the_locks_place_does_not_hang_the_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / LOCK_NAME)
    assert WorkerObserver(settings(tmp_path), clock=lambda: NOW).read().state == "down"
