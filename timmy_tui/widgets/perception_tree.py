"""A perception as a foldable tree, with what changed since the previous tick marked."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.content import Content
from textual.events import Resize
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from timmy_tui.glyphs import UNICODE, Glyphs
from timmy_tui.services.ticks.changes import child_of
from timmy_tui.text import Json
from timmy_tui.widgets.line import plain, wrap

Path = tuple[str, ...]

GUIDE_CELLS = 2
"""Of a level."""

MARGIN = 5
"""Frame, padding and scroll bar."""

NARROWEST = 8
MOST_ROWS = 12
"""Of one long value."""


class PerceptionTree(Tree[Path]):
    """Branches that hold a change are open; a changed leaf shows its old value too."""

    COMPONENT_CLASSES = {"perception--key", "perception--changed", "perception--mentioned"}

    def __init__(self, title: str, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__(Text(title), id=id)
        self.show_root = False
        self.guide_depth = 2
        self.border_title = Content(title)
        self._glyphs = glyphs
        self._shown: tuple[Json, Json, frozenset[Path], frozenset[Path]] | None = None
        self._width_shown = 0

    def show(
        self, perception: Json, previous: Json, changed: frozenset[Path], mentioned: frozenset[Path] = frozenset()
    ) -> None:
        """Show ``perception``; ``changed`` are the leaf paths that differ from ``previous``.

        ``mentioned`` are those that the decision speaks of.
        """
        self._shown = (perception, previous, changed, mentioned)
        self._width_shown = self.size.width
        self.clear()
        growth = _Growth(
            width=max(NARROWEST, self.size.width - MARGIN),
            touched=_with_branches(changed),
            mentioned=_with_branches(mentioned),
            gone=_gone(perception, changed),
            arrow=self._glyphs.arrow,
            mark=f"{self._glyphs.changed} ",
            key_style=self.get_component_rich_style("perception--key", partial=True),
            changed_style=self.get_component_rich_style("perception--changed", partial=True),
            mentioned_style=self.get_component_rich_style("perception--mentioned", partial=True),
        )
        growth.grow(self.root, perception, previous, ())
        if not self.root.children:
            self.root.add_leaf(Text("(nothing was perceived)"))
        self.root.expand()
        self.call_after_refresh(self._show_what_counts, mentioned or changed)

    def on_resize(self, _event: Resize) -> None:
        """Long values are broken for another width."""
        if self._shown is not None and self.size.width not in (0, self._width_shown):
            self.show(*self._shown)

    def _show_what_counts(self, paths: frozenset[Path]) -> None:
        """Where the tree is longer than the pane, begin where it tells something."""
        found = [node.line for node in self._tree_nodes.values() if node.data in paths and node.line >= 0]
        if found and self.virtual_size.height > self.size.height:
            self.scroll_to(y=max(0, max(found) - self.size.height // 2), animate=False)


class _Growth(NamedTuple):
    """What all nodes of one tree are made with; asked of once, however many nodes and changes there are."""

    width: int
    """Cells that a row has."""
    touched: set[Path]
    """Every changed path, and every branch above one."""
    mentioned: set[Path]
    """The same of what the decision speaks of."""
    gone: dict[Path, list[str]]
    """Per branch the keys that it has no more."""
    arrow: str
    mark: str
    key_style: Style
    changed_style: Style
    mentioned_style: Style

    def grow(self, node: TreeNode[Path], value: Json, previous: Json, path: Path) -> None:
        for key, item in _children(value):
            here = (*path, key)
            touched = here in self.touched
            before = child_of(previous, key)
            if _is_branch(item):
                open_it = touched or not path or here in self.mentioned
                branch = node.add(self.label(key, _summary(item), touched), data=here, expand=open_it)
                self.grow(branch, item, before, here)
                continue
            text = _shown(item)
            if touched:
                text = f"{_shown(before)} {self.arrow} {text}"
            self.leaf(node, key, text, here, touched)
        for key in self.gone.get(path, ()):
            old = _shown(child_of(previous, key))
            self.leaf(node, key, f"{old} {self.arrow} gone", (*path, key), True)

    def leaf(self, node: TreeNode[Path], key: str, text: str, path: Path, changed: bool) -> None:
        """A value; one that is too long for a row stands in rows of its own below its key."""
        mentioned = path in self.mentioned
        room = self.width - GUIDE_CELLS * len(path)
        if cell_len(key) + cell_len(text) + 2 + 2 * changed <= room:
            node.add_leaf(self.label(key, text, changed, mentioned), data=path)
            return
        folded = node.add(self.label(key, "", changed, mentioned), data=path, expand=True)
        for row in wrap(text, max(NARROWEST, room - GUIDE_CELLS), limit=MOST_ROWS):
            folded.add_leaf(Text(plain(row), self.changed_style if changed else ""))

    def label(self, key: str, text: str, changed: bool, mentioned: bool = False) -> Text:
        style = self.changed_style if changed else Style.null()
        key_style = self.key_style
        if mentioned:
            style, key_style = style + self.mentioned_style, self.mentioned_style
        return Text.assemble((self.mark if changed else "", self.changed_style), (key, key_style), "  ", (text, style))


def _with_branches(paths: frozenset[Path]) -> set[Path]:
    return {path[:length] for path in paths for length in range(1, len(path) + 1)}


def _gone(perception: Json, changed: frozenset[Path]) -> dict[Path, list[str]]:
    """Per branch of ``perception`` the keys that it lost: what is gone has no leaf of its own any more."""
    lost: dict[Path, set[str]] = {}
    for place in changed:
        value = perception
        for depth, key in enumerate(place):
            if not _has(value, key):
                lost.setdefault(place[:depth], set()).add(key)
                break
            value = child_of(value, key)
    return {path: sorted(keys) for path, keys in lost.items()}


def _has(value: Json, key: str) -> bool:
    if isinstance(value, list):
        return key.isdecimal() and int(key) < len(value)
    return isinstance(value, dict) and key in value


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
