"""The end-to-end tests start real processes: what they share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.homes import Home, healthy_bodies, usual_home
from faulty_server import FaultyServer


@pytest.fixture
def ollama() -> Iterator[FaultyServer]:
    """A healthy Ollama with two models, one of them loaded."""
    with FaultyServer(healthy_bodies()) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, ollama: FaultyServer) -> Home:
    """A small stack in good health."""
    return usual_home(tmp_path / "home", ollama.url)
