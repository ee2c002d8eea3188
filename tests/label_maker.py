"""Label events as another program, or an earlier day, would have written them (DESIGN §5)."""

from __future__ import annotations

import json
from pathlib import Path


def label_line(event_id: str, candidate: str, label: str, *, operator: str = "alex", **keys: object) -> bytes:
    """A label event, its newline included."""
    return event_line(event_id, "label", candidate=candidate, label=label, operator=operator, **keys)


def event_line(event_id: str, event: str, **keys: object) -> bytes:
    """Any event of this version, its newline included."""
    return json.dumps({"v": 1, "event_id": event_id, "event": event, **keys}).encode() + b"\n"


def append(path: Path, *lines: bytes) -> None:
    """Write ``lines`` behind what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(lines))
