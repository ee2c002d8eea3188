"""One text in full: a prompt, a raw response."""

from __future__ import annotations

from textual.binding import Binding

from timmy_tui.screens.document import DocumentScreen
from timmy_tui.widgets.line import line, wrap


class TextScreen(DocumentScreen):
    """Shows a text that is safe to show; the key that opened it goes back as well."""

    BINDING_GROUP_TITLE = "Text"
    BINDINGS = [Binding("p,w", "dismiss", "back", show=False, id="text.back")]

    def __init__(self, title: str, text: str) -> None:
        super().__init__(title)
        self._text = text

    def fill(self) -> None:
        size = line((f"{len(self._text):,} characters", "quiet"))
        self.reader.read(lambda width: wrap(self._text, width), status=size)
