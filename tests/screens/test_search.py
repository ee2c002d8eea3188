"""The search under fast fingers: one question per pause, and rows that mean what they show."""

from __future__ import annotations

import threading

import pytest
from screens import scenes
from screens.scenes import Stack
from screens.test_dashboard import SIZE, open_with, painted, settle
from textual.widgets import Input

from timmy_tui.screens.search import SearchScreen
from timmy_tui.screens.session import SessionScreen
from timmy_tui.services.hermes.records import SearchHit
from timmy_tui.widgets.pane import Pane


def hit(number: int) -> SearchHit:
    return SearchHit(f"s{number}", number, "user", None, f"snippet {number}")


async def test_letters_typed_in_a_row_are_one_search(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    app = scenes.console(stack.env)
    asked: list[str] = []

    def search(text: str, **_rest: object) -> tuple[SearchHit, ...]:
        asked.append(text)
        return (hit(1),)

    monkeypatch.setattr(app.monitor.sources.hermes, "search", search)
    monkeypatch.setattr("timmy_tui.screens.search.TYPING_PAUSE_S", 0.5)  # no letter of a test comes later than that
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("S", *"disks")
        await settle(pilot)
        assert asked == ["disks"]
        assert "1 found" in painted(app)


async def test_a_search_in_progress_is_dropped_by_the_next_letter(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = scenes.console(stack.env)
    begun, dropped = threading.Event(), threading.Event()

    def search(text: str, *, should_stop: object) -> tuple[SearchHit, ...]:
        assert callable(should_stop)
        if text == "di":
            begun.set()
            for _ in range(1_000):
                if should_stop():
                    dropped.set()
                    return ()
                dropped.wait(0.01)
        return (hit(1),)

    monkeypatch.setattr(app.monitor.sources.hermes, "search", search)
    monkeypatch.setattr("timmy_tui.screens.search.TYPING_PAUSE_S", 0.0)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("S", *"di")
        while not begun.is_set():
            await pilot.pause()
        await pilot.press("s")
        await settle(pilot)
        assert dropped.wait(10)
        assert "1 found" in painted(app)


async def test_a_row_of_an_older_and_longer_result_opens_nothing_wrong(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = scenes.console(stack.env)
    results = {"di": tuple(map(hit, range(9))), "dis": (hit(8),)}
    monkeypatch.setattr(app.monitor.sources.hermes, "search", lambda text, **_rest: results[text])
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("S")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        wanted = screen.query_one("#wanted", Input)
        wanted.value = "di"
        await pilot.pause()
        await settle(pilot)
        keys = list(screen.hits.keys())
        assert len(keys) == 9
        wanted.value = "dis"
        await pilot.pause()
        await settle(pilot)
        screen.post_message(Pane.Opened(screen.hits, keys[3]))  # an enter that waited in the queue
        await pilot.pause()
        assert app.screen is screen
        screen.post_message(Pane.Opened(screen.hits, keys[8]))
        await pilot.pause()
        opened = app.screen
        assert isinstance(opened, SessionScreen)
        assert (opened._session_id, opened._find_first) == ("s8", "dis")
