"""The cascade: ask the providers in order until one gives an answer that the caller takes (docs/adr-0001)."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.config import CascadeConfig
from timmy_tui.services.cascade.batched_metrics import BatchedMetrics
from timmy_tui.services.cascade.circuit import Permit, Refusal
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.cascade.records import (
    NOT_RETRIED,
    CallError,
    CallProblem,
    CascadeOutcome,
    Completion,
    CompletionRequest,
    Provider,
)
from timmy_tui.services.database import DatabaseError
from timmy_tui.services.ticks.records import Attempt
from timmy_tui.services.usage.recording import usage_call
from timmy_tui.services.usage.writer import UsageWriter
from timmy_tui.text import clean_error

OVERRUN_S = 5.0
"""How much longer than its deadline a provider may take to clean up before it is cancelled."""

SHORTEST_S = 0.05
"""With less time left than this no call is begun."""

NO_TIME = "no time left"

NEVER_SENT: frozenset[CallProblem] = frozenset({"not_configured", "not_local", "circuit_open"})

OF_THE_MODEL: frozenset[CallProblem] = frozenset({"not_found", "not_configured", "not_local"})
"""Problems of the model that was asked for, where its name came with the call."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Cascade:
    """Providers in order, each behind its circuit. Several calls may run at once.

    ``clock`` is Unix time, for what is told; ``monotonic`` measures deadlines and durations.
    """

    def __init__(
        self,
        providers: Sequence[Provider],
        metrics: MetricsStore | BatchedMetrics,
        config: CascadeConfig,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        usage_path: Path | None = None,
    ) -> None:
        """``usage_path`` is the usage log that gets a line for each call; None = none does."""
        self._usage = None if usage_path is None else UsageWriter(usage_path)
        self.providers: tuple[Provider, ...] = tuple(providers)
        self._metrics = metrics
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic

    async def run(self, request: CompletionRequest, accept: Callable[[Completion], T]) -> CascadeOutcome[T]:
        """The first answer that ``accept`` takes, within ``request.timeout_s`` for everything.

        ``accept`` raises :class:`CallError` ``wrong_shape`` for an answer that it does not take: that is a failed
        attempt like any other. Never raises for a provider's sake: what went wrong is in the attempts.
        """
        end = self._monotonic() + request.timeout_s
        attempts: list[Attempt] = []
        last: Completion | None = None
        problem: CallProblem | None = None
        for provider in self.providers:
            if end - self._monotonic() < SHORTEST_S:
                attempts.append(Attempt(provider.name, NO_TIME, None))
                continue
            until = min(end, self._monotonic() + self._config.timeout_seconds)
            for number in range(self._config.max_retries_per_provider + 1):
                tried = await self._try(provider, request, accept, until, first=number == 0)
                if tried is None:  # our own last failure has opened the circuit
                    break
                attempts.append(tried.attempt)
                if tried.taken is not None and tried.completion is not None:
                    return CascadeOutcome(tried.taken.value, tried.completion, tuple(attempts))
                last, problem = tried.completion or last, tried.problem or problem
                if tried.over:
                    return CascadeOutcome(None, None, tuple(attempts), last, begun=True, problem=problem)
                delay_s = self._config.retry_delay_seconds
                if tried.final or number == self._config.max_retries_per_provider:
                    break
                if until - self._monotonic() - delay_s < max(SHORTEST_S, _start_up_s(tried)):
                    break
                await self._sleep(delay_s)
        return CascadeOutcome(None, None, tuple(attempts), last, problem=problem)

    async def aclose(self) -> None:
        """Close every provider, and write what was kept of figures and usage."""
        try:
            for provider in self.providers:
                await provider.aclose()
        finally:
            await self._flush()

    async def _flush(self) -> None:
        try:
            await asyncio.to_thread(self._metrics.flush)
        except DatabaseError as error:
            _log.warning("some answers are not counted: %s", error.message)
        if self._usage is not None:
            await asyncio.to_thread(self._usage.close)

    async def _try(
        self,
        provider: Provider,
        request: CompletionRequest,
        accept: Callable[[Completion], T],
        until: float,
        *,
        first: bool,
    ) -> _Tried[T] | None:
        """One attempt, counted in the metrics; None for a retry that the circuit refuses."""
        permit = await self._acquire(provider.name, until - self._monotonic())
        if isinstance(permit, Refusal):
            refused = Attempt(provider.name, _refusal_text(permit, self._clock()), None)
            return _Tried(refused, final=True) if first else None
        started = self._monotonic()
        if until - started < SHORTEST_S:  # the database took it
            await self._released(permit)
            return _Tried(Attempt(provider.name, NO_TIME, None), final=True)
        settled = False
        completion: Completion | None = None
        try:
            try:
                completion = await self._complete(provider, replace(request, timeout_s=until - started))
                taken = _Taken(accept(completion))
            except CallError as error:
                duration_ms = (self._monotonic() - started) * 1000
                settled = True
                self._recorded(provider.name, request, completion, error, duration_ms)
                opened = await self._failed(permit, error, request)
                attempt = Attempt(provider.name, clean_error(error.message), duration_ms)
                final = opened or error.problem in NOT_RETRIED
                return _Tried(attempt, completion=completion, final=final, over=error.begun, problem=error.problem)
            duration_ms = (self._monotonic() - started) * 1000
            settled = True
            self._recorded(provider.name, request, completion, None, duration_ms)
            await self._succeeded(permit, duration_ms)
            return _Tried(Attempt(provider.name, None, duration_ms), completion=completion, taken=taken)
        finally:
            if not settled:  # cancelled, or a mistake of our own: the trial's slot must not wait for its lease
                ended = CallError("refused", "given up before it was answered")
                self._recorded(provider.name, request, completion, ended, (self._monotonic() - started) * 1000)
                await asyncio.shield(self._released(permit))

    def _recorded(
        self,
        provider: str,
        request: CompletionRequest,
        completion: Completion | None,
        error: CallError | None,
        duration_ms: float,
    ) -> None:
        """Write the call into the usage log; what was never sent is no call."""
        if self._usage is None or (error is not None and error.problem in NEVER_SENT and not error.sent):
            return
        began_at = self._clock() - duration_ms / 1000
        self._usage.put(usage_call(provider, request, completion, error, began_at, duration_ms))

    async def _complete(self, provider: Provider, request: CompletionRequest) -> Completion:
        try:
            async with asyncio.timeout(request.timeout_s + OVERRUN_S):
                return await provider.complete(request)
        except TimeoutError:
            raise CallError("timeout", f"no answer within {request.timeout_s:.3g} s") from None

    async def _acquire(self, name: str, left_s: float) -> Permit | Refusal:
        """A permit. A database that is out of order stops no call: then there are no circuits and no figures."""
        held = self._metrics.held(name)
        if held is not None:
            return held
        lease_s = max(left_s, 0.0) + 2 * OVERRUN_S
        try:
            return await asyncio.to_thread(self._metrics.acquire, name, lease_s=lease_s)
        except DatabaseError as error:
            _log.warning("calling %s without its circuit: %s", name, error.message)
            return Permit()

    async def _succeeded(self, permit: Permit, latency_ms: float) -> None:
        if permit.token and not self._metrics.noted(permit, latency_ms):
            try:
                await asyncio.to_thread(self._metrics.succeeded, permit, latency_ms)
            except DatabaseError as error:
                _log.warning("an answer of %s is not counted: %s", permit.provider, error.message)

    async def _failed(self, permit: Permit, error: CallError, request: CompletionRequest) -> bool:
        """Count a failure; whether the circuit lets no more calls through.

        That a model which the caller has named is not there says nothing about the provider.
        """
        if not permit.token:
            return False
        of_the_model = request.model is not None and error.problem in OF_THE_MODEL
        if not request.counted or of_the_model or (request.impatient and error.problem == "timeout"):
            await self._released(permit)
            return False
        try:
            state = await asyncio.to_thread(
                self._metrics.failed, permit, error.problem, error.message, error.retry_after_s
            )
        except DatabaseError as error:
            _log.warning("a failure of %s is not counted: %s", permit.provider, error.message)
            return False
        return state.circuit == "open"

    async def _released(self, permit: Permit) -> None:
        if permit.trial and permit.token:
            try:
                await asyncio.to_thread(self._metrics.released, permit)
            except DatabaseError as error:
                _log.warning("the trial slot of %s waits for its lease: %s", permit.provider, error.message)


class _Taken(Struct, Generic[T], frozen=True):
    """An accepted value: it may itself be None."""

    value: T


class _Tried(Struct, Generic[T], frozen=True):
    """What one attempt came to."""

    attempt: Attempt
    completion: Completion | None = None
    taken: _Taken[T] | None = None
    final: bool = False
    """No retry would help."""
    over: bool = False
    """An answer had begun: nobody else may be asked."""
    problem: CallProblem | None = None


def _start_up_s(tried: _Tried[T]) -> float:
    """How long the provider needed before it failed or answered, but for the loading of a model: it needs it again."""
    took_ms = tried.attempt.duration_ms or 0.0
    loading_ms = tried.completion.load_ms or 0.0 if tried.completion is not None else 0.0
    return max(0.0, took_ms - loading_ms) / 1000


def _refusal_text(refusal: Refusal, now: float) -> str:
    if refusal.circuit == "half_open":
        return "circuit half-open, its trial calls are under way"
    return f"circuit open, next try in {max(0, math.ceil(refusal.retry_at - now))} s"
