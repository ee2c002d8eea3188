"""The top line: how the whole stack is, on one row."""

from __future__ import annotations

from msgspec import Struct

from timmy_tui.services.severity import Overall
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.text import moment_text, span_text, timer_text
from timmy_tui.widgets.line import EMPTY, Line, Span, crop, line, spread, width_of
from timmy_tui.widgets.lines_view import LinesView
from timmy_tui.widgets.pane import View

QUIET_BELOW = 80
"""Below this width a worker that is up is not mentioned."""

REASON_ROOM = 36
"""Cells that the severity and its reason get before the worker."""

ROOM_FOR_TICK = 24
"""Cells of the clock from which on it tells the next tick too."""


PROBLEM_MIN = 16
"""Cells that the first problem gets before the count of the others."""


class HeaderFacts(Struct, frozen=True):
    """What the header shows."""

    snapshot: Snapshot
    overall: Overall
    look: View
    title: str = "timmy"
    demo: bool = False
    own_worker: bool = False
    """This console runs the worker itself."""


class HeaderBar(LinesView):
    """Severity with its first reason on the left, the worker on the right."""

    def __init__(self) -> None:
        super().__init__(id="header")
        self._facts: HeaderFacts | None = None

    def update(self, facts: HeaderFacts) -> None:
        """Show these facts."""
        self._facts = facts
        self.redraw()

    def redraw(self) -> None:
        """Draw from the current facts."""
        if self._facts is not None and self.size.width > 0:
            self.show([self._line(self._facts, self.size.width)])

    def _line(self, facts: HeaderFacts, width: int) -> Line:
        worker = facts.snapshot.worker.value
        healthy = worker is not None and worker.state == "up"
        right_end = EMPTY if healthy and width < QUIET_BELOW else self._worker(facts)
        if width_of(right_end) > width - REASON_ROOM:
            right_end = EMPTY
        room = width - width_of(right_end) - 2
        return spread(crop(self._left(facts, room), room), right_end, width)

    def _left(self, facts: HeaderFacts, width: int) -> Line:
        glyphs, overall = facts.look.glyphs, facts.overall
        parts: list[Line] = [line((f" {facts.title} ", "title"))]
        if facts.demo:
            parts.append(line((" DEMO ", "demo"), " "))
        if facts.look.paused:
            parts.append(line((f"{glyphs.paused} paused  ", "warning")))
        if not overall.problems and _still_looking(facts.snapshot):
            return (*(span for part in parts for span in part), Span(f"{glyphs.off} looking…", "quiet"))
        parts.append(line((f"{glyphs.severity(overall.severity)} {overall.severity}", overall.severity)))
        left: Line = tuple(span for part in parts for span in part)
        if overall.problems:
            more = len(overall.problems) - 1
            rest = line((f"  +{more} more" if more else "", "quiet"))
            room = width - width_of(left)
            if room - width_of(rest) < PROBLEM_MIN:
                rest = EMPTY
            left = (*left, *crop(line(f"  {overall.problems[0]}"), room - width_of(rest)), *rest)
        elif width > 60:
            left = (*left, *line((f"  all quiet on {facts.snapshot.host}", "quiet")))
        return left

    def _worker(self, facts: HeaderFacts) -> Line:
        glyphs = facts.look.glyphs
        worker = facts.snapshot.worker.value
        if worker is None:
            return EMPTY
        sign, role = {
            "up": (glyphs.ok, "ok"),
            "elsewhere": (glyphs.ok, "info"),
            "stuck": (glyphs.warning, "warning"),
            "down": (glyphs.off, "quiet"),
        }[worker.state]
        whose = " (this console's)" if facts.own_worker and worker.state == "up" else ""
        waiting = f" {worker.pending} queued" if worker.pending else ""
        return line(("worker ", "quiet"), (f"{sign} {worker.state}", role), (f"{whose}{waiting}", "quiet"))


class HeaderClock(LinesView):
    """The time of the next tick and the time of day.

    A widget of its own because Textual sends a changed line again from its widget's left edge: this way a second
    costs these cells and not the whole header.
    """

    def __init__(self) -> None:
        super().__init__(id="clock")
        self._facts: HeaderFacts | None = None

    def update(self, facts: HeaderFacts) -> None:
        """Show these facts."""
        self._facts = facts
        self.redraw()

    def redraw(self) -> None:
        """Draw from the current facts; a narrow clock leaves the next tick out."""
        width = self.size.width
        if self._facts is None or width <= 0:
            return
        clock = line((f"{moment_text(self._facts.look.now, '%H:%M:%S')} ", "strong"))
        tick = _next_tick(self._facts) if width >= ROOM_FOR_TICK else EMPTY
        self.show([spread((*line("  "), *tick), clock, width)])


def _next_tick(facts: HeaderFacts) -> Line:
    value = facts.snapshot.heartbeat.value
    due = value.next_at() if value else None
    if value is None or due is None:
        return EMPTY
    wait = due - facts.look.now
    if wait > 0:
        return line(("next tick ", "quiet"), timer_text(wait))
    if value.overdue(facts.look.now):
        return line(("tick ", "quiet"), (f"overdue {span_text(-wait)}", "warning"))
    return line(("next tick ", "quiet"), "due")


def _still_looking(snapshot: Snapshot) -> bool:
    """A source has not said anything yet, so that nothing is known to be well."""
    readings = (*(server.reading for server in snapshot.ollama), snapshot.hermes, snapshot.heartbeat)
    return not snapshot.ollama or any(reading.at is None and reading.error is None for reading in readings)
