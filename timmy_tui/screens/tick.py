"""One tick: what was perceived, what was decided, and how it came to that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual import getters, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content

from timmy_tui.screens.document import DocumentScreen
from timmy_tui.services.reading import SourceError
from timmy_tui.services.ticks.changes import changed_paths
from timmy_tui.services.ticks.records import Tick, TickHead, TickPlace
from timmy_tui.text import duration_text, moment_text
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import EMPTY, Line, Span, line, wrap
from timmy_tui.widgets.perception_tree import PerceptionTree
from timmy_tui.widgets.reader import Reader, facts, heading


class TickScreen(DocumentScreen):
    """A tick in full; ``[`` and ``]`` walk to the tick before and after."""

    BINDING_GROUP_TITLE = "Tick"
    BINDINGS = [
        Binding("left_square_bracket", "walk(-1)", "earlier", key_display="[", id="tick.earlier"),
        Binding("right_square_bracket", "walk(1)", "later", key_display="]", id="tick.later"),
        Binding("p", "to_section('Prompt')", "prompt", id="tick.prompt"),
        Binding("w", "to_section('Raw response')", "response", id="tick.response"),
    ]
    AUTO_FOCUS = "#reader"

    perception = getters.query_one("#perception", PerceptionTree)

    def __init__(self, place: TickPlace) -> None:
        super().__init__("Decision")
        self._place = place
        self._tick: Tick | None = None

    def compose(self) -> ComposeResult:
        """The perception beside the decision."""
        with Container(id="tick-body"):
            yield PerceptionTree("Perception", glyphs=self.console.glyphs, id="perception")
            yield Reader("Decision", glyphs=self.console.glyphs, id="reader")
        yield KeyLine()

    def fill(self) -> None:
        self._read(self._place)

    @work(group="tick", exclusive=True, exit_on_error=False, description="read a tick and the one before")
    async def _read(self, place: TickPlace) -> None:
        store = self.console.monitor.sources.heartbeat
        try:
            tick = await asyncio.to_thread(store.load, place)
            before = self._neighbour(tick.head, -1)
            previous = await asyncio.to_thread(store.load, before.place) if before else None
        except SourceError as error:
            message, hint = error.message, error.hint
            self.reader.read(lambda width: [*wrap(message, width, "critical"), *wrap(hint, width, "quiet")])
            return
        self._tick, self._place = tick, place
        old = previous.perception if previous else tick.perception
        self.perception.show(tick.perception, old, changed_paths(old, tick.perception))
        # A plain string would be read as markup, and the host's name is the log's.
        self.perception.border_title = Content(f"Perception · {_when(tick.head)} {tick.host or ''}".rstrip())
        since = f"≠ since {_when(previous.head)}" if previous else "the first tick known"
        self.perception.border_subtitle = Content(since)
        head = tick.head
        self.reader.title_line = line(("Decision", "title"), (f" · {head.model or 'rules'}", "quiet"))
        self.reader.read(self._lines, status=line((head.tick_id, "quiet")))

    def _neighbour(self, head: TickHead, step: int) -> TickHead | None:
        """The tick before (-1) or after (1) within the last day; history is for longer walks."""
        value = self.console.snapshot.heartbeat.value
        heads = list(value.recent) if value else []
        for index, known in enumerate(heads):
            if known.place == head.place:
                beside = index + step
                return heads[beside] if 0 <= beside < len(heads) else None
        return None

    def action_walk(self, step: int) -> None:
        """Go to the tick before or after."""
        if self._tick is None:
            return
        beside = self._neighbour(self._tick.head, step)
        if beside is None:
            self.notify("No tick there within the last day; H on the dashboard shows all.", timeout=3, markup=False)
            return
        self._read(beside.place)

    def action_to_section(self, title: str) -> None:
        """Jump to a section of the text."""
        self.reader.go_to(title)

    def _lines(self, width: int) -> Sequence[Line]:
        tick, glyphs = self._tick, self.console.glyphs
        if tick is None:
            return ()
        head = tick.head
        out: list[Line] = [
            EMPTY,
            line((f"  {glyphs.severity(head.severity)} {head.severity}", head.severity)),
            EMPTY,
        ]
        reasoning = tick.decision.reasoning if tick.decision else ""
        out.extend(wrap(reasoning or "(no reasoning)", width, indent="  "))
        actions = tick.actions or (tick.decision.actions if tick.decision else ())
        if actions:
            out.append(EMPTY)
        for action in actions:
            role = "warning" if action.upper().startswith("ALERT") else "text"
            for index, content in enumerate(wrap(action, width - 4, role)):
                out.append((Span(f"  {glyphs.arrow} " if index == 0 else "    ", role), *content))
        out.extend([EMPTY, heading("Facts", width, glyphs), *facts(_tick_facts(tick), width)])
        if tick.attempts:
            out.extend([EMPTY, heading("Attempts", width, glyphs)])
            for number, attempt in enumerate(tick.attempts, 1):
                sign, role = (glyphs.ok, "ok") if attempt.error is None else (glyphs.critical, "critical")
                took = duration_text(attempt.duration_ms)
                out.append(line((f"{number} {sign} ", role), attempt.provider, (f"  {took}", "quiet")))
                if attempt.error:
                    out.extend(wrap(attempt.error, width, "warning", indent="    "))
        for title, text in (("Prompt", tick.prompt), ("Raw response", tick.response)):
            out.extend([EMPTY, heading(title, width, glyphs)])
            out.extend(wrap(text, width) if text else [line(("not recorded in this log", "quiet"))])
        return out


def _tick_facts(tick: Tick) -> list[tuple[str, str]]:
    return [
        ("tick", tick.head.tick_id),
        ("time", tick.timestamp or "?"),
        ("trigger", tick.trigger or "?"),
        (
            "decided by",
            f"{tick.head.model or '?'} through {tick.provider or '?'}" if tick.head.by_model else "the rules",
        ),
        ("took", duration_text(tick.duration_ms)),
        ("session", tick.session_id or "none"),
        ("label", tick.head.label or "none"),
        ("writer", " on ".join(filter(None, (tick.writer, tick.host))) or "?"),
    ]


def _when(head: TickHead) -> str:
    return moment_text(head.at, "%H:%M")
