"""The same circuits and figures for a caller with hundreds of calls a second: one transaction for many of them.

A circuit that was closed half a second ago lets calls through without a look, and their successes are counted
together. A failure is written at once, and ends that trust.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable

from msgspec import Struct

from timmy_tui.services.cascade.circuit import CircuitState, Permit, Refusal
from timmy_tui.services.cascade.metrics_store import LEASE_S, MetricsStore
from timmy_tui.services.cascade.records import CallProblem
from timmy_tui.services.database import DatabaseError

TRUSTED_S = 0.5
"""How long a closed circuit is taken for closed without a look; a failed call elsewhere shows so much later."""

MOST_HELD = 200
"""Successes that are counted together."""


class _Provider(Struct):
    trusted_until: float = 0.0
    latencies_ms: list[float] = []


class BatchedMetrics:
    """A :class:`MetricsStore` for one event loop. :meth:`held` and :meth:`noted` never block; the rest does."""

    def __init__(self, store: MetricsStore, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._providers: dict[str, _Provider] = {}

    def held(self, provider: str) -> Permit | None:
        """A permit without a look; None when one is due."""
        known = self._providers.get(provider)
        if known is None or self._monotonic() >= known.trusted_until or len(known.latencies_ms) >= MOST_HELD:
            return None
        return Permit(provider=provider, token=uuid.uuid4().hex)

    def noted(self, permit: Permit, latency_ms: float) -> bool:
        """Keep a success to be counted with others; False when it has to be written now."""
        known = self._providers.get(permit.provider)
        if permit.trial or known is None or self._monotonic() >= known.trusted_until:
            return False
        known.latencies_ms.append(latency_ms)
        return True

    def acquire(self, provider: str, *, lease_s: float = LEASE_S) -> Permit | Refusal:
        """As :meth:`MetricsStore.acquire`; what was kept is counted before. Raises ``DatabaseError``."""
        self._try_to_count(provider)
        answer = self._store.acquire(provider, lease_s=lease_s)
        known = self._providers.setdefault(provider, _Provider())
        closed = isinstance(answer, Permit) and not answer.trial
        known.trusted_until = self._monotonic() + TRUSTED_S if closed else 0.0
        return answer

    def succeeded(self, permit: Permit, latency_ms: float) -> CircuitState:
        """As :meth:`MetricsStore.succeeded`. Raises ``DatabaseError``."""
        self._try_to_count(permit.provider)
        return self._store.succeeded(permit, latency_ms)

    def failed(
        self, permit: Permit, problem: CallProblem, message: str, retry_after_s: float | None = None
    ) -> CircuitState:
        """As :meth:`MetricsStore.failed`; the next call looks at the circuit again. Raises ``DatabaseError``."""
        self._providers.setdefault(permit.provider, _Provider()).trusted_until = 0.0
        self._try_to_count(permit.provider)
        return self._store.failed(permit, problem, message, retry_after_s)

    def released(self, permit: Permit) -> CircuitState:
        """As :meth:`MetricsStore.released`. Raises ``DatabaseError``."""
        return self._store.released(permit)

    def flush(self) -> None:
        """Count what was kept. Raises ``DatabaseError``."""
        for provider in tuple(self._providers):
            self._count(provider)

    def _try_to_count(self, provider: str) -> None:
        """What can't be counted now must not stop what is asked for now."""
        with contextlib.suppress(DatabaseError):
            self._count(provider)

    def _count(self, provider: str) -> None:
        known = self._providers.get(provider)
        if known is not None and known.latencies_ms:
            latencies_ms, known.latencies_ms = known.latencies_ms, []
            try:
                self._store.succeeded_often(provider, latencies_ms)
            except DatabaseError:
                known.latencies_ms[:0] = latencies_ms  # for the next time
                raise
