"""Homes for whole processes: the folders, files and servers that a console finds when it starts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from hermes_store_maker import StoreWriter, make_empty_store
from tick_maker import day_path, tick_line

QUICK = {
    "ollama_s": 0.2,
    "ollama_tags_s": 0.2,
    "hermes_s": 0.2,
    "ticks_s": 0.2,
    "providers_s": 0.3,
    "worker_s": 0.3,
    "gpu_s": 60,
}
"""Intervals at which a test need not wait for a poll."""

METRICS = """
CREATE TABLE provider_metrics (provider_name TEXT PRIMARY KEY, total_requests INTEGER, successful_requests INTEGER,
    failed_requests INTEGER, avg_latency_ms REAL, last_error_time REAL, circuit_state TEXT, updated_at REAL,
    last_error TEXT);
CREATE TABLE event_log (id INTEGER PRIMARY KEY, event_type TEXT, source TEXT, task_id TEXT, agent_id TEXT, data TEXT,
    timestamp REAL);
"""


class Home:
    """One operator's home. ``now`` is the real time: the console that reads it has no other clock."""

    def __init__(self, path: Path, *, ollama: str) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.ollama = ollama
        self.timmy = path / ".timmy"
        self.hermes = path / ".hermes"
        self.now = datetime.now(UTC)

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a process: nothing of the person's who runs the tests."""
        return {
            "HOME": str(self.path),
            "TIMMY_HOME": str(self.timmy),
            "HERMES_HOME": str(self.hermes),
            "OLLAMA_HOST": self.ollama,
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "TEXTUAL_ANIMATIONS": "none",
            "TZ": "UTC",
        }

    def configure(self, **values: object) -> Home:
        """Write ``tui.yaml``; polls are quick unless ``intervals`` says otherwise.

        The console starts no worker: one would beat by the wall clock, in the minutes that end in 0.
        """
        self.timmy.mkdir(exist_ok=True)
        document = {
            "intervals": QUICK,
            "timeouts": {"ollama_s": 1.0, "providers_s": 1.0},
            "worker": {"autostart": False},
            **values,
        }
        (self.timmy / "tui.yaml").write_text(yaml.safe_dump(document))
        return self

    def with_worker(self, stop_timeout_s: float = 20, **values: object) -> Home:
        """Write ``tui.yaml`` for a console that starts a worker, whose own next tick is hours away."""
        worker = {"autostart": True, "stop_timeout_s": stop_timeout_s}
        return self.configure(worker=worker, heartbeat={"every_minutes": 1_440}, **values)

    def providers(self, *providers: Mapping[str, object]) -> None:
        """Write ``providers.yaml``."""
        self.timmy.mkdir(exist_ok=True)
        (self.timmy / "providers.yaml").write_text(yaml.safe_dump({"providers": list(providers)}))

    def store(self, **options: int) -> StoreWriter:
        """An empty Hermes store, to be filled."""
        return make_empty_store(self.hermes / "state.db", **options)

    def metrics(self) -> sqlite3.Connection:
        """``timmy.db`` with its tables."""
        self.timmy.mkdir(exist_ok=True)
        connection = sqlite3.connect(self.timmy / "timmy.db", isolation_level=None)
        connection.executescript(METRICS)
        return connection

    def ticks(self, count: int, **values: object) -> None:
        """Append ``count`` ticks, ten minutes apart, the last a minute ago."""
        for back in reversed(range(count)):
            at = self.now - timedelta(minutes=1 + 10 * back)
            self.tick_bytes(tick_line(count - back, at=at, severity="ok", **values), at)

    def tick_bytes(self, line: bytes, at: datetime | None = None) -> Path:
        """Append bytes to the tick log of the day of ``at``."""
        path = day_path(self.timmy / "heartbeat", (at or self.now).date())
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(line)
        return path


def usual_home(path: Path, ollama: str) -> Home:
    """A small stack in good health: a session that has just ended, six ticks."""
    home = Home(path, ollama=ollama).configure()
    writer = home.store()
    started = home.now.timestamp() - 120
    writer.session("s1", title="morning report", started_at=started, ended_at=started + 30, input_tokens=1_200)
    writer.message("s1", "user", "How is the disk?", timestamp=started)
    writer.message("s1", "assistant", "The disk is fine.", timestamp=started + 20)
    writer.close()
    home.ticks(6)
    return home


def tags(*models: Mapping[str, object]) -> str:
    """The body of ``/api/tags``."""
    return json.dumps({"models": [_installed(model) for model in models]})


def ps(*models: Mapping[str, object]) -> str:
    """The body of ``/api/ps``."""
    return json.dumps({"models": [_loaded(model) for model in models]})


def healthy_bodies(installed: Iterable[str] = ("hermes4:14b", "qwen3:8b"), loaded: Iterable[str] = ("hermes4:14b",)):
    """The answers of an Ollama that holds these models."""
    return {
        "/": "Ollama is running",
        "/api/version": '{"version": "0.32.15"}',
        "/api/tags": tags(*({"name": name} for name in installed)),
        "/api/ps": ps(*({"name": name} for name in loaded)),
        "/api/show": '{"parameters": "num_ctx 4096", "model_info": {}, "capabilities": ["completion"]}',
        "/api/generate": '{"done": true}',
    }


def _installed(model: Mapping[str, object]) -> dict[str, object]:
    details = {"family": "llama", "parameter_size": "14B", "quantization_level": "Q4_K_M"}
    return {
        "model": model["name"],
        "size": 9_000_000_000,
        "digest": f"{abs(hash(model['name'])):064x}",
        "modified_at": "2026-11-01T10:00:00Z",
        "capabilities": ["completion"],
        "details": details,
        **model,
    }


def _loaded(model: Mapping[str, object]) -> dict[str, object]:
    until = datetime.now(UTC) + timedelta(minutes=30)
    return {
        "model": model["name"],
        "size": 11_000_000_000,
        "size_vram": 11_000_000_000,
        "context_length": 8192,
        "expires_at": until.isoformat(),
        "digest": "00",
        "details": {},
        **model,
    }
