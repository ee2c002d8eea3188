"""A widget that shows lines and repaints only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from timmy_tui.widgets.line import EMPTY, Line, Span, fit
from timmy_tui.widgets.roles import RoleStyles


class LinesView(Widget):
    """Shows one :data:`Line` per row through Textual's Line API.

    :meth:`show` compares with what stands there and marks only what changed dirty: a clock that ticks costs
    the bytes of its digits, an unchanged pane costs nothing (facts/textual.md §2 rule 5).
    """

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.lines: tuple[Line, ...] = ()
        self._strips: dict[tuple[Line, int], Strip] = {}
        self._base_style: Style | None = None
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
            changed = changed_cells(fit(old, width), fit(new, width), width)
            if changed:
                self.refresh(Region(0, y, changed, 1))

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
        self._base_style = None
        super().notify_style_update()

    def _strip(self, content: Line, width: int) -> Strip:
        screen = self.screen
        if not isinstance(screen, RoleStyles):
            raise TypeError("a line view stands on a screen that knows the roles")
        if self._base_style is None:
            self._base_style = self.rich_style
        base = self._base_style
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


def changed_cells(old: Line, new: Line, width: int) -> int:
    """How many cells from the left edge to the last changed span of two lines of ``width``; 0 when none changed.

    Only the right end matters: Textual sends a line from its widget's left edge to where the change ends.
    """
    before, after = _merged(old), _merged(new)
    if before == after:
        return 0
    end = width
    for was, is_now in zip(reversed(before), reversed(after), strict=False):
        if was != is_now:
            break
        end -= cell_len(is_now.text)
    return end
