"""The tick key: a tick asked for, followed until it is there, and never a guess in between."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from timmy_tui.services.reading import SourceError
from timmy_tui.services.worker.records import TickProgress

if TYPE_CHECKING:
    from timmy_tui.app import TimmyApp

LOOK_EVERY_S = 0.2

OWN_WORKER_STARTS_S = 15.0
"""How long a worker that this console has just started may take to be there, on a busy machine."""


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
        if self._app.hides_heartbeat:
            self._app.notify("A tick is asked for.", timeout=3, markup=False)
        self._app.run_worker(self._follow(), group="tick key", exit_on_error=False, description="follow a tick")

    async def _follow(self) -> None:
        from timmy_tui.services.worker.enqueue import request_tick
        from timmy_tui.services.worker.follow import NO_WORKER_AFTER_S, follow

        app = self._app
        env = os.environ if app.env is None else app.env
        now = app.clock()
        progress = TickProgress("failed", since=now, elapsed_s=0.0, reason="the tick can't be followed: see the log")
        try:
            await app.ensure_worker()
            request = await asyncio.to_thread(request_tick, app.settings, env, app.clock)
            if request.already:
                app.notify("A tick is under way already: waiting for that one.", timeout=3, markup=False)
            while True:
                look = await asyncio.to_thread(follow, app.settings, request, app.clock, env=env)
                if look.state == "no_worker":  # of a tick that waited before this press, it says so at once
                    starts_s = OWN_WORKER_STARTS_S if self._own_worker_lives() else NO_WORKER_AFTER_S
                    if app.clock() - now < starts_s:
                        look = replace(look, state="queued")
                if look.ended:
                    progress = look
                    break
                if look != self.progress:
                    self.progress = look
                    self._redraw()
                await asyncio.sleep(LOOK_EVERY_S)
        except SourceError as error:
            reason = f"{error.message}. {error.hint}" if error.hint else error.message
            progress = TickProgress("failed", since=app.clock(), elapsed_s=0.0, reason=reason)
        finally:
            self.progress = progress  # whatever happened: the next press must ask again
        self._end(progress)

    def _own_worker_lives(self) -> bool:
        own = self._app.own_worker
        return own is not None and own.alive()

    def _end(self, progress: TickProgress) -> None:
        from timmy_tui.services.worker.app import this_host

        app = self._app
        if progress.state == "done":
            self.progress = None
            app.tick_done()
            if progress.host not in (None, this_host()):
                app.notify(f"{progress.tick_id} ran on {progress.host}: its log is there.", timeout=6, markup=False)
            elif app.hides_heartbeat:
                app.notify("The tick is there: the heartbeat pane shows it.", timeout=4, markup=False)
        else:
            self.progress = progress
            reason = progress.reason or f"the tick is {progress.state.replace('_', ' ')}"
            app.notify(reason, severity="error", timeout=8, markup=False)
        app.monitor.refresh("worker")
        self._redraw()

    def _redraw(self) -> None:
        self._app.clock_signal.publish(self._app.clock())
