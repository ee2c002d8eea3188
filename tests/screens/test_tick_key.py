"""The tick key from the press to the tick, over a real queue; and what quitting asks while something runs."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import snapshot_maker as maker
from msgspec.structs import replace
from screens import scenes
from screens.scenes import NOW, TICK_EVERY_S, Stack
from textual.pilot import Pilot
from tick_maker import tick_line

from timmy_tui.app import TimmyApp
from timmy_tui.config import Settings, load_settings
from timmy_tui.screens import tick_work
from timmy_tui.screens.dashboard import DashboardScreen
from timmy_tui.screens.dialogs import ConfirmDialog
from timmy_tui.services.ollama.records import PullProgress
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks.log import HeartbeatStore
from timmy_tui.services.worker import enqueue
from timmy_tui.services.worker.app import make_huey, this_host
from timmy_tui.services.worker.autostart import OwnWorker
from timmy_tui.services.worker.follow import VANISHED_AFTER_S
from timmy_tui.services.worker.lock import only_worker
from timmy_tui.services.worker.observe import WorkerObserver
from timmy_tui.services.worker.records import BEAT_PREFIX, LOCK_NAME, Beat, RequestRecord
from timmy_tui.services.worker.requests import put_record, records_of
from timmy_tui.widgets.heartbeat_pane import HeartbeatPane
from timmy_tui.widgets.line import plain

SIZE = (120, 40)
DEADLINE_S = 15.0
ASKED_AT = datetime.fromtimestamp(NOW, UTC)

Compare = Callable[..., bool]


class Clock:
    """The time of a test."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class WorkerByHand:
    """What a worker shows of itself, step by step: the lock of the home, a beat, the record of the tick it runs."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._lock = ExitStack()
        self._huey = make_huey(settings, {})
        self.record: RequestRecord | None = None

    def begin(self, *, pid: int | None = None, running: str | None = None) -> None:
        """``pid`` is the process that it stands for; this one by default."""
        self._lock.enter_context(only_worker(self._settings.timmy_home))
        if pid is not None:
            (self._settings.timmy_home / LOCK_NAME).write_text(str(pid))
        beat = Beat(self._clock(), this_host(), pid or os.getpid(), running=running)
        self._huey.storage.put_data(f"{BEAT_PREFIX}{beat.host}:{beat.pid}", msgspec.json.encode(beat))

    def take(self, phase: str) -> None:
        """Take the one task that waits, and say that it runs."""
        assert pickle.loads(self._huey.storage.dequeue())
        assert self._huey.storage.queue_size() == 0
        (waiting,) = (record for record in self.requests if record.state == "queued")
        self.record = replace(waiting, host=this_host(), pid=os.getpid())
        self.move("running", phase=phase)

    def move(self, state: str, **changes: object) -> None:
        assert self.record is not None
        self.record = replace(self.record, state=state, since=self._clock(), **changes)
        put_record(self._huey, self.record)

    def die(self) -> None:
        """As a killed process: the lock is free, the records stay."""
        self._lock.close()

    def close(self) -> None:
        self.die()
        self._huey.storage.close()

    @property
    def requests(self) -> list[RequestRecord]:
        return records_of(self._huey)


class Bench:
    """A console over a home of its own, with the demo's log in it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        home = folder / "timmy"
        shutil.copytree(Path(stack.env["TIMMY_HOME"]) / "heartbeat", home / "heartbeat")
        self.clock = Clock()
        self.env = {**stack.env, "TIMMY_HOME": str(home)}
        self.settings = load_settings(self.env)
        self._stack = stack
        self._store = HeartbeatStore(self.settings.heartbeat_dir, every_s=TICK_EVERY_S, clock=self.clock)

    def console(self, settings: Settings | None = None) -> TimmyApp:
        return TimmyApp(settings or self.settings, env=self.env, clock=self.clock, live=False)

    def write_tick(self, number: int = 8, **values: object) -> None:
        with (self.settings.heartbeat_dir / "ticks_20261120.jsonl").open("ab") as file:
            file.write(tick_line(number, at=ASKED_AT, trigger="manual", **values))

    def snapshot(self) -> Snapshot:
        """Everything well, the heartbeat as its log is now."""
        return replace(self._stack.healthy(), heartbeat=scenes.fresh(self._store.read()))


@pytest.fixture(autouse=True)
def short_pause_between_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tick_work, "LOOK_EVERY_S", 0.03)


@pytest.fixture
def bench(stack: Stack, tmp_path: Path) -> Bench:
    return Bench(stack, tmp_path)


@pytest.fixture
def worker(bench: Bench) -> Iterator[WorkerByHand]:
    by_hand = WorkerByHand(bench.settings, bench.clock)
    by_hand.begin()
    yield by_hand
    by_hand.close()


@pytest.fixture
def own_worker() -> Iterator[OwnWorker]:
    """A process that stands for the worker that the console has started."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    process = OwnWorker(subprocess.Popen(command, stdin=subprocess.PIPE))
    yield process
    process.stop(5)


def heartbeat(app: TimmyApp) -> HeartbeatPane:
    screen = app.screen_stack[0]
    assert isinstance(screen, DashboardScreen)
    return screen.heartbeat


def status(app: TimmyApp) -> str:
    return plain(heartbeat(app).lines[0])


def pane(app: TimmyApp) -> str:
    return "\n".join(plain(content) for content in heartbeat(app).lines)


def painted(app: TimmyApp) -> str:
    """The whole screen, its line breaks gone."""
    rows = (strip.text for strip in app.screen._compositor.render_strips())
    return " ".join(" ".join(rows).replace("│", " ").split())


def toasts(app: TimmyApp) -> list[str]:
    return [notification.message for notification in app._notifications]


async def show(pilot: Pilot[None], snapshot: Snapshot) -> None:
    assert isinstance(pilot.app, TimmyApp)
    pilot.app.publish(snapshot)
    await pilot.pause()


async def until(pilot: Pilot[None], holds: Callable[[], object], what: str) -> None:
    """Let the console go on until ``holds``."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}\n{pane(pilot.app)}"  # type: ignore[arg-type]
        await asyncio.sleep(0.01)


async def ended(pilot: Pilot[None]) -> None:
    """Until the tick that was asked for has ended, one way or the other."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_a_tick_is_queued_runs_and_is_there(bench: Bench, worker: WorkerByHand) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await until(pilot, lambda: "● queued" in status(app), "queued")
        bench.clock.now += 1.3
        worker.take("perceive")
        await until(pilot, lambda: "● running 1.3 s perceive" in status(app), "running")
        bench.clock.now += 2
        worker.move("running", phase="decide")
        await until(pilot, lambda: "● running 3.3 s decide" in status(app), "its next phase")
        bench.write_tick(tick_id="20261120_040500_1", severity="critical")
        worker.move("done", tick_id="20261120_040500_1")
        await ended(pilot)
        assert "on time" in status(app)
        await show(pilot, bench.snapshot())
        newest = heartbeat(app).selected()
        assert newest is not None
        assert newest.tick_id == "20261120_040500_1"
        assert "✖ critical" in pane(app)
        assert toasts(app) == [] or "ALERT" in toasts(app)[0]


async def test_the_new_tick_is_selected_though_the_operator_had_moved_away(bench: Bench, worker: WorkerByHand) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("3", "j", "j", "j")
        chosen = heartbeat(app).selected()
        assert chosen is not None
        await pilot.press("t")
        await until(pilot, lambda: worker.requests, "the request")
        worker.take("decide")
        await show(pilot, bench.snapshot())
        assert heartbeat(app).selected() == chosen  # only the tick itself takes the cursor
        bench.write_tick(tick_id="20261120_040500_1", reasoning="x")
        worker.move("done", tick_id="20261120_040500_1")
        await ended(pilot)
        await show(pilot, bench.snapshot())
        selected = heartbeat(app).selected()
        assert selected is not None
        assert selected.tick_id == "20261120_040500_1"


async def test_the_new_tick_is_selected_over_another_screen_and_through_a_filter(
    bench: Bench, worker: WorkerByHand
) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("3", "slash", *"critical", "enter")
        await pilot.pause()
        await pilot.press("5", "t")
        assert toasts(app) == ["A tick is asked for."]
        await until(pilot, lambda: worker.requests, "the request")
        worker.take("decide")
        bench.write_tick(tick_id="20261120_040500_1", severity="ok")
        worker.move("done", tick_id="20261120_040500_1")
        await ended(pilot)
        assert toasts(app)[-1] == "The tick is there: the heartbeat pane shows it."
        await show(pilot, bench.snapshot())
        await pilot.press("escape")
        await pilot.pause()
        selected = heartbeat(app).selected()
        assert selected is not None
        assert selected.tick_id == "20261120_040500_1"


async def test_a_second_press_says_so_and_asks_for_nothing(bench: Bench, worker: WorkerByHand) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t", "t")
        assert toasts(app) == ["A tick is queued already."]
        await until(pilot, lambda: worker.requests, "the request")
        worker.take("perceive")
        await until(pilot, lambda: "running" in status(app), "running")
        await pilot.press("t")
        assert toasts(app)[-1] == "A tick is running already."
        assert len(worker.requests) == 1
        worker.move("done", tick_id="x")
        await ended(pilot)


async def test_a_tick_that_another_console_asked_for_is_waited_for(bench: Bench, worker: WorkerByHand) -> None:
    asked = enqueue.request_tick(bench.settings, bench.env, bench.clock)
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await until(pilot, lambda: toasts(app), "a word")
        assert toasts(app) == ["A tick is under way already: waiting for that one."]
        assert [request.id for request in worker.requests] == [asked.id]
        worker.take("decide")
        worker.move("done", tick_id="x")
        await ended(pilot)
        assert app.tick_work.progress is None


async def test_without_a_worker_the_pane_says_what_to_start_until_the_next_press(bench: Bench) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await until(pilot, lambda: "● queued" in status(app), "queued")
        bench.clock.now += 2
        await ended(pilot)
        assert "✖ no worker" in status(app)
        assert "✖ no worker: start one with timmy-tui worker" in pane(app)
        assert toasts(app) == ["no worker: start one with timmy-tui worker"]
        bench.clock.now += 60
        app.clock_signal.publish(bench.clock.now)
        await show(pilot, bench.snapshot())
        assert "✖ no worker: start one with timmy-tui worker" in pane(app)
        await pilot.press("t")
        await until(pilot, lambda: "● queued" in status(app), "queued again")
        assert "no worker" not in pane(app)
        bench.clock.now += 10
        await ended(pilot)


async def test_a_worker_that_comes_late_still_does_the_tick_that_was_told_as_missing(bench: Bench) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await until(pilot, lambda: "● queued" in status(app), "queued")
        bench.clock.now += 2
        await ended(pilot)
        late = WorkerByHand(bench.settings, bench.clock)
        late.begin()
        await pilot.press("t")
        await until(pilot, lambda: len(toasts(app)) == 2, "a word")
        assert toasts(app)[-1] == "A tick is under way already: waiting for that one."
        late.take("perceive")
        late.move("done", tick_id="x")
        await ended(pilot)
        assert app.tick_work.progress is None
        late.close()


async def test_a_queue_that_is_a_folder_is_one_line(bench: Bench) -> None:
    (bench.settings.timmy_home / "queue.db").mkdir()
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await ended(pilot)
        (told,) = toasts(app)
        assert "\n" not in told
        assert "queue.db" in told
        assert "timmy-tui doctor" in told
        assert "✖ failed" in status(app)
        assert "✖ the queue" in pane(app)
        await pilot.press("t")
        await ended(pilot)
        assert len(toasts(app)) == 2


async def test_a_worker_that_dies_with_the_tick_is_told(bench: Bench, worker: WorkerByHand) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await until(pilot, lambda: worker.requests, "the request")
        worker.take("decide")
        await until(pilot, lambda: "running" in status(app), "running")
        worker.die()
        await ended(pilot)
        assert "✖ lost" in status(app)
        assert f"✖ worker {os.getpid()} ended while the tick ran" in pane(app)
        assert toasts(app) == [f"worker {os.getpid()} ended while the tick ran"]


async def test_a_worker_that_dies_before_the_tick_is_told(bench: Bench, worker: WorkerByHand) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await until(pilot, lambda: "● queued" in status(app) and worker.requests, "queued")
        worker._huey.storage.dequeue()
        bench.clock.now += VANISHED_AFTER_S + 0.1
        await ended(pilot)
        assert "its worker ended before the tick ran" in pane(app)


async def test_a_failed_tick_says_why_in_one_line_of_text(bench: Bench, worker: WorkerByHand) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await until(pilot, lambda: worker.requests, "the request")
        worker.take("record")
        worker.move("failed", error="disk full [bold]\x1b[31m")
        await ended(pilot)
        assert "✖ disk full [bold]^[[31m" in pane(app)
        assert toasts(app) == ["disk full [bold]^[[31m"]


async def test_a_tick_that_takes_too_long_says_what_it_waits_for(bench: Bench, worker: WorkerByHand) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await until(pilot, lambda: worker.requests, "the request")
        worker.take("decide")
        bench.clock.now += bench.settings.config.heartbeat.timeout_s + 1
        await ended(pilot)
        assert "✖ timed out" in status(app)
        assert "no tick after 130 s (decide still running)" in pane(app)


async def test_a_tick_that_another_machine_ran_says_where(bench: Bench, worker: WorkerByHand) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        await pilot.press("t")
        await until(pilot, lambda: worker.requests, "the request")
        worker.take("decide")
        worker.move("done", host="nas", tick_id="20261120_040500_1")
        await ended(pilot)
        assert toasts(app) == ["20261120_040500_1 ran on nas: its log is there."]


async def test_a_defect_is_told_logged_and_leaves_the_key_working(
    bench: Bench, worker: WorkerByHand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_of: object) -> None:
        raise ZeroDivisionError("a defect")

    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        with monkeypatch.context() as patched:
            patched.setattr(enqueue, "request_tick", defect)
            await pilot.press("t")
            await until(pilot, lambda: toasts(app), "a word")
        assert toasts(app)[0].startswith("follow a tick failed: ZeroDivisionError. The log says more:")
        assert "ZeroDivisionError: a defect" in caplog.text
        app.clock_signal.publish(bench.clock())
        await pilot.pause()
        assert "✖ the tick can't be followed: see the log" in pane(app)
        await pilot.press("t")
        await until(pilot, lambda: worker.requests, "the request")
        worker.take("decide")
        worker.move("done", tick_id="x")
        await ended(pilot)
        assert app.tick_work.progress is None


async def test_a_defect_in_the_work_of_a_screen_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Messages of a worker do not bubble from a screen to the app."""

    def defect(*_of: object) -> None:
        raise ZeroDivisionError("a defect")

    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        monkeypatch.setattr(app.monitor.sources.heartbeat, "load", defect)
        await pilot.press("3", "j", "j", "j")
        await until(pilot, lambda: toasts(app), "a word")
        assert toasts(app)[0].startswith("read the selected tick failed: ZeroDivisionError")
        assert "ZeroDivisionError: a defect" in caplog.text


async def test_the_worker_in_the_header_is_the_consoles_own_only_if_it_is(bench: Bench, own_worker: OwnWorker) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        app.own_worker = own_worker
        mine = replace(bench.snapshot(), worker=scenes.fresh(maker.worker(pid=own_worker.pid)))
        await show(pilot, mine)
        header = app.screen_stack[0].header  # type: ignore[attr-defined]
        assert "worker ● up (this console's)" in plain(header.lines[0])
        await show(pilot, bench.snapshot())
        assert "worker ● up" in plain(header.lines[0])
        assert "this console's" not in plain(header.lines[0])


@pytest.mark.parametrize(("bell", "severity", "shown_as"), [(True, "critical", "error"), (False, "warning", "warning")])
async def test_the_alerts_of_a_new_tick_are_told_once(bench: Bench, bell: bool, severity: str, shown_as: str) -> None:
    config = bench.settings.config
    notify = replace(config.heartbeat.notify, bell=bell)
    settings = replace(bench.settings, config=replace(config, heartbeat=replace(config.heartbeat, notify=notify)))
    app = bench.console(settings)
    rung: list[float] = []
    app.bell = lambda: rung.append(bench.clock())  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        assert toasts(app) == []  # what is in the log already is no news
        bench.write_tick(severity=severity, actions=["ALERT: [b]disk[/b] full", "note it", "alert: Ollama down"])
        await show(pilot, bench.snapshot())
        await show(pilot, bench.snapshot())
        (told,) = app._notifications
        assert (told.title, told.message) == (f"tick {severity}", "ALERT: [b]disk[/b] full\nalert: Ollama down")
        assert told.severity == shown_as
        assert len(rung) == bell
        bench.write_tick(5, severity=severity, actions=["ALERT: [b]disk[/b] full", "alert: Ollama down"])
        await show(pilot, bench.snapshot())
        assert len(app._notifications) == 1  # the same again is no news
        bench.write_tick(9, severity="ok", actions=["note it"])
        await show(pilot, bench.snapshot())
        assert len(app._notifications) == 1


async def test_the_observer_and_the_worker_by_hand_agree(bench: Bench, worker: WorkerByHand) -> None:
    """The means of these tests: what a console sees of it is a worker that is up."""
    assert WorkerObserver(bench.settings, env={}, clock=bench.clock).read().state == "up"
    worker.die()
    assert WorkerObserver(bench.settings, env={}, clock=bench.clock).read().state == "down"


async def leave(pilot: Pilot[None], key: str = "q") -> None:
    await pilot.press(key)
    await pilot.pause()


@pytest.mark.parametrize("running", [None, "heartbeat_tick"], ids=["idle", "anothers"])
async def test_quit_leaves_at_once_when_nothing_of_the_operators_runs(
    bench: Bench, own_worker: OwnWorker, running: str | None
) -> None:
    """Its own worker is idle, whatever was known seconds ago; or what runs is another process's."""
    app = bench.console()
    by_hand = WorkerByHand(bench.settings, bench.clock)
    by_hand.begin(pid=own_worker.pid if running is None else None, running=running)
    async with app.run_test(size=SIZE) as pilot:
        app.own_worker = own_worker
        seconds_ago = maker.worker(pid=own_worker.pid, running="heartbeat_tick")
        await show(pilot, replace(bench.snapshot(), worker=scenes.fresh(seconds_ago)))
        await leave(pilot)
        assert app._exit
    by_hand.close()


def pulls(app: TimmyApp, _own: OwnWorker, _by_hand: WorkerByHand) -> str:
    app.model_work.pulls["local", "qwen3:8b"] = PullProgress("pulling", 1, 100, False)
    return "A model is being pulled"


def runs_a_tick(app: TimmyApp, own: OwnWorker, by_hand: WorkerByHand) -> str:
    app.own_worker = own
    by_hand.begin(pid=own.pid, running="heartbeat_tick")
    return "worker runs a tick"


def waits_for_a_tick(app: TimmyApp, own: OwnWorker, by_hand: WorkerByHand) -> str:
    app.own_worker = own
    by_hand.begin(pid=own.pid)
    app.action_tick()
    return "worker runs a tick"


async def test_quit_does_not_ask_for_what_goes_on_at_the_next_start(bench: Bench, own_worker: OwnWorker) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        app.own_worker = own_worker
        WorkerByHand(bench.settings, bench.clock).begin(pid=own_worker.pid, running="session_export")
        await leave(pilot)
        assert not isinstance(app.screen, ConfirmDialog)


@pytest.mark.parametrize("begin", [pulls, runs_a_tick, waits_for_a_tick])
@pytest.mark.parametrize(("answer", "left"), [("n", False), ("enter", False), ("y", True)])
async def test_quit_asks_while_something_of_the_operators_runs(
    bench: Bench,
    own_worker: OwnWorker,
    begin: Callable[[TimmyApp, OwnWorker, WorkerByHand], str],
    answer: str,
    left: bool,
) -> None:
    app = bench.console()
    by_hand = WorkerByHand(bench.settings, bench.clock)
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        told = begin(app, own_worker, by_hand)
        await leave(pilot)
        assert isinstance(app.screen, ConfirmDialog)
        assert told in painted(app)
        assert not app._exit
        await leave(pilot, answer)
        assert bool(app._exit) is left
        if answer == "n":
            assert isinstance(app.screen, DashboardScreen)
            await leave(pilot)
            assert isinstance(app.screen, ConfirmDialog)
    by_hand.close()


async def test_quitting_twice_is_one_question(bench: Bench) -> None:
    app = bench.console()
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, bench.snapshot())
        app.model_work.pulls["local", "qwen3:8b"] = PullProgress("pulling", 1, 100, False)
        await leave(pilot)
        await leave(pilot, "ctrl+q")
        assert len(app.screen_stack) == 2


def tick_key(bench: Bench, steps: Callable[[Pilot[None]], Awaitable[None]]) -> Callable[[Pilot[None]], Awaitable[None]]:
    """The key, and what comes of it, until the picture is taken."""

    async def run(pilot: Pilot[None]) -> None:
        await show(pilot, bench.snapshot())
        await pilot.press("3", "t")
        await until(pilot, lambda: "● queued" in status(pilot.app), "queued")  # type: ignore[arg-type]
        await steps(pilot)
        await pilot.pause()

    return run


def test_picture_queued(snap_compare: Compare, bench: Bench, worker: WorkerByHand) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: worker.requests, "the request")

    assert snap_compare(bench.console(), terminal_size=SIZE, run_before=tick_key(bench, steps))


def test_picture_running(snap_compare: Compare, bench: Bench, worker: WorkerByHand) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: worker.requests, "the request")
        bench.clock.now += 1.3
        worker.take("decide")
        await until(pilot, lambda: "● running 1.3 s" in status(pilot.app), "running")  # type: ignore[arg-type]

    assert snap_compare(bench.console(), terminal_size=SIZE, run_before=tick_key(bench, steps))


def test_picture_failed(snap_compare: Compare, bench: Bench, worker: WorkerByHand) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: worker.requests, "the request")
        worker.take("record")
        worker.move("failed", error="ticks_20261120.jsonl: No space left on device")
        await ended(pilot)

    assert snap_compare(bench.console(), terminal_size=SIZE, run_before=tick_key(bench, steps))
