"""A perception as a tree: what changed is marked, what is gone is named, and many changes cost as many steps."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import App, ComposeResult
from textual.widgets.tree import TreeNode

from timmy_tui.services.ticks.changes import Path, changed_paths
from timmy_tui.text import Json
from timmy_tui.widgets.perception_tree import PerceptionTree


class Viewer(App[None]):
    """A screen with a tree."""

    def compose(self) -> ComposeResult:
        yield PerceptionTree("Perception", id="perception")


class Counted(frozenset[Path]):
    """Changed paths that know how often they were walked through."""

    walks = 0

    def __iter__(self) -> Iterator[Path]:
        self.walks += 1
        return super().__iter__()


async def labels(before: Json, after: Json, changed: frozenset[Path] | None = None) -> list[str]:
    """Every node's text, indented by its depth."""
    app = Viewer()
    async with app.run_test():
        tree = app.query_one(PerceptionTree)
        tree.show(after, before, changed_paths(before, after) if changed is None else changed)
        out: list[str] = []

        def walk(node: TreeNode[Path], depth: int) -> None:
            for child in node.children:
                out.append("  " * depth + str(child.label))
                walk(child, depth + 1)

        walk(tree.root, 0)
        return out


async def test_a_change_is_marked_up_to_the_top_and_says_what_was() -> None:
    before: Json = {"disk": {"used": 60, "free": 40}, "load": [0.5, 1], "calm": {"x": 1}}
    after: Json = {"disk": {"used": 61, "free": 40}, "load": [0.5, 2], "calm": {"x": 1}}
    assert await labels(before, after) == [
        "≠ disk  ",
        "  ≠ used  60 → 61",
        "  free  40",
        "≠ load  0.5 1 → 0.5 2",
        "calm  ",
        "  x  1",
    ]


async def test_what_is_gone_stands_where_it_was_a_branch_as_one() -> None:
    before: Json = {"a": {"x": 1, "y": 2}, "services": {"one": {"alive": True, "ms": 3}, "two": {"alive": True}}}
    after: Json = {"a": {"x": 1}, "services": {"two": {"alive": True}}}
    assert await labels(before, after) == [
        "≠ a  ",
        "  x  1",
        "  ≠ y  2 → gone",
        "≠ services  ",
        "  two  ",
        "    alive  true",
        "  ≠ one  2 keys → gone",
    ]


async def test_nothing_is_named() -> None:
    assert await labels({}, {}) == ["(nothing was perceived)"]


async def test_many_changes_are_walked_through_a_few_times_not_once_per_node() -> None:
    before: Json = {f"host {n}": {"ms": n, "gone": n, "list": [{"a": n}]} for n in range(400)}
    after: Json = {f"host {n}": {"ms": n + 1, "list": [{"a": n + 1}]} for n in range(400)}
    changed = Counted(changed_paths(before, after))
    assert len(changed) == 1_200
    assert len(await labels(before, after, changed)) == 400 * 6
    assert changed.walks <= 3
