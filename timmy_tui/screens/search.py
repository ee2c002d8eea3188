"""Search the text of every Hermes message."""

from __future__ import annotations

import asyncio

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input
from textual.worker import get_current_worker

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.services.hermes.records import SearchHit
from timmy_tui.services.reading import SourceError
from timmy_tui.text import moment_text
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import Line, line, wrap
from timmy_tui.widgets.list_pane import ListPane
from timmy_tui.widgets.pane import Pane
from timmy_tui.widgets.table import row
from timmy_tui.widgets.text_line import TextLine

SHORTEST = 2

TYPING_PAUSE_S = 0.2
"""A search starts when no letter has come for so long: without a full-text index it reads every message."""


class SearchScreen(ConsoleScreen[None]):
    """A line to type in and the messages that match."""

    TAKES_TEXT = True
    BINDING_GROUP_TITLE = "Search"
    BINDINGS = [
        Binding("escape", "dismiss", "back", id="search.back"),
        Binding("down", "to_hits", "results", show=False, id="search.results"),
    ]
    AUTO_FOCUS = "#wanted"

    hits = getters.query_one("#hits", ListPane)

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, SearchHit] = {}
        """The hits by their rows' keys: a key that is opened later still means the message that it was drawn for."""
        self._found_for = ""

    def compose(self) -> ComposeResult:
        """The line, the hits, the keys."""
        wanted = TextLine(placeholder="words in any Hermes message", id="wanted", compact=True)
        wanted.cursor_blink = False
        yield wanted
        yield ListPane("Messages", id="hits")
        yield KeyLine()

    def on_mount(self) -> None:
        """Nothing has been asked for yet."""
        self._show((), "", [line(("Type at least two letters.", "quiet"))])

    def action_to_hits(self) -> None:
        """From the line to the hits."""
        self.set_focus(self.hits)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.set_focus(self.hits)

    @on(Input.Changed)
    @work(group="search", exclusive=True, exit_on_error=False, description="search messages")
    async def _search(self, event: Input.Changed) -> None:
        """Each letter cancels the search for the letters before it, whether it waits or runs."""
        wanted, worker = event.value.strip(), get_current_worker()
        if len(wanted) < SHORTEST:
            self._show((), "", [line(("Type at least two letters.", "quiet"))])
            return
        await asyncio.sleep(TYPING_PAUSE_S)
        store = self.console.monitor.sources.hermes
        try:
            found = await asyncio.to_thread(store.search, wanted, should_stop=lambda: worker.is_cancelled)
        except SourceError as error:
            self._show((), wanted, [*wrap(error.message, 70, "critical"), *wrap(error.hint, 70, "quiet")])
        else:
            self._show(found, wanted, [line(("No message holds that.", "quiet"))])

    def _show(self, hits: tuple[SearchHit, ...], wanted: str, empty: list[Line]) -> None:
        found = {f"{hit.message_id} {hit.session_id}": hit for hit in hits}
        self._found, self._found_for = found, wanted

        def draw(key: str, width: int) -> Line:
            hit = found[key]
            when = moment_text(hit.at, "%m-%d %H:%M")
            return row(line((f"{when}  {hit.role:<9}  ", "quiet")), line(hit.snippet), [], width)

        hermes = self.console.snapshot.hermes.value
        missing = ", Hermes makes its index anew: some are missing" if hermes and hermes.index_incomplete else ""
        status = line((f"{len(found)} found{missing}", "quiet")) if wanted else ()
        self.hits.fill(list(found), draw, self.console.view(), empty=empty, status=status)

    @on(Pane.Opened)
    def _open(self, event: Pane.Opened) -> None:
        from timmy_tui.screens.session import SessionScreen

        hit = self._found.get(event.key)
        if hit is not None:  # else the hits are those of other letters by now
            self.app.push_screen(SessionScreen(hit.session_id, find=self._found_for))
