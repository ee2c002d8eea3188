"""One child process in a group of its own: what it printed, and its end, whatever it does."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from timmy_tui.services.cascade.providers.group_guard import GroupGuard
from timmy_tui.services.process_group import signal_group

OUTPUT_MAX_BYTES = 1_000_000
"""Kept of each stream, from its end: a child that prints without end must not fill the memory."""

TERM_GRACE_S = 2.5
"""From SIGTERM to SIGKILL: Hermes tells its session and leaves within 1.7 s (facts/hermes.md §1.5)."""

HELD_PIPE_S = 0.5
"""How long output is awaited after the process has ended: a child of it may hold the pipe for ever."""


class Ended(Struct, frozen=True):
    """How a process ended; the texts are as printed, invalid UTF-8 replaced."""

    code: int | None
    """As ``subprocess`` has it: negative for a signal; None when it was ended at its deadline."""
    stdout: str
    stderr: str


async def run_to_end(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float, grace_s: float = TERM_GRACE_S
) -> Ended:
    """Run ``argv`` without a terminal or an input.

    After ``timeout_s``, or when the caller is cancelled, the whole group gets SIGTERM and ``grace_s`` later SIGKILL;
    nothing of the group outlives this call, nor this process. Raises OSError and ValueError when it can't be started.
    """
    with GroupGuard() as guard:
        return await _run(argv, env, cwd, timeout_s, grace_s, guard)


async def _run(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path, timeout_s: float, grace_s: float, guard: GroupGuard
) -> Ended:
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(
        loop.subprocess_exec(
            _Child,
            *guard.guarded(argv),
            stdin=guard.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    )
    timed_out = False
    try:
        # A start that is cancelled half-way would end the process but not what that has started by then.
        transport, child = await asyncio.shield(starting)
        try:
            async with asyncio.timeout(timeout_s):
                await child.ended.wait()
        except TimeoutError:
            timed_out = True
        if not timed_out:
            await _within(child.closed, HELD_PIPE_S)
    finally:
        await asyncio.wait({starting})
        if starting.exception() is None:
            await _end(*starting.result(), grace_s)
    code = None if timed_out else transport.get_returncode()
    return Ended(code, child.text(1), child.text(2))


async def _end(transport: asyncio.SubprocessTransport, child: _Child, grace_s: float) -> None:
    group = transport.get_pid()
    try:
        if not child.ended.is_set():
            signal_group(group, signal.SIGTERM)
            await _within(child.ended, grace_s)
    finally:
        signal_group(group, signal.SIGKILL)  # also what the process left behind
        await _within(child.ended, grace_s)
        transport.close()


async def _within(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass


class _Child(asyncio.SubprocessProtocol):
    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.closed = asyncio.Event()
        self._open = {1, 2}
        self._printed = {1: bytearray(), 2: bytearray()}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        printed = self._printed[fd]
        printed += data
        if len(printed) > 2 * OUTPUT_MAX_BYTES:
            del printed[:-OUTPUT_MAX_BYTES]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open:
            self.closed.set()

    def process_exited(self) -> None:
        self.ended.set()

    def text(self, fd: int) -> str:
        return self._printed[fd][-OUTPUT_MAX_BYTES:].decode("utf-8", "replace")
