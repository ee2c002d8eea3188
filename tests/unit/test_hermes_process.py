"""A child never outlives its call, and nothing it prints or holds open can keep the call."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from timmy_tui.services.cascade.providers.hermes_process import OUTPUT_MAX_BYTES, Ended, run_to_end

ENV = {"PATH": os.environ["PATH"]}


class Lifeline:
    """A FIFO that every process of the group holds open: it ends when the last one is gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def said(self) -> bytes:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self.end, lambda: ready.done() or ready.set_result(None))
        try:
            await asyncio.wait_for(ready, 20)
        finally:
            loop.remove_reader(self.end)
        return os.read(self.end, 100)

    def is_cut(self) -> bool:
        readable, _, _ = select.select([self.end], [], [], 20)
        return bool(readable) and os.read(self.end, 100) == b""


@pytest.fixture
def lifeline(tmp_path: Path) -> Iterator[Lifeline]:
    line = Lifeline(tmp_path / "lifeline")
    yield line
    os.close(line.end)


async def shell(
    script: str, folder: Path, *, timeout_s: float = 30, grace_s: float = 5, line: Lifeline | None = None
) -> Ended:
    env = ENV | {"LINE": str(line.path) if line else os.devnull}
    argv = ["/bin/sh", "-c", script]
    return await run_to_end(argv, env=env, cwd=folder, timeout_s=timeout_s, grace_s=grace_s)


async def test_what_was_printed_and_how_it_ended(tmp_path: Path) -> None:
    ended = await shell("echo out; echo err >&2; pwd; read line || echo no input; exit 3", tmp_path)
    assert ended == Ended(3, f"out\n{tmp_path}\nno input\n", "err\n")


async def test_a_hang_and_its_children_end_at_the_deadline(tmp_path: Path, lifeline: Lifeline) -> None:
    script = 'exec 9>"$LINE"; echo before; sleep 600 & sleep 600'
    ended = await shell(script, tmp_path, timeout_s=1.5, line=lifeline)
    assert ended.code is None
    assert ended.stdout == "before\n"
    assert lifeline.is_cut()


async def test_who_ignores_the_term_signal_is_killed_with_all_children(tmp_path: Path, lifeline: Lifeline) -> None:
    script = "trap '' TERM; exec 9>\"$LINE\"; sh -c 'sleep 600; :' & while :; do sleep 600; done"
    ended = await shell(script, tmp_path, timeout_s=1.5, grace_s=0.3, line=lifeline)
    assert ended.code is None
    assert lifeline.is_cut()


async def test_the_last_words_after_the_term_signal_are_kept(tmp_path: Path) -> None:
    script = "trap 'echo session_id: x >&2; exit 130' TERM; sleep 600 & wait"
    ended = await shell(script, tmp_path, timeout_s=1.5)
    assert ended.code is None
    assert ended.stderr == "session_id: x\n"


async def test_cancelling_the_call_ends_the_group(tmp_path: Path, lifeline: Lifeline) -> None:
    script = 'exec 9>"$LINE"; echo started >&9; sleep 600 & sleep 600'
    call = asyncio.create_task(shell(script, tmp_path, line=lifeline))
    assert await lifeline.said() == b"started\n"
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert lifeline.is_cut()


async def test_a_child_that_keeps_the_output_open_does_not_keep_the_call(tmp_path: Path, lifeline: Lifeline) -> None:
    ended = await shell('exec 9>"$LINE"; sleep 600 & echo answer', tmp_path, line=lifeline)
    assert ended == Ended(0, "answer\n", "")
    assert lifeline.is_cut(), "what it left behind is ended as well"


async def test_a_flood_of_output_is_bounded_and_its_end_is_kept(tmp_path: Path) -> None:
    script = "yes 0123456789 | head -c 9000000; echo; echo the answer"
    ended = await shell(script, tmp_path, timeout_s=60)
    assert ended.code == 0
    assert len(ended.stdout) <= OUTPUT_MAX_BYTES
    assert ended.stdout.endswith("the answer\n")


async def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    ended = await shell(r"printf '\377ok'", tmp_path)
    assert ended.stdout == "\ufffdok"


async def test_what_can_t_be_started_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await run_to_end([str(tmp_path / "gone")], env=ENV, cwd=tmp_path, timeout_s=1)


ENDS_AT_ONCE = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from timmy_tui.services.cascade.providers.hermes_process import run_to_end
argv = ["/bin/sh", "-c", sys.argv[2]]
asyncio.run(run_to_end(argv, env=os.environ, cwd=Path("/"), timeout_s=60))
"""


@pytest.mark.parametrize("script", ["sleep 60", "trap '' TERM; sleep 60 & sleep 60; sleep 60"])
async def test_a_child_does_not_outlive_a_process_that_was_killed(
    tmp_path: Path, lifeline: Lifeline, script: str
) -> None:
    held = f"exec 3>{lifeline.path}; echo begun >&3; {script}"
    root = str(Path(__file__).parents[2])
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", ENDS_AT_ONCE, root, held)
    assert await lifeline.said() == b"begun\n"
    parent.kill()
    await parent.wait()
    assert await asyncio.to_thread(lifeline.is_cut)
