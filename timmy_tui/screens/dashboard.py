"""The dashboard: four panes, the header, what just changed, and the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual import getters, on, work
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Container, Horizontal
from textual.css.query import NoMatches
from textual.events import DescendantFocus, Resize
from textual.widgets import Input, Static

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.screens.filter_line import FilterLine
from timmy_tui.services.ollama.records import PullProgress
from timmy_tui.services.reading import Reading, SourceError
from timmy_tui.services.severity import Overall, overall
from timmy_tui.services.snapshot import Snapshot, same_servers
from timmy_tui.services.worker.records import TickProgress
from timmy_tui.widgets.activity_line import ActivityLine
from timmy_tui.widgets.header_bar import HeaderBar, HeaderClock, HeaderFacts
from timmy_tui.widgets.heartbeat_pane import HeartbeatPane
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.models_pane import ModelRow, ModelsPane
from timmy_tui.widgets.pane import Pane
from timmy_tui.widgets.providers_pane import ProvidersPane
from timmy_tui.widgets.sessions_pane import SessionsPane

ModelKey = tuple[str, str]
"""Server and model."""

TOO_SMALL = "too small:\n40 × 12 cells\nare needed"


class DashboardScreen(ConsoleScreen[None]):
    """Everything at one glance."""

    BINDING_GROUP_TITLE = "Dashboard"
    HELP = "Four panes over the stack. Go to one with 1…4 or tab; enter opens the row under the cursor."
    AUTO_FOCUS = "#models"
    ALLOW_IN_MAXIMIZED_VIEW = ".-textual-system,#top,#keys"

    BINDINGS = [
        Binding("1", "pane('models')", "Models pane", show=False, id="go.models"),
        Binding("2", "pane('sessions')", "Sessions pane", show=False, id="go.sessions"),
        Binding("3", "pane('heartbeat')", "Heartbeat pane", show=False, id="go.heartbeat"),
        Binding("4", "pane('providers')", "Providers pane", show=False, id="go.providers"),
        Binding("5", "activity", "Activity", show=False, id="go.activity", tooltip="Everything that changed"),
        Binding("slash", "filter", "filter", key_display="/", id="filter", tooltip="Filter the pane"),
        Binding("z", "zoom", "zoom", id="zoom", tooltip="The pane on the whole screen, and back"),
        Binding("escape", "back", "back", show=False, id="back", tooltip="Leave the zoom, then the filter"),
        Binding("r", "review", "review", id="review", tooltip="Label what the model decided"),
        Binding("p", "approvals", "approvals", show=False, id="approvals", tooltip="What waits for your word"),
        Binding("S", "search", "search", show=False, id="search", tooltip="Search all Hermes messages"),
        Binding("H", "history", "history", show=False, id="history", tooltip="Every tick of every day"),
        Binding("U", "usage", "usage", show=False, id="usage", tooltip="What local models did, and what it saved"),
    ]

    header = getters.query_one(HeaderBar)
    clock = getters.query_one(HeaderClock)
    models = getters.query_one(ModelsPane)
    sessions = getters.query_one(SessionsPane)
    heartbeat = getters.query_one(HeartbeatPane)
    providers = getters.query_one(ProvidersPane)
    activity = getters.query_one(ActivityLine)

    def __init__(self) -> None:
        super().__init__()
        self._drawn: Snapshot | None = None
        self._progress_drawn: TickProgress | None = None
        self._work_drawn: tuple[dict[ModelKey, PullProgress], dict[ModelKey, str]] = ({}, {})
        self._verdict: Overall | None = None
        self._asked_setup = False
        self._filtered: Pane | None = None
        self._last_pane: Pane | None = None

    def compose(self) -> ComposeResult:
        """Header, panes, activity line, keys."""
        with Horizontal(id="top"):
            yield HeaderBar()
            yield HeaderClock()
        with Container(id="panes"):
            yield ModelsPane()
            yield SessionsPane()
            yield HeartbeatPane()
            yield ProvidersPane()
        yield ActivityLine()
        yield KeyLine()
        yield Static(TOO_SMALL, id="too-small", markup=False)

    def on_mount(self) -> None:
        """Show the empty panes at once; the readings follow."""
        self._draw(self.console.snapshot)

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        self._draw(snapshot)
        self._offer_setup(snapshot)

    def clock_ticked(self, now: float) -> None:
        self._draw(self.console.snapshot)

    def clock_ticked_while_paused(self, now: float) -> None:
        """That it is held, and the time of day, is all that moves."""
        self._draw_header()

    def _draw(self, snapshot: Snapshot) -> None:
        """Hand each pane its slice, if the slice says something new or the pane shows a clock."""
        before, self._drawn = self._drawn or Snapshot(host=""), snapshot
        look, console = self.console.view(), self.console
        work_on = (dict(console.model_work.pulls), dict(console.model_work.busy))
        used = snapshot.usage.value
        usage_news = used is not before.usage.value
        news = not same_servers(before.ollama, snapshot.ollama) or not snapshot.gpu.says_same_as(before.gpu)
        if news or usage_news or work_on != self._work_drawn or self.models.wants_clock(look.now):
            self._work_drawn = work_on
            self.models.update(snapshot.ollama, snapshot.gpu, *work_on, look, used)
        if not snapshot.hermes.says_same_as(before.hermes) or self.sessions.wants_clock(look.now):
            self.sessions.update(snapshot.hermes, look)
        progress = console.tick_work.progress
        news = not snapshot.heartbeat.says_same_as(before.heartbeat) or progress != self._progress_drawn
        if news or self.heartbeat.wants_clock(look.now):
            self._progress_drawn = progress
            self.heartbeat.update(snapshot.heartbeat, look, progress)
        provider_news = usage_news or not snapshot.providers.says_same_as(before.providers)
        beats = snapshot.heartbeat.value
        usual = console.settings.config.heartbeat.model or (beats.model() if beats is not None else None)
        if provider_news or usual != self.providers.usual_model or self.providers.wants_clock(look.now):
            self.providers.update(snapshot.providers, look, used, usual)
        self._draw_header()
        self.activity.update(console.activity, look)

    def _draw_header(self) -> None:
        console = self.console
        snapshot, look = self._drawn or console.snapshot, console.view()
        if self._verdict is None or not look.paused:  # else what is held would be called stale after a minute
            self._verdict = overall(snapshot, look.now)
        facts = HeaderFacts(snapshot, self._verdict, look, demo=console.settings.demo, own_worker=console.worker_is_own)
        self.header.update(facts)
        self.clock.update(facts)

    def _offer_setup(self, snapshot: Snapshot) -> None:
        """On a machine where nothing was found, say what was looked for and how to get it."""
        if self._asked_setup or not self.console.live:
            return
        readings: tuple[Reading[object], ...] = (
            *(server.reading for server in snapshot.ollama),
            snapshot.hermes,
            snapshot.heartbeat,
        )
        now = self.console.clock()
        states = {reading.state(now) for reading in readings}
        if "waiting" in states:
            return
        self._asked_setup = True
        if states == {"absent"} and self.is_current:
            self.console.action_setup()

    # Panes and rows.

    def action_pane(self, name: str) -> None:
        """Go to a pane; with another one zoomed, zoom this one instead."""
        pane = self.query_one(f"#{name}", Pane)
        zoomed = self.maximized is not None
        if zoomed:
            self.minimize()
        self.set_focus(pane)
        if zoomed:
            self.maximize(pane, container=False)

    @on(DescendantFocus)
    def _remember_pane(self, event: DescendantFocus) -> None:
        if isinstance(event.widget, Pane):
            self._last_pane = event.widget

    def on_resize(self, _event: Resize) -> None:
        """A pane that was hidden because the terminal was too small has lost the focus: give it back."""
        self.call_after_refresh(self._refocus)

    def _refocus(self) -> None:
        if self.focused is None and self._last_pane is not None and self._last_pane.display:
            self._last_pane.focus()

    def _focused_pane(self) -> Pane:
        focused = self.focused
        return focused if isinstance(focused, Pane) else self.models

    def action_zoom(self) -> None:
        """The focused pane on the whole screen, and back."""
        if self.maximized is not None:
            self.minimize()
        else:
            self.maximize(self._focused_pane(), container=False)

    def action_back(self) -> None:
        """Leave the zoom, then drop the pane's filter."""
        if self.maximized is not None:
            self.minimize()
        else:
            self._focused_pane().filter_text = ""

    @on(Pane.Opened)
    def _open(self, event: Pane.Opened) -> None:
        """Each pane's rows have a screen of their own, imported when first opened."""
        if event.pane is self.models:
            self._open_model()
        elif event.pane is self.sessions:
            self.open_session(event.key)
        elif event.pane is self.heartbeat:
            self._open_tick()
        elif event.pane is self.providers:
            self._open_provider()

    def _open_model(self) -> None:
        from timmy_tui.screens.model import ModelScreen

        chosen = self.models.selected()
        if chosen is not None:
            self.app.push_screen(ModelScreen(chosen.server, chosen.name))

    def open_session(self, session_id: str) -> None:
        """The transcript of one session."""
        from timmy_tui.screens.session import SessionScreen

        self.app.push_screen(SessionScreen(session_id))

    def _open_tick(self) -> None:
        from timmy_tui.screens.tick import TickScreen

        head = self.heartbeat.selected()
        if head is not None:
            self.app.push_screen(TickScreen(head.place))

    def _open_provider(self) -> None:
        from timmy_tui.screens.provider import ProviderScreen

        provider = self.providers.selected()
        if provider is not None:
            self.app.push_screen(ProviderScreen(provider.name))

    def action_approvals(self) -> None:
        """What the heartbeat proposed and waits for the operator's word."""
        from timmy_tui.screens.approvals import ApprovalsScreen

        self.app.push_screen(ApprovalsScreen())

    def action_review(self) -> None:
        """Label decisions, one after the other."""
        from timmy_tui.screens.review import ReviewScreen

        self.app.push_screen(ReviewScreen())

    def action_search(self) -> None:
        """Search the text of every Hermes message."""
        from timmy_tui.screens.search import SearchScreen

        self.app.push_screen(SearchScreen())

    def action_history(self) -> None:
        """Every tick of every day."""
        from timmy_tui.screens.history import HistoryScreen

        self.app.push_screen(HistoryScreen())

    def action_usage(self) -> None:
        """What local models were asked for, what it took, and what it saved."""
        from timmy_tui.screens.usage import UsageScreen

        self.app.push_screen(UsageScreen())

    def action_activity(self) -> None:
        """Everything that changed since the console opened."""
        from timmy_tui.screens.activity import ActivityScreen

        self.app.push_screen(ActivityScreen())

    # The selected tick in full.

    @on(HeartbeatPane.Highlighted)
    @work(group="tick", exclusive=True, exit_on_error=False, description="read the selected tick")
    async def _read_tick(self, event: HeartbeatPane.Highlighted) -> None:
        store = self.console.monitor.sources.heartbeat
        try:
            tick = await asyncio.to_thread(store.load, event.head.place)
        except SourceError as error:
            self.notify(error.message, severity="warning", timeout=4, markup=False)
        else:
            self.heartbeat.show_tick(tick)

    # Models.

    def _model(self) -> ModelRow | None:
        chosen = self.models.selected()
        if chosen is not None and chosen.installed is not None and chosen.installed.remote:
            self.notify(f"{chosen.name} runs in the cloud: it is never in this machine's memory.", markup=False)
            return None
        return chosen

    def action_load(self) -> None:
        """Load the selected model into memory."""
        chosen = self._model()
        if chosen is not None:
            self.console.model_work.load(chosen.server, chosen.name)

    def action_keep(self) -> None:
        """Keep the selected model in memory."""
        chosen = self._model()
        if chosen is not None:
            self.console.model_work.keep(chosen.server, chosen.name)

    @work(group="ask", exit_on_error=False, description="ask before an unload")
    async def action_unload(self) -> None:
        """Drop the selected model from memory, after a question."""
        from timmy_tui.screens.dialogs import ConfirmDialog

        chosen = self._model()
        if chosen is None:
            return
        if chosen.loaded is None:
            self.notify(f"{chosen.name} is not loaded.", timeout=3, markup=False)
            return
        question = f"Unload {chosen.name} from memory?"
        more = "A request that runs now is finished first."
        if await self.app.push_screen_wait(ConfirmDialog(question, more, "unload")):
            self.console.model_work.unload(chosen.server, chosen.name)

    @work(group="ask", exit_on_error=False, description="ask which model to pull")
    async def action_pull(self) -> None:
        """Download a model whose name is asked for."""
        from timmy_tui.screens.dialogs import NameDialog

        server = self.console.snapshot.ollama[0].name
        chosen = self.models.selected()
        if chosen is not None:
            server = chosen.server
        title = f"Pull a model to {server}"
        name = await self.app.push_screen_wait(NameDialog(title, "llama3.2:3b", "pull"))
        if name:
            self.console.model_work.pull(server, name)

    # Filter.

    def action_filter(self) -> None:
        """Type a filter for the focused pane."""
        pane = self._focused_pane()
        try:
            self.set_focus(self.query_one(FilterLine))
        except NoMatches:
            self._filtered = pane
            filter_line = FilterLine(f"filter {pane.pane_name.lower()}", pane.filter_text)
            self.mount(filter_line, after=self.activity)
            self.set_focus(filter_line)

    @on(Input.Changed, "#filter-line")
    def _filter_changed(self, event: Input.Changed) -> None:
        if self._filtered is not None:
            self._filtered.filter_text = event.value

    @on(FilterLine.Left)
    async def _filter_left(self, event: FilterLine.Left) -> None:
        pane = self._filtered or self.models
        if not event.keep:
            pane.filter_text = ""
        await self.query_one(FilterLine).remove()
        self.set_focus(pane)

    def commands(self) -> Iterable[SystemCommand]:
        """The dashboard's part of the palette."""
        yield SystemCommand("Review", "Label what the model decided", self.action_review)
        yield SystemCommand("Approvals", "What waits for your word", self.action_approvals)
        yield SystemCommand("Search", "Search the text of every Hermes message", self.action_search)
        yield SystemCommand("History", "Every tick of every day", self.action_history)
        yield SystemCommand("Usage", "What local models did, and what it saved", self.action_usage)
        yield SystemCommand("Activity", "Everything that changed since the console opened", self.action_activity)
        yield SystemCommand("Pull a model", "Download a model to Ollama", self.action_pull)
        yield SystemCommand("Zoom", "The focused pane on the whole screen, and back", self.action_zoom)
