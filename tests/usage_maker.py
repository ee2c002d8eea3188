"""Usage logs for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

OLD: dict[str, object] = {
    "timestamp": "2026-01-30T16:12:32.132Z",
    "task_type": "quick",
    "model": "llama3.2:3b",
    "latency_sec": 5.02,
    "tokens_in": 3,
    "tokens_out": 9,
    "success": True,
}
"""A line as other programs have written it."""


def usage_bytes(**values: object) -> bytes:
    """One line: :data:`OLD` with ``values`` above it."""
    return json.dumps({**OLD, **values}).encode() + b"\n"


def write_log(path: Path, lines: Iterable[bytes]) -> Path:
    """Write the lines as the log at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(lines))
    return path
