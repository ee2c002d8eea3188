"""Steps that may hang or fail, each with a deadline: one must not cost the tick its record."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

from timmy_tui.config import ConfigError
from timmy_tui.services.reading import SourceError

END_GRACE_S = 1.0
"""How long a cancelled step may take to end what it started."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


async def contained(step: Coroutine[object, object, T], timeout_s: float) -> T | BaseException:
    """The result of ``step``, or as a value what it raised: ``TimeoutError`` after ``timeout_s``, when it is cancelled.

    What no service documents is a mistake of ours and goes to the log with its traceback.
    """
    task = asyncio.ensure_future(step)
    try:
        done, _ = await asyncio.wait((task,), timeout=timeout_s)
    finally:
        task.cancel()
    if not done:
        await asyncio.wait((task,), timeout=END_GRACE_S)
        return TimeoutError(f"no end within {timeout_s:.3g} s")
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is None:
        return task.result()
    if not isinstance(error, SourceError | ConfigError):
        _log.error("a step failed", exc_info=error)
    return error


async def ask_blocking(question: Callable[[], T], timeout_s: float) -> T:
    """The answer of ``question``, asked in a thread of its own; ``TimeoutError`` after ``timeout_s``.

    The thread is a daemon, unlike the event loop's own: one that hangs for good holds up no end of a process.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(setter: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(lambda: None if answer.done() else setter())
        except RuntimeError:  # the loop has ended meanwhile
            pass

    def ask() -> None:
        try:
            value = question()
        except Exception as error:  # noqa: BLE001 -- it is raised again where it is awaited
            settle(lambda error=error: answer.set_exception(error))  # type: ignore[misc]
        else:
            settle(lambda: answer.set_result(value))

    threading.Thread(target=ask, name="ask_blocking", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await answer
