"""Circuits that close by themselves: a provider that was not there at all is asked by its free endpoint.

Only a refused connection is taken back this way: that something listens again disproves it. A model that answered
wrongly, too slowly, or not at all for want of a key is tried by the next call, as the circuit says. Without this a
provider behind a good one would stay open for as long as the good one answers.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping

from timmy_tui.config import ProviderConfig, Settings, load_cascade
from timmy_tui.services.cascade.circuit import Refusal
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.cascade.providers.hermes_server import base_url, look
from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.providers.found import Target, find_providers
from timmy_tui.services.providers.probes import Prober
from timmy_tui.services.reading import SourceError

HEAL_EVERY_S = 10.0

log = logging.getLogger(__name__)


async def heal(settings: Settings, env: Mapping[str, str], clock: Callable[[], float] = time.time) -> tuple[str, ...]:
    """Close the circuits that are due and whose provider listens again; their names.

    Nothing is sent while every circuit is closed. Raises :class:`~timmy_tui.services.reading.SourceError`.
    """
    found = await asyncio.to_thread(find_providers, settings, env)
    store = MetricsStore(settings.database_path, found.cascade.circuit_breaker, clock)
    due = [target for target in found.targets if target.off is None and await _due(store, target.name, clock())]
    if not due:
        return ()
    prober = Prober(settings.config.hermes.command, env, timeout_s=settings.config.timeouts.providers_s)
    healed: list[str] = []
    try:
        for target in due:
            if not await _listens(prober, target, settings, env):
                continue
            permit = await asyncio.to_thread(store.acquire, target.name, lease_s=HEAL_EVERY_S)
            if not isinstance(permit, Refusal):
                await asyncio.to_thread(store.healed, permit)
                healed.append(target.name)
    finally:
        await prober.aclose()
    return tuple(healed)


def heal_while(settings: Settings, env: Mapping[str, str], ended: Callable[[], bool]) -> None:
    """Heal every few seconds until ``ended``; the worker's thread."""
    pause = threading.Event()
    while not pause.wait(HEAL_EVERY_S) and not ended():
        try:
            for name in asyncio.run(heal(settings, env)):
                log.info("the circuit of %s is closed: it answers again", name)
        except SourceError as error:
            log.warning("circuits can't be looked at: %s", error.message)


async def _due(store: MetricsStore, name: str, now: float) -> bool:
    state = await asyncio.to_thread(store.circuit_of, name)
    if state.circuit != "open" or (state.next_try_at is not None and now < state.next_try_at):
        return False
    return await asyncio.to_thread(store.last_problem, name) == "refused"


async def _listens(prober: Prober, target: Target, settings: Settings, env: Mapping[str, str]) -> bool:
    if target.type != "hermes":
        return (await prober.ask(target)).error is None
    try:
        await look(base_url(settings, _config_of(target.name, settings), env))
    except CallError:
        return False
    return True


def _config_of(name: str, settings: Settings) -> ProviderConfig | None:
    file = load_cascade(settings)
    return next((config for config in file.providers if config.name == name), None) if file else None
