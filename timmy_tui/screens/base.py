"""What all screens share: typed access to the console, and its two signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

from textual.screen import ModalScreen, Screen

from timmy_tui.services.snapshot import Snapshot
from timmy_tui.widgets.roles import RoleStyles

if TYPE_CHECKING:
    from timmy_tui.app import TimmyApp

T = TypeVar("T")


class ConsoleScreen(RoleStyles, Screen[T], Generic[T]):
    """A full screen that hears of snapshots and of the clock."""

    @property
    def console(self) -> TimmyApp:
        """The app, as what it is."""
        return cast("TimmyApp", self.app)

    def on_mount(self) -> None:
        """Subscribe. Textual calls this beside a subclass's own ``on_mount``; ``super()`` would do it twice."""
        self.console.snapshot_signal.subscribe(self, self.snapshot_changed)
        self.console.clock_signal.subscribe(self, self.clock_ticked)

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        """A value or an error changed."""

    def clock_ticked(self, now: float) -> None:
        """A second went by."""


class ConsoleModal(RoleStyles, ModalScreen[T], Generic[T]):
    """A dialog over a screen."""

    @property
    def console(self) -> TimmyApp:
        """The app, as what it is."""
        return cast("TimmyApp", self.app)
