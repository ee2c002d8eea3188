"""Which values of a perception a decision speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from timmy_tui.services.ticks.changes import Path
from timmy_tui.text import Json

_WORD = re.compile(r"[^\W_]+(?:[.:-][^\W_]+)*")
_PART = re.compile(r"[^\W_]+")

SHORTEST_PART = 4
"""Letters that a part of a key needs to count alone: ``disk`` of ``disk_used_pct``."""

_SAYS_LITTLE = frozenset(
    {"alive", "used", "name", "state", "status", "last", "running", "loaded", "total", "count", "time", "value", "free"}
)


def mentioned_paths(perception: Json, said: str) -> frozenset[Path]:
    """The leaves whose key or value the text names: ``disk_used_pct`` for “the disk is at 91 %”.

    A key counts as a whole (blanks for its underscores), or by one of its longer parts that says something; a value
    when it stands in the text as a word and is no single digit, truth value or nothing.
    """
    words = {word.casefold() for word in _WORD.findall(said)}
    words |= {part.casefold() for word in words for part in _PART.findall(word)}
    flat = " ".join(_PART.findall(said.casefold()))
    return frozenset(
        path for path, value in _leaves((), perception) if _named(path, words, flat) or _told(value, words)
    )


def _leaves(path: Path, value: Json) -> Iterator[tuple[Path, Json]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves((*path, key), item)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves((*path, str(index)), item)
    elif path:
        yield path, value


def _named(path: Path, words: set[str], flat: str) -> bool:
    parts = [part.casefold() for part in _PART.findall(path[-1])]
    if len(parts) > 1 and f" {' '.join(parts)} " in f" {flat} ":
        return True
    return any(part in words and len(part) >= SHORTEST_PART and part not in _SAYS_LITTLE for part in parts)


def _told(value: Json, words: set[str]) -> bool:
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, list):
        return any(_told(item, words) for item in value)
    if isinstance(value, dict):
        return False
    spelt = f"{value:g}" if isinstance(value, float) else str(value)
    return len(spelt) > 1 and spelt.casefold() in words
