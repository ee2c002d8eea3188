"""The keys of DESIGN §7, typed into a real process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.console import CTRL_P, CTRL_T, DOWN, ENTER, ESCAPE, SPACE, TAB, Console
from e2e.fake_pull import PullServer
from e2e.homes import usual_home

PANES = ("1 Models", "2 Sessions", "3 Heartbeat", "4 Providers")


@pytest.fixture
def server() -> Iterator[PullServer]:
    with PullServer(installed=["hermes4:14b", "qwen3:8b", "big-cloud:latest"], loaded=["hermes4:14b"]) as server:
        yield server


@pytest.fixture
def console(tmp_path: Path, server: PullServer) -> Iterator[Console]:
    home = usual_home(tmp_path / "home", server.url)
    with Console(home.env) as console:
        console.wait_for(*PANES, "hermes4:14b", "big-cloud", "morning report", "closed")
        yield console
        assert console.stop() == 0
        assert "Traceback" not in console.output


def panes(text: str) -> list[str]:
    return [title for title in PANES if title in text]


def test_panes_are_reached_by_number_and_zoomed(console: Console) -> None:
    for title in PANES:
        console.press(title[0], "z")
        console.wait_until(lambda text, only=title: panes(text) == [only], f"only {title}")
        console.press("z")
        console.wait_for(*PANES)
    console.press("1", TAB, "z")
    console.wait_until(lambda text: panes(text) == ["2 Sessions"], "the pane after the first")
    console.press("3")
    console.wait_until(lambda text: panes(text) == ["3 Heartbeat"], "the zoom to follow")
    console.press(ESCAPE)
    console.wait_for(*PANES)


def test_the_cursor_moves_and_enter_opens(console: Console) -> None:
    console.press("j", ENTER)
    console.wait_for("─ qwen3:8b ─", "On disk")
    console.press(ESCAPE)
    console.wait_for(*PANES)
    console.press("g", ENTER)
    console.wait_for("─ hermes4:14b ─", "In memory")
    console.press(ESCAPE)
    console.wait_for(*PANES)
    console.press("G", "k", "k", ENTER)
    console.wait_for("─ hermes4:14b ─", "In memory")
    console.press(ESCAPE)
    console.wait_for(*PANES)
    console.press("2", ENTER)
    console.wait_for("morning report", "How is the disk?", "The disk is fine.")
    console.press(ESCAPE)
    console.wait_for(*PANES)


def test_a_filter_is_typed_kept_and_cleared(console: Console) -> None:
    console.press("/", "qwen")
    console.wait_gone("big-cloud")
    console.press(ENTER)
    console.wait_for("/qwen", "zoom")
    console.press(ESCAPE)
    console.wait_for("big-cloud")


def test_letters_typed_ahead_are_never_commands(console: Console) -> None:
    """Over a slow line ``/quiz`` arrives in one packet: its q must not quit."""
    console.press("2/quiz")
    console.wait_for("No session matches “quiz”")
    console.press(ESCAPE)
    console.wait_for("morning report")


def test_space_holds_the_screen_still(console: Console, server: PullServer) -> None:
    console.press(SPACE)
    console.wait_for("⏸ paused")
    server.installed.append("newcomer:1b")
    console.press("\x12")
    console.wait_for("Asking every source")
    assert "newcomer" not in console.text
    console.press(SPACE)
    console.wait_for("newcomer:1b")
    console.wait_gone("⏸")


def test_theme_help_and_palette(console: Console) -> None:
    console.press(CTRL_T)
    console.wait_for("Theme: timmy-light")
    console.press("?")
    console.wait_for("Models pane", "Everywhere")
    console.press(ESCAPE)
    console.wait_for(*PANES)
    for key in (":", CTRL_P):
        console.press(key)
        console.wait_for("Search for commands")
        console.press(ESCAPE)
        console.wait_gone("Search for commands")
    console.press(":")
    console.wait_for("Search for commands")
    console.press("history")
    console.wait_for("Every tick of every day")
    console.press(DOWN, ENTER)
    console.wait_for("Every tick", "6 ticks")
    console.press(ESCAPE)
    console.wait_for(*PANES)


def test_a_pull_shows_its_bar_and_then_the_model(console: Console, server: PullServer) -> None:
    console.press("P")
    console.wait_for("Pull a model")
    console.press("tiny:1b")
    console.wait_for("tiny:1b")
    console.press(ENTER)
    console.wait_for("tiny:1b", "50 %", "1.0/2.0 GB")
    server.go_on.set()
    console.wait_for("○ tiny:1b", "on disk")
    console.wait_gone("50 %")
    assert ("/api/pull", "tiny:1b") in [(path, request["model"]) for path, request in server.asked]


def test_only_y_unloads(console: Console, server: PullServer) -> None:
    console.press("x")
    console.wait_for("Unload hermes4:14b")
    console.press(ENTER, SPACE, "q")
    console.press("n")
    console.wait_gone("Unload hermes4:14b")
    assert server.asked == []
    console.press("x")
    console.wait_for("Unload hermes4:14b")
    console.press("y")
    console.wait_for("○ hermes4:14b")
    assert [request["keep_alive"] for path, request in server.asked if path == "/api/generate"] == [0]


def test_load_works_here_and_refuses_the_cloud(console: Console, server: PullServer) -> None:
    console.press("G", "l")
    console.wait_for("runs in the cloud")
    assert server.asked == []
    console.press("g", "j", "l")
    console.wait_for("● qwen3:8b")
    assert [request["model"] for path, request in server.asked if path == "/api/generate"] == ["qwen3:8b"]
