"""Every tick of every day, from an index that is built behind a progress line."""

from __future__ import annotations

import asyncio

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input
from textual.worker import get_current_worker

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.screens.filter_line import FilterLine
from timmy_tui.services.reading import SourceError
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks.find import find_ticks
from timmy_tui.services.ticks.history import TickHistory
from timmy_tui.services.ticks.records import IndexedTick, IndexProgress, TickHead
from timmy_tui.text import clean, moment_text, percent_text
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import EMPTY, Line, line
from timmy_tui.widgets.list_pane import ListPane, NumberedKeys
from timmy_tui.widgets.pane import Pane
from timmy_tui.widgets.table import Cell, bar, row

HEADS_KEPT = 2_000
"""Ticks whose text stays in memory once it was read; more than any terminal has rows."""

HEADS_AT_ONCE = 200
"""Ticks read between two drawings; of a fast scroll the last ones, which are in view."""

TYPING_PAUSE_S = 0.2
"""The log is read when no letter has come for so long."""

CHANGED = "changed since it was indexed"


class HistoryScreen(ConsoleScreen[None]):
    """All ticks, newest first; enter opens one.

    A row's time and severity stand in the index; the rest is read from the log in the background, for what is in
    view: a file may be slow, or no longer what it was.
    """

    BINDING_GROUP_TITLE = "History"
    BINDINGS = [
        Binding("slash", "filter", "filter", key_display="/", id="history.filter", tooltip="Ticks that hold words"),
        Binding("escape", "back", "back", id="history.back"),
    ]
    AUTO_FOCUS = "#ticks"

    ticks = getters.query_one("#ticks", ListPane)

    def __init__(self) -> None:
        super().__init__()
        self._progress: IndexProgress | None = None
        self._updating = self._again = False
        self._told = ""
        self._heads: dict[IndexedTick, TickHead | None] = {}
        """What was read, the oldest first; None where the log did not hold it any more."""
        self._wanted: dict[IndexedTick, None] = {}
        self._reading = False
        self._words = ""
        self._found: list[int] | None = None
        """The indices of the ticks that hold the words, newest first; None = no filter."""
        self._searched = 0

    def compose(self) -> ComposeResult:
        """The list and the keys."""
        yield ListPane("Every tick", id="ticks")
        yield KeyLine()

    def on_mount(self) -> None:
        """Build the index, or take in what is new."""
        self._show()
        self._update()

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        """New ticks may have come."""
        self._update()

    @property
    def _history(self) -> TickHistory:
        return self.console.monitor.sources.history

    def _update(self) -> None:
        if self._updating:
            self._again = True
        else:
            self._updating = True
            self._take_in()

    @work(group="history", exit_on_error=False, description="index every tick")
    async def _take_in(self) -> None:
        worker, loop, history = get_current_worker(), asyncio.get_running_loop(), self._history

        def on_progress(progress: IndexProgress) -> None:
            loop.call_soon_threadsafe(self._at, progress)

        self._again = True
        try:
            while self._again:
                self._again = False
                try:
                    if history.complete:
                        changed = await asyncio.to_thread(history.grow)
                    else:
                        changed = True
                        await asyncio.to_thread(history.build, on_progress, lambda: worker.is_cancelled)
                except SourceError as error:
                    self._tell(error.message)
                else:
                    self._told = ""
                    if changed:
                        self._search()
                        self._heads = {indexed: head for indexed, head in self._heads.items() if head is not None}
                self._at(None)
        finally:
            self._updating = False

    def _tell(self, message: str) -> None:
        """Say it once, not at each look."""
        if message != self._told:
            self._told = message
            self.notify(message, severity="warning", markup=False)

    def _at(self, progress: IndexProgress | None) -> None:
        self._progress = progress
        if self.is_attached:
            self._show()

    def _show(self) -> None:
        history, look, progress = self._history, self.console.view(), self._progress
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
            try:
                indexed = history.indexed(int(key))
            except IndexError:  # the log was cut since the rows were counted
                return line((CHANGED, "warning"))
            sign = look.glyphs.severity(indexed.severity)
            when = moment_text(indexed.at, "%Y-%m-%d %H:%M", unknown=f"{'?':<16}")
            lead = line((f"{when}  ", "quiet"), (f"{sign} {indexed.severity:<8}  ", indexed.severity))
            tick = self._head(indexed)
            if tick is None:
                return row(lead, line((CHANGED if indexed in self._heads else "", "warning")), [], width)
            cells = [
                Cell(tick.label or "", 8, 1, "info", to_right=False),
                Cell(tick.model or "rules", 20, 2, "quiet", to_right=False),
            ]
            return row(lead, line(tick.summary), cells, width, flex_min=20)

        count = len(history)
        found = self._found
        if found is None:
            nothing = [] if head else [line(("No tick in the log yet.", "quiet"))]
            status = line((f"{count:,} ticks", "quiet"))
            self.ticks.fill(NumberedKeys(count), draw, look, head=head, empty=nothing, status=status)
            return
        under_way = self._searched < count
        nothing = [line((f"Looking for “{self._words}”…" if under_way else f"No tick holds “{self._words}”.", "quiet"))]
        looked = f", {percent_text(self._searched / count)} searched" if under_way and count else ""
        status = line(("/", "key"), (self._words, "match"), (f"  {len(found):,} of {count:,} ticks{looked}", "quiet"))
        self.ticks.fill([str(index) for index in found], draw, look, head=head, empty=nothing, status=status)

    # Filter.

    def action_filter(self) -> None:
        """Type words; the ticks that hold them all stay."""
        lines = self.query(FilterLine)
        if lines:
            self.set_focus(lines.first())
            return
        filter_line = FilterLine("words: a day, a severity, a model, the reasoning", self._words)
        self.mount(filter_line, before=self.query_one(KeyLine))
        self.set_focus(filter_line)

    def action_back(self) -> None:
        """Drop the filter, else leave."""
        if self._words:
            self._words = ""
            self._search()
        else:
            self.dismiss()

    @on(Input.Changed, "#filter-line")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._words = clean(event.value.strip())
        self._search()

    @on(FilterLine.Left)
    async def _filter_left(self, event: FilterLine.Left) -> None:
        if not event.keep and self._words:
            self._words = ""
            self._search()
        await self.query_one(FilterLine).remove()
        self.set_focus(self.ticks)

    def _search(self) -> None:
        """Look again from the newest tick on, if words are looked for."""
        self._searched, self._found = 0, [] if self._words else None
        self.workers.cancel_group(self, "find")
        if self._words:
            self._find(self._words)
        self._show()

    @work(group="find", exclusive=True, exit_on_error=False, description="look for words in the ticks")
    async def _find(self, words: str) -> None:
        worker, loop = get_current_worker(), asyncio.get_running_loop()

        def on_found(indices: list[int], searched: int) -> None:
            loop.call_soon_threadsafe(self._take_found, words, indices, searched)

        await asyncio.sleep(TYPING_PAUSE_S)
        await asyncio.to_thread(find_ticks, self._history, words, on_found, lambda: worker.is_cancelled)

    def _take_found(self, words: str, indices: list[int], searched: int) -> None:
        if words == self._words and self._found is not None and self.is_attached and searched > self._searched:
            self._searched = searched
            self._found = [*self._found, *indices]
            self._show()

    def _head(self, indexed: IndexedTick) -> TickHead | None:
        """The tick's head if it has been read; else it is wanted, and the row drawn again when it is there."""
        if indexed in self._heads:
            return self._heads[indexed]
        self._wanted.pop(indexed, None)
        self._wanted[indexed] = None
        if not self._reading:
            self._reading = True
            self.call_later(self._read_heads)
        return None

    @work(group="heads", exit_on_error=False, description="read the ticks in view")
    async def _read_heads(self) -> None:
        history = self._history
        try:
            while self._wanted:
                wanted, self._wanted = list(self._wanted)[-HEADS_AT_ONCE:], {}
                self._heads |= await asyncio.to_thread(_heads_of, history, wanted)
                for indexed in list(self._heads)[:-HEADS_KEPT]:
                    del self._heads[indexed]
                self.ticks.redraw()
        finally:
            self._reading = False

    @on(Pane.Opened)
    @work(group="open", exclusive=True, exit_on_error=False, description="open a tick")
    async def _open(self, event: Pane.Opened) -> None:
        from timmy_tui.screens.tick import TickScreen

        try:
            head = await asyncio.to_thread(self._history.head, int(event.key))
        except IndexError:
            self.notify("That tick has left the log.", severity="warning", timeout=4, markup=False)
        except SourceError as error:
            self.notify(error.message, severity="warning", timeout=4, markup=False)
        else:
            self.app.push_screen(TickScreen(head.place))


def _heads_of(history: TickHistory, wanted: list[IndexedTick]) -> dict[IndexedTick, TickHead | None]:
    """The heads of these ticks, in a thread; None for one that is not there any more."""
    heads: dict[IndexedTick, TickHead | None] = {}
    for indexed in wanted:
        try:
            heads[indexed] = history.read_head(indexed)
        except SourceError:
            heads[indexed] = None
    return heads
