"""What the heartbeat sees: every probe at once, each with a deadline of its own, in a fixed order of keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial

from timmy_tui.config import Settings
from timmy_tui.services.heartbeat.deadlines import contained
from timmy_tui.services.heartbeat.probes import (
    NAME_LIMIT,
    Facts,
    dead,
    probe_command,
    probe_disks,
    probe_http,
    probe_load,
    probe_memory,
    probe_tcp,
)
from timmy_tui.services.heartbeat.stack_probes import probe_hermes, probe_ollama, probe_queue
from timmy_tui.text import Json, clean, clean_error, clean_tree

PERCEPTION_NODES = 1_000
"""Values kept of a perception: it goes into a model's prompt."""


async def perceive(
    settings: Settings,
    env: Mapping[str, str],
    clock: Callable[[], float] = time.time,
    since: float | None = None,
    *,
    timeout_s: float = 30.0,
) -> Json:
    """The perception: a bounded JSON object, cleaned, secrets masked. ``since`` is the last tick's Unix time.

    With nothing configured: Ollama, Hermes, the queue, the disk of the home, load and memory. Configured HTTP and
    TCP checks come first (``gitea_alive``), the operator's commands last. Raises nothing: what a probe runs into, or
    that it has no end within ``timeout_s``, is a value in what it says.
    """
    probes = settings.config.heartbeat.probes

    async def ask(probe: Coroutine[object, object, Facts], failed: Callable[[str], Facts]) -> Facts:
        facts = await contained(probe, timeout_s)
        return failed(clean_error(facts)) if isinstance(facts, BaseException) else facts

    *found, of_commands = await asyncio.gather(
        *(ask(probe_http(probe, env), partial(dead, probe.name)) for probe in probes.http),
        *(ask(probe_tcp(probe), partial(dead, probe.name)) for probe in probes.tcp),
        ask(probe_ollama(settings, env), lambda why: {"model_health": {"ollama_running": False, "error": why}}),
        ask(probe_hermes(settings, env, clock, since), lambda why: {"hermes": {"error": why}}),
        ask(probe_queue(settings, env), lambda why: {"queue": {"pending": None, "error": why}}),
        ask(probe_disks(probes.disks, env), lambda why: {"disk_used_pct": None, "disk_error": why}),
        ask(probe_load(), lambda why: {}),
        ask(probe_memory(env), lambda why: {}),
        _merged(ask(probe_command(probe, env), partial(_mute, probe.name)) for probe in probes.commands),
    )
    perception: Facts = {}
    for facts in found:
        perception |= facts
    for name, value in of_commands.items():  # a command does not speak for the probe that has its name
        perception[name if name not in perception else f"command_{name}"] = value
    return clean_tree(perception, nodes=PERCEPTION_NODES)


async def _merged(asked: Iterable[Coroutine[object, object, Facts]]) -> Facts:
    facts: Facts = {}
    for more in await asyncio.gather(*asked):
        facts |= more
    return facts


def _mute(name: str, why: str) -> Facts:
    return {clean(name, limit=NAME_LIMIT): {"error": why}}
