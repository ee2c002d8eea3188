"""Somebody else's tick: asked for in their queue, seen in the log when it is there."""

from __future__ import annotations

from pathlib import Path

from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.folder import TickFolder
from timmy_tui.services.ticks.parse import BadLine, decode_head
from timmy_tui.text import clean

NEW_MAX_BYTES = 16_000_000
"""Read of what came since; a tick has kilobytes."""


def end_of_log(folder: Path) -> tuple[str, int]:
    """The name and size of the log's newest day file; an empty name for an empty log. Raises ``OSError``."""
    name = next(reversed(_days(folder)), "")
    return name, (folder / name).stat().st_size if name else 0


def tick_since(folder: Path, log_name: str, log_bytes: int) -> str | None:
    """The id of the first tick behind a place in the log; None while there is none. Raises ``OSError``.

    A file that is shorter than the place was rotated or rewritten: all of it is new.
    """
    for name in _days(folder):
        if name < log_name:
            continue
        with (folder / name).open("rb") as file:
            if name == log_name and file.seek(0, 2) >= log_bytes:
                file.seek(log_bytes)
            else:
                file.seek(0)
            *lines, _torn = file.read(NEW_MAX_BYTES).split(b"\n")
        for line in lines:
            facts = decode_head(line)
            if not isinstance(facts, BadLine):
                return clean(str(facts.tick_id), limit=80)
    return None


def _days(folder: Path) -> list[str]:
    """The day files, oldest first; not the rotated ones, to which nobody appends."""
    try:
        return [name for name in TickFolder(folder).names() if name.endswith(".jsonl")]
    except TickLogError:
        return []
