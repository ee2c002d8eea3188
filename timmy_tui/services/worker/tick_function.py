"""What the worker wants of the heartbeat: a coroutine that runs one tick."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Protocol

from timmy_tui.config import Settings
from timmy_tui.services.worker.records import Trigger


class TickWritten(Protocol):
    """A tick that is in the log."""

    @property
    def tick_id(self) -> str:
        """Its id there."""

    @property
    def severity(self) -> str:
        """The decision's."""


class TickFunction(Protocol):
    """Perceive, decide, act, record: :func:`timmy_tui.services.heartbeat.beat.beat_once`."""

    def __call__(
        self,
        settings: Settings,
        env: Mapping[str, str],
        *,
        trigger: Trigger,
        clock: Callable[[], float],
        on_phase: Callable[[str], None] | None = None,
        on_id: Callable[[str], None] | None = None,
    ) -> Coroutine[object, object, TickWritten]: ...
