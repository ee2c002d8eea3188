"""A loop with threads for blocking reads, whose end does not wait for them.

A read from a lost network mount never ends, and ``asyncio.run`` waits for it. Whoever runs a loop by
:func:`run_apart` ends the process by :func:`timmy_tui.cli.main`, which does not wait for ever either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

READERS = 16
"""Threads: more than there are sources, so that a stuck one takes nobody's place."""


class Readers(ThreadPoolExecutor):
    """A thread pool whose end waits for nobody."""

    def __init__(self) -> None:
        super().__init__(READERS, thread_name_prefix="read")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more, and drop what has not begun; a loop that closes asks to wait, and is not heard."""
        super().shutdown(wait=False, cancel_futures=True)


def run_apart(command: Coroutine[object, object, T]) -> T:
    """As ``asyncio.run``, except that what its threads have begun goes on."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(Readers())
        return runner.run(command)
