"""Tick logs for tests and benches: realistic lines of about 2 kB, the same bytes for the same arguments."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

START = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
EVERY = timedelta(minutes=10)

_SERVICES = (
    "ollama",
    "gitea",
    "hermes-gateway",
    "worker",
    "backup",
    "reverse-proxy",
    "mail-relay",
    "metrics",
)
_REASONINGS = {
    "ok": "All services answer and nothing has changed since the last look.\nNo action is needed.",
    "warning": "The disk of the build host fills slowly; everything else answers.\nWorth a look this week.",
    "critical": "The model server has not answered for three looks in a row.\nSomeone should restart it.",
    "fallback": "No model could be reached, so the fixed rules decided.",
}


def tick_tree(
    n: int,
    *,
    severity: str | None = None,
    at: datetime | None = None,
    tick_id: str | None = None,
    **extra: object,
) -> dict[str, object]:
    """Tick number ``n`` as the worker would record it; ``extra`` replaces or adds top-level keys."""
    at = at or START + n * EVERY
    if severity is None:
        severity = {17: "critical", 23: "fallback"}.get(n % 29, "warning" if n % 11 == 5 else "ok")
    by_model = severity != "fallback"
    decision = {
        "actions": [] if severity == "ok" else ["ALERT: look at the build host"],
        "severity": severity,
        "reasoning": _REASONINGS.get(severity, "Unclear."),
    }
    perception = {
        "gitea_alive": True,
        "disk_used_pct": 60 + n % 35,
        "load": [round(0.1 * (n % 17), 2), 0.6, 0.5],
        "model_health": {"ollama_running": by_model, "models_loaded": ["hermes4:14b"] if by_model else []},
        "services": {
            name: {"alive": True, "latency_ms": round(1.5 + (n * 7 + index) % 40, 1)}
            for index, name in enumerate(_SERVICES)
        },
    }
    prompt = (
        f"System state at {at:%Y-%m-%d %H:%M}. Decide what to do; answer with one JSON object with the "
        "keys actions, severity (ok, warning or critical) and reasoning. Name only actions of the list.\n"
        + json.dumps(perception, indent=0)
    )
    return {
        "tick_id": tick_id or f"{at:%Y%m%d_%H%M%S}",
        "timestamp": at.isoformat(),
        "trigger": "schedule",
        "previous_tick": f"{at - EVERY:%Y%m%d_%H%M%S}",
        "perception": perception,
        "decision": decision,
        "actions": decision["actions"],
        "prompt": prompt,
        "response": json.dumps(decision) if by_model else None,
        "provider": "hermes" if by_model else None,
        "model": "hermes4:14b" if by_model else None,
        "session_id": f"{at:%Y%m%d_%H%M%S}_{n % 0xFFFFFF:06x}" if by_model else None,
        "duration_ms": 900 + n * 37 % 2400,
        "attempts": [{"provider": "hermes", "error": None if by_model else "connection refused", "duration_ms": 900}],
        "host": "mbp",
        "writer": "timmy-tui 0.1.0",
        **extra,
    }


def tick_line(
    n: int,
    *,
    severity: str | None = None,
    at: datetime | None = None,
    tick_id: str | None = None,
    **extra: object,
) -> bytes:
    """One line of the tick log, its newline included."""
    tree = tick_tree(n, severity=severity, at=at, tick_id=tick_id, **extra)
    return json.dumps(tree, separators=(",", ":")).encode() + b"\n"


def day_path(directory: Path, day: date) -> Path:
    """Where a day's ticks stand."""
    return directory / f"ticks_{day:%Y%m%d}.jsonl"


def write_day(directory: Path, day: date, count: int) -> Path:
    """A day's file with ``count`` ticks spread evenly over the day (UTC), the first at midnight."""
    directory.mkdir(parents=True, exist_ok=True)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    step = timedelta(days=1) / max(count, 1)
    path = day_path(directory, day)
    with path.open("wb") as file:
        for n in range(count):
            at = midnight + n * step
            file.write(tick_line(n, at=at, tick_id=f"{at:%Y%m%d_%H%M%S}" + (f"_{n}" if count > 86_400 else "")))
    return path
