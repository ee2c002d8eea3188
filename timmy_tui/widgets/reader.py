"""A framed text that scrolls: transcripts, prompts, details."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from textual import events
from textual.binding import Binding

from timmy_tui.glyphs import UNICODE, Glyphs
from timmy_tui.text import percent_text
from timmy_tui.widgets.laid_out import LaidOut, Layout
from timmy_tui.widgets.line import EMPTY, Line, Span, fit, line, plain, wrap
from timmy_tui.widgets.lines_view import LinesView
from timmy_tui.widgets.pane import border

NARROWEST = 4
"""Cells within the frame; in fewer nothing is drawn."""

Document = Callable[[int], Sequence[Line]]
"""Gives the lines of a text for a width in cells."""


class Reader(LinesView, can_focus=True):
    """Shows a :data:`Document`, laid out anew for each width; finds text; may follow the end as it grows."""

    BINDING_GROUP_TITLE = "Text"

    BINDINGS = [
        Binding("j,down", "scroll_by(1)", "Down", show=False, id="reader.down"),
        Binding("k,up", "scroll_by(-1)", "Up", show=False, id="reader.up"),
        Binding("pagedown,d", "scroll_page(1)", "Page down", show=False, id="reader.page_down"),
        Binding("pageup,u", "scroll_page(-1)", "Page up", show=False, id="reader.page_up"),
        Binding("g,home", "to_top", "First line", show=False, id="reader.first"),
        Binding("G,end", "to_end", "Last line", show=False, id="reader.last"),
        Binding("n", "find_next(1)", "Next match", show=False, id="reader.next"),
        Binding("N", "find_next(-1)", "Previous match", show=False, id="reader.previous"),
    ]

    def __init__(self, title: str, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title_line: Line = line((title, "title"))
        self.status: Line = EMPTY
        self.foot: Line = EMPTY
        """What stands in the bottom border while nothing is looked for."""
        self.glyphs = glyphs
        self.find_text = ""
        self.marks_focus = False
        self._document: Document = lambda width: ()
        self._layout: Layout | None = None
        """What lays a long text out, instead of the document."""
        self._laid_out_for = -1
        """The width of what follows."""
        self._rows: Sequence[Line] = ()
        self._folded: Sequence[str] | None = None
        self._laying_out = False
        self._find_when_laid_out = False
        self._top = 0
        self._at_end = False
        self._follow = False

    def read(self, document: Document, *, status: Line = EMPTY, follow: bool = False, keep_place: bool = False) -> None:
        """Show ``document``; ``follow`` stays at the end while it grows, ``keep_place`` stays at the same row."""
        self._document, self._layout = document, None
        self._laid_out_for, self._rows, self._folded = -1, (), None
        self._place(status, follow, keep_place)

    async def read_aside(
        self, layout: Layout, *, status: Line = EMPTY, follow: bool = False, keep_place: bool = False
    ) -> None:
        """As :meth:`read`, for a long text: it is laid out in a thread, and what was there stays until it is done."""
        width = self._inner_width
        laid = LaidOut()
        if width >= NARROWEST:  # else it is laid out when there is room
            laid = await asyncio.to_thread(layout, width)
        self._layout = layout
        self._laid_out_for, self._rows, self._folded = width, laid, laid.folded
        self._place(status, follow, keep_place)

    def _place(self, status: Line, follow: bool, keep_place: bool) -> None:
        self.status, self._follow = status, follow
        if not keep_place:
            self._top = 0
        if follow and (self._at_end or not keep_place):
            self._top = 10**9
        self.redraw()

    def redraw(self) -> None:
        """Draw the rows in view."""
        width, height = self.size.width, self.size.height
        if width - 4 < NARROWEST or height < 3:
            self.show(())
            return
        inner, rows = width - 4, height - 2
        content = self._content(inner)
        last_top = max(0, len(content) - rows)
        self._top = max(0, min(self._top, last_top))
        self._at_end = self._top == last_top
        frame = self.glyphs.frame
        role = "frame-focus" if self.has_focus and self.marks_focus else "frame"
        edge = Span(frame[3], role)
        lines: list[Line] = [border(width, frame[0], frame[2], frame[1], self.title_line, self.status, role)]
        for y in range(rows):
            index = self._top + y
            text = content[index] if index < len(content) else EMPTY
            if self.find_text and index < len(content):
                text = _marked(text, self.find_text)
            lines.append((edge, Span(" "), *fit(text, inner, self.glyphs.ellipsis), Span(" "), edge))
        place = EMPTY
        if last_top:
            place = line((percent_text(self._top / last_top), "quiet"))
        found = line(("/", "key"), (self.find_text, "match")) if self.find_text else self.foot
        lines.append(border(width, frame[5], frame[4], frame[1], found, place, role))
        self.show(lines)

    def watch_has_focus(self, has_focus: bool) -> None:
        """The frame shows the focus where there is another widget to have it."""
        super().watch_has_focus(has_focus)
        self.redraw()

    def find(self, text: str) -> None:
        """Mark ``text`` everywhere and go to the next place from here."""
        self.find_text = text
        wanted, folded = text.casefold(), self._searched()
        self._find_when_laid_out = bool(text) and self._layout is not None and not self._is_laid_out
        if text and not (self._top < len(folded) and wanted in folded[self._top]):
            self.action_find_next(1)
        else:
            self.redraw()

    def go_to(self, heading_text: str) -> None:
        """Put the first line that starts with ``heading_text`` on top."""
        content = self._content(max(1, self._inner_width))
        for index, text in enumerate(content):
            if plain(text).startswith(heading_text):
                self._top = index
                break
        self.redraw()

    def action_find_next(self, step: int) -> None:
        """Go to the next (1) or previous (-1) line that holds the text."""
        wanted, folded = self.find_text.casefold(), self._searched()
        if not wanted or not folded:
            return
        rows = len(folded)
        for distance in range(1, rows + 1):
            index = (self._top + step * distance) % rows
            if wanted in folded[index]:
                self._top = index
                break
        self.redraw()

    def _searched(self) -> Sequence[str]:
        """The rows' folded texts, made for the first letter and kept for the next ones."""
        rows = self._content(max(1, self._inner_width))
        if self._folded is None:
            self._folded = [plain(content).casefold() for content in rows]
        return self._folded

    @property
    def _inner_width(self) -> int:
        return self.size.width - 4

    @property
    def _is_laid_out(self) -> bool:
        return self._laid_out_for == self._inner_width

    def _content(self, width: int) -> Sequence[Line]:
        if self._laid_out_for != width:
            if self._layout is None:
                self._laid_out_for, self._rows, self._folded = width, self._document(width), None
            elif not self._laying_out and width >= NARROWEST:
                self._laying_out = True
                self.screen.run_worker(
                    self._lay_out_anew(), group="layout", exit_on_error=False, description="lay a text out"
                )
        return self._rows

    async def _lay_out_anew(self) -> None:
        """The size has changed: what is there stays, cropped, until the text is laid out for the new one."""
        try:
            while (layout := self._layout) is not None:
                width = self._inner_width
                if width < NARROWEST or self._is_laid_out:
                    break
                laid = await asyncio.to_thread(layout, width)
                if layout is self._layout:
                    self._laid_out_for, self._rows, self._folded = width, laid, laid.folded
                    if self._follow and self._at_end:
                        self._top = 10**9
        finally:
            self._laying_out = False
        if self._find_when_laid_out and self._is_laid_out:
            self.find(self.find_text)
        self.redraw()

    def action_scroll_by(self, rows: int) -> None:
        """Scroll by ``rows``."""
        self._top += rows
        self.redraw()

    def action_scroll_page(self, pages: int) -> None:
        """Scroll by what is in view."""
        self.action_scroll_by(pages * max(1, self.size.height - 3))

    def action_to_top(self) -> None:
        """Go to the first line."""
        self.action_scroll_by(-(10**9))

    def action_to_end(self) -> None:
        """Go to the last line."""
        self.action_scroll_by(10**9)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls three lines."""
        event.stop()
        self.action_scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """See :meth:`on_mouse_scroll_down`."""
        event.stop()
        self.action_scroll_by(-3)


def _marked(content: Line, wanted: str) -> Line:
    """The line with every place of ``wanted`` in role ``match``."""
    wanted = wanted.casefold()
    out: list[Span] = []
    for span in content:
        low, start = span.text.casefold(), 0
        if len(low) != len(span.text):
            out.append(span)
            continue
        while (at := low.find(wanted, start)) >= 0:
            out.append(Span(span.text[start:at], span.role))
            out.append(Span(span.text[at : at + len(wanted)], "match"))
            start = at + len(wanted)
        out.append(Span(span.text[start:], span.role))
    return tuple(span for span in out if span.text)


def heading(text: str, width: int, glyphs: Glyphs) -> Line:
    """A section's title with a rule behind it."""
    rule = glyphs.frame[1] * max(0, width - len(text) - 1)
    return line((text, "title"), " ", (rule, "rule"))


def facts(pairs: Sequence[tuple[str, str]], width: int, *, label_width: int = 0) -> list[Line]:
    """Labels and values in two columns; long values wrap under themselves."""
    label_width = label_width or min(24, max((len(label) for label, _ in pairs), default=0))
    lines: list[Line] = []
    for label, value in pairs:
        wrapped = wrap(value, max(8, width - label_width - 2)) or [EMPTY]
        for index, content in enumerate(wrapped):
            lines.append((Span((label if index == 0 else "").ljust(label_width) + "  ", "quiet"), *content))
    return lines
