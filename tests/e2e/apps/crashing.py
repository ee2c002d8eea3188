"""A console with a defect: it raises while it opens."""

from __future__ import annotations

import os
from pathlib import Path

import timmy_tui.app
import timmy_tui.opening
from timmy_tui.app import TimmyApp
from timmy_tui.config import load_settings
from timmy_tui.services.logs import open_log


class CrashingConsole(TimmyApp):
    CSS_PATH = Path(timmy_tui.app.__file__).with_name("styles.tcss")

    def on_mount(self) -> None:
        words = "correct horse battery staple"  # looks like no secret, so that nothing but silence keeps it
        raise RuntimeError(f"a defect of {len(words)}")


if __name__ == "__main__":
    timmy_tui.opening.TimmyApp = CrashingConsole  # type: ignore[misc]
    settings = load_settings(os.environ)
    open_log(settings.log_path)
    raise SystemExit(timmy_tui.opening.run_console(settings, os.environ))
