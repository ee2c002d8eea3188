"""How the screens look. After a change that is meant: look at the pictures, then ``make snapshots``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from screens import scenes
from screens.scenes import NOW, Stack
from textual.pilot import Pilot

from timmy_tui.app import TimmyApp
from timmy_tui.screens import setup
from timmy_tui.services.demo.ollama_server import OllamaServer
from timmy_tui.services.demo.ollama_world import world_at
from timmy_tui.services.doctor.findings import finding
from timmy_tui.services.snapshot import Snapshot

SIZES = [(200, 60), (120, 40), (80, 24), (50, 40)]
SCREEN_SIZES = [(120, 40), (80, 24)]
Compare = Callable[..., bool]


def named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def showing(
    *snapshots: Snapshot, keys: tuple[str, ...] = (), then: Callable[[TimmyApp], None] | None = None
) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Publish the snapshots, press the keys, and wait until everything that was started is drawn."""

    async def run(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, TimmyApp)
        for snapshot in snapshots:
            app.publish(snapshot)
            await pilot.pause()
        if then is not None:
            then(app)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            await app.workers.wait_for_complete()
        await app.workers.wait_for_complete()
        await pilot.pause()

    return run


@pytest.mark.parametrize("size", SIZES, ids=named)
@pytest.mark.parametrize("scene", ["opening", "healthy", "degraded", "nothing_found", "hostile"])
def test_dashboard(snap_compare: Compare, stack: Stack, tmp_path: Path, scene: str, size: tuple[int, int]) -> None:
    snapshots = {
        "opening": lambda: [Snapshot(host=scenes.HOST, ollama=(scenes.server(reading=scenes.Reading()),))],
        "healthy": lambda: [stack.healthy()],
        "degraded": lambda: [stack.healthy(), stack.degraded()],
        "nothing_found": lambda: [scenes.nothing_found()],
        "hostile": lambda: [scenes.hostile(tmp_path / "hostile")],
    }[scene]()
    app = scenes.console(stack.env)
    assert snap_compare(app, terminal_size=size, run_before=showing(*snapshots))


@pytest.mark.parametrize("theme", ["timmy-light", "timmy-contrast", "ansi-dark", "ansi-light", "nord"])
def test_theme(snap_compare: Compare, stack: Stack, theme: str) -> None:
    app = scenes.console(stack.env, theme=theme)
    assert snap_compare(app, terminal_size=(120, 40), run_before=showing(stack.healthy(), stack.degraded()))


def test_ascii(snap_compare: Compare, stack: Stack) -> None:
    app = scenes.console(stack.env, ascii=True)
    assert snap_compare(app, terminal_size=(120, 40), run_before=showing(stack.healthy(), stack.degraded()))


@pytest.mark.parametrize("size", SCREEN_SIZES, ids=named)
@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(("3", "j", "enter"), id="tick"),
        pytest.param(("2", "j", "enter"), id="session"),
        pytest.param(("4", "j", "j", "enter"), id="provider"),
        pytest.param(("question_mark",), id="help"),
        pytest.param(("H", "j", "j"), id="history"),
        pytest.param(("S", "d", "i", "s", "k", "down"), id="search"),
        pytest.param(("5",), id="activity"),
        pytest.param(("3", "z"), id="zoomed"),
        pytest.param(("2", "slash", "c", "l", "i"), id="filtered"),
    ],
)
def test_screen(snap_compare: Compare, stack: Stack, keys: tuple[str, ...], size: tuple[int, int]) -> None:
    app = scenes.console(stack.env)
    before = showing(stack.healthy(), stack.degraded(), keys=keys)
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SCREEN_SIZES, ids=named)
def test_question(snap_compare: Compare, stack: Stack, size: tuple[int, int]) -> None:
    """Pressed by the picture itself: the worker behind the question waits for its answer."""
    app = scenes.console(stack.env)
    assert snap_compare(app, press=["x"], terminal_size=size, run_before=showing(stack.healthy()))


@pytest.mark.parametrize("size", SCREEN_SIZES, ids=named)
def test_model(snap_compare: Compare, stack: Stack, size: tuple[int, int]) -> None:
    server = OllamaServer(world_at(NOW), clock=scenes.at_now)
    server.start("test-ollama")
    try:
        app = scenes.console({**stack.env, "OLLAMA_HOST": f"http://127.0.0.1:{server.port}"})
        before = showing(stack.healthy(), keys=("enter",))
        assert snap_compare(app, terminal_size=size, run_before=before)
    finally:
        server.stop()


@pytest.mark.parametrize("size", SCREEN_SIZES, ids=named)
def test_setup(snap_compare: Compare, stack: Stack, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    """The doctor's findings are of this machine, so here they are given."""

    async def examined(*_of: object) -> tuple[object, ...]:
        return (
            finding("python", "ok", "3.11.9"),
            finding("ollama local", "broken", f"does not answer at {scenes.URL}", "ollama serve"),
            finding("hermes store", "missing", "no state.db below ~/.hermes", "hermes"),
            finding("worker", "missing", "no worker runs on this machine, so nobody makes ticks", "timmy-tui worker"),
            finding("terminal", "note", "256 colours; the light theme is timmy-light"),
        )

    monkeypatch.setattr(setup, "examine", examined)
    app = scenes.console(stack.env)
    before = showing(scenes.nothing_found(), then=TimmyApp.action_setup)
    assert snap_compare(app, terminal_size=size, run_before=before)
