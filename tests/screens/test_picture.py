"""A picture of the screen: what is seen is saved, and nobody waits for the disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from screens import scenes
from screens.test_dashboard import SIZE, settle, toasts

from timmy_tui.services import pictures


async def test_a_picture_is_written_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writers: list[int] = []
    write = pictures.save_picture

    def noted(folder: Path, svg: str, now: float) -> Path:
        writers.append(threading.get_ident())
        return write(folder, svg, now)

    monkeypatch.setattr(pictures, "save_picture", noted)
    app = scenes.console({"HOME": str(tmp_path), "PATH": "", "OLLAMA_HOST": "http://127.0.0.1:9"})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.pause()
        app.action_picture()
        await settle(pilot)
        (path,) = (app.settings.timmy_home / "pictures").iterdir()
        assert toasts(app) == [f"Saved {path.name} in {path.parent}"]
    assert "Heartbeat" in path.read_text(encoding="utf-8")
    assert threading.get_ident() not in writers


async def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    app = scenes.console({"HOME": str(tmp_path), "PATH": "", "OLLAMA_HOST": "http://127.0.0.1:9"})
    app.settings.timmy_home.mkdir()
    (app.settings.timmy_home / "pictures").write_text("a file, not a folder")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.pause()
        app.action_picture()
        await settle(pilot)
        assert len(toasts(app)) == 1
        assert toasts(app)[0].startswith("No picture: ")
