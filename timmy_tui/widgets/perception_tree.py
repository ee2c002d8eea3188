"""A perception as a foldable tree, with what changed since the previous tick marked."""

from __future__ import annotations

from rich.text import Text
from textual.content import Content
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from timmy_tui.glyphs import UNICODE, Glyphs
from timmy_tui.services.ticks.changes import before_value
from timmy_tui.text import Json

Path = tuple[str, ...]


class PerceptionTree(Tree[Path]):
    """Branches that hold a change are open; a changed leaf shows its old value too."""

    COMPONENT_CLASSES = {"perception--key", "perception--changed", "perception--quiet"}

    def __init__(self, title: str, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__(Text(title), id=id)
        self.show_root = False
        self.guide_depth = 2
        self.border_title = Content(title)
        self._glyphs = glyphs

    def show(self, perception: Json, previous: Json, changed: frozenset[Path]) -> None:
        """Show ``perception``; ``changed`` are the leaf paths that differ from ``previous``."""
        self.clear()
        self._grow(self.root, perception, previous, changed, ())
        if not self.root.children:
            self.root.add_leaf(Text("(nothing was perceived)"))
        self.root.expand()

    def _grow(self, node: TreeNode[Path], value: Json, previous: Json, changed: frozenset[Path], path: Path) -> None:
        for key, item in _children(value):
            here = (*path, key)
            touched = any(place[: len(here)] == here for place in changed)
            if _is_branch(item):
                label = self._label(key, _summary(item), touched)
                branch = node.add(label, data=here, expand=touched or not path)
                self._grow(branch, item, previous, changed, here)
                continue
            text = _shown(item)
            if touched:
                text = f"{_shown(before_value(previous, here))} {self._glyphs.arrow} {text}"
            node.add_leaf(self._label(key, text, touched), data=here)
        for place in sorted(changed):
            # What is gone has no leaf of its own any more.
            if place[:-1] == path and place[-1] not in dict(_children(value)):
                old = _shown(before_value(previous, place))
                node.add_leaf(self._label(place[-1], f"{old} {self._glyphs.arrow} gone", True), data=place)

    def _label(self, key: str, text: str, changed: bool) -> Text:
        mark = f"{self._glyphs.changed} " if changed else ""
        style = self.get_component_rich_style("perception--changed", partial=True) if changed else ""
        key_style = self.get_component_rich_style("perception--key", partial=True)
        return Text.assemble((mark, style), (key, key_style), "  ", (text, style))


def _children(value: Json) -> list[tuple[str, Json]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list):
        return [(str(index), item) for index, item in enumerate(value)]
    return [("value", value)] if value is not None else []


def _is_branch(value: Json) -> bool:
    """A list of plain values reads better on one row than as a branch."""
    if isinstance(value, list):
        return any(isinstance(item, dict | list) for item in value)
    return isinstance(value, dict) and bool(value)


def _summary(value: Json) -> str:
    return f"{len(value)} items" if isinstance(value, list) else ""


def _shown(value: Json) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.replace("\n", "⏎") or '""'
    if isinstance(value, list):
        return " ".join(_shown(item) for item in value) or "none"
    if isinstance(value, dict):
        return f"{len(value)} keys" if value else "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
