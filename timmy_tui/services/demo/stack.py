"""The simulated stack as a whole: start it, hand its environment to the console, stop it."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from timmy_tui.services.demo.airllm_server import AirllmServer
from timmy_tui.services.demo.home import DemoHome, open_stage, write_config
from timmy_tui.services.demo.ollama_server import OllamaServer
from timmy_tui.services.demo.ollama_world import world_at
from timmy_tui.services.demo.providers_writer import RECOVERY_S
from timmy_tui.services.demo.story import TICK_EVERY_S, Story
from timmy_tui.services.demo.worker_beat import SimulatedWorker

logger = logging.getLogger(__name__)

STRIDE_S = 0.2
"""How often the world moves on."""


class DemoStack:
    """A stack that moves, wholly below ``home``: ``with DemoStack(folder) as env: …``.

    ``speed`` 10 = ten times as fast. :meth:`start` raises :class:`~timmy_tui.services.demo.errors.DemoError`.
    """

    def __init__(
        self, home: Path, *, seed: int = 7, speed: float = 1.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._home = DemoHome(home)
        self._seed = seed
        self._speed = speed
        self._clock = clock
        self._stopping = threading.Event()
        self._parts = ExitStack()

    def start(self) -> dict[str, str]:
        """Write the history, start the servers and the story; the environment for the console.

        ``OPENAI_API_KEY`` is blanked there: the demo must not ask anyone's real account.
        """
        self.stop()
        self._home.clear()
        self._stopping.clear()
        with ExitStack() as parts:
            parts.callback(self._home.clear)
            now = self._clock()
            stage = open_stage(self._home, now, self._seed)
            parts.callback(stage.close)
            ollama = OllamaServer(world_at(now, self._seed), speed=self._speed, clock=self._clock)
            parts.callback(ollama.stop)
            airllm = AirllmServer()
            parts.callback(airllm.stop)
            worker = SimulatedWorker(self._home.timmy)
            parts.callback(worker.stop)
            ollama_url = f"http://127.0.0.1:{ollama.port}"
            config_path = write_config(
                self._home.root,
                ollama_url=ollama_url,
                airllm_url=airllm.url,
                every_minutes=max(1, round(TICK_EVERY_S / 60 / self._speed)),
                recovery_s=RECOVERY_S / self._speed,
            )
            story = Story(stage, ollama.world, airllm, worker, now=now, seed=self._seed, speed=self._speed)
            ollama.start("demo-ollama")
            thread = threading.Thread(target=self._move, args=(story,), name="demo-story")
            thread.start()
            parts.callback(thread.join)
            parts.callback(self._stopping.set)
            self._parts = parts.pop_all()
        return {
            "TIMMY_HOME": str(self._home.timmy),
            "HERMES_HOME": str(self._home.hermes),
            "OLLAMA_HOST": ollama_url,
            "TIMMY_TUI_CONFIG": str(config_path),
            "OPENAI_API_KEY": "",
        }

    def stop(self) -> None:
        """End every thread, free the ports, remove the files. Harmless when nothing runs."""
        self._parts.close()

    def __enter__(self) -> dict[str, str]:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _move(self, story: Story) -> None:
        while not self._stopping.wait(STRIDE_S / max(1.0, self._speed)):
            try:
                story.advance(self._clock())
            except (sqlite3.Error, OSError) as error:
                logger.warning("the demo's story lost a step: %s", error)
