"""Starting the Ollama server of this machine, when a script needs it and it does not run."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping

from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

WAIT_S = 20.0
LOOK_S = 0.1


class StartError(SourceError):
    """Ollama was not started, or does not answer."""


_started: list[subprocess.Popen[bytes]] = []
"""Kept: it goes on when this process ends, and a handle that is thrown away would be complained of."""


def _spawn(binary: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The server, detached. Not asyncio's: that kills its children with its loop."""
    process = subprocess.Popen(
        [binary, "serve"],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _started.append(process)
    return process


async def start_server(
    env: Mapping[str, str],
    is_running: Callable[[], Awaitable[bool]],
    *,
    wait_s: float = WAIT_S,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Start ``ollama serve`` detached from this process, and return when it answers. Raises :class:`StartError`."""
    if await is_running():
        return
    binary = shutil.which("ollama", path=env.get("PATH", os.defpath))
    if binary is None:
        raise StartError("there is no command ollama", "See https://ollama.com/download")
    try:
        process = await asyncio.to_thread(_spawn, binary, env)
    except OSError as error:
        raise StartError(f"{clean(binary)} can't be started: {clean_error(error.strerror or error)}") from None
    until = monotonic() + wait_s
    while monotonic() < until:
        if await is_running():
            return
        code = process.poll()
        if code is not None:
            told = f"ollama serve ended at once with code {code}"
            raise StartError(told, "Run it by hand:  ollama serve")
        await asyncio.sleep(LOOK_S)
    raise StartError(f"ollama serve does not answer after {wait_s:g} s", "Look at its log, or at OLLAMA_HOST")
