"""Everything that changed since the console opened."""

from __future__ import annotations

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.widgets.activity_line import ROLES
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import Line, line
from timmy_tui.widgets.list_pane import ListPane
from timmy_tui.widgets.pane import clock_of


class ActivityScreen(ConsoleScreen[None]):
    """The activity line's long form, newest first."""

    BINDING_GROUP_TITLE = "Activity"
    BINDINGS = [Binding("escape", "dismiss", "back", id="activity.back")]
    AUTO_FOCUS = "#events"

    events = getters.query_one("#events", ListPane)

    def compose(self) -> ComposeResult:
        """The list and the keys."""
        yield ListPane("Activity", id="events")
        yield KeyLine()

    def on_mount(self) -> None:
        """Show what has happened so far."""
        self._show()

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        self._show()

    def _show(self) -> None:
        events = list(self.console.activity)
        look = self.console.view()

        def draw(key: str, _width: int) -> Line:
            event = events[int(key)]
            sign = look.glyphs.dot if event.severity == "info" else look.glyphs.severity(event.severity)
            role = ROLES.get(event.severity, "text")
            return line((f"{clock_of(event.at)}  ", "quiet"), (f"{sign} ", event.severity), (event.text, role))

        nothing = [line(("Nothing has changed since the console opened.", "quiet"))]
        self.events.fill([str(index) for index in range(len(events))], draw, look, empty=nothing)
