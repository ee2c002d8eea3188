"""What the simulated Ollama holds: installed and loaded models, and the documents that follow from them.

Every method takes ``now``, so the same world asked at the same moment gives the same document. Shapes and
rules are those of facts/ollama.md §1–§3 (a 0.32 server).
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from random import Random

from msgspec import Struct

from timmy_tui.services.demo.catalog import CATALOG, VRAM_BYTES, DemoModel
from timmy_tui.text import Json

VERSION = "0.32.15"
DEFAULT_KEEP_ALIVE_S = 300.0
FOREVER_S = 9_223_372_036.854_775
"""Go's longest duration; a pinned model's expiry lies this far ahead."""

LINGER_S = 1.2
"""A model that is unloaded or has expired stays listed until its runner is gone."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

Document = dict[str, Json]


class UnknownModelError(Exception):
    """No installed model has this name; the text is Ollama's own answer."""


def keep_alive_s(value: object) -> float:
    """Seconds of a request's ``keep_alive``; infinity = forever. ``ValueError`` holds Go's complaint."""
    if value is None:
        return DEFAULT_KEEP_ALIVE_S
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"invalid keep_alive: {value!r}")
    if isinstance(value, int | float):
        return float("inf") if value < 0 else float(value)
    if value == "0":
        return 0.0
    sign, rest = (-1, value[1:]) if value.startswith("-") else (1, value)
    parts = _DURATION.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f'time: missing unit in duration "{value}"')
    total_s = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    return float("inf") if sign < 0 else total_s


def rfc3339(at: float) -> str:
    """A moment as Go prints it: RFC 3339 in the machine's zone."""
    return datetime.fromtimestamp(at, UTC).astimezone().isoformat()


def full_name(name: str) -> str:
    """``qwen3`` → ``qwen3:latest``: the display form always carries its tag."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


class Runner(Struct):
    """One loaded model."""

    model: DemoModel
    size_vram_bytes: int
    keep_alive_s: float
    expires_at: float


class OllamaWorld:
    """Installed and loaded models; safe to use from several threads."""

    def __init__(self, now: float, models: tuple[DemoModel, ...] = CATALOG) -> None:
        self._lock = threading.RLock()
        self._installed = {model.name: model for model in models}
        self._modified_at = {model.name: now - model.installed_days_ago * 86_400 for model in models}
        self._runners: dict[str, Runner] = {}

    def find(self, name: str) -> DemoModel:
        """The installed model of this name. Raises :class:`UnknownModelError`."""
        with self._lock:
            model = self._installed.get(full_name(name))
        if model is None:
            raise UnknownModelError(f"model '{name}' not found")
        return model

    def is_loaded(self, name: str, now: float) -> bool:
        """Whether a runner of this model is up."""
        with self._lock:
            self._expire(now)
            return full_name(name) in self._runners

    def load(self, name: str, now: float, keep_s: float | None = None) -> None:
        """Load the model, or begin its keep-alive anew; None keeps the time it already has (it is sticky)."""
        model = self.find(name)
        with self._lock:
            self._expire(now)
            runner = self._runners.get(model.name)
            if runner is None:
                used = sum(other.size_vram_bytes for other in self._runners.values())
                vram_bytes = min(round(model.loaded_bytes * model.gpu_share), max(0, VRAM_BYTES - used))
                runner = Runner(model, vram_bytes, DEFAULT_KEEP_ALIVE_S, now)
                self._runners[model.name] = runner
            if keep_s is not None:
                runner.keep_alive_s = keep_s
            runner.expires_at = now + min(runner.keep_alive_s, FOREVER_S)

    def unload(self, name: str, now: float) -> None:
        """Let the model go; one that is not loaded is fine too."""
        self.find(name)
        with self._lock:
            runner = self._runners.get(full_name(name))
            if runner is not None:
                runner.keep_alive_s, runner.expires_at = 0.0, now

    def install(self, model: DemoModel, now: float) -> None:
        """Put a pulled model on the disk."""
        with self._lock:
            self._installed[model.name] = model
            self._modified_at[model.name] = now

    def tags(self) -> Document:
        """``/api/tags``: newest first."""
        with self._lock:
            names = sorted(self._installed, key=lambda name: -self._modified_at[name])
            return {"models": [self._tag(self._installed[name]) for name in names]}

    def ps(self, now: float) -> Document:
        """``/api/ps``: latest expiry first."""
        with self._lock:
            self._expire(now)
            runners = sorted(self._runners.values(), key=lambda runner: -runner.expires_at)
            return {"models": [_process(runner) for runner in runners]}

    def show(self, name: str) -> Document:
        """``/api/show``. Raises :class:`UnknownModelError`."""
        model = self.find(name)
        architecture = model.family.replace("-", "_")
        return {
            "license": "Apache License, Version 2.0",
            "modelfile": f"FROM {model.name}\nPARAMETER num_ctx {model.loaded_context}\n",
            "parameters": f"num_ctx                        {model.loaded_context}\n"
            "temperature                    0.6\n"
            'stop                           "<|im_end|>"',
            "template": "{{ .System }}\n{{ .Prompt }}",
            "details": _details(model, trained=False),
            "model_info": {
                "general.architecture": architecture,
                "general.parameter_count": int(model.loaded_bytes * 1.3),
                f"{architecture}.context_length": model.context_length,
                f"{architecture}.embedding_length": model.embedding_length,
                "tokenizer.ggml.tokens": [],
            },
            "capabilities": list(model.capabilities),
            "modified_at": rfc3339(self._modified_at[model.name]),
        }

    def _tag(self, model: DemoModel) -> Document:
        entry: Document = {"name": model.name, "model": model.name}
        if model.remote_model:
            entry |= {"remote_model": model.remote_model, "remote_host": "https://ollama.com:443"}
        return entry | {
            "modified_at": rfc3339(self._modified_at[model.name]),
            "size": model.size_bytes,
            "digest": model.digest,
            "details": _details(model, trained=True),
            "capabilities": list(model.capabilities),
        }

    def _expire(self, now: float) -> None:
        gone = [name for name, runner in self._runners.items() if runner.expires_at + LINGER_S <= now]
        for name in gone:
            del self._runners[name]


def world_at(now: float, seed: int = 7) -> OllamaWorld:
    """The world as the demo finds it at ``now``: one model in use, one pinned and partly on the CPU."""
    world = OllamaWorld(now)
    world.load("qwen2.5-coder:7b", now - 350, float("inf"))
    world.load("hermes4:14b", now - 48 + Random(seed).uniform(-0.4, 0.4), DEFAULT_KEEP_ALIVE_S)
    return world


def _details(model: DemoModel, *, trained: bool) -> Document:
    details: Document = {
        "parent_model": "",
        "format": "" if model.remote_model else "gguf",
        "family": model.family,
        "families": [model.family],
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization,
    }
    if trained:
        details |= {"context_length": model.context_length, "embedding_length": model.embedding_length}
    return details


def _process(runner: Runner) -> Document:
    model = runner.model
    return {
        "name": model.name,
        "model": model.name,
        "size": model.loaded_bytes,
        "digest": model.digest,
        "details": _details(model, trained=False),
        "expires_at": rfc3339(runner.expires_at),
        "size_vram": runner.size_vram_bytes,
        "context_length": model.loaded_context,
    }
