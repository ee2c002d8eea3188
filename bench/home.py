"""A machine as the console finds it: a day of ticks, a Hermes store, providers, all below a temporary folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from hermes_store_maker import make_store
from msgspec import Struct
from tick_maker import tick_line

from bench import ROOT

DAY_TICKS = 144
MANY_TICKS = 100_000
DAY_S = 86_400
SESSIONS = 1_000

_HERMES = "#!/bin/sh\necho 'Hermes Agent v0.19.0 (2026.7.20)'\n"


class Home(Struct, frozen=True):
    """The folders of one machine, and the environment of a console on it."""

    root: Path
    ollama_url: str

    @property
    def heartbeat(self) -> Path:
        """Tick logs and labels."""
        return self.root / "timmy" / "heartbeat"

    @property
    def state_db(self) -> Path:
        """Hermes' store."""
        return self.root / "hermes" / "state.db"

    def env(self) -> dict[str, str]:
        """What a console needs to find all this, and a usual terminal."""
        return terminal_env() | {
            "HOME": str(self.root),
            "PATH": f"{self.root / 'bin'}:/usr/bin:/bin",
            "TIMMY_HOME": str(self.root / "timmy"),
            "HERMES_HOME": str(self.root / "hermes"),
            "OLLAMA_HOST": self.ollama_url,
        }

    def append_tick(self, n: int, reasoning: str) -> None:
        """One more line in today's log, written at once."""
        with open(_day_file(self.heartbeat, time.time()), "ab", buffering=0) as file:
            file.write(_tick(n, time.time(), reasoning))


def terminal_env() -> dict[str, str]:
    """The environment of any program on a terminal with all colours."""
    kept: Mapping[str, str] = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {"LANG": "C.UTF-8", **kept} | {
        "HOME": "/nonexistent",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "PYTHONPATH": str(ROOT),
    }


def make_home(root: Path, ollama_url: str, *, ticks: int = DAY_TICKS, sessions: int = SESSIONS) -> Home:
    """A day's ``ticks`` (more than that stand in today's file alone), labels, ``sessions`` of the last 22 hours."""
    home = Home(root, ollama_url)
    home.heartbeat.mkdir(parents=True)
    (root / "bin").mkdir()
    hermes = root / "bin" / "hermes"
    hermes.write_text(_HERMES)
    hermes.chmod(0o755)
    now = time.time()
    write_ticks(home.heartbeat, now, ticks)
    _write_labels(home.heartbeat)
    if sessions:
        make_store(home.state_db, sessions=sessions, spacing_s=22 * 3600 / sessions, now=now, fts=False)
    _write_providers(root / "timmy" / "providers.yaml", ollama_url)
    return home


def keep_still(home: Home) -> None:
    """No tick of the worker's own while something is measured: the schedule goes by the wall clock."""
    (home.heartbeat.parent / "tui.yaml").write_text("heartbeat: {every_minutes: 1440}\n")


def write_ticks(directory: Path, now: float, count: int) -> Path:
    """``count`` ticks that end now: each in the file of its local day, a flood of them in today's."""
    today = _day_file(directory, now)
    if count > DAY_TICKS:
        with today.open("wb") as file:
            for n in range(count):
                file.write(_tick(n, now - DAY_S * 0.9 * (count - 1 - n) / count))
        return today
    for n in range(count):
        at = now - (count - 1 - n) * 600
        with _day_file(directory, at).open("ab") as file:
            file.write(_tick(n, at))
    return today


def _tick(n: int, at: float, reasoning: str = "") -> bytes:
    moment = datetime.fromtimestamp(at, UTC)
    name = f"{datetime.fromtimestamp(at).astimezone():%Y%m%d_%H%M%S}_{n}"
    if not reasoning:
        return tick_line(n, at=moment, tick_id=name)
    decision = {"actions": [], "severity": "ok", "reasoning": reasoning}
    return tick_line(n, at=moment, tick_id=name, decision=decision, response=json.dumps(decision))


def _day_file(directory: Path, at: float) -> Path:
    return directory / f"ticks_{datetime.fromtimestamp(at).astimezone():%Y%m%d}.jsonl"


def _write_labels(directory: Path) -> None:
    words = ("chosen", "chosen", "rejected", "skipped")
    events = (
        {
            "v": 1,
            "event_id": f"event{n}",
            "event": "label",
            "candidate": f"{n:064x}",
            "tick_id": f"old_{n}",
            "label": words[n % 4],
        }
        for n in range(40)
    )
    (directory / "labels.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def _write_providers(path: Path, ollama_url: str) -> None:
    path.write_text(f"""\
providers:
  - {{name: hermes, type: hermes, priority: 1}}
  - {{name: ollama, type: ollama, priority: 2, url: "{ollama_url}"}}
  - {{name: llamafile, type: openai, priority: 3, base_url: "{ollama_url}/v1"}}
  - {{name: claude, type: anthropic, priority: 4, api_key: "${{BENCH_HAS_NO_KEY}}"}}
""")
