"""Pane 2: what the agent sessions cost in tokens, and which run now."""

from __future__ import annotations

from collections.abc import Sequence

from timmy_tui.services.hermes.records import HermesReading, SessionSummary, Tokens
from timmy_tui.services.reading import Reading
from timmy_tui.text import count_text, percent_text, span_text
from timmy_tui.widgets.line import EMPTY, Line, Span, crop, fit, fitting, joined, line, spread, width_of
from timmy_tui.widgets.pane import Pane, View, not_fresh, trouble
from timmy_tui.widgets.table import Cell, row, sparkline

WIDE = 70


class SessionsPane(Pane):
    """Totals of the window, tokens over time, and the sessions: running first, then newest."""

    HELP = "Sessions that Hermes Agent recorded in the window; enter opens the transcript."

    def __init__(self) -> None:
        super().__init__(2, "Sessions", id="sessions")
        self.reading: Reading[HermesReading] = Reading()
        self._keys: tuple[str, ...] = ()
        self._by_id: dict[str, SessionSummary] = {}
        self._texts: dict[str, str] = {}
        self._open: list[SessionSummary] = []
        self._running_ids: tuple[str, ...] = ()

    def update(self, reading: Reading[HermesReading], look: View) -> None:
        """Show this reading."""
        fresh = reading.value is not self.reading.value
        if fresh:
            sessions = reading.value.sessions if reading.value else ()
            self._by_id = {session.id: session for session in sessions}
            self._open = [session for session in sessions if session.open_turn]
            self._texts = {
                session.id: f"{session.title or ''} {session.source} {session.model or ''} {session.id}".casefold()
                for session in sessions
            }
        self.reading, self.look = reading, look
        # Only a session with an open turn changes its state by the mere passing of time.
        running = tuple(session.id for session in self._open if session.state(look.now) == "running")
        if fresh or running != self._running_ids:
            self._running_ids = running
            self._order()
        self.redraw()

    @property
    def restless(self) -> bool:
        """A session runs, or a dead store is tried again."""
        return bool(self._running_ids) or self.reading.error is not None

    def selected(self) -> SessionSummary | None:
        """The session under the cursor."""
        key = self.cursor_here()
        return self._by_id.get(key) if key else None

    def watch_filter_text(self) -> None:
        self._order()
        super().watch_filter_text()

    def _order(self) -> None:
        wanted = self.filter_text.casefold()
        shown = [key for key in self._by_id if not wanted or wanted in self._texts[key]]
        first = set(self._running_ids)
        self._keys = (*(key for key in shown if key in first), *(key for key in shown if key not in first))

    def status_line(self) -> Line:
        glyphs, value = self.look.glyphs, self.reading.value
        state = not_fresh(self.reading, self.look, Span(f"{self.look.glyphs.off} no store", "warning"))
        if state is not None:
            return state
        if value is None:
            return EMPTY
        profile = f"{value.profile} {glyphs.dot} " if value.profile else ""
        others = value.other_profiles
        also = f"+ {others[0]}{' …' * (len(others) > 1)} {glyphs.dot} " if others else ""
        return line((f"{profile}{also}{value.hours:g} h", "quiet"))

    def foot(self) -> Line:
        value = self.reading.value
        if value is None or not value.by_source:
            return EMPTY
        parts = [line((f"{source} {count}", "quiet")) for source, count in value.by_source[:4]]
        return fitting(parts, line((f" {self.look.glyphs.dot} ", "quiet")), self.foot_room)

    def head(self, width: int, height: int) -> Sequence[Line]:
        lines = trouble(self.reading, self.look.now, width, absent="warning")
        value = self.reading.value
        if value is None:
            return lines
        if lines:
            lines.append(EMPTY)
        lines.append(self._counts(value))
        if value.routing_only:
            lines.append(line(("Only the gateway's sessions.json is here: no tokens known.", "warning")))
            return lines
        if value.tokens.total:
            lines.append(_tokens_line(value.tokens, width))
            if value.older_tokens and height > 5:
                told = f"{count_text(value.older_tokens)} of them since the start of longer sessions"
                lines.append(crop(line((told, "quiet")), width))
            if height > 6:
                lines.append(self._places(value, width))
            if height > 7 and any(value.tokens_by_bucket):
                lines.append(self._spark(value, width))
        if height > 12 and value.sessions:
            lines.append(EMPTY)
        return lines

    def empty(self, width: int) -> Sequence[Line]:
        value = self.reading.value
        if value is None:
            return () if self.reading.error else [line(("Reading the Hermes store…", "quiet"))]
        if self.filter_text:
            return [line((f"No session matches “{self.filter_text}”.", "quiet"))]
        return [line((f"No session was active within {value.hours:g} h.", "quiet"))]

    def keys(self) -> Sequence[str]:
        return self._keys

    def entry(self, key: str, width: int) -> Sequence[Line]:
        session, now, glyphs = self._by_id[key], self.look.now, self.look.glyphs
        state = session.state(now)
        sign, role = {
            "running": (glyphs.ok, "ok"),
            "failed": (glyphs.critical, "critical"),
            "idle": (glyphs.off, "warning"),
            "done": (glyphs.off, "quiet"),
        }[state]
        reference = session.started_at if state == "running" else session.last_activity_at
        lead = line((f"{sign} {state:<7}  ", role))
        source = fit(line((session.source, "quiet")), 10, "")
        what = session.title or session.model or session.id
        flex = (*source, Span(" "), *line((what, "text" if session.title else "quiet")))
        if width < 44:
            flex = line((session.title or session.source, "text"))
        cells = [
            Cell(session.model or "", 20, 3, "quiet", to_right=False),
            Cell(count_text(session.tokens.total), 5, 0, "text" if session.tokens.total else "quiet"),
            Cell(span_text(now - reference), 4, 1, "quiet"),
        ]
        if width < WIDE or not session.title:
            cells.pop(0)
        if width >= WIDE and not session.title:
            cells.insert(0, Cell("", 20, 3))
        return [row(lead, flex, cells, width, flex_min=14)]

    def _counts(self, value: HermesReading) -> Line:
        now = self.look.now
        running = len(self._running_ids)
        failed = sum(1 for session in self._open if session.state(now) == "failed")
        total = len(value.sessions)
        dot = line((f" {self.look.glyphs.dot} ", "quiet"))
        return joined(
            [
                line((str(total), "strong"), " session" if total == 1 else " sessions"),
                line((f"{running} running", "ok" if running else "quiet")),
                line((f"{failed} failed", "critical" if failed else "quiet")),
            ],
            dot,
        )

    def _places(self, value: HermesReading, width: int) -> Line:
        total = value.tokens.total
        shares = [
            line(("local ", "quiet"), percent_text(value.local_tokens / total)),
            line(
                ("cloud ", "quiet"),
                (percent_text(value.cloud_tokens / total), "info" if value.cloud_tokens else "text"),
            ),
        ]
        if value.unknown_tokens:
            shares.append(line(("unknown ", "quiet"), percent_text(value.unknown_tokens / total)))
        cost = [] if value.cost_usd is None else [line((f"${value.cost_usd:,.2f}", "strong"))]
        if value.unpriced_sessions:
            count = "" if value.cost_usd is None else f"{value.unpriced_sessions} "
            cost.append(line((f"{count}unpriced", "quiet")))
        places = joined(shares, line("  "))
        # At the right end the whole price, else what is known of it, else nothing: never half a number.
        prices = [joined(cost, line((" + ", "quiet"))), *cost[:1]]
        room = width - width_of(places) - 2
        return spread(places, next((price for price in prices if width_of(price) <= room), EMPTY), width)

    def _spark(self, value: HermesReading, width: int) -> Line:
        per_bucket = value.hours / max(1, len(value.tokens_by_bucket))
        unit = "h" if abs(per_bucket - 1) < 0.01 else f"{per_bucket:g} h"
        label = line((f"  tokens/{unit}", "quiet"))
        room = width - sum(len(span.text) for span in label)
        return (*sparkline(value.tokens_by_bucket, room, self.look.glyphs.spark), *label)


def _tokens_line(tokens: Tokens, width: int) -> Line:
    parts = [
        line((count_text(tokens.total), "strong"), " tokens"),
        line(("in ", "quiet"), count_text(tokens.input)),
        line(("out ", "quiet"), count_text(tokens.output)),
        line(("cache ", "quiet"), count_text(tokens.cache_read + tokens.cache_write)),
        line(("reasoning ", "quiet"), count_text(tokens.reasoning)) if tokens.reasoning else EMPTY,
    ]
    return fitting(parts, line("  "), width)
