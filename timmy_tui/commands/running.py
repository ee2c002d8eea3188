"""Running a command's coroutine so that a source that hangs can't keep the process alive."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

READERS = 16
"""Threads for blocking reads: more than there are sources, so that a stuck one takes nobody's place."""


class Readers(ThreadPoolExecutor):
    """A thread pool that knows what is still under way."""

    def __init__(self) -> None:
        super().__init__(READERS, thread_name_prefix="read")
        self.under_way: set[Future[Any]] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As the base class, remembering the future until it is done."""
        future = super().submit(fn, *args, **kwargs)
        self.under_way.add(future)
        future.add_done_callback(self.under_way.discard)
        return future


def run_to_exit_code(command: Coroutine[object, object, int]) -> int:
    """The exit code that ``command`` returns; it must have written all that it has to say.

    At its end Python waits for every thread, and a read from a lost network mount never ends: then the
    process leaves without waiting.
    """
    readers = Readers()
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(readers)
        code = runner.run(command)
        readers.shutdown(wait=False, cancel_futures=True)
        runner.get_loop().set_default_executor(Readers())
    if readers.under_way:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
