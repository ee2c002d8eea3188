"""Asking for a tick and following it: one wish at a time, messages that anybody may read, verdicts by one look."""

from __future__ import annotations

import os
import pickle
import pickletools
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from huey import SqliteHuey
from msgspec.structs import replace
from worker_process import settings_of

from timmy_tui.config import Settings
from timmy_tui.services.appending import append_line
from timmy_tui.services.worker.app import TICK_TASK, make_huey
from timmy_tui.services.worker.enqueue import enqueue_tick, request_tick
from timmy_tui.services.worker.follow import follow
from timmy_tui.services.worker.foreign import end_of_log, tick_since
from timmy_tui.services.worker.lock import only_worker
from timmy_tui.services.worker.queue import WorkerError, parse_queue
from timmy_tui.services.worker.records import BEAT_PREFIX, REQUEST_FILE, Beat, RequestRecord, TickProgress, TickRequest
from timmy_tui.services.worker.requests import claim, peek_record, put_record, records_of
from timmy_tui.services.worker.tasks import Tasks

HOST = "mbp"
NOW = 1_795_144_500.0


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


class World:
    """A home, its queue, and a clock that only the test moves."""

    def __init__(self, home: Path) -> None:
        self.settings = settings_of(home, timeout_s=130)
        self.now = NOW

    @property
    def huey(self) -> SqliteHuey:
        return make_huey(self.settings, {}, host=HOST)

    def ask(self) -> TickRequest:
        return request_tick(self.settings, {}, lambda: self.now, host=HOST)

    def look(self, request: TickRequest) -> TickProgress:
        return follow(self.settings, request, lambda: self.now, env={}, host=HOST)

    def record(self, request: TickRequest, **changes: object) -> None:
        known = peek_record(parse_queue(self.settings, {}), request.id)
        assert known is not None
        put_record(self.huey, replace(known, since=self.now, **changes))  # type: ignore[arg-type]

    def beat(self, pid: int, host: str = HOST, running: str | None = None) -> None:
        beat = Beat(self.now, host, pid, running)
        self.huey.storage.put_data(f"{BEAT_PREFIX}{host}:{pid}", msgspec.json.encode(beat))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "timmy")


def test_a_request_is_a_record_and_a_message_in_a_private_queue(world: World) -> None:
    request = world.ask()
    (record,) = records_of(world.huey)
    assert record == RequestRecord(request.id, "queued", HOST, "manual", NOW, NOW)
    (data,) = world.huey.storage.enqueued_items()
    message = world.huey.serializer.deserialize(data)
    assert (message.name, message.args, message.kwargs) == (TICK_TASK, (request.id, "manual"), {})
    for path in (*world.settings.timmy_home.glob("queue.db*"), world.settings.timmy_home / REQUEST_FILE):
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert world.settings.timmy_home.stat().st_mode & 0o777 == 0o700


def test_a_message_holds_nothing_but_text_and_numbers(world: World) -> None:
    world.ask()
    (data,) = world.huey.storage.enqueued_items()
    names = [argument for code, argument, _ in pickletools.genops(data) if code.name in ("GLOBAL", "STACK_GLOBAL")]
    assert len(names) == 1
    assert type(pickle.loads(data)).__module__ == "huey.registry"


def test_the_tasks_are_registered_under_the_names_that_are_sent(world: World) -> None:
    huey = world.huey
    tasks = Tasks(world.settings, {}, huey, host=HOST, clock=lambda: NOW, tick=None, tell=print)  # type: ignore[arg-type]
    tasks.register()
    world.ask()
    task = huey.dequeue()
    assert task.name == "heartbeat_tick"


def test_a_second_wish_is_the_first_one_until_that_has_ended(world: World) -> None:
    first = world.ask()
    world.now += 1000
    second = world.ask()
    assert (second.id, second.already, second.asked_at) == (first.id, True, NOW)
    with only_worker(world.settings.timmy_home):
        world.record(first, state="running", pid=os.getpid())
        assert world.ask().already
    assert not world.ask().already  # the worker is gone, and the tick with it


@pytest.mark.parametrize("state", ["done", "failed", "lost"])
def test_after_an_end_of_any_kind_a_wish_is_a_new_one(world: World, state: str) -> None:
    first = world.ask()
    world.record(first, state=state)
    second = world.ask()
    assert not second.already
    assert second.id != first.id


def test_wishes_at_the_same_moment_are_one(world: World) -> None:
    asked: list[TickRequest] = []
    threads = [threading.Thread(target=lambda: asked.append(world.ask())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({request.id for request in asked}) == 1
    assert [request.already for request in asked].count(False) == 1
    assert world.huey.storage.queue_size() == 1


@pytest.mark.parametrize("memory", [b"", b"{", b'{"id": 7}', b"\xff\x00" * 900, b"[]"])
def test_a_damaged_memory_of_the_last_wish_is_none(world: World, memory: bytes) -> None:
    world.settings.timmy_home.mkdir()
    (world.settings.timmy_home / REQUEST_FILE).write_bytes(memory)
    assert not world.ask().already
    assert world.ask().already


def test_following_changes_nothing(world: World) -> None:
    request = world.ask()

    def written() -> dict[str, bytes]:
        """What is in the home, without the empty files that SQLite's own readers leave."""
        files = world.settings.timmy_home.iterdir()
        return {path.name: path.read_bytes() for path in files if not path.name.endswith(("-shm", "-wal"))}

    before = written()
    for _ in range(3):
        world.look(request)
    assert written() == before
    assert all(not wal.read_bytes() for wal in world.settings.timmy_home.glob("*-wal"))
    nowhere = TickRequest("0", NOW)
    empty = settings_of(world.settings.timmy_home / "empty")
    assert follow(empty, nowhere, lambda: NOW, env={}, host=HOST).state == "queued"
    assert not empty.timmy_home.exists()


def test_a_queued_tick_waits_for_a_worker_two_seconds(world: World) -> None:
    request = world.ask()
    assert world.look(request).state == "queued"
    world.now += 2
    progress = world.look(request)
    assert (progress.state, progress.reason) == ("no_worker", "no worker: start one with timmy-tui worker")
    assert (progress.elapsed_s, progress.since, progress.ended) == (2, NOW, True)


def test_a_tick_behind_another_says_so_until_its_time_is_over(world: World) -> None:
    request = world.ask()
    with only_worker(world.settings.timmy_home):
        world.now += 130
        world.beat(os.getpid(), running="session_export")
        progress = world.look(request)
        assert (progress.state, progress.reason) == ("queued", "behind session_export")
        world.now += 1
        world.beat(os.getpid(), running="session_export")
        progress = world.look(request)
        assert (progress.state, progress.reason) == ("timed_out", "no tick after 130 s (behind session_export)")


def test_a_tick_that_takes_too_long_names_what_it_does(world: World) -> None:
    request = world.ask()
    with only_worker(world.settings.timmy_home):
        world.record(request, state="running", pid=os.getpid(), phase="hermes")
        progress = world.look(request)
        assert (progress.state, progress.phase, progress.host) == ("running", "hermes", HOST)
        world.now += 131
        progress = world.look(request)
        assert (progress.state, progress.reason) == ("timed_out", "no tick after 130 s (hermes still running)")
        world.record(request, state="done", tick_id="20261120_031500")
        progress = world.look(request)
        assert (progress.state, progress.tick_id) == ("done", "20261120_031500")


def test_a_running_tick_of_another_lock_holder_is_lost(world: World) -> None:
    request = world.ask()
    with only_worker(world.settings.timmy_home):
        world.record(request, state="running", pid=os.getpid() + 1)
        assert world.look(request).state == "lost"


@pytest.mark.parametrize("state", ["running", "lost", "failed"])
def test_a_tick_that_is_in_the_log_is_done_whatever_its_dead_worker_left_behind(world: World, state: str) -> None:
    request = world.ask()
    error = None if state == "running" else "the worker was stopped"
    world.record(request, state=state, error=error, pid=dead_pid(), tick_id="20261120_031500")
    assert world.look(request).ended
    assert world.look(request).state != "done"
    assert world.look(request).tick_id is None
    append_line(world.settings.heartbeat_dir / "ticks_20261120.jsonl", b'{"tick_id": "20261120_031500"}')
    progress = world.look(request)
    assert (progress.state, progress.tick_id, progress.reason) == ("done", "20261120_031500", None)


def test_an_id_of_another_host_is_not_looked_for_in_this_ones_log(world: World) -> None:
    request = world.ask()
    world.record(request, state="lost", error="gone", host="gpu-box", pid=1, tick_id="20261120_031500")
    append_line(world.settings.heartbeat_dir / "ticks_20261120.jsonl", b'{"tick_id": "20261120_031500"}')
    assert world.look(request).state == "lost"


def test_another_hosts_tick_is_judged_by_its_beat(world: World) -> None:
    request = world.ask()
    world.record(request, state="running", host="gpu-box", pid=7)
    world.beat(7, "gpu-box")
    world.now += 15
    assert world.look(request).state == "running"
    world.now += 1
    assert world.look(request).state == "lost"


def test_what_a_record_says_is_made_safe_to_show(world: World) -> None:
    request = world.ask()
    world.record(request, state="failed", error="\x1b[2J", tick_id="\x07", host="\u202e", pid=1)
    progress = world.look(request)
    assert (progress.reason, progress.tick_id, progress.host) == ("^[[2J", None, "<U+202E>")
    world.record(request, state="done", error=None, tick_id="\x07", pid=1)
    assert world.look(request).tick_id == "^G"


def test_a_queue_that_can_not_be_read_is_the_reason(world: World) -> None:
    request = world.ask()
    for path in world.settings.timmy_home.glob("queue.db*"):
        path.unlink()
    world.settings.queue_path.write_bytes(b"nonsense" * 1000)
    assert world.look(request).reason == "queue.db is damaged or no SQLite file"
    with pytest.raises(WorkerError, match=r"the queue .*queue\.db: file is not a database"):
        enqueue_tick(world.settings, {}, host=HOST)


def test_only_one_claims_a_minute(world: World) -> None:
    record = RequestRecord("mbp@20261120T0310", "queued", HOST, "schedule", NOW, NOW, pid=1)
    assert claim(world.huey, record)
    assert not claim(world.huey, replace(record, pid=2))
    assert records_of(world.huey) == [record]


def foreign(home: Path, queue: Path) -> Settings:
    return settings_of(home, url=f"sqlite://{queue}", name="theirs", task="tasks.heartbeat_tick", timeout_s=130)


def test_somebody_elses_message_has_their_name_and_no_arguments(tmp_path: Path) -> None:
    theirs = SqliteHuey("theirs", filename=str(tmp_path / "theirs.db"))
    settings = foreign(tmp_path / "timmy", tmp_path / "theirs.db")
    request = request_tick(settings, {}, lambda: NOW, host=HOST)

    def heartbeat_tick() -> str:
        return "ran"

    heartbeat_tick.__module__ = "tasks"
    theirs.task()(heartbeat_tick)
    assert theirs.execute(theirs.dequeue()) == "ran"
    assert theirs.result_count() == 1  # their result, no key of ours
    assert request_tick(settings, {}, lambda: NOW + 100, host=HOST).id == request.id
    later = request_tick(settings, {}, lambda: NOW + 131, host=HOST)
    assert not later.already


def test_somebody_elses_queue_is_never_made(tmp_path: Path) -> None:
    settings = foreign(tmp_path / "timmy", tmp_path / "typo.db")
    with pytest.raises(WorkerError, match="there is no queue at"):
        request_tick(settings, {}, lambda: NOW, host=HOST)
    assert not (tmp_path / "typo.db").exists()


def test_somebody_elses_tick_that_does_not_come_is_a_timeout_with_what_is_known(tmp_path: Path) -> None:
    theirs = SqliteHuey("theirs", filename=str(tmp_path / "theirs.db"))
    settings = foreign(tmp_path / "timmy", tmp_path / "theirs.db")
    request = request_tick(settings, {}, lambda: NOW, host=HOST)

    def look(at: float) -> TickProgress:
        return follow(settings, request, lambda: at, env={}, host=HOST)

    assert look(NOW + 130).state == "queued"
    assert "is its consumer running?" in (look(NOW + 131).reason or "")
    theirs.storage.dequeue()
    assert look(NOW + 130).state == "running"
    assert look(NOW + 131).reason == "no tick after 130 s (tasks.heartbeat_tick has not written one)"


def test_a_new_tick_is_what_stands_behind_the_place_in_the_log(tmp_path: Path) -> None:
    assert end_of_log(tmp_path) == ("", 0)
    today = tmp_path / "ticks_20261120.jsonl"
    today.write_text('{"tick_id": "a"}\n')
    place = end_of_log(tmp_path)
    assert tick_since(tmp_path, *place) is None
    with today.open("a") as log:
        log.write('nonsense\n{"tick_id": "b"')
        log.flush()
        assert tick_since(tmp_path, *place) is None
        log.write("}\n")
    assert tick_since(tmp_path, *place) == "b"
    place = end_of_log(tmp_path)
    (tmp_path / "ticks_20261121.jsonl").write_text('{"tick_id": "c"}\n')
    assert tick_since(tmp_path, *place) == "c"
    place = end_of_log(tmp_path)
    (tmp_path / "ticks_20261121.jsonl").write_text('{"tick_id": "\\u001b"}')
    assert tick_since(tmp_path, place[0], 99) is None
    (tmp_path / "ticks_20261121.jsonl").write_text('{"tick_id": "\\u001b"}\n')
    assert tick_since(tmp_path, place[0], 99) == "^["
