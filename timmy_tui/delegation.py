"""Work for local models, from a script:

    from timmy_tui.delegation import delegate
    answer = delegate("Say what this does:\\n" + source, task="coding")
    print(answer.text if answer.success else answer.error)

A failure is an :class:`LLMResponse` with ``success=False`` and the reason, never an exception from the network. Every
call is a line of the usage log (``timmy-tui usage``). The plain functions run a loop of their own: in a coroutine use
:func:`delegate_async`, or a :class:`Delegator` for many calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from timmy_tui.config import ConfigError, Settings, load_settings
from timmy_tui.services.delegation.delegator import Delegator, delegator
from timmy_tui.services.delegation.records import LLMResponse
from timmy_tui.services.delegation.start import start_server
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean_error

__all__ = [
    "Delegator",
    "LLMResponse",
    "delegate",
    "delegate_async",
    "delegate_many",
    "delegate_with_retry",
    "is_ollama_running",
    "quick_analysis",
    "quick_answer",
    "quick_code",
    "start_ollama",
    "stream",
]

T = TypeVar("T")

CALLER = "delegate"


async def delegate_async(
    prompt: str,
    task: str = "coding",
    *,
    model: str | None = None,
    timeout_s: float | None = None,
    caller: str = CALLER,
    on_text: Callable[[str], None] | None = None,
    settings: Settings | None = None,
) -> LLMResponse:
    """The answer of the first model of the task's chain that has one; of ``model`` alone when it is named.

    ``on_text`` gets the answer piece by piece.
    """
    try:
        made = settings or load_settings(os.environ)
    except ConfigError as error:
        return _failed(clean_error(error), task)
    async with delegator(made, os.environ, caller=caller) as asked:
        return await asked.ask(prompt, task=task, model=model, timeout_s=timeout_s, on_text=on_text)


def delegate(
    prompt: str,
    task: str = "coding",
    *,
    model: str | None = None,
    timeout_s: float | None = None,
    caller: str = CALLER,
    settings: Settings | None = None,
) -> LLMResponse:
    """:func:`delegate_async` for a script without a loop of its own."""
    return _run(delegate_async(prompt, task, model=model, timeout_s=timeout_s, caller=caller, settings=settings))


def delegate_with_retry(
    prompt: str,
    task: str = "coding",
    *,
    retries: int = 2,
    delay_s: float = 1.0,
    model: str | None = None,
    timeout_s: float | None = None,
    caller: str = CALLER,
    settings: Settings | None = None,
) -> LLMResponse:
    """:func:`delegate`, up to ``retries`` times more when nobody answered; ``delay_s`` apart, twice that each time."""

    async def tries() -> LLMResponse:
        answer = await once()
        for number in range(retries):
            if answer.success or not answer.backend:  # who was not even asked will not be so in a moment
                break
            await asyncio.sleep(delay_s * 2**number)
            answer = await once()
        return answer

    async def once() -> LLMResponse:
        return await delegate_async(prompt, task, model=model, timeout_s=timeout_s, caller=caller, settings=settings)

    return _run(tries())


def delegate_many(
    prompts: Sequence[str],
    task: str = "quick",
    *,
    model: str | None = None,
    in_flight: int = 8,
    caller: str = CALLER,
    settings: Settings | None = None,
) -> list[LLMResponse]:
    """The answers in the order of ``prompts``, at most ``in_flight`` asked at once."""

    async def all_of_them() -> list[LLMResponse]:
        try:
            made = settings or load_settings(os.environ)
        except ConfigError as error:
            return [_failed(clean_error(error), task) for _ in prompts]
        async with delegator(made, os.environ, caller=caller) as asked:
            return await asked.ask_many(prompts, task=task, model=model, in_flight=in_flight)

    return _run(all_of_them())


def stream(
    prompt: str,
    task: str = "coding",
    *,
    model: str | None = None,
    timeout_s: float | None = None,
    caller: str = CALLER,
    settings: Settings | None = None,
) -> Iterator[str | LLMResponse]:
    """The answer piece by piece as it is made; the last item is the whole :class:`LLMResponse`."""
    pieces: queue.Queue[str | LLMResponse | BaseException] = queue.Queue()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[LLMResponse]]] = []
    begun = threading.Event()

    async def ask() -> LLMResponse:
        task_now = asyncio.current_task()
        assert task_now is not None
        running.append((asyncio.get_running_loop(), task_now))
        begun.set()
        return await delegate_async(
            prompt, task, model=model, timeout_s=timeout_s, caller=caller, on_text=pieces.put, settings=settings
        )

    def work() -> None:
        try:
            pieces.put(asyncio.run(ask()))
        except BaseException as error:  # noqa: BLE001 -- told by whoever reads the pieces
            begun.set()
            pieces.put(error)

    thread = threading.Thread(target=work, name="stream", daemon=True)
    thread.start()
    try:
        while True:
            piece = pieces.get()
            if isinstance(piece, BaseException):
                raise piece
            yield piece
            if isinstance(piece, LLMResponse):
                return
    finally:  # who stops reading hangs up
        begun.wait()
        for loop, asked in running:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(asked.cancel)
        thread.join()


def quick_code(prompt: str) -> LLMResponse:
    """A piece of code from a coding model."""
    return delegate(prompt, "coding")


def quick_analysis(prompt: str) -> LLMResponse:
    """A look at something from an analysis model."""
    return delegate(prompt, "analysis")


def quick_answer(prompt: str) -> LLMResponse:
    """A short answer from the smallest model."""
    return delegate(prompt, "quick")


def is_ollama_running(settings: Settings | None = None) -> bool:
    """Whether the configured Ollama server answers."""

    async def look() -> bool:
        try:
            made = settings or load_settings(os.environ)
        except ConfigError:
            return False
        async with delegator(made, os.environ, caller=CALLER) as asked:
            return await asked.is_running()

    return _run(look())


def start_ollama(settings: Settings | None = None, *, wait_s: float = 20.0) -> tuple[bool, str]:
    """Start ``ollama serve`` when it does not run; whether it answers now, and why not otherwise."""

    async def start() -> tuple[bool, str]:
        try:
            made = settings or load_settings(os.environ)
            async with delegator(made, os.environ, caller=CALLER) as asked:
                await start_server(os.environ, asked.is_running, wait_s=wait_s)
        except ConfigError as error:
            return False, clean_error(error)
        except SourceError as error:
            return False, f"{error.message}. {error.hint}".strip(" .") + "."
        return True, ""

    return _run(start())


def _run(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine in a loop of its own; a thread has it where this one runs a loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


def _failed(error: str, task: str) -> LLMResponse:
    return LLMResponse("", "", "", 0.0, 0, 0.0, success=False, error=error, task=task)
