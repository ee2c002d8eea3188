"""A reader that only scrolls: its screen has other uses for the letters."""

from __future__ import annotations

from textual.binding import Binding

from timmy_tui.glyphs import UNICODE, Glyphs
from timmy_tui.widgets.reader import Reader


class Scroller(Reader, inherit_bindings=False):
    """Shows a document; neither finds text nor takes any letter but ``j``, ``k`` and ``G``."""

    BINDING_GROUP_TITLE = "Text"

    BINDINGS = [
        Binding("j,down", "scroll_by(1)", "Down", show=False, id="scroller.down"),
        Binding("k,up", "scroll_by(-1)", "Up", show=False, id="scroller.up"),
        Binding("pagedown", "scroll_page(1)", "Page down", show=False, id="scroller.page_down"),
        Binding("pageup", "scroll_page(-1)", "Page up", show=False, id="scroller.page_up"),
        Binding("home", "to_top", "First line", show=False, id="scroller.first"),
        Binding("G,end", "to_end", "Last line", show=False, id="scroller.last"),
    ]

    def __init__(self, title: str, *, glyphs: Glyphs = UNICODE, id: str) -> None:
        super().__init__(title, glyphs=glyphs, id=id)
        self.marks_focus = True
