"""The tick key: a tick asked for, followed until it is there, and never a guess in between."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from timmy_tui.services.reading import SourceError
from timmy_tui.services.worker.records import TickProgress

if TYPE_CHECKING:
    from timmy_tui.app import TimmyApp

LOOK_EVERY_S = 0.2


class TickWork:
    """Asks for a tick and follows it; the heartbeat pane shows :attr:`progress`."""

    def __init__(self, app: TimmyApp) -> None:
        self._app = app
        self.progress: TickProgress | None = None
        """The tick under way, or why the last one failed; None when there is nothing to tell."""

    @property
    def under_way(self) -> bool:
        """A tick that this console asked for has not ended."""
        return self.progress is not None and not self.progress.ended

    def start(self) -> None:
        """Ask for a tick now."""
        if self.under_way:
            state = self.progress.state if self.progress else "queued"
            self._app.notify(f"A tick is {state} already.", timeout=3, markup=False)
            return
        now = self._app.clock()
        self.progress = TickProgress("queued", since=now, elapsed_s=0.0)
        self._redraw()
        self._app.run_worker(self._follow(), group="tick key", exit_on_error=False, description="follow a tick")

    async def _follow(self) -> None:
        from timmy_tui.services.worker.enqueue import request_tick
        from timmy_tui.services.worker.follow import follow

        app = self._app
        env = os.environ if app.env is None else app.env
        try:
            request = await asyncio.to_thread(request_tick, app.settings, env, app.clock)
            if request.already:
                app.notify("A tick is under way already: waiting for that one.", timeout=3, markup=False)
            while True:
                progress = await asyncio.to_thread(follow, app.settings, request, app.clock, env=env)
                if progress != self.progress:
                    self.progress = progress
                    self._redraw()
                if progress.ended:
                    break
                await asyncio.sleep(LOOK_EVERY_S)
        except SourceError as error:
            now = app.clock()
            reason = f"{error.message}. {error.hint}" if error.hint else error.message
            progress = TickProgress("failed", since=now, elapsed_s=0.0, reason=reason)
        self._end(progress)

    def _end(self, progress: TickProgress) -> None:
        app = self._app
        if progress.state == "done":
            self.progress = None
            app.tick_done()
        else:
            self.progress = progress
            reason = progress.reason or f"the tick is {progress.state.replace('_', ' ')}"
            app.notify(reason, severity="error", timeout=8, markup=False)
        app.monitor.refresh("worker")
        self._redraw()

    def _redraw(self) -> None:
        self._app.clock_signal.publish(self._app.clock())
