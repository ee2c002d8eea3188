"""The watcher is a hint: it comes soon when it comes, and its end is quiet."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import watchfiles

from timmy_tui.services.ticks.watch import changes


async def hint(hints: AsyncIterator[None], path: Path) -> None:
    """Write to ``path`` until a hint comes: the watch begins some time after it was asked for."""
    waiting = asyncio.ensure_future(anext(hints))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        while not waiting.done():
            path.write_bytes(b"x")  # noqa: ASYNC240
            await asyncio.wait({waiting}, timeout=0.05)
    await waiting


async def test_each_burst_of_writes_is_a_hint(tmp_path: Path) -> None:
    async with aclosing(changes(tmp_path)) as hints:
        await anext(hints)
        await hint(hints, tmp_path / "ticks_20261120.jsonl")
        await hint(hints, tmp_path / "ticks_20261121.jsonl")


async def test_a_folder_may_come_later_and_come_again(tmp_path: Path) -> None:
    folder = tmp_path / "heartbeat"
    async with aclosing(changes(folder, wait_s=0.01)) as hints:
        waiting = asyncio.ensure_future(anext(hints))
        assert not (await asyncio.wait({waiting}, timeout=0.05))[0]
        folder.mkdir()
        async with asyncio.timeout(20):
            await waiting
        await hint(hints, folder / "a")
        shutil.rmtree(folder)
        folder.mkdir()
        for name in "abc":  # the removal, the new folder, and a change in it
            await hint(hints, folder / name)


@pytest.mark.parametrize("failure", [OSError(28, "OS file watch limit reached"), RuntimeError("watcher died")])
async def test_a_dying_watcher_ends_quietly_with_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    async def dying(*args: object, **options: object) -> AsyncIterator[object]:
        raise failure
        yield

    monkeypatch.setattr(watchfiles, "awatch", dying)

    assert [None async for _ in changes(tmp_path)] == [None]
    assert "polling alone" in caplog.text
