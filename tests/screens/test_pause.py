"""The space key holds every screen still, not only the dashboard."""

from __future__ import annotations

import msgspec
import pytest
from screens import scenes
from screens.scenes import NOW, Stack
from screens.test_dashboard import SIZE, dashboard, open_with, painted, settle

from timmy_tui.app import TimmyApp
from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.screens.model import ModelScreen
from timmy_tui.screens.provider import ProviderScreen


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def console(stack: Stack, clock: Clock) -> TimmyApp:
    return TimmyApp(scenes.settings_of(stack.env), env=stack.env, clock=clock, live=False)


@pytest.mark.parametrize("keys", [["1", "enter"], ["2", "enter"], ["3", "enter"], ["4", "enter"], ["5"], ["p"], ["H"]])
async def test_nothing_moves_while_the_screen_is_held(stack: Stack, clock: Clock, keys: list[str]) -> None:
    app = console(stack, clock)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press(*keys)
        await settle(pilot)
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, ConsoleScreen)
        await pilot.press("space")
        await settle(pilot)
        held = painted(app)
        gone = msgspec.structs.replace(stack.degraded(), ollama=(), providers=scenes.absent("none"))
        app.snapshot = gone  # as the clock of a live console takes it from the monitor
        app.publish(app.snapshot)
        clock.now += 3_600
        app.clock_signal.publish(clock.now)
        await settle(pilot)
        assert painted(app) == held


@pytest.mark.parametrize(("key", "kind"), [("1", ModelScreen), ("4", ProviderScreen)])
async def test_a_screen_that_is_let_go_shows_what_is_so_now(
    stack: Stack, clock: Clock, key: str, kind: type[ConsoleScreen[None]]
) -> None:
    app = console(stack, clock)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press(key, "enter")
        await settle(pilot)
        assert isinstance(app.screen, kind)
        await pilot.press("space")
        held = painted(app)
        changed = stack.healthy()
        app.publish(msgspec.structs.replace(changed, ollama=(), providers=scenes.absent("none")))
        await pilot.pause()
        assert painted(app) == held
        await pilot.press("space")
        await settle(pilot)
        assert painted(app) != held


async def test_the_held_dashboard_tells_the_time_and_no_new_trouble(stack: Stack, clock: Clock) -> None:
    """A value that is held gets old; that is no news of the stack."""
    app = console(stack, clock)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("space")
        await pilot.pause()
        before = painted(app).splitlines()
        assert "⏸ paused" in before[0]
        clock.now += 3_600
        app.clock_signal.publish(clock.now)
        await pilot.pause()
        after = painted(app).splitlines()
        assert after[1:] == before[1:]
        assert "05:05:00" in after[0]
        assert after[0].split("next")[0].split("tick")[0].strip() == before[0].split("next")[0].split("tick")[0].strip()
        assert app.screen is dashboard(app)
