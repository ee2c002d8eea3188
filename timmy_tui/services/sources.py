"""The services of one configuration, made once: what the monitor reads and what the screens act on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

from timmy_tui.config import Settings, expand_env
from timmy_tui.services.gpu import GpuSource
from timmy_tui.services.heartbeat.approvals import Approvals
from timmy_tui.services.hermes.store import HermesStore
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import LABELS_NAME
from timmy_tui.services.ollama.address import connectable_url
from timmy_tui.services.ollama.client import OllamaClient
from timmy_tui.services.providers.store import ProvidersStore
from timmy_tui.services.ticks.history import TickHistory
from timmy_tui.services.ticks.log import HeartbeatStore
from timmy_tui.services.ticks.watch import changes
from timmy_tui.services.usage.today import UsageFollower
from timmy_tui.services.worker.observe import WorkerObserver

if TYPE_CHECKING:
    from timmy_tui.services.review.desk import ReviewDesk


class Sources:
    """One client or store for each thing that is watched. Making them opens and imports nothing heavy."""

    def __init__(self, settings: Settings, *, env: Mapping[str, str], clock: Callable[[], float] = time.time) -> None:
        config = settings.config
        self._settings = settings
        self.ollama: dict[str, OllamaClient] = {}
        for server in config.ollama:
            headers = {name: expand_env(value, env) for name, value in server.headers.items()}
            self.ollama[server.shown_name] = OllamaClient(
                connectable_url(settings.ollama_address(server)),
                headers={name: value for name, value in headers.items() if value is not None},
                timeout_s=config.timeouts.ollama_s,
                tags_every_s=config.intervals.ollama_tags_s,
                clock=clock,
            )
        self.hermes = HermesStore(
            settings.hermes_home, profile=config.hermes.profile, hours=config.hermes.hours, clock=clock
        )
        self.labels = LabelLog(settings.heartbeat_dir / LABELS_NAME)
        self.heartbeat = HeartbeatStore(
            settings.heartbeat_dir, every_s=config.heartbeat.every_minutes * 60, clock=clock, labels=self.labels
        )
        self.history = TickHistory(settings.heartbeat_dir)
        self._clock = clock
        self._review: ReviewDesk | None = None
        self.worker = WorkerObserver(settings, clock=clock)
        self.providers = ProvidersStore(settings, env=env, clock=clock)
        self.gpu = GpuSource(clock=clock)
        self.usage = UsageFollower(settings.usage_path, clock)
        self.approvals = Approvals(settings.database_path, clock)

    @property
    def review(self) -> ReviewDesk:
        """The review's index and pen, made at the first use and kept: opening the screen again costs nothing."""
        if self._review is None:
            from timmy_tui.services.review.desk import ReviewDesk

            self._review = ReviewDesk(self._settings, self.labels, self._clock)
        return self._review

    def tick_hints(self) -> AsyncIterator[None]:
        """File events in the tick folder."""
        return changes(self._settings.heartbeat_dir)

    async def aclose(self) -> None:
        """Close the HTTP connections."""
        for client in self.ollama.values():
            await client.aclose()
        await self.providers.aclose()
