"""YAML of people, read with two guards: no key twice in one place, and no few lines that mean millions.

PyYAML takes the last of two equal keys without a word, and builds whatever a handful of anchors multiply to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

EXPANDED_NODES_MOST = 100_000
"""Values of a document with every alias written out; a configuration of a hundred pages has a tenth."""

_MERGE = "tag:yaml.org,2002:merge"


class YamlError(ValueError):
    """The text is no YAML that is read here; one line, with the line's number where there is one."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem if line is None else f"line {line}: {problem}")
        self.problem = problem
        self.line = line


def load_yaml(source: bytes | str) -> object:
    """The document in ``source``; None for an empty one. Raises :class:`YamlError` and nothing else."""
    import yaml

    try:
        loader = yaml.SafeLoader(source)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _expanded(node, {}, set())
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except YamlError:
        raise
    except RecursionError:
        raise YamlError("nested too deeply") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise YamlError(f"not valid YAML: {problem}", mark.line + 1 if mark else None) from None


def _expanded(node: yaml.Node, known: dict[int, int], open_: set[int]) -> int:
    """How many values a node stands for, each alias counted as what it repeats."""
    import yaml

    key = id(node)
    if key in known:
        return known[key]
    if key in open_:
        raise YamlError("a value that contains itself", node.start_mark.line + 1)
    open_.add(key)
    total = 1
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        for name, value in node.value:
            total += _expanded(name, known, open_) + _expanded(value, known, open_)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            total += _expanded(value, known, open_)
    if total > EXPANDED_NODES_MOST:
        raise YamlError(f"its aliases stand for more than {EXPANDED_NODES_MOST:,} values", node.start_mark.line + 1)
    open_.discard(key)
    known[key] = total
    return total


def _check_keys(node: yaml.MappingNode) -> None:
    import yaml

    first: dict[tuple[str, str], int] = {}
    for name, _ in node.value:
        if not isinstance(name, yaml.ScalarNode) or name.tag == _MERGE:
            continue
        key, line = (name.tag, name.value), name.start_mark.line + 1
        if key in first:
            raise YamlError(f"the key {name.value[:60]!r} stands there twice (first in line {first[key]})", line)
        first[key] = line
