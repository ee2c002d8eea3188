"""Search the text of every Hermes message."""

from __future__ import annotations

import asyncio
from datetime import datetime

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.services.hermes.records import SearchHit
from timmy_tui.services.reading import SourceError
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import Line, line, wrap
from timmy_tui.widgets.list_pane import ListPane
from timmy_tui.widgets.pane import Pane
from timmy_tui.widgets.table import row

SHORTEST = 2


class SearchScreen(ConsoleScreen[None]):
    """A line to type in and the messages that match."""

    BINDING_GROUP_TITLE = "Search"
    BINDINGS = [
        Binding("escape", "dismiss", "back", id="search.back"),
        Binding("down", "to_hits", "results", show=False, id="search.results"),
    ]
    AUTO_FOCUS = "#wanted"

    hits = getters.query_one("#hits", ListPane)

    def __init__(self) -> None:
        super().__init__()
        self._found: tuple[SearchHit, ...] = ()
        self._wanted = ""

    def compose(self) -> ComposeResult:
        """The line, the hits, the keys."""
        wanted = Input(placeholder="words in any Hermes message", id="wanted", compact=True)
        wanted.cursor_blink = False
        yield wanted
        yield ListPane("Messages", id="hits")
        yield KeyLine()

    def on_mount(self) -> None:
        """Nothing has been asked for yet."""
        self._show([line(("Type at least two letters.", "quiet"))])

    def action_to_hits(self) -> None:
        """From the line to the hits."""
        self.set_focus(self.hits)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.set_focus(self.hits)

    @on(Input.Changed)
    @work(group="search", exclusive=True, exit_on_error=False, description="search messages")
    async def _search(self, event: Input.Changed) -> None:
        self._wanted = event.value.strip()
        if len(self._wanted) < SHORTEST:
            self._found = ()
            self._show([line(("Type at least two letters.", "quiet"))])
            return
        try:
            found = await asyncio.to_thread(self.console.monitor.sources.hermes.search, self._wanted)
        except SourceError as error:
            self._found = ()
            self._show([*wrap(error.message, 70, "critical"), *wrap(error.hint, 70, "quiet")])
            return
        self._found = found
        self._show([line(("No message holds that.", "quiet"))])

    def _show(self, empty: list[Line]) -> None:
        found = self._found

        def draw(key: str, width: int) -> Line:
            hit = found[int(key)]
            when = "?" if hit.at is None else f"{datetime.fromtimestamp(hit.at).astimezone():%m-%d %H:%M}"
            return row(line((f"{when}  {hit.role:<9}  ", "quiet")), line(hit.snippet), [], width)

        status = line((f"{len(found)} found", "quiet")) if self._wanted else ()
        self.hits.fill(
            [str(index) for index in range(len(found))], draw, self.console.view(), empty=empty, status=status
        )

    @on(Pane.Opened)
    def _open(self, event: Pane.Opened) -> None:
        from timmy_tui.screens.session import SessionScreen

        hit = self._found[int(event.key)]
        self.app.push_screen(SessionScreen(hit.session_id, find=self._wanted))
