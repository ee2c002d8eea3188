"""All providers as one reading: what our probes see, and what the calls' own metrics say."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from timmy_tui.config import CascadeConfig, Settings
from timmy_tui.services.providers.errors import ProvidersError
from timmy_tui.services.providers.found import Found, Target, find_providers
from timmy_tui.services.providers.metrics import (
    MetricsView,
    ProviderMetrics,
    percentile,
    read_provider_metrics,
)
from timmy_tui.services.providers.probes import Answer, Prober
from timmy_tui.services.providers.records import Probe, ProvidersReading, ProviderState, ProviderStatus

__all__ = ["ProvidersError", "ProvidersStore"]

PROBES_KEPT = 60
BACKOFF_MAX_S = 300.0
"""The longest pause between two probes of an endpoint that does not answer."""


LOOK_S = 30.0
"""The files are read again after this long even when nothing seems to have changed."""


class ProvidersStore:
    """Reads every provider of one configuration. Making it opens nothing; one loop uses it."""

    def __init__(self, settings: Settings, *, env: Mapping[str, str], clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._env = env
        self._clock = clock
        config = settings.config
        self._interval_s = config.intervals.providers_s
        self._prober = Prober(config.hermes.command, env, timeout_s=config.timeouts.providers_s)
        self._watches: dict[Target, _Watch] = {}
        self._reading = asyncio.Lock()
        self._forced = False
        self._looked: tuple[tuple[object, ...], tuple[Found, MetricsView]] | None = None
        self._looked_at = 0.0

    async def read(self) -> ProvidersReading:
        """Probe what is due, concurrently and never twice at once, and merge it with the metrics.

        Cheap between two probes, so it may be called more often than ``intervals.providers_s``.
        Raises :class:`ProvidersError`.
        """
        async with self._reading:
            found, view = await asyncio.to_thread(self._look)
            self._watches = {target: self._watches.get(target) or _Watch() for target in found.targets}
            now, forced = self._clock(), self._forced
            self._forced = False
            due = [
                target
                for target, watch in self._watches.items()
                if target.off is None and (forced or watch.due(view.of(target.name), now, self._interval_s))
            ]
            await asyncio.gather(*(self._probe(target, view.of(target.name)) for target in due))
            statuses = (_status(target, watch, view, found.cascade) for target, watch in self._watches.items())
            return ProvidersReading(tuple(statuses), found.configured)

    def probe_now(self) -> None:
        """Let the next :meth:`read` probe every provider, whatever its pause."""
        self._forced = True
        self._looked = None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._prober.aclose()

    def _look(self) -> tuple[Found, MetricsView]:
        """What is configured or found, and the metrics; read again when a file changed, or after a while.

        A binary that comes onto the PATH changes no file that is looked at here: that takes until then.
        """
        database = self._settings.database_path
        files = (self._settings.providers_path, database, database.with_name(database.name + "-wal"))
        seen = tuple(map(_identity, files))
        if self._looked is None or self._looked[0] != seen or not 0 <= self._clock() - self._looked_at < LOOK_S:
            looked = find_providers(self._settings, self._env), read_provider_metrics(database)
            self._looked, self._looked_at = (seen, looked), self._clock()
        return self._looked[1]

    async def _probe(self, target: Target, metrics: ProviderMetrics) -> None:
        started = self._clock()
        answer = await self._prober.ask(target)
        self._watches[target].take(answer, metrics, started, self._interval_s)


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


class _Watch:
    """What the probes of one provider have told in this run."""

    def __init__(self) -> None:
        self.probes: deque[Probe] = deque(maxlen=PROBES_KEPT)
        self.version: str | None = None
        self.model: str | None = None
        self.next_at: float | None = None
        self._failures = 0
        self._successes_seen = 0

    def due(self, metrics: ProviderMetrics, now: float, interval_s: float) -> bool:
        """Whether to probe now: its time has come, or a call got through since the last probe failed."""
        if self.next_at is None or (self._failures and metrics.successes > self._successes_seen):
            return True
        # A poll may come a moment before its time, and a clock that was set back must not silence the probes.
        return now >= self.next_at - 0.1 * interval_s or now < self.next_at - max(interval_s, BACKOFF_MAX_S)

    def take(self, answer: Answer, metrics: ProviderMetrics, at: float, interval_s: float) -> None:
        """Note a probe that began ``at``, and when the next one is due."""
        ok = answer.error is None
        self.probes.append(Probe(at, ok, answer.latency_ms, answer.error))
        self._failures = 0 if ok else self._failures + 1
        self._successes_seen = metrics.successes
        pause_s = interval_s * 2 ** min(max(0, self._failures - 1), 16)
        self.next_at = at + min(pause_s, max(interval_s, BACKOFF_MAX_S))
        if ok:
            self.version, self.model = answer.version, answer.model

    @property
    def state(self) -> ProviderState:
        if not self.probes:
            return "unknown"
        return "up" if self.probes[-1].ok else "down"


def _status(target: Target, watch: _Watch, view: MetricsView, cascade: CascadeConfig) -> ProviderStatus:
    metrics = view.of(target.name)
    last_error, last_error_at = _last_error(watch, metrics)
    return ProviderStatus(
        name=target.name,
        type=target.type,
        priority=target.priority,
        state="disabled" if target.off is not None else watch.state,
        circuit=metrics.circuit,
        address=target.shown,
        model=target.model or watch.model,
        version=watch.version,
        note=target.off or view.note,
        next_probe_at=None if target.off is not None else _next_probe_at(watch, metrics, cascade),
        requests=metrics.requests,
        failures=metrics.failures,
        avg_latency_ms=metrics.avg_latency_ms,
        p50_latency_ms=percentile(metrics.latency_buckets, 0.50),
        p95_latency_ms=percentile(metrics.latency_buckets, 0.95),
        last_error=last_error,
        last_error_at=last_error_at,
        probes=tuple(watch.probes),
    )


def _last_error(watch: _Watch, metrics: ProviderMetrics) -> tuple[str | None, float | None]:
    """The calls' last error; our own while the probe fails and the calls have told nothing newer."""
    if watch.probes and not watch.probes[-1].ok:
        probe = watch.probes[-1]
        if metrics.last_error is None or (metrics.last_error_at or 0.0) < probe.at:
            return probe.error, probe.at
    return metrics.last_error, metrics.last_error_at


def _next_probe_at(watch: _Watch, metrics: ProviderMetrics, cascade: CascadeConfig) -> float | None:
    """An open circuit's next trial by its own rule, else our next probe."""
    if metrics.circuit == "open":
        if metrics.next_try_at is not None:
            return metrics.next_try_at
        if metrics.opened_at is not None:
            return metrics.opened_at + cascade.circuit_breaker.recovery_timeout
    return watch.next_at
