"""The console: themes, keys, the clock and the wiring between the monitor and the screens."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.driver import Driver
from textual.events import AppBlur, AppFocus, Event, Key, MouseDown, Paste
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.signal import Signal
from textual.widgets import Input
from textual.worker import Worker

from timmy_tui import themes
from timmy_tui.config import Settings
from timmy_tui.glyphs import ASCII, UNICODE
from timmy_tui.input_wall import crowded, pasted
from timmy_tui.screens.base import Typed
from timmy_tui.screens.dashboard import DashboardScreen
from timmy_tui.screens.model_work import ModelWork
from timmy_tui.screens.tick_work import TickWork
from timmy_tui.services.activity import Activity, alerting_tick, alerts_of, changes
from timmy_tui.services.reading import SourceError
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks.records import Tick
from timmy_tui.startup import settled, tidied
from timmy_tui.terminal import (
    NO_CONTROL,
    PLAIN_SIGNS,
    TERMINAL_CHECK_S,
    Watchdog,
    end_on_signals,
    leave_at_once,
    terminal_is_gone,
)
from timmy_tui.text import clean, clean_error
from timmy_tui.widgets.pane import View

if TYPE_CHECKING:
    from timmy_tui.services.monitor import Monitor
    from timmy_tui.services.worker.autostart import OwnWorker

_log = logging.getLogger(__name__)

ACTIVITY_KEPT = 500
TIDY_S = 4.0
"""When nobody waits for the start any more."""

OPENS_A_LINE = ("/", ":")
"""What begins a filter, or the palette: what comes behind it is typed there, however much at once."""

PASTE_TOLD_S = 10.0
"""How often it is told that a paste did nothing."""

QUIT_LOOK_S = 1.0
"""How long quitting may look for what it would have to wait for."""

WORKER_LOOKS, WORKER_LOOK_S = 10, 0.5
"""How often and at what distance a worker that was just started is looked for."""

WORKER_START_S = 1.5
"""How long after the first frame a worker of our own is thought of: the panes come first."""


class TimmyApp(App[None]):
    """One operator's console. Screens subscribe to ``snapshot_signal`` and ``clock_signal``."""

    TITLE = "timmy"
    CSS_PATH = "styles.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-one"), (80, "-two"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (12, "-low"), (30, "-high")]

    BINDINGS = [
        Binding("t", "tick", "tick", id="tick", tooltip="Run the heartbeat now"),
        Binding("q", "quit", "quit", id="quit", tooltip="Leave the console"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="help", tooltip="Keys of this screen"),
        Binding(
            "colon,ctrl+p", "command_palette", "palette", show=False, id="palette", tooltip="Every command by name"
        ),
        Binding("ctrl+t", "next_theme", "theme", show=False, id="theme", tooltip="The next theme"),
        Binding("ctrl+r", "refresh_now", "refresh", show=False, id="refresh", tooltip="Ask every source now"),
        Binding("space", "pause", "pause", show=False, id="pause", tooltip="Hold the screen still"),
    ]

    def __init__(
        self,
        settings: Settings,
        *,
        monitor: Monitor | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        live: bool = True,
    ) -> None:
        """``live=False`` neither polls nor ticks: a test or a picture publishes snapshots itself."""
        super().__init__()
        self.settings = settings
        self.clock = clock
        self.live = live
        self.env = env
        self._monitor = monitor
        self.glyphs = ASCII if settings.config.ascii else UNICODE
        self.snapshot = Snapshot(host="")
        self.activity: list[Activity] = []
        """What changed since the console opened, newest first."""
        self.paused = False
        self.model_work = ModelWork(self)
        self.tick_work = TickWork(self)
        self.own_worker: OwnWorker | None = None
        """The worker process that this console started, if it did."""
        self.crash: str | None = None
        """What ended the console that nobody caught: one safe line."""
        self.watchdog = Watchdog()
        self._worker_start = asyncio.Lock()
        self._asks_to_quit = False
        self.last_input = ""
        """The key that came last; "" when it was a click or a paste."""
        self._paste_told_at = float("-inf")
        self._types_far_ahead = False
        """Many keys came at once, and one of them opened a line that the others are for."""
        self.snapshot_signal: Signal[Snapshot] = Signal(self, "snapshot")
        self.clock_signal: Signal[float] = Signal(self, "clock")
        for theme in themes.OWN:
            self.register_theme(theme)
        wanted = settings.config.theme
        self.theme = wanted if wanted in self.available_themes else themes.DARK.name

    @property
    def monitor(self) -> Monitor:
        """The monitor with its sources, made at its first use: after the first paint."""
        if self._monitor is None:
            from timmy_tui.services.monitor import Monitor

            self._monitor = Monitor(self.settings, env=self.env, clock=self.clock)
        return self._monitor

    def get_default_screen(self) -> Screen[None]:
        """The dashboard."""
        return DashboardScreen()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that do not know them."""
        return themes.missing_variables(self.current_theme)

    def get_driver_class(self) -> type[Driver]:
        """The driver with the input wall, wherever Textual would take the one it extends."""
        wanted = super().get_driver_class()
        if wanted.__name__ != "LinuxDriver":
            return wanted
        from timmy_tui.driver import ConsoleDriver

        return ConsoleDriver

    def get_line_filters(self) -> list[LineFilter]:
        """Textual's filters and the last wall behind them."""
        signs = [PLAIN_SIGNS] if self.glyphs is ASCII else []
        return [*super().get_line_filters(), *signs, NO_CONTROL]

    def view(self) -> View:
        """What widgets are drawn with right now."""
        return View(now=self.clock(), glyphs=self.glyphs, paused=self.paused)

    def on_mount(self) -> None:
        """Start what runs beside the screens, after the first paint."""
        self.set_keymap(self.settings.config.keys)
        if not self.live:
            return
        end_on_signals(self, self.watchdog)

    def on_ready(self) -> None:
        """The first frame is on the screen: ask the sources."""
        settled()
        if not self.live:
            return
        self.set_interval(1.0, self._tick)
        if not self.is_headless:
            self.set_interval(TERMINAL_CHECK_S, self._check_terminal)
        self._watch()
        self.set_timer(WORKER_START_S, self._start_worker)
        self.set_timer(TIDY_S, tidied)

    @work(group="monitor", exclusive=True, exit_on_error=True, description="poll every source")
    async def _watch(self) -> None:
        try:
            await self.monitor.run(self.publish)
        finally:
            await self.monitor.aclose()

    @work(group="own worker", exit_on_error=False, description="start a worker when none is alive")
    async def _start_worker(self) -> None:
        try:
            await self.ensure_worker()
        except SourceError as error:
            self.notify(f"{error.message}\n{error.hint}".strip(), severity="warning", timeout=8, markup=False)
            return
        for _ in range(WORKER_LOOKS):
            worker = self.snapshot.worker.value
            if self.own_worker is None or (worker is not None and worker.state == "up"):
                break
            await asyncio.sleep(WORKER_LOOK_S)  # it takes its lock in half a second; the next poll is further away
            self.monitor.refresh("worker")

    async def ensure_worker(self) -> None:
        """Start a worker of our own when none is alive and one is wanted. Raises ``WorkerError``."""
        if not self.live:
            return
        from timmy_tui.services.worker.autostart import ensure_worker

        async with self._worker_start:
            if self.own_worker is not None and self.own_worker.alive():
                return
            env = os.environ if self.env is None else self.env
            self.own_worker = await asyncio.to_thread(ensure_worker, self.settings, env)
            if self.own_worker is not None:
                self.monitor.refresh("worker")

    @property
    def worker_is_own(self) -> bool:
        """The worker of this home is the one that this console started."""
        own, worker = self.own_worker, self.snapshot.worker.value
        return own is not None and worker is not None and worker.pid == own.pid

    def _fatal_error(self) -> None:
        """Log a defect that nobody caught, and end; :func:`run_console` tells it when the terminal is restored.

        A private method of Textual's, for want of a public one: its own prints the values of every frame's variables,
        and any of them may be a key.
        """
        self._note_crash(sys.exc_info()[1])
        self.panic()

    def _note_crash(self, error: BaseException | None) -> None:
        _log.critical("the console crashed", exc_info=error)
        if self.crash is None:
            self.crash = clean_error(f"{type(error).__name__}: {error}")

    def crashed(self, error: BaseException) -> None:
        """A thread of the console's own died of a defect: end as at any crash. Called from any thread."""
        self._note_crash(error)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.exit, None, 1)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Work of the console itself ended, perhaps by a defect."""
        self.tell_defect(event.worker)

    def tell_defect(self, worker: Worker[object]) -> None:
        """Log and tell what no one expected in work whose end does not end the console."""
        if worker.state.name != "ERROR" or worker.error is None:
            return
        what = worker.description
        _log.error("%s failed unexpectedly", what, exc_info=worker.error)
        told = f"{what} failed: {type(worker.error).__name__}. The log says more: {self.settings.log_path}"
        self.notify(clean(told), severity="error", timeout=8, markup=False)

    def publish(self, snapshot: Snapshot) -> None:
        """Take in a new snapshot: note what changed, tell the screens."""
        news = changes(self.snapshot, snapshot, self.clock())
        tick = alerting_tick(self.snapshot, snapshot)
        if tick is not None:
            self._alert(tick)
        self.snapshot = snapshot
        if news:
            # An event may be told later than a younger one: a tick has its own time.
            newest_first = sorted((*reversed(news), *self.activity), key=lambda event: event.at, reverse=True)
            self.activity = newest_first[:ACTIVITY_KEPT]
        if not self.paused:
            self.snapshot_signal.publish(snapshot)

    def _alert(self, tick: Tick) -> None:
        """Tell the operator of a new tick's alerts; with the bell where it is wanted."""
        severity: SeverityLevel = "error" if tick.head.severity == "critical" else "warning"
        self.notify("\n".join(alerts_of(tick)[:3]), title=f"tick {tick.head.severity}", severity=severity, markup=False)
        if self.settings.config.heartbeat.notify.bell:
            self.bell()

    def _tick(self) -> None:
        self.snapshot = self.monitor.snapshot
        self.clock_signal.publish(self.clock())

    def _check_terminal(self) -> None:
        if terminal_is_gone():
            leave_at_once()

    async def on_event(self, event: Event) -> None:
        """Every event of the terminal comes here first: what no person meant as a key ends here."""
        if isinstance(event, (Key, Paste, MouseDown)) and not event.is_forwarded:
            if isinstance(event, (Key, Paste)) and self._kept_back(event):
                return
            self.last_input = event.key if isinstance(event, Key) else ""
        await super().on_event(event)

    def _kept_back(self, event: Key | Paste) -> bool:
        screen = self.screen
        if not isinstance(screen, Typed):
            return False
        if isinstance(event, Key) and crowded(event) and self._decides(screen, event):
            return True
        if screen.hold_back(event):
            # Who types looks, whatever the terminal last said; without it nothing takes the focus.
            self.app_focus = True
            if self.focused is None and (lines := screen.query(Input)):
                screen.set_focus(lines.first())
            return True
        if not isinstance(event, Key) or not pasted(event):
            self._types_far_ahead = False
            return False
        if event.character in OPENS_A_LINE and event.key in screen.active_bindings:
            self._types_far_ahead = True
        focused = self.focused
        if self._types_far_ahead or (focused is not None and focused.check_consume_key("a", "a")):
            return False
        if self.clock() - self._paste_told_at > PASTE_TOLD_S:
            self._paste_told_at = self.clock()
            self.notify("Pasted text is no keys: nothing was done with it.", timeout=4, markup=False)
        return True

    def _decides(self, screen: Typed, event: Key) -> bool:
        active = self.screen.active_bindings.get(event.key) if screen.DECISIONS else None
        return active is not None and active.binding.action.startswith(screen.DECISIONS)

    def on_paste(self, event: Paste) -> None:
        """A paste that was sent to what had the focus before a line to type in took it."""
        if isinstance(self.focused, Input) and event.text:
            self.focused.insert_text_at_cursor(event.text.splitlines()[0])
            event.stop()

    def on_key(self, event: Key) -> None:
        """A key typed ahead: sent to what had the focus before a line to type in took it.

        Such a line keeps its own letters, so none that comes here was typed into it; none may run a command.
        """
        if isinstance(self.focused, Input) and event.is_printable and event.character:
            self.focused.insert_text_at_cursor(event.character)
            event.prevent_default()

    def on_app_blur(self, _event: AppBlur) -> None:
        """Nobody looks: ask less often."""
        self.monitor.set_slow(True)

    def on_app_focus(self, _event: AppFocus) -> None:
        """Somebody looks again: ask at once."""
        self.monitor.set_slow(False)

    def action_pause(self) -> None:
        """Hold the panes still; the sources are still watched."""
        self.paused = not self.paused
        self.snapshot_signal.publish(self.snapshot)
        self.clock_signal.publish(self.clock())

    def action_refresh_now(self) -> None:
        """Ask every source at once."""
        for server in self.monitor.sources.ollama.values():
            server.refresh_soon()
        self.monitor.refresh()
        self.notify("Asking every source.", timeout=2, markup=False)

    def action_next_theme(self) -> None:
        """Go to the next theme of the console's own cycle."""
        cycle = themes.CYCLE
        position = cycle.index(self.theme) if self.theme in cycle else -1
        self.theme = cycle[(position + 1) % len(cycle)]
        self.notify(f"Theme: {self.theme}", timeout=2, markup=False)

    def action_tick(self) -> None:
        """Run the heartbeat now, and show the tick when it is there."""
        self.tick_work.start()

    @property
    def hides_heartbeat(self) -> bool:
        """What the heartbeat pane would tell is not seen now: another screen covers it, or the panes are held."""
        return self.paused or not isinstance(self.screen, DashboardScreen)

    def tick_done(self) -> None:
        """The tick that was asked for is in the log: read it at once and select it."""
        self.monitor.refresh("heartbeat")
        dashboard = self.screen_stack[0]
        if isinstance(dashboard, DashboardScreen):
            dashboard.heartbeat.follow_newest()

    async def action_quit(self) -> None:
        """Leave; asks only while something of the operator's would be lost or waited for."""
        if self._asks_to_quit:  # ctrl+q reaches through a dialog
            return
        question = await self._what_runs()
        if question is None:
            self.exit()
            return
        from timmy_tui.screens.dialogs import ConfirmDialog

        def answered(leave: bool | None) -> None:
            self._asks_to_quit = False
            if leave:
                self.exit()

        self._asks_to_quit = True
        self.push_screen(ConfirmDialog("Quit now?", question, "quit"), answered)

    async def _what_runs(self) -> str | None:
        if self.model_work.under_way:
            return "A model is being pulled: the download stops, and a later pull goes on from there."
        if any(worker.group == "approved action" and not worker.is_finished for worker in self.workers):
            return "An action that you approved runs: it is ended, and what it did by then stays unknown."
        if self.own_worker is None or not self.own_worker.alive():
            return None
        runs = "a tick" if self.tick_work.under_way else await self._own_worker_does(self.own_worker)
        return runs and f"This console's worker runs {runs}: it is finished before the console ends."

    async def _own_worker_does(self, own: OwnWorker) -> str | None:
        """What our worker does that is worth a question, at this moment: the snapshot may be seconds old."""
        try:
            async with asyncio.timeout(QUIT_LOOK_S):
                worker = await asyncio.to_thread(self.monitor.sources.worker.read)
        except (SourceError, TimeoutError):
            return None
        # The export and the pruning go on where they were at the next start: they are nothing to ask about.
        return "a tick" if worker.pid == own.pid and worker.running == "heartbeat_tick" else None

    def action_help(self) -> None:
        """Show the keys of the screen that is open."""
        from timmy_tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_setup(self) -> None:
        """What was found on this machine, and how to get the rest."""
        from timmy_tui.screens.setup import SetupScreen

        self.push_screen(SetupScreen())

    @work(group="picture", exit_on_error=False, description="save a picture")
    async def action_picture(self) -> None:
        """Save the screen as an SVG picture under ``TIMMY_HOME/pictures``."""
        from timmy_tui.services.pictures import save_picture

        folder = self.settings.timmy_home / "pictures"
        try:
            path = await asyncio.to_thread(save_picture, folder, self.export_screenshot(), self.clock())
        except SourceError as error:
            self.notify(f"No picture: {error.message}", severity="error", markup=False)
        else:
            self.notify(f"Saved {path.name} in {clean(str(folder))}", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every action by name."""
        yield SystemCommand("Tick", "Run the heartbeat now", self.action_tick)
        yield SystemCommand("Help", "Keys of this screen", self.action_help)
        yield SystemCommand("Refresh", "Ask every source now", self.action_refresh_now)
        yield SystemCommand("Pause", "Hold the panes still, or go on", self.action_pause)
        yield SystemCommand("Theme: next", "Dark, light, contrast, the terminal's own", self.action_next_theme)
        yield SystemCommand("Theme: choose", "Any theme by name", self.action_change_theme)
        yield SystemCommand("Setup", "What was found here, and how to get the rest", self.action_setup)
        yield SystemCommand("Picture", "Save this screen as an SVG file", self.action_picture)
        if isinstance(screen, DashboardScreen):
            yield from screen.commands()
        yield SystemCommand("Quit", "Leave the console", self.action_quit)
