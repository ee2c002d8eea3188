"""One of the operator's commands, run: an argument vector, a deadline, bounded output. Never a shell."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence

from msgspec import Struct

from timmy_tui.masking import masked
from timmy_tui.services.process_group import signal_group
from timmy_tui.text import clean, clean_error

OUTPUT_LIMIT_BYTES = 64 * 1024
"""What is kept of a command's output; the rest is read and dropped."""

INPUT_LIMIT_BYTES = 4_096
"""What a pipe takes at once on every system: the command may read it or not."""

TERM_GRACE_S = 0.5
"""Between SIGTERM and SIGKILL, both to the whole process group."""

DRAIN_S = 0.2
"""How long output is read that a child left behind still holds open."""

SHOWN_LIMIT = 4_000


class CommandResult(Struct, frozen=True):
    """How a command ended."""

    exit_code: int | None
    """Negative for a signal; None when it did not start or was ended at its deadline."""
    output: str
    """Standard output and standard error as they came, decoded but neither cleaned nor masked."""
    error: str | None
    """Why it counts as failed, one clean line; None = exit code 0."""

    @property
    def shown(self) -> str:
        """The output safe to show and to log: cleaned, secrets masked, bounded."""
        return clean(masked(self.output.strip()), limit=SHOWN_LIMIT, multiline=True)


class _Watch(asyncio.SubprocessProtocol):
    """Collects the output and tells of the end of the process, whoever still holds its pipes open."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.output = bytearray()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.silent: asyncio.Future[None] = loop.create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.output += data[: OUTPUT_LIMIT_BYTES - len(self.output)]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if not self.silent.done():
            self.silent.set_result(None)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)


async def run_command(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str],
    stdin: str = "",
) -> CommandResult:
    """Run ``argv`` in a process group of its own and wait for it, ``timeout_s`` at most; then the group is ended.

    ``stdin`` is all that it can read. A command that leaves a child behind (a service it starts) has ended when
    it has ended itself. Raises nothing but ``CancelledError``, after ending the group.
    """
    if not argv or not argv[0]:
        return CommandResult(None, "", "there is no command to run")
    read_end, write_end = os.pipe()
    os.write(write_end, stdin.encode("utf-8", "replace")[:INPUT_LIMIT_BYTES])
    os.close(write_end)
    try:
        transport, watch = await asyncio.get_running_loop().subprocess_exec(
            _Watch,
            *argv,
            stdin=read_end,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(env),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return CommandResult(None, "", f"{clean(argv[0], limit=120)}: {clean_error(reason or error)}")
    finally:
        os.close(read_end)
    try:
        done, _ = await asyncio.wait((watch.exited,), timeout=timeout_s)
        if done:
            await asyncio.wait((watch.silent,), timeout=DRAIN_S)
        else:
            await _end_group(transport.get_pid(), watch)
    except asyncio.CancelledError:
        signal_group(transport.get_pid(), signal.SIGKILL)
        raise
    finally:
        transport.close()
    output = watch.output.decode("utf-8", "replace")
    if not done:
        return CommandResult(None, output, f"no end within {timeout_s:g} s, so it was ended")
    code = transport.get_returncode()
    return CommandResult(code, output, _failure(code, output))


def _failure(code: int | None, output: str) -> str | None:
    if code == 0:
        return None
    if code is None:
        return "its exit code is not known"
    told = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
    last = output.strip().rpartition("\n")[2]
    return clean_error(f"{told}: {last}" if last else told)


async def _end_group(pid: int, watch: _Watch) -> None:
    signal_group(pid, signal.SIGTERM)
    await asyncio.wait((watch.exited,), timeout=TERM_GRACE_S)
    signal_group(pid, signal.SIGKILL)  # whatever of the group is left
    await asyncio.wait((watch.exited,), timeout=TERM_GRACE_S)
