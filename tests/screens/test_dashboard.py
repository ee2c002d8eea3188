"""The dashboard under an operator's hands: keys, cursor, zoom, filter, pause, mouse and size."""

from __future__ import annotations

import re

import msgspec
import pytest
import snapshot_maker as maker
from screens import scenes
from screens.scenes import NOW, Stack
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot

from timmy_tui.app import TimmyApp
from timmy_tui.screens.dashboard import DashboardScreen
from timmy_tui.services.ollama.records import OllamaReading
from timmy_tui.widgets.line import plain
from timmy_tui.widgets.lines_view import LinesView
from timmy_tui.widgets.pane import Pane

SIZE = (120, 40)


def dashboard(app: TimmyApp) -> DashboardScreen:
    screen = app.screen
    assert isinstance(screen, DashboardScreen)
    return screen


def shown(view: LinesView) -> str:
    """The text of one widget."""
    return "\n".join(plain(content) for content in view.lines)


def painted(app: TimmyApp) -> str:
    """The whole screen as it would reach the terminal."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def toasts(app: TimmyApp) -> list[str]:
    return [notification.message for notification in app._notifications]


async def open_with(pilot: Pilot[None], snapshot: object) -> TimmyApp:
    """Publish a snapshot and let it be drawn."""
    app = pilot.app
    assert isinstance(app, TimmyApp)
    app.publish(snapshot)  # type: ignore[arg-type]
    await pilot.pause()
    return app


async def settle(pilot: Pilot[None]) -> None:
    """Until what was started in the background is done and drawn."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


@pytest.mark.parametrize(("key", "name"), [("1", "models"), ("2", "sessions"), ("3", "heartbeat"), ("4", "providers")])
async def test_a_number_goes_to_its_pane(stack: Stack, key: str, name: str) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("2" if key != "2" else "1", key)
        assert app.focused is app.screen.query_one(f"#{name}")


async def test_tab_walks_round_the_panes(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        seen = []
        for _ in range(5):
            seen.append(app.focused.id if app.focused else None)
            await pilot.press("tab")
        assert seen == ["models", "sessions", "heartbeat", "providers", "models"]
        await pilot.press("shift+tab")
        assert app.focused is not None
        assert app.focused.id == "models"


async def test_j_k_g_and_G_move_the_cursor_and_stop_at_the_ends(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        models = dashboard(app).models
        keys = list(models.keys())
        where = []
        for key in ("j", "down", "k", "k", "k", "G", "j", "g", "end", "home", "up"):
            await pilot.press(key)
            where.append(keys.index(models.cursor_here() or ""))
        last = len(keys) - 1
        assert where == [1, 2, 1, 0, 0, last, last, 0, last, 0, 0]


async def test_the_row_under_the_cursor_is_always_in_view(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("2")
        sessions = dashboard(app).sessions
        for key in ["G", "pageup", "g", "pagedown", "pagedown", "k", "k"]:
            await pilot.press(key)
            assert sessions.cursor_here() in sessions._rows_at.values()
            assert any(span.role.endswith("!") for content in sessions.lines for span in content)


async def test_the_number_of_rows_below_is_told(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        sessions = dashboard(app).sessions
        in_view = len(set(sessions._rows_at.values()))
        assert f"▾ {len(sessions.keys()) - in_view} more" in shown(sessions)
        await pilot.press("2", "G")
        assert "more" not in plain(sessions.lines[-1])


async def test_zoom_fills_the_screen_and_keeps_the_focus(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("2", "j", "j")
        sessions = dashboard(app).sessions
        before, key = sessions.size, sessions.cursor_here()
        await pilot.press("z")
        await pilot.pause()
        assert sessions.size.width == SIZE[0]
        assert sessions.size.height > before.height
        assert (app.focused, sessions.cursor_here()) == (sessions, key)
        await pilot.press("z")
        await pilot.pause()
        assert (sessions.size, app.focused, sessions.cursor_here()) == (before, sessions, key)


async def test_a_number_in_the_zoom_zooms_that_pane(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("z", "3")
        await pilot.pause()
        screen = dashboard(app)
        assert screen.maximized is screen.heartbeat
        assert app.focused is screen.heartbeat
        await pilot.press("escape")
        await pilot.pause()
        assert screen.maximized is None
        assert app.focused is screen.heartbeat


async def test_nothing_behind_a_zoomed_pane_is_old_when_it_is_back(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("z")
        await open_with(pilot, stack.degraded())
        assert "Ollama does not answer" in painted(app)
        await pilot.press("z")
        await pilot.pause()
        text = painted(app)
        assert "locked by another program" in text
        assert "✖ critical" in text
        assert "worker stuck" in text


async def test_a_filter_narrows_the_pane_and_escape_clears_it(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        models = dashboard(app).models
        everything = len(models.keys())
        await pilot.press("slash", *"CODER")
        assert len(models.keys()) == 2
        assert "/CODER" in shown(models)
        await pilot.press("enter")
        await pilot.pause()
        assert app.focused is models
        assert len(models.keys()) == 2
        assert not app.screen.query("#filter-line")
        await pilot.press("escape")
        assert len(models.keys()) == everything


async def test_escape_in_the_filter_line_drops_what_was_typed(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        sessions = dashboard(app).sessions
        everything = len(sessions.keys())
        await pilot.press("2", "slash", *"zzz")
        assert "No session matches" in shown(sessions)
        await pilot.press("escape")
        await pilot.pause()
        assert app.focused is sessions
        assert (sessions.filter_text, len(sessions.keys())) == ("", everything)


async def test_a_filter_opens_with_what_it_was_and_holds_through_a_refresh(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        heartbeat = dashboard(app).heartbeat
        await pilot.press("3", "slash", *"crit", "enter")
        found = len(heartbeat.keys())
        assert 0 < found < 10
        await open_with(pilot, stack.degraded())
        assert len(heartbeat.keys()) == found
        await pilot.press("slash")
        await pilot.pause()
        assert app.screen.query_one("#filter-line").value == "crit"  # type: ignore[attr-defined]


async def test_keys_of_the_console_are_letters_in_the_filter_line(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("slash", *"qz1")
        await pilot.pause()
        assert dashboard(app).models.filter_text == "qz1"
        assert app.is_running


async def test_a_filter_with_markup_is_plain_text(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press("slash", "[", "slash", "]")
        await pilot.pause()
        assert "No model matches “[/]”." in shown(dashboard(app).models)


async def test_pause_holds_the_panes_and_says_so(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        held = shown(dashboard(app).models)
        await pilot.press("space")
        assert "⏸ paused" in shown(dashboard(app).header)
        await open_with(pilot, stack.degraded())
        app.clock_signal.publish(NOW + 1)
        await pilot.pause()
        assert shown(dashboard(app).models) == held
        await pilot.press("space")
        await pilot.pause()
        assert "paused" not in shown(dashboard(app).header)
        assert "Ollama does not answer" in shown(dashboard(app).models)


async def test_the_cursor_stays_on_its_model_when_the_rows_move(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        before = stack.healthy()
        await open_with(pilot, before)
        models = dashboard(app).models
        await pilot.press("j", "j", "j")
        chosen = models.selected()
        assert chosen is not None
        value = stack.ollama
        loaded = maker.loaded("a-new-model")
        moved = msgspec.structs.replace(value, loaded=(loaded, *value.loaded), installed=value.installed[::-1])
        await open_with(pilot, msgspec.structs.replace(before, ollama=(scenes.server(moved),)))
        after = models.selected()
        assert after is not None
        assert after.name == chosen.name
        assert models.keys().index(models.cursor_here() or "") > 3


async def test_a_cursor_whose_row_is_gone_is_on_another_one(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        before = stack.healthy()
        await open_with(pilot, before)
        models = dashboard(app).models
        await pilot.press("G")
        empty = OllamaReading("1", 1.0, stack.ollama.installed[:1], ())
        await open_with(pilot, msgspec.structs.replace(before, ollama=(scenes.server(empty),)))
        chosen = models.selected()
        assert chosen is not None
        assert chosen.name == stack.ollama.installed[0].name
        await open_with(pilot, scenes.nothing_found())
        assert models.selected() is None
        await pilot.press("j", "enter", "x", "l")
        assert isinstance(app.screen, DashboardScreen)


async def test_the_newest_tick_is_selected_while_the_operator_follows(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        before = msgspec.structs.replace(stack.healthy(), heartbeat=scenes.fresh(stack.ticks_until(-2)))
        await open_with(pilot, before)
        heartbeat = dashboard(app).heartbeat
        first = heartbeat.selected()
        await open_with(pilot, stack.healthy())
        newest = heartbeat.selected()
        assert first is not None
        assert newest is not None
        assert (first.tick_id, newest.tick_id) == (
            stack.heartbeat.recent[-2].tick_id,
            stack.heartbeat.recent[-1].tick_id,
        )


async def test_a_new_tick_does_not_take_the_cursor_away(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        before = msgspec.structs.replace(stack.healthy(), heartbeat=scenes.fresh(stack.ticks_until(-2)))
        await open_with(pilot, before)
        heartbeat = dashboard(app).heartbeat
        await pilot.press("3", "j", "j")
        chosen = heartbeat.selected()
        await open_with(pilot, stack.healthy())
        assert heartbeat.selected() == chosen
        await pilot.press("g")
        await open_with(pilot, before)
        await open_with(pilot, stack.healthy())
        following = heartbeat.selected()
        assert following is not None
        assert following.tick_id == stack.heartbeat.recent[-1].tick_id


async def test_the_selected_tick_is_read_in_full(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        heartbeat = dashboard(app).heartbeat
        await pilot.press("3", *"jjjjj")
        await settle(pilot)
        head = heartbeat.selected()
        assert head is not None
        whole = stack.heartbeat_store.load(head.place)
        assert whole.decision is not None
        assert " ".join(whole.decision.reasoning.split()) in " ".join(shown(heartbeat).replace("│", " ").split())


async def test_a_double_click_opens_what_it_hit(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        models = dashboard(app).models
        row, key = next((row, key) for row, key in models._rows_at.items() if "gemma3" in key)
        await pilot.click("#models", offset=(5, row))
        assert models.cursor_here() == key
        assert isinstance(app.screen, DashboardScreen)
        await pilot.double_click("#models", offset=(5, row))
        await settle(pilot)
        assert type(app.screen).__name__ == "ModelScreen"


async def test_a_click_on_a_frame_or_a_head_is_nothing(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        models = dashboard(app).models
        await pilot.press("j")
        key = models.cursor_here()
        await pilot.double_click("#models", offset=(5, 0))
        await pilot.double_click("#models", offset=(5, 1))
        assert models.cursor_here() == key
        assert isinstance(app.screen, DashboardScreen)


async def test_the_wheel_moves_the_cursor(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        sessions = dashboard(app).sessions
        keys = sessions.keys()
        await pilot._post_mouse_events([MouseScrollDown], widget="#sessions", offset=(5, 5))
        await pilot._post_mouse_events([MouseScrollDown], widget="#sessions", offset=(5, 5))
        assert sessions.cursor_here() == keys[2]
        await pilot._post_mouse_events([MouseScrollUp], widget="#sessions", offset=(5, 5))
        assert sessions.cursor_here() == keys[1]


@pytest.mark.parametrize("size", [(1, 1), (39, 11), (39, 40), (120, 11)])
async def test_a_terminal_that_is_too_small_says_so_and_comes_back(stack: Stack, size: tuple[int, int]) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        before = painted(app)
        await pilot.resize_terminal(*size)
        await pilot.pause()
        if size != (1, 1):
            assert "40 × 12" in painted(app)
        await pilot.resize_terminal(*SIZE)
        await pilot.pause()
        await pilot.pause()
        assert painted(app) == before


async def test_what_came_while_the_terminal_was_too_small_shows_when_it_is_not(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.resize_terminal(20, 5)
        await pilot.pause()
        await open_with(pilot, stack.degraded())
        await pilot.resize_terminal(*SIZE)
        await pilot.pause()
        await pilot.pause()
        text = painted(app)
        assert "locked by another program" in text
        assert "✖ critical" in text


async def test_the_smallest_size_shows_every_pane(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=(40, 12)) as pilot:
        await open_with(pilot, stack.healthy())
        text = painted(app)
        assert "too small" not in text
        assert "1 Models" in text
        assert all(len(row) <= 40 for row in text.splitlines())


@pytest.mark.parametrize("size", [(200, 60), (120, 40), (80, 24), (50, 40), (40, 12)])
@pytest.mark.parametrize("scene", ["healthy", "degraded"])
async def test_no_pane_is_wider_than_its_frame(stack: Stack, size: tuple[int, int], scene: str) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=size) as pilot:
        await open_with(pilot, getattr(stack, scene)())
        for pane in app.screen.query(Pane):
            for content in pane.lines:
                assert sum(len(span.text) for span in content) == pane.size.width


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (50, 40)])
async def test_a_border_cuts_no_number(stack: Stack, size: tuple[int, int]) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=size) as pilot:
        await open_with(pilot, stack.degraded())
        for pane in app.screen.query(Pane):
            for content in (pane.lines[0], pane.lines[-1]):
                assert not re.search(r"\d…|[a-z]…", plain(content)), plain(content)


async def test_ascii_paints_nothing_but_ascii(stack: Stack) -> None:
    app = scenes.console(stack.env, ascii=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_with(pilot, stack.degraded())
        assert painted(app).isascii(), sorted({sign for sign in painted(app) if not sign.isascii()})
        for keys in (["question_mark"], ["escape", "3", "enter"], ["escape", "1", "enter"], ["escape", "x"]):
            await pilot.press(*keys)
            await pilot.pause()
            await pilot.pause()
            text = painted(app)
            assert text.isascii(), (keys, sorted({sign for sign in text if not sign.isascii()}))


async def test_an_unchanged_snapshot_repaints_nothing(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        healthy = stack.healthy()
        await open_with(pilot, healthy)
        dirty: list[str] = []
        for view in app.screen.query(LinesView):
            view.refresh = lambda *regions, view=view, **how: dirty.append(view.id or "")  # type: ignore[method-assign,misc]
        await open_with(pilot, healthy)
        app.clock_signal.publish(NOW)
        await pilot.pause()
        assert dirty == []


async def test_what_changed_is_told_at_the_bottom(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        assert "Nothing has changed" in shown(dashboard(app).activity)
        await open_with(pilot, stack.degraded())
        assert "worker stuck" in shown(dashboard(app).activity)
        await pilot.press("5")
        await pilot.pause()
        assert type(app.screen).__name__ == "ActivityScreen"
        assert "Ollama local lost" in painted(app)
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)
