"""A console with a defect: it raises while it opens."""

from __future__ import annotations

import os
from pathlib import Path

import timmy_tui.app
from timmy_tui.app import TimmyApp
from timmy_tui.config import load_settings


class CrashingConsole(TimmyApp):
    CSS_PATH = Path(timmy_tui.app.__file__).with_name("styles.tcss")

    def on_mount(self) -> None:
        raise RuntimeError("a defect")


if __name__ == "__main__":
    timmy_tui.app.TimmyApp = CrashingConsole  # type: ignore[misc]
    raise SystemExit(timmy_tui.app.run_console(load_settings(os.environ), os.environ))
