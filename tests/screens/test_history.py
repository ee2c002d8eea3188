"""The history over files that are slow, cut, renamed or of no time: no file is read by the loop that draws."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from screens import scenes
from screens.scenes import NOW
from screens.test_dashboard import SIZE, open_with, painted, settle, toasts
from textual.pilot import Pilot
from tick_maker import day_path, tick_line, write_day

from timmy_tui.app import TimmyApp
from timmy_tui.screens.history import CHANGED, HEADS_KEPT, HistoryScreen
from timmy_tui.screens.tick import TickScreen
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks import day as day_of_ticks
from timmy_tui.services.ticks import history as history_service
from timmy_tui.services.ticks.log import HeartbeatStore
from timmy_tui.services.ticks.records import IndexProgress

DAYS = [date(2026, 11, 19), date(2026, 11, 20)]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home with two days of ticks."""
    for day in DAYS:
        write_day(tmp_path / ".timmy" / "heartbeat", day, 300)
    return {"HOME": str(tmp_path), "PATH": ""}


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The threads that read a line of the log."""
    threads: set[int] = set()

    def read_line(path: str, offset: int, length: int) -> bytes | None:
        threads.add(threading.get_ident())
        return day_of_ticks.read_line(path, offset, length)

    monkeypatch.setattr(history_service, "read_line", read_line)
    return threads


async def opened(pilot: Pilot[None]) -> HistoryScreen:
    """The history, built and read."""
    await pilot.press("H")
    await quiet(pilot)
    assert isinstance(pilot.app.screen, HistoryScreen)
    return pilot.app.screen


async def quiet(pilot: Pilot[None]) -> None:
    """Until no work is under way that was started by work."""
    await settle(pilot)
    while any(not worker.is_finished for worker in pilot.app.workers):
        await settle(pilot)


def history_folder(app: TimmyApp) -> Path:
    return app.settings.heartbeat_dir


async def test_a_tick_of_no_time_at_all_is_no_crash(tmp_path: Path) -> None:
    folder = tmp_path / ".timmy" / "heartbeat"
    write_day(folder, DAYS[1], 3)
    with day_path(folder, DAYS[1]).open("ab") as file:
        file.write(tick_line(90, tick_id="dawn", timestamp="0001-01-01T00:00:00"))
        file.write(tick_line(91, tick_id="dusk", timestamp="9999-12-31T23:59:59"))
    app = scenes.console({"HOME": str(tmp_path), "PATH": ""})
    reading = HeartbeatStore(history_folder(app), every_s=600, clock=scenes.at_now).read()
    assert reading.last is not None
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, Snapshot(host="mbp", heartbeat=scenes.fresh(reading)))
        await pilot.press("3", "z", "j", "k")
        assert "--:--" in painted(app)
        await pilot.press("enter")
        await quiet(pilot)
        assert isinstance(app.screen, TickScreen)
        await pilot.press("escape")
        await opened(pilot)
        assert "?  " in painted(app)


async def test_no_tick_is_read_by_the_loop_that_draws(env: dict[str, str], readers: set[int]) -> None:
    app = scenes.console(env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, scenes.nothing_found())
        await opened(pilot)
        for key in ("j", "pagedown", "G", "g"):
            await pilot.press(key)
        await quiet(pilot)
        await pilot.press("enter")
        await quiet(pilot)
        assert isinstance(app.screen, TickScreen)
    assert readers
    assert threading.get_ident() not in readers


async def test_a_file_that_was_renamed_is_no_crash_and_its_rows_say_so(env: dict[str, str]) -> None:
    app = scenes.console(env)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, scenes.nothing_found())
        screen = await opened(pilot)
        assert CHANGED not in painted(app)
        day_path(history_folder(app), DAYS[1]).rename(history_folder(app) / "elsewhere.jsonl")
        await pilot.press("pagedown", "pagedown")
        await quiet(pilot)
        assert CHANGED in painted(app)
        assert "2026-11-20" in painted(app)  # what the index knows is still told
        await pilot.press("enter")
        await quiet(pilot)
        assert app.screen is screen
        assert any("changed since" in text for text in toasts(app))


async def test_rows_of_a_log_that_was_cut_meanwhile_are_no_crash(env: dict[str, str]) -> None:
    app = scenes.console(env)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, scenes.nothing_found())
        screen = await opened(pilot)
        for day in DAYS:
            day_path(history_folder(app), day).write_bytes(tick_line(1))
        app.monitor.sources.history.grow()  # as another screen's worker would: these rows are not counted anew yet
        await pilot.press("j")
        await quiet(pilot)
        assert CHANGED in painted(app)
        await pilot.press("enter")
        await quiet(pilot)
        assert app.screen is screen
        assert any("left the log" in text for text in toasts(app))


async def test_an_index_that_was_left_half_way_is_finished_by_the_next_screen(env: dict[str, str]) -> None:
    app = scenes.console(env)
    looks = iter([False, False])  # stops after the first file
    app.monitor.sources.history.build(should_stop=lambda: next(looks, True))
    assert 0 < len(app.monitor.sources.history) < 600
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, scenes.nothing_found())
        await opened(pilot)
        assert "600 ticks" in painted(app)


async def test_a_snapshot_while_the_index_is_built_asks_for_one_more_look(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = scenes.console(env)
    history = app.monitor.sources.history
    build, under_way, held = history.build, 0, threading.Event()
    most = 0

    def held_build(on_progress: object, should_stop: object) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        held.wait(10)
        build(on_progress, should_stop)  # type: ignore[arg-type]
        under_way -= 1

    monkeypatch.setattr(history, "build", held_build)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, scenes.nothing_found())
        await pilot.press("H")
        screen = app.screen
        assert isinstance(screen, HistoryScreen)
        for _ in range(3):
            screen.snapshot_changed(app.snapshot)
            await pilot.pause()
        with day_path(history_folder(app), DAYS[1]).open("ab") as file:
            file.write(tick_line(999, at=datetime.fromtimestamp(NOW, UTC)))
        held.set()
        await quiet(pilot)
        assert "601 ticks" in painted(app)
    assert most == 1


async def test_progress_of_a_screen_that_is_gone_is_no_crash(env: dict[str, str]) -> None:
    app = scenes.console(env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, scenes.nothing_found())
        screen = await opened(pilot)
        await pilot.press("escape")
        await pilot.pause()
        screen._at(IndexProgress(1, 2))
        assert app.is_running


async def test_what_was_read_is_bounded(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert HEADS_KEPT >= 200
    monkeypatch.setattr("timmy_tui.screens.history.HEADS_KEPT", 80)
    app = scenes.console(env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, scenes.nothing_found())
        screen = await opened(pilot)
        for _ in range(8):
            await pilot.press("pagedown")
            await quiet(pilot)
        assert 36 <= len(screen._heads) <= 80
