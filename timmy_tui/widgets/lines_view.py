"""A widget that shows lines and repaints only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from timmy_tui.widgets.line import EMPTY, Line, Span, fit, width_of
from timmy_tui.widgets.roles import RoleStyles


class LinesView(Widget):
    """Shows one :data:`Line` per row through Textual's Line API.

    :meth:`show` compares with what stands there and marks only the differing cells dirty: a clock that ticks costs
    the bytes of its digits, an unchanged pane costs nothing (facts/textual.md §2 rule 5).
    """

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.lines: tuple[Line, ...] = ()
        self._strips: dict[tuple[Line, int], Strip] = {}
        self._drawn_for = Size(0, 0)
        self._drawing = False

    def redraw(self) -> None:
        """Work the lines out for the current size and values, and :meth:`show` them. Subclasses do."""

    def show(self, lines: Sequence[Line]) -> None:
        """Show ``lines`` from the top row on."""
        before, self.lines = self.lines, tuple(lines)
        self._drawn_for = self.size  # what was shown to a hidden view, of no size, is drawn anew when it is back
        if self._drawing:
            return
        width = self.size.width
        for y in range(max(len(before), len(self.lines))):
            old = before[y] if y < len(before) else EMPTY
            new = self.lines[y] if y < len(self.lines) else EMPTY
            if old is new or old == new:
                continue
            start, end = _differing_cells(fit(old, width), fit(new, width))
            if start < end:
                self.refresh(Region(start, y, end - start, 1))

    def render_line(self, y: int) -> Strip:
        """One row as a strip, padded to the widget's width.

        A new size is drawn for here, not on the Resize event: that comes after the frame, which would be empty.
        """
        if self.size != self._drawn_for:
            self._drawn_for = self.size
            self._drawing = True
            self.redraw()
            self._drawing = False
        width = self.size.width
        content = self.lines[y] if 0 <= y < len(self.lines) else EMPTY
        key = (content, width)
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) > 4 * max(16, self.size.height):
                self._strips.clear()
            strip = self._strip(content, width)
            self._strips[key] = strip
        return strip

    def on_hide(self) -> None:
        """Out of sight, nothing is drawn: not while another pane is zoomed, nor in a terminal that is too small."""
        self._drawn_for = Size(0, 0)

    def on_show(self) -> None:
        """Back in sight Textual paints from its cache, without :meth:`render_line`: draw what came meanwhile."""
        if self.size != self._drawn_for:
            self.redraw()

    def notify_style_update(self) -> None:
        """A theme or state class changed: the roles look different now."""
        self._strips.clear()
        super().notify_style_update()

    def _strip(self, content: Line, width: int) -> Strip:
        base, screen = self.rich_style, self.screen
        if not isinstance(screen, RoleStyles):
            raise TypeError("a line view stands on a screen that knows the roles")
        segments = [Segment(span.text, base + screen.role_style(span.role)) for span in _merged(fit(content, width))]
        return Strip(segments, width)


def _merged(content: Line) -> list[Span]:
    """The line with its blanks joined to the span before them: each span costs 45 bytes on the wire.

    A blank looks alike in all roles but those with a background or an underline of their own.
    """
    merged: list[Span] = []
    for span in content:
        if merged and (span.role == merged[-1].role or (span.text.isspace() and _shows_nothing(span, merged[-1]))):
            merged[-1] = Span(merged[-1].text + span.text, merged[-1].role)
        else:
            merged.append(span)
    return merged


def _shows_nothing(blank: Span, before: Span) -> bool:
    return blank.role.endswith("!") == before.role.endswith("!") and not {"demo", "match"} & {blank.role, before.role}


def _differing_cells(old: Line, new: Line) -> tuple[int, int]:
    """The half-open range of cells in which two lines of equal width differ."""
    old_cells, new_cells = _cells(old), _cells(new)
    if len(old_cells) != len(new_cells):
        return 0, max(len(old_cells), len(new_cells))
    start = next((x for x, (a, b) in enumerate(zip(old_cells, new_cells, strict=True)) if a != b), None)
    if start is None:
        return 0, 0
    end = len(new_cells)
    while end > start and old_cells[end - 1] == new_cells[end - 1]:
        end -= 1
    # A wide character is repainted whole.
    while start > 0 and "" in (old_cells[start][0], new_cells[start][0]):
        start -= 1
    while end < len(new_cells) and "" in (old_cells[end][0], new_cells[end][0]):
        end += 1
    return start, end


def _cells(content: Line) -> list[tuple[str, str]]:
    cells: list[tuple[str, str]] = []
    for span in content:
        if span.text.isascii():
            cells.extend((character, span.role) for character in span.text)
            continue
        for character in span.text:
            wide = width_of((Span(character),))
            if wide:
                cells.append((character, span.role))
                cells.extend([("", span.role)] * (wide - 1))
            elif cells:
                cells[-1] = (cells[-1][0] + character, span.role)
    return cells
