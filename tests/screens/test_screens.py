"""The screens behind the dashboard: each opens with the right thing, and escape goes back to where one was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from screens import scenes
from screens.scenes import NOW, Stack
from screens.test_dashboard import SIZE, dashboard, open_with, painted, settle, toasts
from textual.binding import BindingsMap
from textual.widgets import Input

from timmy_tui import themes
from timmy_tui.app import TimmyApp
from timmy_tui.screens.dashboard import DashboardScreen
from timmy_tui.screens.dialogs import ConfirmDialog
from timmy_tui.screens.help import known_binding_ids
from timmy_tui.screens.history import HistoryScreen
from timmy_tui.screens.search import SearchScreen
from timmy_tui.screens.tick import TickScreen
from timmy_tui.services.demo.ollama_server import OllamaServer
from timmy_tui.services.demo.ollama_world import OllamaWorld, world_at
from timmy_tui.widgets.line import plain
from timmy_tui.widgets.reader import Reader


@pytest.fixture
def world() -> OllamaWorld:
    return world_at(NOW)


@pytest.fixture
def live_env(stack: Stack, world: OllamaWorld) -> Iterator[dict[str, str]]:
    """The demo home with a simulated Ollama that answers, on a clock that stands."""
    server = OllamaServer(world, speed=1000, clock=scenes.at_now)
    server.start("test-ollama")
    yield {**stack.env, "OLLAMA_HOST": f"http://127.0.0.1:{server.port}"}
    server.stop()


def reader_text(app: TimmyApp) -> str:
    """The whole text of the screen's reader, what is out of view too."""
    reader = app.screen.query_one("#reader", Reader)
    return "\n".join(plain(content) for content in reader._content(reader.size.width - 4))


@pytest.mark.parametrize(
    ("pane", "screen", "says"),
    [
        ("1", "ModelScreen", "qwen2.5-coder:7b"),
        ("2", "SessionScreen", "hermes4:14b (unknown)"),
        ("3", "TickScreen", "All services answer"),
        ("4", "ProviderScreen", "Probes of this console"),
    ],
)
async def test_enter_opens_the_row_and_escape_returns_to_it(
    live_env: dict[str, str], stack: Stack, pane: str, screen: str, says: str
) -> None:
    app = scenes.console(live_env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press(pane)
        focused = app.focused
        await pilot.press("enter")
        await settle(pilot)
        assert type(app.screen).__name__ == screen
        assert says in painted(app) + reader_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)
        assert app.focused is focused


async def test_a_model_shows_where_it_sits_and_how_it_was_made(live_env: dict[str, str], stack: Stack) -> None:
    app = scenes.console(live_env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("enter")
        await settle(pilot)
        text = reader_text(app)
        for part in ("31%/69% CPU/GPU", "forever", "Q4_K_M", "num_ctx", "Apache License"):
            assert part in text


async def test_a_session_shows_its_messages_and_tools(stack: Stack) -> None:
    app = scenes.console(stack.env)
    titled = next(session for session in stack.hermes.sessions if session.title and session.tool_call_count)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        dashboard(app).open_session(titled.id)
        await settle(pilot)
        text = reader_text(app)
        assert titled.id in text
        assert "assistant" in text
        assert "→" in text


async def test_a_session_that_is_gone_says_so(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        dashboard(app).open_session("nothing")
        await settle(pilot)
        assert "No session nothing" in reader_text(app)


async def test_a_text_is_searched_and_the_search_dropped_first(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("3", "enter")
        await settle(pilot)
        await pilot.press("slash", *"atte")
        await pilot.press("enter")
        await pilot.pause()
        reader = app.screen.query_one("#reader", Reader)
        assert app.focused is reader
        assert any(span.role == "match" for content in reader.lines for span in content)
        await pilot.press("escape")
        assert isinstance(app.screen, TickScreen)
        assert not any(span.role == "match" for content in reader.lines for span in content)
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)


async def test_a_reader_scrolls_to_its_ends(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("3", "enter")
        await settle(pilot)
        reader = app.screen.query_one("#reader", Reader)
        tops = []
        for key in ("j", "G", "j", "k", "g", "pagedown", "pageup", "k"):
            await pilot.press(key)
            tops.append(reader._top)
        last = tops[1]
        assert tops[:5] == [1, last, last, last - 1, 0]
        assert tops[5] > 1
        assert tops[6:] == [0, 0]


async def test_brackets_walk_through_the_ticks(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("3", "enter")
        await settle(pilot)
        seen = []
        for key in ("left_square_bracket", "left_square_bracket", "right_square_bracket"):
            await pilot.press(key)
            await settle(pilot)
            seen.append(next(head.tick_id for head in stack.heartbeat.recent if head.tick_id in reader_text(app)))
        recent = [head.tick_id for head in stack.heartbeat.recent]
        assert seen == [recent[-2], recent[-3], recent[-2]]
        await pilot.press("right_square_bracket", "right_square_bracket")
        await settle(pilot)
        await pilot.press("right_square_bracket")
        assert any("No tick there" in text for text in toasts(app))


async def test_a_tick_marks_what_changed(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("3", "enter")
        await settle(pilot)
        assert "≠" in painted(app)
        assert "→" in painted(app)


async def test_the_history_holds_every_tick_of_every_day(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("H")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, HistoryScreen)
        lines = sum(path.read_bytes().count(b"\n") for path in app.settings.heartbeat_dir.glob("ticks_*.jsonl"))
        assert len(screen.ticks.keys()) == lines > 300
        assert f"{lines:,} ticks" in painted(app)
        await pilot.press("G")
        oldest = sorted(app.settings.heartbeat_dir.glob("ticks_*.jsonl"))[0]
        day = oldest.stem.removeprefix("ticks_")
        assert f"{day[:4]}-{day[4:6]}-{day[6:]}" in painted(app)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, TickScreen)
        assert day in reader_text(app)
        await pilot.press("escape", "escape")
        assert isinstance(app.screen, DashboardScreen)


async def test_the_history_of_nothing_is_no_error(tmp_path: Path) -> None:
    app = scenes.console({"HOME": str(tmp_path), "PATH": ""})
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, scenes.nothing_found())
        await pilot.press("H")
        await settle(pilot)
        assert "No tick in the log yet." in painted(app)


async def test_a_search_finds_messages_and_opens_their_session(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("S")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await pilot.press("d")
        assert "Type at least two letters." in painted(app)
        await pilot.press(*"isk")
        await settle(pilot)
        found = len(screen.hits.keys())
        assert found > 0
        assert f"{found} found" in painted(app)
        await pilot.press("enter", "enter")
        await settle(pilot)
        assert type(app.screen).__name__ == "SessionScreen"
        assert app.screen.query_one("#reader", Reader).find_text == "disk"


async def test_a_search_for_nothing_and_for_syntax_is_no_error(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("S")
        await pilot.pause()
        wanted = app.screen.query_one("#wanted", Input)
        for text in ("zzzz", 'a" OR "', "NEAR(", "%__", "[/]"):
            wanted.value = text
            await pilot.pause()
            await settle(pilot)
            assert isinstance(app.screen, SearchScreen)
            assert "No message holds that." in painted(app) or len(app.screen.hits.keys())


async def test_a_search_without_a_store_says_so(tmp_path: Path) -> None:
    app = scenes.console({"HOME": str(tmp_path), "PATH": ""})
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, scenes.nothing_found())
        await pilot.press("S", *"di")
        await settle(pilot)
        assert "Hermes" in painted(app).splitlines()[2]


async def test_help_lists_every_key_of_the_screen(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        screen, focused = app.screen, app.focused
        assert focused is not None
        await pilot.press("question_mark")
        await pilot.pause()
        text = reader_text(app)
        for owner in (focused, screen, app):
            ids = {binding.id for _, binding in BindingsMap(owner.BINDINGS) if binding.id}
            assert ids
            assert {name for name in ids if name not in text} == set()
        await pilot.press("question_mark")
        assert type(app.screen).__name__ == "HelpScreen"
        await pilot.press("escape")
        assert app.screen is screen


@pytest.mark.parametrize("keys", [["H"], ["S", "tab"], ["3", "enter"], ["1", "enter"], ["5"], ["4", "enter"]])
async def test_every_key_of_every_screen_can_be_rebound(stack: Stack, keys: list[str]) -> None:
    """An id that the help shows is an id that ``keys:`` takes."""
    known = known_binding_ids(TimmyApp)
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        shown = {active.binding.id for active in app.screen.active_bindings.values() if active.binding.id}
        assert shown
        assert shown <= known


async def test_a_key_of_the_configuration_replaces_ours(stack: Stack) -> None:
    app = scenes.console(stack.env, keys={"zoom": "ctrl+f", "history": "T,f5"})
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("z")
        assert app.screen.maximized is None
        await pilot.press("ctrl+f")
        assert app.screen.maximized is not None
        await pilot.press("ctrl+f", "f5")
        await settle(pilot)
        assert isinstance(app.screen, HistoryScreen)
        assert toasts(app) == []


async def test_a_replaced_key_shows_in_the_help(stack: Stack) -> None:
    app = scenes.console(stack.env, keys={"zoom": "ctrl+f"})
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("question_mark")
        await pilot.pause()
        zoom = next(row for row in reader_text(app).splitlines() if row.rstrip().endswith("  zoom"))
        assert zoom.startswith("^f")


async def test_ctrl_t_goes_round_the_themes(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, stack.healthy())
        seen = [app.theme]
        for _ in themes.CYCLE:
            await pilot.press("ctrl+t")
            await pilot.pause()
            seen.append(app.theme)
            assert "1 Models" in painted(app)
        assert seen == [*themes.CYCLE, themes.CYCLE[0]]
        assert "Theme: ansi-dark" in toasts(app)


async def test_every_theme_of_textual_has_our_variables(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        for name in app.available_themes:
            app.theme = name
            await pilot.pause()
        assert app.is_running


@pytest.mark.parametrize("name", themes.CYCLE)
async def test_a_theme_of_the_configuration_is_in_force(stack: Stack, name: str) -> None:
    assert scenes.console(stack.env, theme=name).theme == name


async def test_an_unknown_theme_falls_back(stack: Stack) -> None:
    assert scenes.console(stack.env, theme="no-such-theme").theme == "timmy-dark"


@pytest.mark.parametrize(("keys", "left"), [(["n"], True), (["escape"], True), (["enter", "n"], True), (["y"], False)])
async def test_unload_asks_and_only_y_does_it(
    live_env: dict[str, str], stack: Stack, world: OllamaWorld, keys: list[str], left: bool
) -> None:
    app = scenes.console(live_env)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("x")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        assert "Unload qwen2.5-coder:7b from memory?" in painted(app)
        for key in keys:
            await pilot.press(key)
            if key == "enter":
                assert isinstance(app.screen, ConfirmDialog)
        await settle(pilot)
        assert isinstance(app.screen, DashboardScreen)
        assert world.is_loaded("qwen2.5-coder:7b", NOW + 10) == left
        assert ("qwen2.5-coder:7b: unload asked for" in toasts(app)) != left


async def test_load_and_keep_do_what_they_say(live_env: dict[str, str], stack: Stack, world: OllamaWorld) -> None:
    app = scenes.console(live_env)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("j", "j", "l")
        await settle(pilot)
        assert world.is_loaded("llama3.2:3b", NOW)
        await pilot.press("k", "K")
        await settle(pilot)
        assert "hermes4:14b is kept until you unload it" in toasts(app)
        assert world.is_loaded("hermes4:14b", NOW + 1_000_000)


async def test_a_model_that_is_not_loaded_or_not_here_is_not_unloaded(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("j", "j", "x", "G", "x", "l", "K")
        await settle(pilot)
        assert isinstance(app.screen, DashboardScreen)
        assert toasts(app)[0] == "llama3.2:3b is not loaded."
        assert len([text for text in toasts(app) if "runs in the cloud" in text]) == 3


async def test_an_action_that_fails_says_why_and_what_to_do(stack: Stack) -> None:
    app = scenes.console({**stack.env, "OLLAMA_HOST": "http://127.0.0.1:9"})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("l")
        await settle(pilot)
        assert any("qwen2.5-coder:7b: " in text and "does not answer" in text for text in toasts(app))
        assert app.model_work.busy == {}


async def test_a_pull_asks_for_the_name_and_shows_how_far_it_is(
    live_env: dict[str, str], stack: Stack, world: OllamaWorld
) -> None:
    app = scenes.console(live_env)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("P")
        await pilot.pause()
        app.screen.query_one(Input).value = "tiny:1b"
        await pilot.press("enter")
        await settle(pilot)
        assert "tiny:1b is here." in toasts(app)
        assert world.find("tiny:1b")
        assert app.model_work.pulls == {}


async def test_a_pull_without_a_name_is_none(live_env: dict[str, str], stack: Stack) -> None:
    app = scenes.console(live_env)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("P", "escape")
        await settle(pilot)
        await pilot.press("P", "enter")
        await settle(pilot)
        assert isinstance(app.screen, DashboardScreen)
        assert toasts(app) == []


async def test_setup_says_what_is_here_and_what_is_missing(tmp_path: Path) -> None:
    app = scenes.console({"HOME": str(tmp_path), "PATH": "", "OLLAMA_HOST": "http://127.0.0.1:9"})
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, scenes.nothing_found())
        app.action_setup()
        await settle(pilot)
        assert "ollama" in reader_text(app).casefold()
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)


async def test_the_palette_opens_every_screen(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Help", "Search", "History", "Activity", "Setup", "Theme: next", "Quit"} <= titles
        await pilot.press("colon")
        await pilot.pause()
        assert type(app.screen).__name__ == "CommandPalette"
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)


async def test_q_leaves(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("q")
        await pilot.pause()
    assert app.return_code == 0


@pytest.mark.parametrize("keys", [["H"], ["S"], ["3", "enter"], ["1", "enter"], ["question_mark"], ["x"]])
async def test_every_screen_survives_every_size(stack: Stack, keys: list[str]) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press(*keys)
        await pilot.pause()
        for size in ((1, 1), (10, 3), (39, 11), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await open_with(pilot, stack.degraded())
        assert app.is_running


async def test_screens_above_the_dashboard_leave_it_up_to_date(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("H")
        await open_with(pilot, stack.degraded())
        await settle(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert "Ollama does not answer" in painted(app)


async def test_hostile_names_reach_the_screen_as_letters(stack: Stack, tmp_path: Path) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=(200, 60), notifications=True) as pilot:
        await open_with(pilot, scenes.hostile(tmp_path / "hostile"))
        for key in ("1", "2", "3", "4"):
            await pilot.press(key, "z")
            for move in ("j", "pagedown", "G"):
                await pilot.press(move)
                await pilot.pause()
                text = painted(app).replace("\n", "")
                assert all(sign.isprintable() for sign in text)
                assert "\ufffd" not in text, "the last wall had to replace what a service let through"
            await pilot.press("z")
