"""The references: an empty Textual app, and one whose only work is a clock. Run by its path, in its own process."""

from __future__ import annotations

import sys
from datetime import datetime

from textual.app import App, ComposeResult


class BareApp(App[None]):
    """Nothing at all."""


class ClockApp(App[None]):
    """One line of text that changes every second."""

    def compose(self) -> ComposeResult:
        """The clock alone."""
        from textual.widgets import Static

        yield Static(self._now(), id="clock")

    def on_mount(self) -> None:
        """Tick."""
        self.set_interval(1.0, self._tick)

    def _tick(self) -> None:
        from textual.widgets import Static

        self.query_one("#clock", Static).update(self._now())

    def _now(self) -> str:
        return f"{datetime.now().astimezone():%H:%M:%S}"


if __name__ == "__main__":
    (ClockApp if "clock" in sys.argv[1:] else BareApp)().run()
