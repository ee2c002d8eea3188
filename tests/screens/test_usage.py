"""The usage screen: plots and tables of the log, read again when it grows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from payloads import ENCODABLE
from screens import scenes
from screens.scenes import NOW, Stack
from textual.pilot import Pilot
from usage_maker import usage_bytes, write_log

from timmy_tui.app import TimmyApp
from timmy_tui.screens.usage import UsageScreen
from timmy_tui.widgets.line import plain

SIZES = [(200, 60), (120, 40), (80, 24), (50, 40)]
Compare = Callable[..., bool]

PRICES = """usage:
  prices: {date: 2026-11-01, models: {"*": {input: 3.0, output: 15.0}}}
"""


class Home:
    """A home with a usage log."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / ".timmy" / "metrics" / "local-llm-usage.jsonl"
        self.config = folder / ".timmy" / "tui.yaml"
        self.env = {"HOME": str(folder), "PATH": ""}
        self.config.parent.mkdir(parents=True)

    def write(self, *lines: bytes) -> None:
        write_log(self.log, lines)

    def console(self, **overrides: object) -> TimmyApp:
        return scenes.console(self.env, **overrides)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.write(
        usage_bytes(timestamp=at(0), caller="delegate"),
        usage_bytes(timestamp=at(3), model="hermes4:14b", caller="heartbeat_tick", task_type="decide"),
        usage_bytes(timestamp=at(20), model="old:1b", caller="triage"),
        usage_bytes(timestamp=at(90), model="oldest:1b", caller="triage"),
    )
    return made


def at(days_ago: int) -> str:
    moment = datetime.fromtimestamp(NOW, UTC) - timedelta(days=days_ago, minutes=5)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


async def press(pilot: Pilot[None], *keys: str) -> UsageScreen:
    for key in keys:
        await pilot.press(key)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
    app = pilot.app
    assert isinstance(app, TimmyApp)
    return next(screen for screen in reversed(app.screen_stack) if isinstance(screen, UsageScreen))


def text_of(screen: UsageScreen) -> str:
    return "\n".join(plain(content) for content in screen.reader.lines)


async def test_the_log_is_read_and_each_stretch_has_its_key(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=(120, 80)) as pilot:
        screen = await press(pilot, "U")
        for key, calls, models in (
            ("7", 2, {"llama3.2:3b", "hermes4:14b"}),
            ("1", 1, {"llama3.2:3b"}),
            ("3", 3, {"llama3.2:3b", "hermes4:14b", "old:1b"}),
            ("0", 4, {"llama3.2:3b", "hermes4:14b", "old:1b", "oldest:1b"}),
        ):
            await press(pilot, key)
            told = text_of(screen)
            assert f"{calls} calls" in told
            assert {name for name in ("llama3.2:3b", "hermes4:14b", "old:1b", "oldest:1b") if name in told} == models
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, UsageScreen)


@pytest.mark.parametrize(("key", "by"), [("m", "model"), ("t", "task"), ("c", "caller"), ("d", "day")])
async def test_a_key_says_what_the_first_table_is_by(home: Home, key: str, by: str) -> None:
    async with home.console().run_test(size=(120, 30)) as pilot:
        screen = await press(pilot, "U", key)
        headings = [text for text in text_of(screen).splitlines() if "By " in text]
        assert f"By {by}" in headings[0]
        assert screen.by == by


async def test_letters_are_typed_into_the_search(home: Home) -> None:
    async with home.console().run_test(size=(120, 30)) as pilot:
        screen = await press(pilot, "U", "slash", "d", "e", "c", "i", "d", "e")
        assert screen.reader.find_text == "decide"
        assert "decide" in text_of(screen)
        assert screen.by == "model"


async def test_a_log_that_has_grown_is_read_again_and_the_place_is_kept(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await press(pilot, "U", "j", "j", "j")
        top = screen.reader.lines[1]
        with home.log.open("ab") as file:
            file.write(usage_bytes(timestamp=at(1), caller="new-script"))
        screen.clock_ticked(NOW + 1)
        await app.workers.wait_for_complete()
        assert "new-script" not in str(screen.look)
        screen.clock_ticked(NOW + 60)
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "new-script" in str(screen.look)
        assert screen.reader.lines[1] == top
        before = screen.look
        screen.clock_ticked(NOW + 120)
        await app.workers.wait_for_complete()
        assert screen.look is before


async def test_a_log_that_cannot_be_read_is_told_and_the_old_figures_stay(home: Home) -> None:
    app = home.console()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await press(pilot, "U")
        home.log.unlink()
        home.log.mkdir()
        screen.clock_ticked(NOW + 60)
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "Can't read" in text_of(screen)
        assert "2 calls" in text_of(screen)


# How it looks.


@pytest.mark.parametrize("size", SIZES, ids=named)
def test_picture_of_the_demo(snap_compare: Compare, stack: Stack, tmp_path: Path, size: tuple[int, int]) -> None:
    config = tmp_path / "tui.yaml"
    config.write_text(PRICES + "  power_watts: 180\n  price_per_kwh: 0.31\n")

    async def run(pilot: Pilot[None]) -> None:
        await press(pilot, "U")

    app = scenes.console({**stack.env, "TIMMY_TUI_CONFIG": str(config)})
    assert snap_compare(app, terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", [(80, 24), (50, 40)], ids=named)
@pytest.mark.parametrize("scene", ["unpriced", "empty", "hostile", "ascii", "tables"])
def test_picture(snap_compare: Compare, home: Home, stack: Stack, scene: str, size: tuple[int, int]) -> None:
    env = stack.env if scene in ("unpriced", "ascii", "tables") else home.env
    if scene == "empty":
        home.log.unlink()
    elif scene == "hostile":
        texts = list(ENCODABLE.values())
        lines = [usage_bytes(timestamp=at(0), model=text, task_type=text, caller=text) for text in texts]
        home.write(*lines, *(usage_bytes(timestamp=text) for text in texts), *(text.encode() + b"\n" for text in texts))

    async def run(pilot: Pilot[None]) -> None:
        await press(pilot, "U", *(("t",) if scene == "tables" else ()))

    assert snap_compare(scenes.console(env, ascii=scene == "ascii"), terminal_size=size, run_before=run)
