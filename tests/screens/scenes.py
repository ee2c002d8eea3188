"""Scenes of the console: whole snapshots over a demo home, and the console that shows them at a fixed moment.

Everything is read by the real stores and decoders from the files that ``write_history`` makes, which are the same for
the same moment; only the providers and the worker, which need processes, are made by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import snapshot_maker as maker
from hermes_store_maker import make_empty_store
from payloads import LINES, PAYLOADS
from tick_maker import tick_line

from timmy_tui.app import TimmyApp
from timmy_tui.config import Settings, load_settings
from timmy_tui.services.demo.home import write_history
from timmy_tui.services.demo.ollama_world import world_at
from timmy_tui.services.gpu import GpuDevice, GpuReading
from timmy_tui.services.hermes.records import HermesReading
from timmy_tui.services.hermes.store import HermesStore
from timmy_tui.services.ollama.decode import installed_models, loaded_models, server_version
from timmy_tui.services.ollama.records import OllamaReading
from timmy_tui.services.providers.records import Probe, ProvidersReading, ProviderStatus
from timmy_tui.services.reading import Reading
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.ticks.log import HeartbeatStore
from timmy_tui.services.ticks.records import HeartbeatReading
from timmy_tui.text import clean, clean_error

NOW = 1_795_147_500.0
"""2026-11-20 04:05:00 UTC."""

HOST = "mbp"
URL = "http://127.0.0.1:11434"
TICK_EVERY_S = 600.0


class Stack:
    """A demo home on the disk, and what its sources say at :data:`NOW`."""

    def __init__(self, home: Path) -> None:
        self.env = {**write_history(home, NOW), "HOME": str(home), "PATH": ""}
        settings = load_settings(self.env)
        self.hermes = HermesStore(settings.hermes_home, profile="", hours=24, clock=at_now).read()
        self._add_a_good_tick(settings.heartbeat_dir / "ticks_20261120.jsonl")
        self.heartbeat_store = HeartbeatStore(settings.heartbeat_dir, every_s=TICK_EVERY_S, clock=at_now)
        self.heartbeat = self.heartbeat_store.read()
        world = world_at(NOW)
        self.ollama = ollama_reading(world.tags(), world.ps(NOW))

    def _add_a_good_tick(self, log: Path) -> None:
        """The demo's day ends with a warning; here the operator has looked after it and asked for another tick."""
        at = datetime.fromtimestamp(NOW - 30, UTC)
        with log.open("ab") as file:
            file.write(tick_line(7, severity="ok", at=at, trigger="manual"))

    def ticks_until(self, index: int) -> HeartbeatReading:
        """The heartbeat as if the tick ``recent[index]`` were the last one; ``index`` counts from the end."""
        recent = self.heartbeat.recent[: len(self.heartbeat.recent) + index + 1]
        last, previous = (self.heartbeat_store.load(head.place) for head in (recent[-1], recent[-2]))
        return msgspec.structs.replace(self.heartbeat, recent=recent, last=last, previous=previous)

    def healthy(self) -> Snapshot:
        """A working day on which all is well."""
        return Snapshot(
            host=HOST,
            ollama=(server(self.ollama),),
            hermes=fresh(self.hermes),
            heartbeat=fresh(self.heartbeat),
            worker=fresh(maker.worker(beat_at=NOW - 1)),
            providers=fresh(cascade(tripped=False)),
            gpu=fresh(GPU),
        )

    def degraded(self) -> Snapshot:
        """Everything has trouble at once; the old values stay."""
        return Snapshot(
            host=HOST,
            ollama=(
                server(
                    reading=lost(
                        self.ollama,
                        f"Ollama does not answer at {URL}: connection refused",
                        age_s=138,
                        hint="Start it with:  ollama serve",
                    )
                ),
            ),
            hermes=lost(self.hermes, "The Hermes store is locked by another program", age_s=95),
            heartbeat=fresh(self.ticks_until(-6)),
            worker=fresh(maker.worker("stuck", beat_at=NOW - 75)),
            providers=fresh(cascade(tripped=True)),
            gpu=Reading(error="nvidia-smi is not here", error_since=NOW - 600),
        )


def hostile(folder: Path) -> Snapshot:
    """Documents and stores in which every string attacks, read by the real decoders."""
    return Snapshot(
        host=HOST,
        ollama=(server(_hostile_ollama()),),
        hermes=fresh(_hostile_sessions(folder / "hermes")),
        heartbeat=fresh(_hostile_ticks(folder / "heartbeat")),
        worker=fresh(maker.worker(beat_at=NOW - 1)),
        providers=fresh(_hostile_providers()),
    )


def nothing_found() -> Snapshot:
    """A machine on which no source exists."""
    return Snapshot(
        host=HOST,
        ollama=(
            server(
                reading=absent(
                    f"Ollama does not answer at {URL}: connection refused", hint="Start it with:  ollama serve"
                )
            ),
        ),
        hermes=absent("No Hermes store at ~/.hermes", hint="Start a session with:  hermes"),
        heartbeat=absent("No tick log at ~/.timmy/heartbeat", hint="Start a worker with:  timmy-tui worker"),
        worker=fresh(maker.worker("down")),
        providers=fresh(ProvidersReading((), configured=False)),
    )


def at_now() -> float:
    """The fixed clock."""
    return NOW


def settings_of(env: Mapping[str, str], **overrides: object) -> Settings:
    """The configuration of ``env`` with ``overrides`` as flags would set them."""
    return load_settings(env, overrides=overrides)


def console(env: Mapping[str, str], **overrides: object) -> TimmyApp:
    """The console at :data:`NOW` that neither polls nor ticks."""
    return TimmyApp(settings_of(env, **overrides), env=env, clock=at_now, live=False)


def fresh(value: object, age_s: float = 0.4) -> Reading:  # type: ignore[type-arg]
    """A reading of just now."""
    return Reading(value=value, at=NOW - age_s, max_age_s=60.0)


def lost(value: object, error: str, age_s: float, hint: str = "") -> Reading:  # type: ignore[type-arg]
    """An old value whose source fails now."""
    return Reading(
        value=value,
        at=NOW - age_s,
        error=error,
        error_since=NOW - age_s + 2,
        hint=hint,
        next_at=NOW + 8,
        max_age_s=60.0,
    )


def absent(error: str, hint: str = "") -> Reading:  # type: ignore[type-arg]
    """A source that was never there."""
    return Reading(error=error, error_since=NOW - 5, hint=hint)


def server(
    value: OllamaReading | None = None,
    *,
    reading: Reading | None = None,  # type: ignore[type-arg]
    name: str = "local",
) -> OllamaServer:
    """One Ollama server with 24 GB."""
    return OllamaServer(name=name, url=URL, reading=reading or fresh(value), vram_total_bytes=24_000_000_000)


def ollama_reading(tags: object, ps: object) -> OllamaReading:
    """Two documents of a server through the real decoders."""
    return OllamaReading(
        version=server_version(b'{"version": "0.32.15"}'),
        latency_ms=3.1,
        installed=installed_models(json.dumps(tags).encode()),
        loaded=loaded_models(json.dumps(ps).encode(), NOW),
    )


GPU = GpuReading((GpuDevice(name="GPU", kind="nvidia", total_bytes=24_000_000_000, used_bytes=None),))


def cascade(*, tripped: bool) -> ProvidersReading:
    """Four providers: two that answer, one that may be tripped, one without a key."""
    refused = "connection refused"
    airllm = maker.provider(
        "airllm",
        type="openai",
        priority=3,
        address="http://127.0.0.1:8000/v1",
        model="airllm-70b",
        version=None,
        requests=40,
        failures=0,
        p50_latency_ms=5200.0,
        p95_latency_ms=9800.0,
        avg_latency_ms=5600.0,
        next_probe_at=NOW + 12,
    )
    if tripped:
        airllm = msgspec.structs.replace(
            airllm,
            state="down",
            circuit="open",
            failures=5,
            last_error=refused,
            last_error_at=NOW - 19,
            next_probe_at=NOW + 41,
            probes=(Probe(NOW - 90, True, 12.0, None), Probe(NOW - 19, False, None, refused)),
        )
    return ProvidersReading(
        (
            maker.provider("hermes", next_probe_at=NOW + 20, probes=(Probe(NOW - 10, True, 3.0, None),)),
            maker.provider(
                "ollama",
                type="ollama",
                priority=2,
                address=URL,
                version="0.32.15",
                requests=880,
                failures=0,
                p50_latency_ms=912.0,
                next_probe_at=NOW + 20,
            ),
            airllm,
            maker.provider(
                "openai",
                type="openai",
                priority=4,
                state="disabled",
                address="https://api.openai.com/v1",
                model="gpt-5-mini",
                version=None,
                note="no key in OPENAI_API_KEY",
                requests=0,
                failures=0,
                p50_latency_ms=None,
                p95_latency_ms=None,
                avg_latency_ms=None,
                next_probe_at=None,
            ),
        ),
        configured=True,
    )


def _hostile_ollama() -> OllamaReading:
    def entry(name: str, number: int) -> dict[str, object]:
        details = {"family": name, "parameter_size": name, "quantization_level": name, "parent_model": name}
        return {"name": name, "model": name, "digest": f"{number:012}", "size": 10**9 * number, "details": details}

    names = list(LINES.values())
    installed = [entry(name, number) for number, name in enumerate(names, 1)]
    running = [
        {**model, "size_vram": 10**9, "context_length": 8192, "expires_at": "2026-11-20T04:09:00Z"}
        for model in installed[:4]
    ]
    return ollama_reading({"models": installed}, {"models": running})


def _hostile_sessions(home: Path) -> HermesReading:
    writer = make_empty_store(home / "state.db")
    for number, text in enumerate(LINES.values()):
        writer.session(f"s{number}", source=text, model=text, title=text, started_at=NOW - 60 - number)
        writer.message(f"s{number}", "assistant", text, timestamp=NOW - 50 - number)
    writer.close()
    return HermesStore(home, profile="", hours=24, clock=at_now).read()


def _hostile_ticks(folder: Path) -> HeartbeatReading:
    folder.mkdir(parents=True)
    lines: list[bytes] = []
    for number, text in enumerate(PAYLOADS.values()):
        at = datetime.fromtimestamp(NOW - 60 * (len(PAYLOADS) - number), UTC)
        decision = {"severity": "warning", "reasoning": text, "actions": [text]}
        lines.append(tick_line(number, at=at, decision=decision, actions=[text], model=text, perception={text: text}))
    (folder / "ticks_20261120.jsonl").write_bytes(b"".join(lines))
    return HeartbeatStore(folder, every_s=TICK_EVERY_S, clock=at_now).read()


def _hostile_providers() -> ProvidersReading:
    statuses: list[ProviderStatus] = []
    for number, text in enumerate(LINES.values()):
        statuses.append(
            maker.provider(
                clean(f"{number} {text}", limit=60),
                state="down",
                circuit="open",
                model=clean(text),
                version=clean(text, limit=40),
                last_error=clean_error(text),
                last_error_at=NOW - 30,
                next_probe_at=NOW + 41,
            )
        )
    return ProvidersReading(tuple(statuses), configured=True)
