"""The line at the bottom in which a filter is typed."""

from __future__ import annotations

from textual.binding import Binding
from textual.message import Message

from timmy_tui.widgets.text_line import TextLine


class FilterLine(TextLine):
    """Reports every change; enter keeps the filter, escape clears it."""

    BINDINGS = [
        Binding("escape", "leave(False)", "clear", show=True),
        Binding("enter", "leave(True)", "keep", show=True),
    ]

    class Left(Message):
        """The operator is done with the line."""

        def __init__(self, keep: bool) -> None:
            self.keep = keep
            super().__init__()

    def __init__(self, placeholder: str, value: str = "") -> None:
        super().__init__(value=value, placeholder=placeholder, id="filter-line", compact=True, select_on_focus=False)
        self.cursor_blink = False

    def action_leave(self, keep: bool) -> None:
        """Close the line."""
        self.post_message(self.Left(keep))
