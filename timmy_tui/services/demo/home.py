"""The files of the simulated stack below one folder: history, configuration, a ``hermes`` to be found."""

from __future__ import annotations

import shutil
from pathlib import Path

from msgspec import Struct

from timmy_tui.services.demo.airllm_server import MODEL as AIRLLM_MODEL
from timmy_tui.services.demo.catalog import VRAM_BYTES
from timmy_tui.services.demo.errors import DemoError
from timmy_tui.services.demo.hermes_history import Running, write_sessions
from timmy_tui.services.demo.hermes_writer import HermesWriter
from timmy_tui.services.demo.providers_writer import FAILURE_THRESHOLD, RECOVERY_S, ProvidersLedger
from timmy_tui.services.demo.ticks_writer import OPERATOR, TickLog, history, write_ticks
from timmy_tui.services.demo.usage_writer import PRICES, write_usage
from timmy_tui.services.usage.records import USAGE_NAME

MARK_NAME = ".timmy-tui-demo"
"""Marks a folder whose parts the demo has made and may remove."""

_HERMES_SCRIPT = """#!/bin/sh
# The demo's stand-in for Hermes Agent: it tells its version and does nothing else.
case "$1" in
version|--version|-V) echo "Hermes Agent v0.19.0 (2026.7.20)"; echo "Up to date" ;;
*) echo "demo: this hermes only tells its version" >&2; exit 1 ;;
esac
"""


class DemoHome(Struct, frozen=True):
    """Where everything stands."""

    root: Path

    @property
    def timmy(self) -> Path:
        """``TIMMY_HOME``."""
        return self.root / "timmy"

    @property
    def hermes(self) -> Path:
        """``HERMES_HOME``."""
        return self.root / "hermes"

    @property
    def heartbeat(self) -> Path:
        """Tick logs and labels."""
        return self.timmy / "heartbeat"

    @property
    def usage(self) -> Path:
        """The usage log."""
        return self.timmy / "metrics" / USAGE_NAME

    @property
    def config(self) -> Path:
        """``tui.yaml``."""
        return self.timmy / "tui.yaml"

    @property
    def hermes_command(self) -> Path:
        """The executable stand-in."""
        return self.root / "bin" / "hermes"

    @property
    def _parts(self) -> tuple[Path, ...]:
        return self.timmy, self.hermes, self.root / "bin"

    def clear(self) -> None:
        """Remove what an earlier demo made. Raises :class:`DemoError` for files that are not the demo's."""
        if not (self.root / MARK_NAME).exists():
            if any(part.exists() for part in self._parts):
                raise DemoError(f"{self.root} holds files that are not the demo's", "give the demo an empty folder")
            return
        for part in self._parts:
            shutil.rmtree(part, ignore_errors=True)
        (self.root / MARK_NAME).unlink(missing_ok=True)

    def make(self) -> None:
        """Make the empty folders, the mark and the ``hermes`` script."""
        self.clear()
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.root / MARK_NAME).touch(mode=0o600)
        for folder in (*self._parts, self.heartbeat):
            folder.mkdir(mode=0o700)
        model = "model:\n  default: hermes4:14b\n  provider: custom\n  context_length: 65536\n"
        (self.hermes / "config.yaml").touch(mode=0o600)
        (self.hermes / "config.yaml").write_text(model)
        self.hermes_command.write_text(_HERMES_SCRIPT)
        self.hermes_command.chmod(0o700)


class Stage(Struct, frozen=True):
    """The writers behind the history, at the moment where the story goes on."""

    ticks: TickLog
    hermes: HermesWriter
    providers: ProvidersLedger
    running: Running

    def close(self) -> None:
        """Let go of the files."""
        self.hermes.close()
        self.providers.close()


def open_stage(home: DemoHome, now: float, seed: int) -> Stage:
    """Write the three days before ``now`` and keep the writers. Raises :class:`DemoError`."""
    home.make()
    ticks = history(now, seed)
    write_ticks(home.heartbeat, ticks, now, seed)
    providers = ProvidersLedger(home.timmy / "timmy.db")
    providers.create(now, seed)
    hermes = HermesWriter(home.hermes / "state.db", seed)
    running = write_sessions(hermes, ticks, now, seed)
    write_usage(home.usage, now, seed)
    return Stage(TickLog(home.heartbeat, seed, ticks), hermes, providers, running)


def write_history(home: Path, now: float, seed: int = 7) -> dict[str, str]:
    """Write the three days before ``now`` below ``home``: the same for the same ``now`` and ``seed``.

    Returns ``TIMMY_HOME`` and ``HERMES_HOME``. Nothing runs afterwards; raises :class:`DemoError`.
    """
    where = DemoHome(home)
    open_stage(where, now, seed).close()
    return {"TIMMY_HOME": str(where.timmy), "HERMES_HOME": str(where.hermes)}


def write_config(
    home: Path, *, ollama_url: str, airllm_url: str, every_minutes: int = 1, recovery_s: float = RECOVERY_S
) -> Path:
    """Write ``tui.yaml`` for the simulated stack below ``home``."""
    import yaml

    where = DemoHome(home)
    config = {
        "ollama": [{"name": "local", "url": ollama_url, "vram_total_gb": VRAM_BYTES / 1e9}],
        "hermes": {"command": str(where.hermes_command)},
        "heartbeat": {"every_minutes": every_minutes},
        "worker": {"autostart": False},
        "review": {"operator": OPERATOR},
        "usage": {"prices": PRICES, "power_watts": 180, "price_per_kwh": 0.31},
        "intervals": {"ollama_s": 2, "ollama_tags_s": 10, "providers_s": 5, "worker_s": 1},
        "cascade": {
            "timeout_seconds": 30,
            "max_retries_per_provider": 2,
            "retry_delay_seconds": 1,
            "circuit_breaker": {
                "failure_threshold": FAILURE_THRESHOLD,
                "recovery_timeout": recovery_s,
                "half_open_max_calls": 2,
            },
        },
        "providers": [
            {"name": "hermes", "type": "hermes", "priority": 1, "models": [{"name": "hermes4:14b"}]},
            {
                "name": "ollama",
                "type": "ollama",
                "priority": 2,
                "url": ollama_url,
                "models": [{"name": "hermes4:14b", "default": True, "context_window": 65536}],
            },
            {
                "name": "airllm",
                "type": "openai",
                "priority": 3,
                "base_url": airllm_url,
                "models": [{"name": AIRLLM_MODEL, "context_window": 8192}],
            },
            {
                "name": "openai",
                "type": "openai",
                "priority": 4,
                "base_url": "https://api.openai.com/v1",
                "api_key": "${OPENAI_API_KEY}",
                "models": [{"name": "gpt-5-mini", "default": True}],
            },
        ],
    }
    where.config.write_text(yaml.safe_dump(config, sort_keys=False))
    where.config.chmod(0o600)
    return where.config
