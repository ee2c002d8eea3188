"""What a decision speaks of is found in the perception, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.review.mentions import mentioned_paths
from timmy_tui.text import Json

PERCEPTION: Json = {
    "host": "mbp",
    "gitea_alive": True,
    "disk_used_pct": 91,
    "memory_used_pct": 61,
    "load": [0.4, 12.5],
    "model_health": {"ollama_running": True, "models_loaded": ["hermes4:14b"]},
    "queue": {"pending": 3},
    "services": [{"name": "backup", "ok": True}],
}


@pytest.mark.parametrize(
    ("said", "paths"),
    [
        ("Disk on mbp is at 91 %.", {("host",), ("disk_used_pct",)}),
        ("Gitea does not answer.", {("gitea_alive",)}),
        ("hermes4:14b is loaded", {("model_health", "models_loaded")}),
        ("Ollama answers", {("model_health", "ollama_running")}),
        ("The load is 12.5 and rising", {("load",)}),
        ("memory used pct is fine", {("memory_used_pct",)}),
        ("3 tasks wait", set()),
        ("The backup is late", {("services", "0", "name")}),
        ("Everything is true and used, nothing is running.", set()),
        ("", set()),
    ],
)
def test_the_values_that_are_named_are_found(said: str, paths: set[tuple[str, ...]]) -> None:
    assert mentioned_paths(PERCEPTION, said) == paths


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(trees, st.text(max_size=60))
def test_whatever_is_said_of_whatever_it_names_only_what_is_there(tree: Json, said: str) -> None:
    for path in mentioned_paths(tree, said):
        value: Json = tree
        for step in path:
            value = value[int(step)] if isinstance(value, list) else value[step]  # type: ignore[call-overload, index]
