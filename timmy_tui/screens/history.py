"""Every tick of every day, from an index that is built behind a progress line."""

from __future__ import annotations

import asyncio
from datetime import datetime

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.worker import get_current_worker

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.services.reading import SourceError
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks.records import IndexProgress
from timmy_tui.text import percent_text
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import EMPTY, Line, line
from timmy_tui.widgets.list_pane import ListPane, NumberedKeys
from timmy_tui.widgets.pane import Pane
from timmy_tui.widgets.table import Cell, bar, row


class HistoryScreen(ConsoleScreen[None]):
    """All ticks, newest first; enter opens one."""

    BINDING_GROUP_TITLE = "History"
    BINDINGS = [Binding("escape", "dismiss", "back", id="history.back")]
    AUTO_FOCUS = "#ticks"

    ticks = getters.query_one("#ticks", ListPane)

    def __init__(self) -> None:
        super().__init__()
        self._progress: IndexProgress | None = None

    def compose(self) -> ComposeResult:
        """The list and the keys."""
        yield ListPane("Every tick", id="ticks")
        yield KeyLine()

    def on_mount(self) -> None:
        """Build the index, or take in what is new."""
        self._show()
        self._build()

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        """New ticks may have come."""
        if self._progress is None:
            self._grow()

    @work(group="history", exclusive=True, exit_on_error=False, description="index every tick")
    async def _build(self) -> None:
        worker, history = get_current_worker(), self.console.monitor.sources.history
        loop = asyncio.get_running_loop()

        def on_progress(progress: IndexProgress) -> None:
            loop.call_soon_threadsafe(self._at, progress)

        try:
            if len(history):
                await asyncio.to_thread(history.grow)
            else:
                await asyncio.to_thread(history.build, on_progress, lambda: worker.is_cancelled)
        except SourceError as error:
            self.notify(error.message, severity="warning", markup=False)
        self._at(None)

    @work(group="history", exclusive=True, exit_on_error=False, description="index new ticks")
    async def _grow(self) -> None:
        try:
            await asyncio.to_thread(self.console.monitor.sources.history.grow)
        except SourceError as error:
            self.notify(error.message, severity="warning", markup=False)
        self._show()

    def _at(self, progress: IndexProgress | None) -> None:
        self._progress = progress
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        history, look, progress = self.console.monitor.sources.history, self.console.view(), self._progress
        head: list[Line] = []
        if progress is not None and progress.total_bytes:
            share = progress.done_bytes / progress.total_bytes
            glyphs = look.glyphs
            head = [
                (
                    *bar(share, 24, glyphs.bar_full, glyphs.bar_empty),
                    *line((f" {percent_text(share)} indexed", "quiet")),
                ),
                EMPTY,
            ]

        def draw(key: str, width: int) -> Line:
            tick = history.head(int(key))
            when = "?" if tick.at is None else f"{datetime.fromtimestamp(tick.at).astimezone():%Y-%m-%d %H:%M}"
            sign = look.glyphs.severity(tick.severity)
            lead = line((f"{when}  ", "quiet"), (f"{sign} {tick.severity:<8}  ", tick.severity))
            cells = [
                Cell(tick.label or "", 8, 1, "info", to_right=False),
                Cell(tick.model or "rules", 20, 2, "quiet", to_right=False),
            ]
            return row(lead, line(tick.summary), cells, width, flex_min=20)

        nothing = [] if head else [line(("No tick in the log yet.", "quiet"))]
        status = line((f"{len(history):,} ticks", "quiet"))
        self.ticks.fill(NumberedKeys(len(history)), draw, look, head=head, empty=nothing, status=status)

    @on(Pane.Opened)
    def _open(self, event: Pane.Opened) -> None:
        from timmy_tui.screens.tick import TickScreen

        place = self.console.monitor.sources.history.head(int(event.key)).place
        self.app.push_screen(TickScreen(place))
