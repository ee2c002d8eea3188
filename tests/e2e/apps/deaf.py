"""A console with a defect in the thread that reads its keys."""

from __future__ import annotations

import os
from collections.abc import Iterable

from textual.message import Message

import timmy_tui.driver
from timmy_tui.config import load_settings
from timmy_tui.input_wall import InputWall
from timmy_tui.opening import run_console
from timmy_tui.services.logs import open_log


class DeafWall(InputWall):
    def feed(self, data: str) -> Iterable[Message]:
        if "x" in data:
            raise RuntimeError("a defect")
        return super().feed(data)


if __name__ == "__main__":
    timmy_tui.driver.InputWall = DeafWall  # type: ignore[misc]
    settings = load_settings(os.environ)
    open_log(settings.log_path)
    raise SystemExit(run_console(settings, os.environ))
