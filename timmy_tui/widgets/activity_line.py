"""The line that tells what just changed."""

from __future__ import annotations

from collections.abc import Sequence

from timmy_tui.services.activity import Activity
from timmy_tui.widgets.line import Line, crop, line, width_of
from timmy_tui.widgets.lines_view import LinesView
from timmy_tui.widgets.pane import View, clock_of

ROLES = {"ok": "text", "info": "text", "warning": "warning", "critical": "critical"}


class ActivityLine(LinesView):
    """The newest events first, as many as fit whole."""

    def __init__(self) -> None:
        super().__init__(id="activity")
        self._events: tuple[Activity, ...] = ()
        self._look = View(now=0.0)

    def update(self, newest_first: Sequence[Activity], look: View) -> None:
        """Show these events."""
        events = tuple(newest_first)
        if events != self._events or self._look.now == 0:
            self._events, self._look = events, look
            self.redraw()

    def redraw(self) -> None:
        """Draw from the current events."""
        width = self.size.width
        if width <= 0:
            return
        shown: Line = line(" ")
        separator = line((f" {self._look.glyphs.dot} ", "quiet"))
        for index, event in enumerate(self._events):
            part = line((f"{clock_of(event.at)} ", "quiet"), (event.text, ROLES.get(event.severity, "text")))
            if index == 0:
                shown = crop((*shown, *part), width)
            elif width_of(shown) + width_of(separator) + width_of(part) <= width:
                shown = (*shown, *separator, *part)
            else:
                break
        if not self._events:
            shown = line((" Nothing has changed since the console opened.", "quiet"))
        self.show([shown])
