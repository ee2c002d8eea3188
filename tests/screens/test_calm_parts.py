"""A second that goes by lays out the few lines that tell the time, and not a licence of 400 lines again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from screens import scenes
from screens.scenes import NOW, Stack
from screens.test_dashboard import SIZE, open_with, settle

from timmy_tui.app import TimmyApp
from timmy_tui.screens.document import DocumentScreen
from timmy_tui.screens.model import ModelScreen
from timmy_tui.screens.provider import ProviderScreen
from timmy_tui.widgets.line import plain


@pytest.mark.parametrize(
    ("key", "kind", "moves"), [("1", ModelScreen, False), ("4", ProviderScreen, True)], ids=["model", "provider"]
)
async def test_only_the_live_part_is_laid_out_by_the_clock(
    stack: Stack, key: str, kind: type[DocumentScreen], moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid: list[int] = []
    real = kind._calm_lines  # type: ignore[attr-defined]

    def counted(self: DocumentScreen, about: object, width: int) -> object:
        laid.append(width)
        return real(self, about, width)

    monkeypatch.setattr(kind, "_calm_lines", counted)
    seconds: Iterator[float] = iter(range(10_000))
    app = TimmyApp(scenes.settings_of(stack.env), env=stack.env, clock=lambda: NOW + next(seconds) / 100, live=False)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        await pilot.press(key, "enter")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, kind)
        assert laid
        laid.clear()
        before = [plain(content) for content in screen.reader.lines]
        for later in range(1, 6):
            for _ in range(100):
                next(seconds)
            app.clock_signal.publish(NOW + later)
            await pilot.pause()
        assert laid == []
        assert ([plain(content) for content in screen.reader.lines] != before) == moves
        await pilot.resize_terminal(90, 30)
        await pilot.pause()
        assert set(laid) == {86}
