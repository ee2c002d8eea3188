"""The monitor: runs every source and keeps the one snapshot that all views share."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from timmy_tui.config import Settings
from timmy_tui.services.hermes.own_sessions import with_own_sessions
from timmy_tui.services.hermes.records import HermesReading
from timmy_tui.services.locality import host_place
from timmy_tui.services.poller import Pace, Poller
from timmy_tui.services.reading import Reading
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.sources import Sources
from timmy_tui.services.worker.records import WorkerReading
from timmy_tui.text import clean

T = TypeVar("T")

HINTS_AFTER_S = 0.5
"""Longer than the panes need to paint what was just read."""

USAGE_S = 5.0
"""Between two looks at the usage log."""

APPROVALS_S = 10.0
"""They come with a tick, which asks for them at once; this is for those that another console decided."""

LOG_TIMEOUT_S = 10.0
"""The first look at a log of a million ticks counts them all; every later one reads what is new."""

LOCAL_TIMEOUT_S = 5.0
"""For files and SQLite; a local disk answers in milliseconds, a lost network mount never does."""


class Monitor:
    """Asks every source at its own pace and publishes a :class:`Snapshot` whenever a value or an error changed.

    A poll that found nothing new only renews :attr:`snapshot` (its ages), without a call to ``publish``.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        sources: Sources | None = None,
    ) -> None:
        env = os.environ if env is None else env
        self.settings = settings
        self.clock = clock
        self.sources = sources or Sources(settings, env=env, clock=clock)
        self.snapshot = self._first_snapshot()
        self._publish: Callable[[Snapshot], None] = lambda snapshot: None
        self._pollers: dict[str, Poller[object]] = {}
        self._silent: set[str] = set()
        self._first_round = asyncio.Event()
        self._make_pollers()

    async def run(self, publish: Callable[[Snapshot], None]) -> None:
        """Poll until cancelled. ``publish`` is called on the running loop."""
        self._publish = publish
        async with asyncio.TaskGroup() as group:
            for name, poller in self._pollers.items():
                group.create_task(poller.run(self._taker(name)), name=f"poll {name}")
            group.create_task(self._follow_hints(), name="tick file hints")

    async def snapshot_once(self, timeout_s: float = 12.0) -> Snapshot:
        """Every source read once, concurrently; what has not answered after ``timeout_s`` stays an error."""
        polls = {name: asyncio.ensure_future(poller.poll()) for name, poller in self._pollers.items()}
        done, late = await asyncio.wait(polls.values(), timeout=timeout_s)
        for name, poll in polls.items():
            if poll in done:
                self._take(name, poll.result())
            else:
                self._take(name, Reading(error=f"no answer within {timeout_s:g} s", error_since=self.clock()))
        for poll in late:
            poll.cancel()
        return self.snapshot

    def refresh(self, name: str | None = None) -> None:
        """Ask one source (or all) again at once."""
        if name in (None, "providers"):
            self.sources.providers.probe_now()
        for key, poller in self._pollers.items():
            if name is None or key == name or key.split(":")[0] == name:
                poller.wake()

    def refresh_ollama(self, server: str) -> None:
        """Ask one Ollama server again, its list of models too."""
        self.sources.ollama[server].refresh_soon()
        self.refresh(f"ollama:{server}")

    def set_slow(self, slow: bool) -> None:
        """Slow every source down while the terminal has no focus; asking at once when it has it again."""
        for poller in self._pollers.values():
            was, poller.slow = poller.slow, slow
            if was and not slow:
                poller.wake()

    async def aclose(self) -> None:
        """Close every connection."""
        for poller in self._pollers.values():
            await poller.aclose()
        await self.sources.aclose()

    def _first_snapshot(self) -> Snapshot:
        servers = []
        for config in self.settings.config.ollama:
            url = self.sources.ollama[config.shown_name].url
            total = config.vram_total_gb
            servers.append(
                OllamaServer(
                    name=config.shown_name,
                    url=clean(url),
                    vram_total_bytes=None if total is None else int(total * 1e9),
                    on_this_host=_is_this_host(url),
                )
            )
        return Snapshot(
            host=clean(platform.node() or "localhost", limit=40),
            ollama=tuple(servers),
            heartbeat_enabled=self.settings.config.heartbeat.enabled,
        )

    def _make_pollers(self) -> None:
        intervals, timeouts = self.settings.config.intervals, self.settings.config.timeouts
        sources = self.sources
        for name, client in sources.ollama.items():
            self._add(f"ollama:{name}", client.read, intervals.ollama_s, timeouts.ollama_s + 1)
        self._add("hermes", _in_thread(sources.hermes.read), intervals.hermes_s, LOCAL_TIMEOUT_S)
        self._add("heartbeat", _in_thread(sources.heartbeat.read), intervals.ticks_s, LOG_TIMEOUT_S)
        self._add("worker", _in_thread(sources.worker.read), intervals.worker_s, LOCAL_TIMEOUT_S)
        self._add("approvals", _in_thread(sources.approvals.open), APPROVALS_S, LOCAL_TIMEOUT_S)
        self._add("usage", _in_thread(sources.usage.read), USAGE_S, LOCAL_TIMEOUT_S)
        self._add("gpu", _in_thread(sources.gpu.read), intervals.gpu_s, LOCAL_TIMEOUT_S)
        self._add("providers", sources.providers.read, min(5.0, intervals.providers_s), timeouts.providers_s * 2 + 1)

    def _add(self, name: str, ask: Callable[[], Awaitable[object]], interval_s: float, timeout_s: float) -> None:
        self._silent.add(name)
        self._pollers[name] = Poller(name, ask, Pace(interval_s, timeout_s), clock=self.clock)

    async def _follow_hints(self) -> None:
        """A file event only wakes the poller: the stat poll stays the guarantee (facts/tailing.md row 23).

        The watcher is imported a moment after every source has said something, so that no pane waits for it.
        """
        await self._first_round.wait()
        await asyncio.sleep(HINTS_AFTER_S)
        async for _ in self.sources.tick_hints():
            self.refresh("heartbeat")

    def _named(self, kind: str, reading: Reading[object]) -> Reading[object]:
        """Hermes' reading with the heartbeat's sessions under its name, as far as its ticks are known."""
        ticks = self.snapshot.heartbeat.value
        if kind != "hermes" or not isinstance(reading.value, HermesReading) or ticks is None:
            return reading
        named = with_own_sessions(reading.value, ticks.recent)
        if named is reading.value:
            return reading
        if self.snapshot.hermes.value == named:  # the same object says that nothing changed
            named = self.snapshot.hermes.value
        return msgspec.structs.replace(reading, value=named)

    def _taker(self, name: str) -> Callable[[Reading[object]], None]:
        return lambda reading: self._take(name, reading)

    def _take(self, name: str, reading: Reading[object]) -> None:
        self._silent.discard(name)
        if not self._silent:
            self._first_round.set()
        before = self.snapshot
        kind, _, server = name.partition(":")
        if kind == "ollama":
            servers = tuple(
                msgspec.structs.replace(entry, reading=reading) if entry.name == server else entry
                for entry in before.ollama
            )
            old: Reading[object] = next((entry.reading for entry in before.ollama if entry.name == server), Reading())
            self.snapshot = msgspec.structs.replace(before, ollama=servers)
        else:
            old = getattr(before, kind)
            reading = self._named(kind, reading)
            self.snapshot = msgspec.structs.replace(before, **{kind: reading})
        if reading.says_same_as(_with_beat_of(old, reading)):
            return
        if kind == "ollama" and (old.error is None) != (reading.error is None):
            self.refresh("providers")  # what one pane knows the other should not deny
        if kind == "heartbeat":
            self.refresh("approvals")  # a new tick may have proposed something
            named = self._named("hermes", self.snapshot.hermes)  # and named a session as its own
            self.snapshot = msgspec.structs.replace(self.snapshot, hermes=named)
        self._publish(self.snapshot)


def _with_beat_of(old: Reading[object], new: Reading[object]) -> Reading[object]:
    """``old`` with the worker's newest beat: that it beats is no news, once a second, all day."""
    if isinstance(old.value, WorkerReading) and isinstance(new.value, WorkerReading):
        value = msgspec.structs.replace(old.value, beat_at=new.value.beat_at)
        return msgspec.structs.replace(old, value=value)
    return old


def _in_thread(read: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    async def ask() -> T:
        return await asyncio.to_thread(read)

    return ask


def _is_this_host(url: str) -> bool:
    from urllib.parse import urlsplit

    host = urlsplit(url).hostname or ""
    return host_place(url) == "local" and (host in ("localhost", "::1") or host.startswith("127."))
