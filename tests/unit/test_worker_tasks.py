"""What is due and when, what a run leaves in its record, and what is tidied up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hermes_store_maker import make_store
from huey import Huey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from worker_process import settings_of

from timmy_tui.config import SessionExportConfig, Settings
from timmy_tui.services.appending import append_line
from timmy_tui.services.events import append_event, recent_events
from timmy_tui.services.reading import SourceError
from timmy_tui.services.worker.app import keyed_values, make_huey, message, send
from timmy_tui.services.worker.consumer import Schedule
from timmy_tui.services.worker.periodic import export_due, minute_of, scheduled_id, tick_due
from timmy_tui.services.worker.prune import DAY_S, prune
from timmy_tui.services.worker.records import BEAT_PREFIX, DAILY_PREFIX, Beat, RequestRecord
from timmy_tui.services.worker.recover import SETTLED_S, mark_lost
from timmy_tui.services.worker.requests import decoded, put_record, record_of, records_of
from timmy_tui.services.worker.tasks import Tasks

HOST = "mbp"
DUE = 1_795_132_800.0  # 2026-11-20T00:00:00Z


@dataclass
class Written:
    tick_id: str
    severity: str = "ok"


class World:
    """The tasks of one worker over a real queue; the tick and the clock are the test's."""

    def __init__(self, home: Path) -> None:
        self.settings = settings_of(home, every_minutes=10)
        self.now = DUE
        self.ticks: list[str] = []
        self.told: list[str] = []
        self.error: BaseException | None = None
        self.reserved: str | None = None
        self.tasks = self.worker()

    @property
    def huey(self) -> Huey:
        return make_huey(self.settings, {}, host=HOST)

    def worker(self) -> Tasks:
        return Tasks(
            self.settings, {}, self.huey, host=HOST, clock=lambda: self.now, tick=self.tick, tell=self.told.append
        )

    def schedule(self, tasks: Tasks | None = None) -> Schedule:
        return Schedule(self.huey, tasks or self.tasks, clock=lambda: self.now)

    def tick(
        self,
        settings: Settings,
        env: Mapping[str, str],
        *,
        trigger: str,
        clock: Callable[[], float],
        on_phase: Callable[[str], None] | None = None,
        on_id: Callable[[str], None] | None = None,
    ) -> Coroutine[object, object, Written]:
        return self._tick(trigger, on_id)

    async def _tick(self, trigger: str, on_id: Callable[[str], None] | None) -> Written:
        await asyncio.sleep(0)
        if on_id is not None and self.reserved is not None:
            on_id(self.reserved)
        self.ticks.append(trigger)
        if self.error is not None:
            raise self.error
        return Written(f"tick{len(self.ticks)}")

    def run_due(self, schedule: Schedule) -> int:
        """Look at the clock and do what is due; how much that was."""
        schedule.look()
        done = 0
        while (work := schedule.next()) is not None:
            work()
            done += 1
        return done


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "timmy")


def test_the_schedule_beats_once_a_minute_that_is_due(world: World) -> None:
    schedule = world.schedule()
    for second in range(3600):
        world.now = DUE + second
        world.run_due(schedule)
    assert world.ticks == ["schedule"] * 6
    assert {record.state for record in records_of(world.huey)} == {"done"}
    assert record_of(world.huey, "mbp@20261120T0010") is not None


def test_a_machine_that_slept_does_not_make_up_for_it(world: World) -> None:
    schedule = world.schedule()
    world.run_due(schedule)
    world.now = DUE + 5 * 3600 + 60
    world.run_due(schedule)
    assert world.ticks == ["schedule"]


def test_ticks_that_are_due_while_one_runs_are_one(world: World) -> None:
    schedule = world.schedule()
    for minutes in (0, 10, 20):
        world.now = DUE + minutes * 60
        schedule.look()
    assert world.run_due(schedule) == 2  # the tick and the day's tidying up
    assert world.ticks == ["schedule"]


def test_a_clock_that_is_set_back_does_not_repeat_a_tick(world: World) -> None:
    schedule = world.schedule()
    for at in (DUE, DUE + 3600, DUE, DUE + 3600):
        world.now = at
        world.run_due(schedule)
    assert world.ticks == ["schedule"] * 2


def test_two_workers_of_one_host_share_its_minutes_and_another_host_has_its_own(world: World) -> None:
    one, two = world.schedule(), world.schedule(world.worker())
    elsewhere = world.worker()
    elsewhere.host = "gpu-box"
    three = world.schedule(elsewhere)
    for minute in range(60):
        world.now = DUE + minute * 60
        for schedule in (one, two, three):
            world.run_due(schedule)
    assert len(world.ticks) == 12


@given(st.integers(0, 4_000_000_000), st.integers(1, 1440))
def test_due_minutes_are_as_many_as_the_interval_says(start: int, every: int) -> None:
    first = minute_of(start)
    assert sum(tick_due(first + minute, every) for minute in range(every)) == 1


def test_a_minute_is_named_in_utc() -> None:
    assert scheduled_id("mbp", minute_of(DUE + 61)) == "mbp@20261120T0001"


def test_an_export_is_due_by_the_last_ones_age() -> None:
    assert export_due(DUE, None, None, 14_400)
    assert not export_due(DUE, DUE - 14_399, None, 14_400)
    assert export_due(DUE, DUE - 14_400, None, 14_400)
    assert not export_due(DUE, None, DUE - 599, 14_400)
    assert export_due(DUE, None, DUE - 600, 14_400)
    assert export_due(DUE, DUE + 9_999, DUE + 9_999, 14_400)  # the clock was set back


def test_the_export_runs_every_few_hours_and_once_for_a_restart(world: World) -> None:
    config = replace(world.settings.config, session_export=SessionExportConfig(every_hours=4))
    world.settings = replace(world.settings, config=config)
    make_store(world.settings.hermes_home / "state.db")
    world.tasks = world.worker()
    schedule = world.schedule()
    world.run_due(schedule)
    exported = world.tasks.exported_at
    assert exported == DUE
    assert world.worker().exported_at == DUE
    world.now += 4 * 3600 - 60
    world.run_due(schedule)
    assert world.tasks.exported_at == DUE
    world.now += 60
    world.run_due(schedule)
    assert world.tasks.exported_at == DUE + 4 * 3600


def test_a_run_is_told_in_its_record(world: World) -> None:
    world.tasks.heartbeat_tick("r1", "manual")
    record = record_of(world.huey, "r1")
    assert record == RequestRecord("r1", "done", HOST, "manual", DUE, DUE, pid=os.getpid(), tick_id="tick1")
    assert world.told == ["tick1 ok (manual)"]
    assert world.tasks.doing is None


def test_a_request_is_run_once_whatever_brings_its_message_back(world: World) -> None:
    for _ in range(3):
        world.tasks.heartbeat_tick("r1", "manual")
    assert world.ticks == ["manual"]


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (ValueError("no\x1b[2J"), "failed", "no^[[2J"),
        (SourceError("the disk is full"), "failed", "the disk is full"),
        (TimeoutError(), "failed", "the tick took longer than 70 s"),
        (asyncio.CancelledError(), "lost", "the worker was stopped before the tick was done"),
    ],
)
def test_whatever_a_tick_raises_is_told_and_contained(
    world: World, error: BaseException, state: str, reason: str
) -> None:
    world.error = error
    world.tasks.heartbeat_tick("r1", "manual")
    record = record_of(world.huey, "r1")
    assert record is not None
    assert (record.state, record.error, record.tick_id) == (state, reason, None)
    (event,) = recent_events(world.settings.database_path, 5)
    assert (event.event_type, event.source, event.task_id) == (f"tick.{state}", "worker", "r1")
    assert world.told == [f"tick {state}: {reason}"]
    world.error = None
    world.tasks.heartbeat_tick("r2", "manual")
    assert world.ticks == ["manual"] * 2


def test_a_tick_that_does_not_keep_its_deadline_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timmy_tui.services.worker.tasks.TICK_GRACE_S", 0.05)
    config = replace(world.settings.config, heartbeat=replace(world.settings.config.heartbeat, timeout_s=0.01))
    world.settings = replace(world.settings, config=config)

    async def never(*_: object, **__: object) -> Written:
        await asyncio.Event().wait()
        raise AssertionError

    tasks = Tasks(world.settings, {}, world.huey, host=HOST, clock=lambda: DUE, tick=never, tell=world.told.append)
    tasks.heartbeat_tick("r1", "manual")
    record = record_of(world.huey, "r1")
    assert record is not None
    assert (record.state, record.error) == ("failed", "the tick took longer than 0.06 s")


def test_a_queue_that_is_away_costs_the_record_never_the_tick(world: World) -> None:
    world.tasks.heartbeat_tick("r1", "manual")
    for path in world.settings.timmy_home.glob("queue.db*"):
        path.unlink()
    world.settings.queue_path.mkdir()
    broken = make_huey(settings_of(world.settings.timmy_home / "other"), {})
    broken.storage.close()
    (world.settings.timmy_home / "other" / "queue.db").unlink()
    (world.settings.timmy_home / "other" / "queue.db").write_bytes(b"nonsense" * 1000)
    tasks = Tasks(world.settings, {}, broken, host=HOST, clock=lambda: world.now, tick=world.tick, tell=print)
    schedule = Schedule(broken, tasks, clock=lambda: world.now)
    assert world.run_due(schedule) == 1
    assert world.ticks == ["manual", "schedule"]


def log_tick(world: World, tick_id: str) -> None:
    append_line(world.settings.heartbeat_dir / f"ticks_{tick_id[:8]}.jsonl", msgspec.json.encode({"tick_id": tick_id}))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_died_with_a_worker_is_lost_and_what_lives_is_left(world: World) -> None:
    huey, dead, alive = world.huey, dead_pid(), os.getppid()
    queued = RequestRecord("x", "queued", HOST, "manual", DUE - 60, DUE - 60)
    ran = replace(queued, state="running", pid=dead)
    for id, record in {
        "died running": ran,
        "died before": replace(ran, state="queued"),
        "pid is ours now": replace(ran, pid=os.getpid()),
        "pid is somebody's": replace(ran, pid=alive),
        "vanished": queued,
        "in the queue": queued,
        "just asked": replace(queued, asked_at=DUE - SETTLED_S + 1),
        "ours": replace(ran, pid=os.getpid(), since=DUE + 1),
        "other host": replace(ran, host="gpu-box"),
        "done": replace(ran, state="done"),
    }.items():
        put_record(huey, replace(record, id=id))
    send(huey, message("timmy_tui.services.worker.tasks.heartbeat_tick", "in the queue", "manual"))
    huey.storage.enqueue(b"no pickle")
    for pid in (dead, alive):
        beat = Beat(DUE - 60, HOST, pid)
        huey.storage.put_data(f"{BEAT_PREFIX}{HOST}:{pid}", msgspec.json.encode(beat))
    found = mark_lost(huey, HOST, started_at=DUE, now=DUE)
    lost = found.lost
    assert found.unsettled == {"just asked"}
    assert {record.id for record in lost} == {
        "died running",
        "died before",
        "pid is ours now",
        "pid is somebody's",
        "vanished",
    }
    assert {record.id for record in records_of(huey) if record.state == "lost"} == {record.id for record in lost}
    assert list(keyed_values(huey, BEAT_PREFIX)) == [f"{BEAT_PREFIX}{HOST}:{alive}"]
    assert mark_lost(huey, HOST, started_at=DUE, now=DUE).lost == ()


@pytest.mark.parametrize("logged", [True, False])
def test_a_tick_that_was_written_by_a_worker_that_died_before_it_could_say_so_is_done(
    world: World, logged: bool
) -> None:
    ran = RequestRecord("r1", "running", HOST, "manual", DUE - 60, DUE - 60, pid=dead_pid(), tick_id="20261119_235900")
    put_record(world.huey, ran)
    log_tick(world, "20261119_235900" if logged else "20261119_235900_2")
    world.schedule().recover()
    record = record_of(world.huey, "r1")
    assert record is not None
    if logged:
        assert record == replace(ran, state="done", since=DUE)
        assert not recent_events(world.settings.database_path, 5)
    else:
        assert (record.state, record.error) == ("lost", f"worker {ran.pid} ended while the tick ran")
        (event,) = recent_events(world.settings.database_path, 5)
        assert (event.event_type, event.task_id) == ("tick.lost", "r1")


def test_a_request_whose_message_died_young_is_reported_later_and_no_other(world: World) -> None:
    young = RequestRecord("young", "queued", HOST, "manual", DUE - 1, DUE - 1)
    put_record(world.huey, young)
    schedule = world.schedule()
    schedule.look()
    put_record(world.huey, replace(young, id="later", asked_at=DUE))
    world.now += 60
    schedule.look()
    assert [(record.id, record.state) for record in records_of(world.huey) if record.trigger == "manual"] == [
        ("later", "queued"),
        ("young", "lost"),
    ]
    world.now += 60
    schedule.look()
    assert record_of(world.huey, "later") == replace(young, id="later", asked_at=DUE)


def test_a_running_tick_names_the_id_that_it_will_have_and_one_that_breaks_after_it_was_written_is_done(
    world: World,
) -> None:
    world.reserved, world.error = "20261120_000000", ValueError("no event")
    world.tasks.heartbeat_tick("r1", "manual")
    record = record_of(world.huey, "r1")
    assert record is not None
    assert (record.state, record.tick_id) == ("failed", "20261120_000000")
    log_tick(world, "20261120_000000_2")
    world.reserved = "20261120_000000_2"
    world.tasks.heartbeat_tick("r2", "manual")
    record = record_of(world.huey, "r2")
    assert record is not None
    assert (record.state, record.tick_id, record.error) == ("done", "20261120_000000_2", None)
    (event,) = recent_events(world.settings.database_path, 5)
    assert event.task_id == "r1"


def test_a_beating_process_keeps_its_tick(world: World) -> None:
    record = RequestRecord("r1", "running", HOST, "manual", DUE, DUE, pid=os.getppid())
    put_record(world.huey, record)
    beat = msgspec.json.encode(Beat(DUE - 1, HOST, os.getppid()))
    world.huey.storage.put_data(f"{BEAT_PREFIX}{HOST}:{os.getppid()}", beat)
    assert mark_lost(world.huey, HOST, started_at=DUE, now=DUE).lost == ()


def test_old_events_and_keys_of_ours_are_pruned_and_nobody_elses(world: World) -> None:
    huey, database = world.huey, world.settings.database_path
    for age_days in (31, 29):
        append_event(database, "tick.done", "heartbeat", now=DUE - age_days * DAY_S)
    for age_days in (8, 6):
        at = DUE - age_days * DAY_S
        put_record(huey, RequestRecord(f"r{age_days}", "done", HOST, "manual", at, at))
        day = {8: "20261112", 6: "20261114"}[age_days]
        huey.storage.put_data(f"{DAILY_PREFIX}{HOST}:{day}", b"1")
    for pid, age_s in ((1, DAY_S + 1), (2, 60.0)):
        huey.storage.put_data(f"{BEAT_PREFIX}{HOST}:{pid}", msgspec.json.encode(Beat(DUE - age_s, HOST, pid)))
    huey.storage.put_data("theirs", b"x")
    huey.storage.put_data(f"{BEAT_PREFIX}odd", b"\x80not ours")
    assert prune(huey, database, DUE) == (1, 3)
    assert {record.id for record in records_of(huey)} == {"r6"}
    left = set(keyed_values(huey, "t"))
    assert {"theirs", f"{BEAT_PREFIX}odd", f"{BEAT_PREFIX}{HOST}:2", f"{DAILY_PREFIX}{HOST}:20261114"} <= left
    assert prune(huey, database, DUE) == (0, 0)


def test_pruning_is_done_once_a_day(world: World) -> None:
    schedule = world.schedule()
    done = 0
    for hour in range(48):
        world.now = DUE + hour * 3600 + 60  # no minute of the heartbeat's
        done += world.run_due(schedule)
    assert done == 2


@given(st.binary(max_size=200))
def test_a_value_that_is_no_record_is_none(value: bytes) -> None:
    record = decoded(value)
    assert record is None or isinstance(record, RequestRecord)
