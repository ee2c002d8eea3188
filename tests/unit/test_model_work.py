"""A pull that ends, however it ends, lets go of the server at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import SimpleNamespace

import pytest

from timmy_tui.screens.model_work import ModelWork
from timmy_tui.services.ollama.records import PullProgress


class Server:
    """Tells of a pull that never ends."""

    def __init__(self) -> None:
        self.open = False

    async def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        self.open = True
        try:
            while True:
                yield PullProgress(f"pulling {name}", 1, 2, False)
        finally:
            self.open = False


async def test_a_defect_while_a_pull_is_shown_closes_its_stream() -> None:
    server = Server()
    was_open: list[bool] = []

    def redraw(_now: float) -> None:
        was_open.append(server.open)
        if len(was_open) == 2:
            raise RuntimeError("a defect")

    app = SimpleNamespace(
        monitor=SimpleNamespace(
            sources=SimpleNamespace(ollama={"local": server}), refresh_ollama=lambda server: was_open.append(None)
        ),
        clock_signal=SimpleNamespace(publish=redraw),
        clock=lambda: 0.0,
    )
    work = ModelWork(app)  # type: ignore[arg-type]
    work.pulls["local", "m"] = PullProgress("starting", 0, 0, False)
    with pytest.raises(RuntimeError, match="a defect"):
        await work._pull("local", "m")
    # Shown twice while it was open; closed before anything else was done.
    assert was_open == [True, True, None, False]
