"""One source on its interval: single flight, deadline, back-off, and the reading that comes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

from timmy_tui.services.reading import Reading, SourceError
from timmy_tui.text import clean_error

T = TypeVar("T")

BACKOFF_MAX_S = 30.0
BLUR_FACTOR = 4.0
"""How much slower sources are asked while nobody looks at the terminal."""


class Pace(Struct, frozen=True):
    """How often a source is asked, and how long an answer may take."""

    interval_s: float
    timeout_s: float

    def backoff_s(self, failures: int) -> float:
        """The pause after ``failures`` failures in a row: doubling, capped, never below the interval."""
        return max(self.interval_s, min(self.interval_s * 2.0 ** min(failures, 16), BACKOFF_MAX_S))


class Poller(Generic[T]):
    """Asks one source again and again and hands each :class:`Reading` on.

    ``ask`` is awaited by one caller at a time. When it misses its deadline the reading turns stale, and the *same*
    question stays under way: a source that hangs is never asked twice.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], Awaitable[T]],
        pace: Pace,
        *,
        clock: Callable[[], float],
        hint: str = "",
    ) -> None:
        self.name = name
        self.pace = pace
        self.reading: Reading[T] = Reading()
        self._ask = ask
        self._clock = clock
        self._hint = hint
        self._failures = 0
        self._wake = asyncio.Event()
        self._question: asyncio.Task[T] | None = None
        self.slow = False

    def wake(self) -> None:
        """Ask again at once instead of at the end of the pause."""
        self._wake.set()

    async def run(self, publish: Callable[[Reading[T]], None]) -> None:
        """Poll until cancelled; ``publish`` gets every reading."""
        try:
            while True:
                publish(await self.poll())
                pause_s = max(0.0, (self.reading.next_at or 0.0) - self._clock())
                await self._pause(pause_s * (BLUR_FACTOR if self.slow else 1.0))
        finally:
            await self.aclose()

    async def poll(self) -> Reading[T]:
        """Ask once and return the new reading."""
        self._wake.clear()
        question = self._question
        if question is None:
            question = self._question = asyncio.ensure_future(self._asked())
        done, _ = await asyncio.wait({question}, timeout=self.pace.timeout_s)
        now = self._clock()
        if not done:
            self._failures += 1
            self.reading = self._failed(f"no answer from {self.name} within {self.pace.timeout_s:g} s", self._hint, now)
            return self.reading
        self._question = None
        try:
            value = question.result()
        except asyncio.CancelledError:  # by somebody else: our own caller's cancellation does not come this way
            self._failures += 1
            self.reading = self._failed(f"the question to {self.name} was given up", self._hint, now)
        except SourceError as error:
            self._failures += 1
            self.reading = self._failed(error.message, error.hint, now)
        except Exception as error:
            logging.getLogger(__name__).exception("source %s failed unexpectedly", self.name)
            self._failures += 1
            self.reading = self._failed(f"internal error in {self.name}: {error!r}", "See the log file.", now)
        else:
            self._failures = 0
            self.reading = Reading(
                value=value,
                at=now,
                next_at=now + self.pace.interval_s,
                max_age_s=3 * self.pace.interval_s * BLUR_FACTOR + self.pace.timeout_s,
            )
        return self.reading

    async def aclose(self) -> None:
        """Give up a question that is under way."""
        if self._question is not None:
            self._question.cancel()
            self._question = None

    async def _asked(self) -> T:
        return await self._ask()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _failed(self, message: str, hint: str, now: float) -> Reading[T]:
        old = self.reading
        return Reading(
            value=old.value,
            at=old.at,
            error=clean_error(message),
            error_since=old.error_since if old.error is not None else now,
            hint=hint,
            next_at=now + self.pace.backoff_s(self._failures),
            max_age_s=old.max_age_s,
        )
