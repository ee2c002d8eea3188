"""The worker as a process: what it promises when it is asked, raced, restarted, ended and killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from worker_process import ROOT, WorkerProcess, results, settings_of, until

from timmy_tui.config import Settings
from timmy_tui.services.events import recent_events
from timmy_tui.services.worker.app import make_huey
from timmy_tui.services.worker.enqueue import enqueue_tick, request_tick
from timmy_tui.services.worker.follow import follow
from timmy_tui.services.worker.observe import WorkerObserver
from timmy_tui.services.worker.queue import parse_queue, read_queue
from timmy_tui.services.worker.records import LOCK_NAME, TickProgress, TickRequest
from timmy_tui.services.worker.requests import peek_record

HOST = "mbp"
DUE = 1_795_132_800.0  # 2026-11-20T00:00:00Z: a minute of every schedule
PRODUCERS = 4
TICKS_EACH = 50

Start = Callable[..., WorkerProcess]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "timmy"


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    started: list[WorkerProcess] = []

    def begin(tick: str = "instant", **options: object) -> WorkerProcess:
        started.append(WorkerProcess(home, tick, **options))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for worker in started:
        if worker.process.poll() is None:
            worker.process.kill()
        worker.process.communicate()


def ask(settings: Settings) -> TickRequest:
    return request_tick(settings, {}, host=HOST)


def stands(settings: Settings, request: TickRequest) -> TickProgress:
    return follow(settings, request, env={}, host=HOST)


def ended(settings: Settings, request: TickRequest) -> TickProgress:
    until(lambda: stands(settings, request).ended, "end of the request")
    return stands(settings, request)


def running(settings: Settings, request: TickRequest) -> None:
    until(lambda: stands(settings, request).state == "running", "running tick")


def test_a_tick_that_is_asked_for_runs_and_is_told_by_its_id(home: Path, start: Start) -> None:
    settings = settings_of(home)
    start("waits").ready()
    request = ask(settings)
    running(settings, request)
    until(lambda: stands(settings, request).phase == "hermes", "phase")
    again = ask(settings)
    assert (again.id, again.already) == (request.id, True)
    assert WorkerObserver(settings, env={}, host=HOST).read().running == "heartbeat_tick"
    (home / "release").touch()
    progress = ended(settings, request)
    (tick,) = results(home)
    assert (progress.state, progress.tick_id, progress.host) == ("done", tick["tick_id"], HOST)
    assert tick["trigger"] == "manual"
    assert not ask(settings).already


def test_a_tick_that_breaks_is_a_failure_with_its_reason_and_the_worker_goes_on(home: Path, start: Start) -> None:
    settings = settings_of(home)
    start("fails").ready()
    for _ in range(2):
        progress = ended(settings, ask(settings))
        assert (progress.state, progress.reason) == ("failed", "the tick broke^[[31m")
    (event, _) = recent_events(settings.database_path, 5)
    assert event.event_type == "tick.failed"


def test_an_idle_worker_begins_within_a_second(home: Path, start: Start) -> None:
    settings = settings_of(home)
    start().ready()
    beat_at: list[float] = []

    def beaten() -> bool:
        at = WorkerObserver(settings, env={}, host=HOST).read().beat_at
        if at is not None and at not in beat_at:
            beat_at.append(at)
        return len(beat_at) > 4  # four seconds later: the pause between two looks is at its longest

    until(beaten, "fifth beat")
    for _ in range(3):
        asked = time.monotonic()
        request = ask(settings)
        until(lambda request=request: stands(settings, request).state == "done", "tick")  # type: ignore[misc]
        assert time.monotonic() - asked < 1.2


def test_two_workers_that_race_are_one_and_beat_once(home: Path, start: Start) -> None:
    racers = [start(at=DUE + 5, every_minutes=10) for _ in range(3)]
    until(lambda: sum(racer.process.poll() is None for racer in racers) == 1, "single worker")
    until(lambda: results(home), "scheduled tick")
    (winner,) = [racer for racer in racers if racer.process.poll() is None]
    assert int((home / LOCK_NAME).read_text()) == winner.pid
    for loser in racers:
        if loser is not winner:
            assert loser.wait() == 2
            assert loser.errors.read_text() == f"worker {winner.pid} runs for {home} already\n"
    ended(settings_of(home), enqueue_tick(settings_of(home), {}, host=HOST))
    assert [tick["trigger"] for tick in results(home)] == ["schedule", "manual"]


def test_a_restart_within_the_minute_does_not_beat_again(home: Path, start: Start) -> None:
    first = start(at=DUE + 2, every_minutes=10).ready()
    until(lambda: results(home), "scheduled tick")
    assert first.end(signal.SIGTERM) == 0
    start(at=DUE + 20, every_minutes=10).ready()
    ended(settings_of(home), ask(settings_of(home)))
    assert [tick["trigger"] for tick in results(home)] == ["schedule", "manual"]


def test_minutes_that_were_missed_are_not_made_up_for(home: Path, start: Start) -> None:
    start(at=DUE + 9 * 60, every_minutes=10).ready()
    ended(settings_of(home), ask(settings_of(home)))
    assert [tick["trigger"] for tick in results(home)] == ["manual"]


def test_a_heartbeat_that_is_off_beats_only_when_asked(home: Path, start: Start) -> None:
    start(at=DUE, every_minutes=1, enabled=False).ready()
    ended(settings_of(home), ask(settings_of(home)))
    assert [tick["trigger"] for tick in results(home)] == ["manual"]


def test_a_killed_workers_tick_is_lost_and_never_run_again(home: Path, start: Start) -> None:
    settings = settings_of(home)
    worker = start("waits").ready()
    request = ask(settings)
    running(settings, request)
    until(lambda: results(home, "begin"), "begun tick")
    worker.end(signal.SIGKILL)
    progress = stands(settings, request)
    assert (progress.state, progress.reason) == ("lost", f"worker {worker.pid} ended while the tick ran")
    (home / "release").touch()
    start("waits").ready()
    record = peek_record(parse_queue(settings, {}), request.id)
    assert record is not None
    assert (record.state, record.error) == ("lost", progress.reason)
    (event,) = recent_events(settings.database_path, 5)
    assert (event.event_type, event.task_id) == ("tick.lost", request.id)
    later = ended(settings, ask(settings))
    assert later.state == "done"
    assert len(results(home, "begin")) == 2
    assert len(results(home)) == 1


def test_a_scheduled_tick_that_died_with_its_worker_is_reported_too(home: Path, start: Start) -> None:
    worker = start("waits", at=DUE, every_minutes=10).ready()
    until(lambda: results(home, "begin"), "scheduled tick")
    worker.end(signal.SIGKILL)
    (home / "release").touch()
    start("waits", at=DUE + 30, every_minutes=10).ready()
    (event,) = recent_events(settings_of(home).database_path, 5)
    assert (event.event_type, event.task_id) == ("tick.lost", "mbp@20261120T0000")
    ended(settings_of(home), ask(settings_of(home)))
    assert [tick["trigger"] for tick in results(home, "begin")] == ["schedule", "manual"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_worker_that_is_told_to_end_finishes_its_tick_and_beats_meanwhile(
    home: Path, start: Start, number: signal.Signals
) -> None:
    settings = settings_of(home)
    worker = start("waits").ready()
    request = ask(settings)
    running(settings, request)
    worker.process.send_signal(number)
    before = WorkerObserver(settings, env={}, host=HOST).read().beat_at
    until(lambda: WorkerObserver(settings, env={}, host=HOST).read().beat_at != before, "beat")
    assert worker.process.poll() is None
    (home / "release").touch()
    assert worker.wait() == 0
    assert stands(settings, request).state == "done"
    assert WorkerObserver(settings, env={}, host=HOST).read().state == "down"
    assert read_queue(parse_queue(settings, {})).beats == ()


@pytest.mark.parametrize("tick", ["waits", "blocks"])
def test_a_tick_that_outlasts_the_deadline_is_reported_lost(home: Path, start: Start, tick: str) -> None:
    settings = settings_of(home)
    worker = start(tick, stop_timeout_s=0.3).ready()
    request = ask(settings)
    running(settings, request)
    assert worker.end(signal.SIGTERM) == 0
    progress = stands(settings, request)
    assert (progress.state, progress.reason) == ("lost", "the worker was stopped before the tick was done")


def test_a_second_signal_does_not_wait(home: Path, start: Start) -> None:
    settings = settings_of(home)
    worker = start("waits", stop_timeout_s=60).ready()
    request = ask(settings)
    running(settings, request)
    worker.process.send_signal(signal.SIGINT)
    until(lambda: not worker.process.send_signal(signal.SIGINT) and worker.process.poll() is not None, "end")
    assert worker.wait() == 0
    assert stands(settings, request).state == "lost"


def test_what_was_queued_survives_the_worker_and_runs_with_the_next(home: Path, start: Start) -> None:
    settings = settings_of(home)
    request = ask(settings)
    assert ask(settings).already
    until(lambda: stands(settings, request).state == "no_worker", "verdict")
    assert stands(settings, request).reason == "no worker: start one with timmy-tui worker"
    start().ready()
    until(lambda: stands(settings, request).state == "done", "tick")
    assert len(results(home)) == 1


def test_a_message_that_vanished_with_its_worker_is_lost_by_the_followers_deadline(home: Path, start: Start) -> None:
    settings = settings_of(home)
    request = ask(settings)
    from huey import SqliteHuey

    SqliteHuey("timmy", filename=str(settings.queue_path)).storage.dequeue()
    later = follow(settings, request, lambda: request.asked_at + 6, env={}, host=HOST)
    assert (later.state, later.reason) == ("lost", "its worker ended before the tick ran")
    start(at=time.time() + 60).ready()
    record = peek_record(parse_queue(settings, {}), request.id)
    assert record is not None
    assert record.state == "lost"


PRODUCER = """
import sys
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, sys.argv[1] + "/tests")
from pathlib import Path
from worker_process import settings_of
from timmy_tui.services.worker.enqueue import enqueue_tick
for _ in range(int(sys.argv[3])):
    print(enqueue_tick(settings_of(Path(sys.argv[2])), {}, host="mbp").id)
"""


def test_every_tick_of_many_processes_runs_once(home: Path, start: Start) -> None:
    settings = settings_of(home)
    start().ready()
    producers = [
        subprocess.Popen(
            [sys.executable, "-c", PRODUCER, str(ROOT), str(home), str(TICKS_EACH)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(PRODUCERS)
    ]
    ids = [id for producer in producers for id in producer.communicate()[0].split()]
    assert len(set(ids)) == PRODUCERS * TICKS_EACH
    until(lambda: len(results(home)) >= len(ids), "result for each")
    until(lambda: read_queue(parse_queue(settings, {})).pending == 0, "empty queue")
    assert len({tick["tick_id"] for tick in results(home)}) == len(results(home)) == len(ids)

    def told() -> list[str | None]:
        records = [peek_record(parse_queue(settings, {}), id) for id in ids]
        return [record.tick_id for record in records if record and record.state == "done"]

    until(lambda: len(told()) == len(ids), "record of each")
    assert set(told()) == {tick["tick_id"] for tick in results(home)}


FOREIGN = """
import datetime, json, pathlib
from huey import SqliteHuey
huey = SqliteHuey("theirs", filename={queue!r})

@huey.task()
def heartbeat_tick():
    now = datetime.datetime.now()
    line = json.dumps({{"tick_id": now.strftime("%Y%m%d_%H%M%S"), "decision": {{"severity": "ok"}}}})
    with open(pathlib.Path({log!r}) / now.strftime("ticks_%Y%m%d.jsonl"), "a") as file:
        file.write(line + "\\n")
"""


def test_somebody_elses_tick_is_asked_for_by_its_name_and_seen_in_the_log(home: Path, tmp_path: Path) -> None:
    queue = tmp_path / "theirs.db"
    settings = settings_of(home, url=f"sqlite://{queue}", name="theirs", task="tasks.heartbeat_tick")
    settings.heartbeat_dir.mkdir(parents=True)
    (settings.heartbeat_dir / "ticks_20200101.jsonl").write_text('{"tick_id": "20200101_000000"}\n')
    (tmp_path / "tasks.py").write_text(FOREIGN.format(queue=str(queue), log=str(settings.heartbeat_dir)))
    consumer = subprocess.Popen(
        [sys.executable, "-m", "huey.bin.huey_consumer", "tasks.huey", "-m", "0.2"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(queue.exists, "queue of theirs")
        request = ask(settings)
        progress = ended(settings, request)
    finally:
        consumer.kill()
        consumer.wait()
    assert progress.state == "done"
    assert progress.tick_id is not None
    assert progress.tick_id > "2020"
    assert not (home / "queue.db").exists()


PARENT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from timmy_tui.config import load_settings
from timmy_tui.services.worker.autostart import ensure_worker
worker = ensure_worker(load_settings(os.environ), os.environ)
print(worker.pid if worker else None, flush=True)
sys.stdin.read()
if worker:
    worker.stop(10)
    print(worker.alive(), flush=True)
"""


def console(home: Path) -> subprocess.Popen[str]:
    home.mkdir(exist_ok=True)
    (home / "tui.yaml").write_text("heartbeat: {every_minutes: 1440}\nsession_export: {enabled: false}\n")
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TIMMY_HOME": str(home), "OLLAMA_HOST": "127.0.0.1:9"},
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return not Path("/proc/self").exists()  # gone between the two looks, or a system without /proc
    return state != "Z"  # dead, and not yet buried by its adoptive parent


def test_a_consoles_own_worker_ends_with_it_in_good_order_or_not(home: Path) -> None:
    settings = settings_of(home)
    observer = WorkerObserver(settings, env={})
    first = console(home)
    pid = int(line(first))
    until(lambda: observer.read().state == "up" and observer.read().pid == pid, "worker of the console's")
    second = console(home)
    assert line(second) == "None"
    second.communicate()
    assert os.getsid(pid) == pid
    first.kill()
    first.communicate()
    until(lambda: not exists(pid), "end of the orphan")
    third = console(home)
    pid = int(line(third))
    until(lambda: observer.read().pid == pid, "worker of the console's")
    out, _ = third.communicate("")
    assert out == "False\n"
    assert observer.read().state == "down"
    assert (home / "logs" / "worker.log").stat().st_mode & 0o777 == 0o600
    assert (home / "queue.db").stat().st_mode & 0o777 == 0o600


def test_the_commands_run_a_real_tick(home: Path, tmp_path: Path) -> None:
    env = {**os.environ, "TIMMY_HOME": str(home), "OLLAMA_HOST": "127.0.0.1:9", "PATH": str(tmp_path)}
    home.mkdir()
    (home / "tui.yaml").write_text("heartbeat: {every_minutes: 1440}\nsession_export: {enabled: false}\n")
    timmy = [sys.executable, "-m", "timmy_tui"]

    def tick(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*timmy, "tick", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    alone = tick()
    assert (alone.returncode, alone.stdout) == (1, "")
    assert alone.stderr == "timmy-tui: no worker: start one with timmy-tui worker\n"
    worker = subprocess.Popen([*timmy, "worker"], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert line(worker).endswith("a tick every 1440 minutes")
        assert "manual" in line(worker)  # the one that waited
        told = tick("--wait", "--json")
        document = json.loads(told.stdout)
        assert (told.returncode, document["state"], document["tick"]["trigger"]) == (0, "done", "manual"), told.stderr
        assert document["tick"]["decision"]["severity"] == "fallback"
        shown = tick("--wait")
        assert shown.returncode == 0
        assert "fallback" in shown.stdout
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(15) == 0
    finally:
        worker.kill()
        worker.communicate()


@pytest.mark.parametrize("gone", [["queue.db", "queue.db-wal", "queue.db-shm"], ["queue.db"], ["queue.db-wal"]])
def test_a_queue_that_is_removed_under_the_worker_is_opened_anew(home: Path, start: Start, gone: list[str]) -> None:
    settings = settings_of(home)
    start().ready()
    until(lambda: WorkerObserver(settings, env={}, host=HOST).read().state == "up", "beat")
    for name in gone:
        (home / name).unlink(missing_ok=True)
    assert ended(settings, ask(settings)).state == "done"
    until(lambda: WorkerObserver(settings, env={}, host=HOST).read().state == "up", "beat in the new file")


def test_a_reader_that_holds_what_a_removed_log_left_delays_the_worker_only_while_it_does(
    home: Path, start: Start
) -> None:
    settings = settings_of(home)
    start().ready()
    until(lambda: WorkerObserver(settings, env={}, host=HOST).read().state == "up", "beat")
    with closing(sqlite3.connect(home / "queue.db")) as reader:
        reader.execute("SELECT count(*) FROM kv").fetchone()
        (home / "queue.db-wal").unlink()
        until((home / "queue.db-wal").exists, "the worker's look at what stands there now")
    assert ended(settings, ask(settings)).state == "done"


def test_bad_messages_and_a_waiting_request_keep_no_worker_from_starting(home: Path, start: Start) -> None:
    settings = settings_of(home)
    request = ask(settings)
    huey = make_huey(settings, {}, host=HOST)
    (good,) = huey.storage.enqueued_items()
    for place in range(0, len(good), 9):
        flipped = bytearray(good)
        flipped[place] ^= 0x20
        huey.storage.enqueue(bytes(flipped), 9)
    start().ready()
    assert ended(settings, request).state == "done"
    until(lambda: WorkerObserver(settings, env={}, host=HOST).read().pending == 0, "empty queue")
    assert WorkerObserver(settings, env={}, host=HOST).read().bad_messages > 0
    assert ended(settings, ask(settings)).state == "done"
