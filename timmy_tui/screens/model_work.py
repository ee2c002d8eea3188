"""What this console does to models: load, unload, keep, pull, and how far each has come."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import aclosing
from typing import TYPE_CHECKING

from timmy_tui.services.ollama.errors import OllamaError
from timmy_tui.services.ollama.records import PullProgress

if TYPE_CHECKING:
    from timmy_tui.app import TimmyApp


class ModelWork:
    """Runs Ollama actions as workers of the app; panes show :attr:`busy` and :attr:`pulls`."""

    def __init__(self, app: TimmyApp) -> None:
        self._app = app
        self.busy: dict[tuple[str, str], str] = {}
        self.pulls: dict[tuple[str, str], PullProgress] = {}

    @property
    def under_way(self) -> bool:
        """Something of the operator's would be lost by quitting."""
        return bool(self.pulls)

    def load(self, server: str, model: str) -> None:
        """Load ``model`` into memory; the answer comes when it is there."""
        client = self._app.monitor.sources.ollama[server]
        self._start(server, model, "loading…", client.load(model), f"{model} is loaded")

    def unload(self, server: str, model: str) -> None:
        """Ask the server to drop ``model`` as soon as its last request ends."""
        client = self._app.monitor.sources.ollama[server]
        self._start(server, model, "leaving…", client.unload(model), f"{model}: unload asked for")

    def keep(self, server: str, model: str) -> None:
        """Keep ``model`` in memory until it is unloaded by hand."""
        client = self._app.monitor.sources.ollama[server]
        self._start(server, model, "keeping…", client.keep(model), f"{model} is kept until you unload it")

    def pull(self, server: str, model: str) -> None:
        """Download ``model``; its progress shows in the models pane."""
        if (server, model) in self.pulls:
            self._app.notify(f"{model} is being pulled already.", markup=False)
            return
        self.pulls[server, model] = PullProgress("starting", 0, 0, False)
        self._app.run_worker(
            self._pull(server, model),
            group=f"pull {server} {model}",
            exit_on_error=False,
            description=f"pull {model}",
        )

    def _start(self, server: str, model: str, word: str, action: Coroutine[object, object, None], done: str) -> None:
        if (server, model) in self.busy:
            action.close()
            self._app.notify(f"{model}: still {self.busy[server, model].rstrip('…')}.", markup=False)
            return
        self.busy[server, model] = word
        self._app.run_worker(
            self._act(server, model, action, done),
            group=f"model {server} {model}",
            exit_on_error=False,
            description=f"{word} {model}",
        )
        self._redraw()

    async def _act(self, server: str, model: str, action: Coroutine[object, object, None], done: str) -> None:
        try:
            await action
        except OllamaError as error:
            self._say_error(model, error)
        else:
            self._app.notify(done, timeout=3, markup=False)
        finally:
            del self.busy[server, model]
            self._app.monitor.refresh_ollama(server)
            self._redraw()

    async def _pull(self, server: str, model: str) -> None:
        try:
            async with aclosing(self._app.monitor.sources.ollama[server].pull(model)) as steps:
                async for progress in steps:
                    self.pulls[server, model] = progress
                    self._redraw()
        except OllamaError as error:
            self._say_error(model, error)
        else:
            self._app.notify(f"{model} is here.", markup=False)
        finally:
            del self.pulls[server, model]
            self._app.monitor.refresh_ollama(server)
            self._redraw()

    def _say_error(self, model: str, error: OllamaError) -> None:
        text = f"{model}: {error.message}" + (f"\n{error.hint}" if error.hint else "")
        self._app.notify(text, severity="error", timeout=8, markup=False)

    def _redraw(self) -> None:
        self._app.clock_signal.publish(self._app.clock())
