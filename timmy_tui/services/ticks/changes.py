"""What differs between two perceptions."""

from __future__ import annotations

from collections.abc import Iterator

from timmy_tui.text import Json

Path = tuple[str, ...]
"""Keys from the root; a list's items by their index."""


def changed_paths(before: Json, after: Json) -> frozenset[Path]:
    """The paths of the values that were added, removed or changed. Whole branches come as their leaves.

    An empty object or list is a leaf. ``1`` and ``1.0`` are equal, ``1`` and ``true`` are not.
    """
    return frozenset(_differing((), before, after))


def before_value(before: Json, path: Path) -> Json:
    """The value that stood at ``path``; None when nothing did."""
    value = before
    for step in path:
        value = child_of(value, step)
    return value


def child_of(value: Json, step: str) -> Json:
    """The value one ``step`` down from ``value``; None when nothing stands there."""
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None


def _branch(value: Json) -> dict[str, Json]:
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def _differing(path: Path, before: Json, after: Json) -> Iterator[Path]:
    old, new = _branch(before), _branch(after)
    if old and new and type(before) is type(after):
        for key in old.keys() | new.keys():
            if key not in old:
                yield from _leaves((*path, key), new[key])
            elif key not in new:
                yield from _leaves((*path, key), old[key])
            else:
                yield from _differing((*path, key), old[key], new[key])
    elif not _same(before, after):
        yield from {*_leaves(path, before), *_leaves(path, after)} if old or new else [path]


def _leaves(path: Path, value: Json) -> Iterator[Path]:
    branch = _branch(value)
    if not branch:
        yield path
    for key, item in branch.items():
        yield from _leaves((*path, key), item)


def _same(before: Json, after: Json) -> bool:
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    return type(before) is type(after) and before == after if _branch(before) or _branch(after) else before == after
