"""What all screens share: typed access to the console, and its two signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

from textual.events import DescendantFocus, Key, Paste, Resize
from textual.screen import ModalScreen, Screen
from textual.worker import Worker

from timmy_tui.services.snapshot import Snapshot
from timmy_tui.widgets.roles import RoleStyles

if TYPE_CHECKING:
    from textual.app import App

    from timmy_tui.app import TimmyApp

T = TypeVar("T")


class NewestSize:
    """Keeps a screen from going back to a size that the terminal no longer has.

    A Resize that waits while the next one is already laid out makes Textual alternate between both for ever, at full
    load (measured: a terminal that gets its size while the console starts).
    """

    app: App[object]

    def on_resize(self, event: Resize) -> None:
        """Let only the terminal's size of this moment be laid out."""
        if event.size != self.app.size:
            event.prevent_default()


class Typed:
    """What a screen says of how keys reach it.

    It keeps what is typed or pasted before the screen's line to type in has the focus, and gives it there in order.

    Between a dialog's first paint and its focus a key would run a command of the app, and a paste would be lost.
    """

    DECISIONS: tuple[str, ...] = ()
    """How the actions begin that only a key on its own may run: one among others was not meant for what they decide."""

    TAKES_TEXT = False
    """Whether the screen begins in a line to type in."""

    _typed_ahead: list[Key | Paste] | None = None
    _was_focused = False

    def hold_back(self, event: Key | Paste) -> bool:
        """Keep the event when it came too early; True when it was kept."""
        if not self.TAKES_TEXT or self._was_focused or (isinstance(event, Key) and event.key == "escape"):
            return False
        if self._typed_ahead is None:
            self._typed_ahead = []
        self._typed_ahead.append(event)
        return True

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The line is there: it gets what was meant for it."""
        self._was_focused = True
        for kept in self._typed_ahead or ():
            event.widget._forward_event(kept)
        self._typed_ahead = None


class ConsoleScreen(Typed, NewestSize, RoleStyles, Screen[T], Generic[T]):
    """A full screen that hears of snapshots and of the clock."""

    @property
    def console(self) -> TimmyApp:
        """The app, as what it is."""
        return cast("TimmyApp", self.app)

    def on_mount(self) -> None:
        """Subscribe. Textual calls this beside a subclass's own ``on_mount``; ``super()`` would do it twice."""
        self.console.snapshot_signal.subscribe(self, self._hear_snapshot)
        self.console.clock_signal.subscribe(self, self._hear_clock)

    def _hear_snapshot(self, snapshot: Snapshot) -> None:
        if not self.console.paused:
            self.snapshot_changed(snapshot)

    def _hear_clock(self, now: float) -> None:
        if self.console.paused:
            self.clock_ticked_while_paused(now)
        else:
            self.clock_ticked(now)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Work of this screen ended, perhaps by a defect: these messages do not bubble."""
        self.console.tell_defect(event.worker)

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        """A value or an error changed; not heard of while the operator holds the screens still."""

    def clock_ticked(self, now: float) -> None:
        """A second went by; not heard of while the operator holds the screens still."""

    def clock_ticked_while_paused(self, now: float) -> None:
        """A second went by on a screen that is held still, or the hold began."""


class ConsoleModal(Typed, NewestSize, RoleStyles, ModalScreen[T], Generic[T]):
    """A dialog over a screen."""

    @property
    def console(self) -> TimmyApp:
        """The app, as what it is."""
        return cast("TimmyApp", self.app)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Work of this dialog ended, perhaps by a defect: these messages do not bubble."""
        self.console.tell_defect(event.worker)
