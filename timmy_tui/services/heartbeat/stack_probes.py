"""The probes of the stack itself: Ollama, Hermes, the queue. As in :mod:`.probes`, a failure is a value."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path

from timmy_tui.config import OllamaConfig, Settings, expand_env
from timmy_tui.services.heartbeat.deadlines import ask_blocking
from timmy_tui.services.heartbeat.probes import Facts
from timmy_tui.services.hermes.connection import HermesError
from timmy_tui.services.hermes.profiles import find_place
from timmy_tui.services.hermes.records import RUNNING_WINDOW_S, SessionSummary
from timmy_tui.services.hermes.store import HermesStore
from timmy_tui.services.http_library import import_httpx_off_loop
from timmy_tui.services.ollama.address import connectable_url, is_private
from timmy_tui.services.ollama.client import OllamaClient
from timmy_tui.services.ollama.errors import OllamaError
from timmy_tui.services.ollama.records import OllamaReading
from timmy_tui.services.providers.hermes_binary import find_hermes
from timmy_tui.services.worker.queue import QueueUnreadable, WorkerError, parse_queue, read_queue
from timmy_tui.text import Json, clean

OLLAMA_TIMEOUT_S = 10.0
"""Ollama's own locks can hold an answer for seconds (facts/ollama.md §1)."""

INFERENCE_TIMEOUT_S = 20.0
HERMES_TIMEOUT_S = 8.0
QUEUE_TIMEOUT_S = 4.0

CRON_STALE_S = 200.0
"""Hermes rewrites its cron ticker's time every 60 s (facts/hermes.md §5)."""

NAMES_LIMIT = 40
LONGEST_LOOK_BACK_S = 86_400.0

Clock = Callable[[], float]


async def probe_ollama(settings: Settings, env: Mapping[str, str]) -> Facts:
    """``model_health`` of the first configured server, the one that decides.

    ``{ollama_running, version, models_installed, models_loaded, inference_ok, error}``: names in lists;
    ``inference_ok`` only with ``probes.inference``, null while nothing is loaded; ``error`` only when there is one.
    """
    server = next(iter(settings.config.ollama), OllamaConfig())
    headers = {name: expand_env(value, env) for name, value in server.headers.items()}
    sent = {name: value for name, value in headers.items() if value is not None}
    health: Facts = {"ollama_running": False, "version": None, "models_installed": [], "models_loaded": []}
    try:
        url = connectable_url(settings.ollama_address(server))
        timeout_s = min(OLLAMA_TIMEOUT_S, settings.config.timeouts.ollama_s)
        async with aclosing(OllamaClient(url, headers=sent, timeout_s=timeout_s)) as client:
            reading = await client.read()
    except OllamaError as error:
        health["error"] = error.message
        return {"model_health": health}
    health["ollama_running"] = True
    health["version"] = reading.version
    health["models_installed"] = _names([model.name for model in reading.installed])
    health["models_loaded"] = _names([model.name for model in reading.loaded])
    if settings.config.heartbeat.probes.inference:
        health["inference_ok"] = await _infers(url, sent, reading)
    return {"model_health": health}


def _names(names: list[str]) -> list[Json]:
    kept: list[Json] = [*names[:NAMES_LIMIT]]
    return kept + ([f"… {len(names) - NAMES_LIMIT} more"] if len(names) > NAMES_LIMIT else [])


async def _infers(url: str, headers: Mapping[str, str], reading: OllamaReading) -> bool | None:
    """One token of a loaded model that can complete. ``num_predict`` is no load option: nothing is reloaded."""
    embedding = {model.name for model in reading.installed if model.capabilities == ("embedding",)}
    name = next((model.name for model in reading.loaded if model.name not in embedding), None)
    if name is None:
        return None
    await import_httpx_off_loop()
    import httpx

    payload = {"model": name, "prompt": "Say ok.", "stream": False, "options": {"num_predict": 1}}
    verify = await asyncio.to_thread(httpx.create_ssl_context) if url.startswith("https:") else False
    try:
        async with httpx.AsyncClient(
            timeout=INFERENCE_TIMEOUT_S, trust_env=not is_private(url), verify=verify
        ) as client:
            response = await client.post(f"{url}/api/generate", json=payload, headers=dict(headers))
            answer: object = response.json() if response.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        return False
    return isinstance(answer, dict) and answer.get("done") is True


async def probe_hermes(settings: Settings, env: Mapping[str, str], clock: Clock, since: float | None) -> Facts:
    """``hermes``: the command, the sessions and failures since ``since``, gateway and cron ticker.

    What was never used on this machine (a store, a gateway, cron) has no keys.
    """
    try:
        return {"hermes": await ask_blocking(lambda: _hermes(settings, env, clock(), since), HERMES_TIMEOUT_S)}
    except TimeoutError:
        return {"hermes": {"error": f"no answer within {HERMES_TIMEOUT_S:g} s"}}


def _hermes(settings: Settings, env: Mapping[str, str], now: float, since: float | None) -> Facts:
    config = settings.config.hermes
    binary = find_hermes(config.command, env)
    facts: Facts = {"found": binary is not None}
    if binary is not None:
        facts["version"] = binary.version
        if binary.error is not None:
            facts["error"] = binary.error
    try:
        folder = find_place(settings.hermes_home, config.profile).folder
    except HermesError as error:
        return facts | {"error": error.message}
    if (folder / "state.db").exists():
        back_s = settings.config.heartbeat.every_minutes * 60 if since is None else now - since
        facts |= _sessions(settings, now, min(max(back_s, 60.0), LONGEST_LOOK_BACK_S))
    return facts | _gateway(folder, now)


def _sessions(settings: Settings, now: float, back_s: float) -> Facts:
    """A session fails when its turn has been open too long, so failures are counted by that moment."""
    hours = (back_s + 2 * RUNNING_WINDOW_S) / 3600
    store = HermesStore(
        settings.hermes_home, profile=settings.config.hermes.profile, hours=hours, clock=lambda: now, wall=time.time
    )
    try:
        sessions = store.read().sessions
    except HermesError as error:
        return {"error": error.message}
    since = now - back_s
    return {
        "sessions_since": sum(1 for session in sessions if session.started_at > since),
        "failed_since": sum(
            1 for session in sessions if session.state(now) == "failed" and _failed_at(session) > since
        ),
        "sessions_running": sum(1 for session in sessions if session.state(now) == "running"),
    }


def _failed_at(session: SessionSummary) -> float:
    return session.last_activity_at + RUNNING_WINDOW_S if session.ended_at is None else session.ended_at


def _gateway(folder: Path, now: float) -> Facts:
    """The gateway by its pid file, which it removes when it ends, and the ages of the cron ticker's two files."""
    facts: Facts = {}
    pid_file = folder / "gateway.pid"
    alive: bool | None = None
    if pid_file.exists():
        alive = _runs(pid_file)
        facts["gateway_alive"] = alive
        if not alive:
            facts["gateway_stale"] = True  # it did not end by itself
    elif (folder / "gateway_state.json").exists():
        facts["gateway_alive"] = False
    beat_s = _age_s(folder / "cron" / "ticker_heartbeat", now)
    success_s = _age_s(folder / "cron" / "ticker_last_success", now)
    if beat_s is not None:
        facts["cron_ticker_age_s"] = beat_s
    if success_s is not None:
        facts["cron_success_age_s"] = success_s
    if alive and beat_s is not None:  # the ticker runs inside the gateway only
        facts["cron_stale"] = max(beat_s, success_s or 0) > CRON_STALE_S
    return facts


def _runs(pid_file: Path) -> bool:
    """The process that the file names exists and is no later one with the same pid."""
    try:
        told = json.loads(pid_file.read_bytes()[:65_536])
        pid, start = told["pid"], told.get("start_time")
        if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
            return False
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError, ValueError, RecursionError, TypeError, KeyError):
        return False
    try:  # Linux: clock ticks between boot and start, the 22nd field
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return not isinstance(start, int) or len(fields) < 20 or int(fields[19]) == start
    except (OSError, ValueError):
        return True


def _age_s(path: Path, now: float) -> int | None:
    """The age of the Unix time that the file holds; None without one."""
    try:
        return max(0, round(now - float(path.read_bytes()[:64])))
    except (OSError, ValueError, OverflowError):
        return None


async def probe_queue(settings: Settings, env: Mapping[str, str]) -> Facts:
    """``queue``: ``{pending}``, or ``{pending: null, error}`` when it can't be read."""
    try:
        address = parse_queue(settings, env)
        view = await ask_blocking(lambda: read_queue(address), QUEUE_TIMEOUT_S)
    except WorkerError as error:
        return {"queue": {"pending": None, "error": error.message}}
    except QueueUnreadable as error:
        return {"queue": {"pending": None, "error": clean(str(error))}}
    except TimeoutError:
        return {"queue": {"pending": None, "error": f"no answer within {QUEUE_TIMEOUT_S:g} s"}}
    return {"queue": {"pending": view.pending}}
