"""A framed pane with a head that stays and entries that scroll under a cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.reactive import reactive

from timmy_tui.glyphs import UNICODE, Glyphs
from timmy_tui.services.reading import Reading
from timmy_tui.text import moment_text, span_text
from timmy_tui.widgets.line import EMPTY, Line, Span, crop, fit, fitting, line, width_of, wrap
from timmy_tui.widgets.lines_view import LinesView

CALM_S = 10.0
"""A pane without a countdown is drawn anew this often while nothing else changes."""

ContentsOf = Callable[[int], Sequence[Line]]
"""Gives the lines of the entry at an index, laid out once per drawing."""


class View(Struct, frozen=True):
    """What every pane is drawn with besides its own reading."""

    now: float
    """Unix seconds."""
    glyphs: Glyphs = UNICODE
    paused: bool = False


class Pane(LinesView, can_focus=True):
    """The base of the dashboard's panes: frame, title, status, head, entries, cursor, filter.

    A subclass says what to show (``title_line``, ``status_line``, ``head``, ``keys``, ``entry``, ``foot``) from values
    it was given; the base places it. Nothing here reads a clock: time comes with :class:`View`.
    """

    BINDING_GROUP_TITLE = "Pane"
    ALLOW_MAXIMIZE = True

    BINDINGS = [
        Binding("j,down", "move(1)", "Down", show=False, id="pane.down"),
        Binding("k,up", "move(-1)", "Up", show=False, id="pane.up"),
        Binding("g,home", "jump(0)", "First", show=False, id="pane.first"),
        Binding("G,end", "jump(-1)", "Last", show=False, id="pane.last"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="pane.page_down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="pane.page_up"),
        Binding("enter", "open", "details", show=True, id="pane.open", tooltip="Open the row's own screen"),
    ]

    class Opened(Message):
        """The operator asked for the details of an entry."""

        def __init__(self, pane: Pane, key: str) -> None:
            self.pane = pane
            self.key = key
            super().__init__()

        @property
        def control(self) -> Pane:
            """The pane the entry is in."""
            return self.pane

    filter_text: reactive[str] = reactive("", init=False)

    def __init__(self, number: int, name: str, *, id: str) -> None:
        super().__init__(id=id)
        self.number = number
        self.pane_name = name
        self.look = View(now=0.0)
        self.cursor_key: str | None = None
        self._top = 0
        self._rows_at: dict[int, str] = {}

    # What a subclass says.

    @property
    def restless(self) -> bool:
        """Something on the pane changes by the second: a countdown, a stopwatch."""
        return False

    def wants_clock(self, now: float) -> bool:
        """Whether the mere passing of time is worth a new drawing; a calm pane's ages move in larger steps."""
        return self.restless or now - self.look.now >= CALM_S

    def status_line(self) -> Line:
        """The right end of the top border: the source's state in a few words."""
        return EMPTY

    def foot(self) -> Line:
        """The right end of the bottom border."""
        return EMPTY

    def head(self, width: int, height: int) -> Sequence[Line]:
        """Lines that stay above the entries."""
        return ()

    def keys(self) -> Sequence[str]:
        """The entries, in order, the filter applied."""
        return ()

    def entry(self, key: str, width: int) -> Sequence[Line]:
        """The lines of one entry."""
        return ()

    def empty(self, width: int) -> Sequence[Line]:
        """What stands in place of entries when there are none."""
        return ()

    @property
    def status_room(self) -> int:
        """Cells for :meth:`status_line` beside the title."""
        return max(0, self.size.width - 7 - width_of(self._title()) - 2)

    @property
    def foot_room(self) -> int:
        """Cells for :meth:`foot` beside the filter and the count of what is hidden below."""
        beside = [part for part in (self._filter_note(), self._more()) if part]
        return max(0, self.size.width - 7 - sum(width_of(part) + 3 for part in beside))

    # Drawing.

    def redraw(self) -> None:
        """Draw from the current values; only what changed is repainted."""
        width, height = self.size.width, self.size.height
        if width < 4 or height < 2:
            self.show(())
            return
        inner = width - 4
        rows = height - 2
        body = [crop(content, inner) for content in self.head(inner, rows)][:rows]
        body.extend(self._entries(inner, rows - len(body), len(body)))
        frame = self.look.glyphs.frame
        role = "frame-focus" if self.has_focus else "frame"
        edge = Span(frame[3], role)
        lines: list[Line] = [border(width, frame[0], frame[2], frame[1], self._title(), self.status_line(), role)]
        for y in range(rows):
            content = body[y] if y < len(body) else EMPTY
            lines.append((edge, Span(" "), *fit(content, inner, self.look.glyphs.ellipsis), Span(" "), edge))
        lines.append(border(width, frame[5], frame[4], frame[1], self._filter_note(), self._foot_with_more(), role))
        self.show(lines)

    def watch_filter_text(self) -> None:
        """A new filter starts at the top."""
        self._top = 0
        self.redraw()

    def watch_has_focus(self, has_focus: bool) -> None:
        """The cursor shows only while the pane has the focus; when ``on_focus`` is called, it has not yet."""
        super().watch_has_focus(has_focus)
        self.redraw()

    def _title(self) -> Line:
        number = (f"{self.number} ", "key") if self.number else ("", "key")
        return line(number, (self.pane_name, "title-focus" if self.has_focus else "title"))

    def _filter_note(self) -> Line:
        return line(("/", "key"), (self.filter_text, "match")) if self.filter_text else EMPTY

    def _more(self) -> Line:
        hidden = self._hidden_below
        return line((f"{self.look.glyphs.more} {hidden} more", "quiet")) if hidden else EMPTY

    def _foot_with_more(self) -> Line:
        more, foot = self._more(), self.foot()
        if not more:
            return foot
        return (*more, Span(f" {self.look.glyphs.dot} ", "frame"), *foot) if foot else more

    # Entries and cursor.

    _hidden_below = 0

    def _entries(self, width: int, rows: int, first_row: int) -> list[Line]:
        self._rows_at.clear()
        self._hidden_below = 0
        keys = self.keys()
        if not keys:
            return [crop(content, width) for content in self.empty(width)][: max(0, rows)]
        if rows <= 0:
            self._hidden_below = len(keys)
            return []
        cursor = self._cursor_index(keys)
        known: dict[int, Sequence[Line]] = {}

        def contents(index: int) -> Sequence[Line]:
            if index not in known:
                known[index] = self.entry(keys[index], width)
            return known[index]

        # Whatever lies above the cursor, a window that ends with it starts at most this many entries before it.
        self._top = min(self._top, cursor)
        if cursor - self._top >= rows:
            self._top = _first_above(contents, cursor, rows)
        drawn, shown = self._window(keys, contents, cursor, width, rows, first_row)
        if cursor >= self._top + shown:
            self._top = _first_above(contents, cursor, rows)
            drawn, shown = self._window(keys, contents, cursor, width, rows, first_row)
        if self._top and self._top + shown == len(keys) and len(drawn) < rows:
            self._top = min(self._top, _first_above(contents, len(keys) - 1, rows))
            drawn, shown = self._window(keys, contents, cursor, width, rows, first_row)
        self._hidden_below = len(keys) - self._top - shown
        return drawn

    def _window(
        self, keys: Sequence[str], contents_of: ContentsOf, cursor: int, width: int, rows: int, first_row: int
    ) -> tuple[list[Line], int]:
        drawn: list[Line] = []
        self._rows_at.clear()
        shown = 0
        for index in range(self._top, len(keys)):
            contents = contents_of(index)
            if len(drawn) + len(contents) > rows and (drawn or index != cursor):
                break
            for content in contents[: rows - len(drawn)]:
                self._rows_at[first_row + len(drawn) + 1] = keys[index]
                content = fit(content, width, self.look.glyphs.ellipsis)
                if index == cursor and self.has_focus:
                    content = tuple(Span(span.text, _selected(span.role)) for span in content)
                drawn.append(content)
            shown += 1
            if len(drawn) >= rows:
                break
        return drawn, shown

    def _cursor_index(self, keys: Sequence[str]) -> int:
        if self.cursor_key is not None:
            try:
                return keys.index(self.cursor_key)
            except ValueError:
                pass
        self.cursor_key = keys[0]
        return 0

    def action_move(self, step: int) -> None:
        """Move the cursor by ``step`` entries."""
        keys = self.keys()
        if keys:
            index = self._cursor_index(keys)
            self._select(keys, index + step)

    def action_jump(self, index: int) -> None:
        """Go to the first (0) or last (-1) entry."""
        keys = self.keys()
        if keys:
            self._select(keys, index % len(keys))

    def action_page(self, step: int) -> None:
        """Move by what fits on the pane."""
        self.action_move(step * max(1, len(set(self._rows_at.values())) - 1))

    def action_open(self) -> None:
        """Ask for the details of the entry under the cursor."""
        keys = self.keys()
        if keys:
            self.post_message(self.Opened(self, keys[self._cursor_index(keys)]))

    def _select(self, keys: Sequence[str], index: int) -> None:
        self.cursor_key = keys[max(0, min(len(keys) - 1, index))]
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """A click selects, a second one on the same entry opens."""
        key = self._rows_at.get(event.y)
        if key is None:
            return
        keys = self.keys()
        try:
            index = keys.index(key)
        except ValueError:  # it went since it was drawn
            return
        again = key == self.cursor_key and event.chain > 1
        self._select(keys, index)
        if again:
            self.action_open()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self.action_move(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """See :meth:`on_mouse_scroll_down`."""
        event.stop()
        self.action_move(-1)

    def cursor_here(self) -> str | None:
        """The key under the cursor, None when there is no entry."""
        keys = self.keys()
        return keys[self._cursor_index(keys)] if keys else None


def _first_above(contents_of: ContentsOf, last: int, rows: int) -> int:
    """The first of the entries that, with all up to ``last``, fit into ``rows``; ``last`` itself where it is taller."""
    used, first = len(contents_of(last)), last
    while first > 0:
        used += max(1, len(contents_of(first - 1)))
        if used > rows:
            break
        first -= 1
    return first


def border(width: int, start: str, end: str, bar: str, left: Line, right_end: Line, role: str = "frame") -> Line:
    """A frame's top or bottom edge, ``left`` and ``right_end`` set into it; the right one gives way first."""
    left_part: Line = (Span(" "), *left, Span(" ")) if left else EMPTY
    room = width - 4
    if width_of(left_part) > room:
        left_part = crop(left_part, room)
    right_part: Line = (Span(" "), *right_end, Span(" ")) if right_end else EMPTY
    if width_of(left_part) + width_of(right_part) + 1 > room:
        right_room = room - width_of(left_part) - 1
        right_part = (Span(" "), *crop(right_end, right_room - 2), Span(" ")) if right_room > 8 else EMPTY
    gap = room - width_of(left_part) - width_of(right_part)
    return (
        Span(start + bar, role),
        *left_part,
        Span(bar * gap, role),
        *right_part,
        Span(bar + end, role),
    )


def _selected(role: str) -> str:
    return role if role in ("bar", "bar-empty", "bar-over") else f"{role}!"


def not_fresh(reading: Reading[object], look: View, absent: Span) -> Line | None:
    """The status of a reading that is not fresh (``absent`` when there is only an error); None when it is."""
    glyphs = look.glyphs
    match reading.state(look.now):
        case "waiting":
            return line((f"{glyphs.off} reading", "quiet"))
        case "absent":
            return (absent,)
        case "stale":
            return line((f"{glyphs.stale} {span_text(reading.age_s(look.now) or 0)} old", "warning"))
        case "fresh":
            return None


def trouble(reading: Reading[object], now: float, width: int, *, absent: str = "critical") -> list[Line]:
    """What a pane says when its source failed: the error, since when, and the line that mends it.

    ``absent`` is the role of an error with no old value: a store that was never made is no alarm.
    """
    if reading.error is None:
        return []
    out = wrap(reading.error, width, absent if reading.value is None else "warning", limit=3)
    facts: list[str] = []
    if reading.at is not None:
        facts.append(f"last seen {clock_of(reading.at)} ({span_text(now - reading.at)} ago)")
    if reading.next_at is not None and reading.next_at - now >= 1:
        facts.append(f"next try in {span_text(reading.next_at - now + 0.999)}")
    if facts:
        out.append(fitting([line((fact, "quiet")) for fact in facts], line((" · ", "quiet")), width))
    if reading.hint:
        out.extend(wrap(reading.hint, width, "strong", limit=2))
    return out


def clock_of(at: float) -> str:
    """The local time of day of a Unix time."""
    return moment_text(at, "%H:%M:%S")
