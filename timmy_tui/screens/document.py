"""The base of screens that show one text: a reader, a way to find, and the way back."""

from __future__ import annotations

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.widgets import Input

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.screens.filter_line import FilterLine
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.reader import Reader


class DocumentScreen(ConsoleScreen[None]):
    """A full-screen :class:`Reader` that a subclass fills in ``fill``."""

    BINDINGS = [
        Binding("escape", "back", "back", id="document.back"),
        Binding("slash", "find", "find", key_display="/", id="document.find"),
    ]
    AUTO_FOCUS = "#reader"

    reader = getters.query_one("#reader", Reader)

    def __init__(self, title: str) -> None:
        super().__init__()
        self._document_title = title

    def compose(self) -> ComposeResult:
        """The text and the keys."""
        yield Reader(self._document_title, glyphs=self.console.glyphs, id="reader")
        yield KeyLine()

    def on_mount(self) -> None:
        """Fill the screen with what is known."""
        self.fill()

    def fill(self) -> None:
        """Show the text."""

    def action_back(self) -> None:
        """Drop the search, then leave the screen."""
        if self.reader.find_text:
            self.reader.find("")
            return
        self.dismiss()

    def action_find(self) -> None:
        """Type what to look for."""
        try:
            self.set_focus(self.query_one(FilterLine))
        except NoMatches:
            line = FilterLine("find in this text (n next, N previous)", self.reader.find_text)
            self.mount(line, before=self.query_one(KeyLine))
            self.set_focus(line)

    @on(Input.Changed, "#filter-line")
    def _find_changed(self, event: Input.Changed) -> None:
        self.reader.find(event.value)

    @on(FilterLine.Left)
    async def _find_left(self, event: FilterLine.Left) -> None:
        if not event.keep:
            self.reader.find("")
        await self.query_one(FilterLine).remove()
        self.set_focus(self.reader)
