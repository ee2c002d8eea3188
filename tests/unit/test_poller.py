"""One source on its interval: never asked twice at once, never healthy when it is not, and never silent for long.

Time is a number that the test sets; the poller's pauses are taken over by :class:`Paced`, so nothing waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.poller import BACKOFF_MAX_S, BLUR_FACTOR, Pace, Poller
from timmy_tui.services.reading import Reading, SourceError

START = 1_000.0
AT_ONCE_S = 0.0
"""A deadline that has passed at the first look: what does not answer at once is late."""


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Source:
    """Answers what it is told to; while ``held`` a question stays open."""

    def __init__(self) -> None:
        self.answer: object = 0
        self.asked = 0
        self.open_now = 0
        self.most_open = 0
        self.cancelled = 0
        self.was_asked = asyncio.Event()
        self._let_go = asyncio.Event()
        self._let_go.set()

    def hold(self) -> None:
        self._let_go.clear()

    def let_go(self) -> None:
        self._let_go.set()

    async def ask(self) -> object:
        self.asked += 1
        self.was_asked.set()
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            await self._let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.open_now -= 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Paced(Poller[object]):
    """A poller whose pauses end when the test says so; it tells how long each would have been."""

    def __init__(self, ask: Callable[[], Awaitable[object]], pace: Pace, clock: Clock) -> None:
        super().__init__("source", ask, pace, clock=clock)
        self.pauses: list[float] = []
        self.paused = asyncio.Event()
        self.go_on = asyncio.Event()

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.paused.set()
        await self.go_on.wait()
        self.go_on.clear()

    async def next_pause(self) -> float:
        """Let the present pause end and wait for the next one."""
        self.paused.clear()
        self.go_on.set()
        await self.paused.wait()
        return self.pauses[-1]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def source() -> Source:
    return Source()


def poller(source: Source, clock: Clock, *, timeout_s: float = 30.0, interval_s: float = 2.0) -> Poller[object]:
    return Poller("the source", source.ask, Pace(interval_s, timeout_s), clock=clock, hint="start it")


@contextlib.asynccontextmanager
async def running(paced: Paced) -> AsyncIterator[list[Reading[object]]]:
    """The poller's loop, in its first pause."""
    published: list[Reading[object]] = []
    task = asyncio.create_task(paced.run(published.append))
    await paced.paused.wait()
    try:
        yield published
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_an_answer_is_a_fresh_reading(source: Source, clock: Clock) -> None:
    source.answer = "value"
    reading = await poller(source, clock).poll()
    assert (reading.value, reading.at, reading.error) == ("value", START, None)
    assert reading.next_at == START + 2
    assert reading.state(START) == "fresh"


async def test_a_value_goes_stale_by_its_age_alone(source: Source, clock: Clock) -> None:
    """A suspended machine polls nothing and fails nothing; its numbers are old all the same."""
    reading = await poller(source, clock, timeout_s=5).poll()
    slowest = 3 * 2 * BLUR_FACTOR + 5
    assert reading.state(START + slowest) == "fresh"
    assert reading.state(START + slowest + 1) == "stale"


async def test_a_source_that_hangs_is_never_asked_twice(source: Source, clock: Clock) -> None:
    source.hold()
    one = poller(source, clock, timeout_s=AT_ONCE_S)
    for _ in range(5):
        assert (await one.poll()).state(clock.now) == "absent"
    assert (source.asked, source.most_open) == (1, 1)
    await one.aclose()


async def test_a_late_answer_is_taken_when_it_comes(source: Source, clock: Clock) -> None:
    source.answer = "late"
    source.hold()
    one = poller(source, clock, timeout_s=AT_ONCE_S)
    await one.poll()
    source.let_go()
    one.pace = Pace(2.0, 30.0)
    clock.now += 7
    reading = await one.poll()
    assert (reading.value, reading.at, reading.error) == ("late", START + 7, None)
    assert source.asked == 1


async def test_a_missed_deadline_keeps_the_old_value_and_says_so(source: Source, clock: Clock) -> None:
    source.answer = "old"
    one = poller(source, clock)
    await one.poll()
    source.hold()
    one.pace = Pace(2.0, AT_ONCE_S)
    clock.now += 10
    reading = await one.poll()
    assert (reading.value, reading.at) == ("old", START)
    assert reading.error == "no answer from the source within 0 s"
    assert reading.hint == "start it"
    assert reading.state(clock.now) == "stale"
    await one.aclose()


async def test_a_failure_before_any_value_is_absent(source: Source, clock: Clock) -> None:
    source.answer = SourceError("it is not there", "make it")
    reading = await poller(source, clock).poll()
    assert (reading.value, reading.at) == (None, None)
    assert (reading.error, reading.hint) == ("it is not there", "make it")
    assert reading.state(START) == "absent"


async def test_the_first_failure_in_a_row_is_remembered(source: Source, clock: Clock) -> None:
    one = poller(source, clock)
    source.answer = SourceError("down")
    since = []
    for _ in range(3):
        clock.now += 10
        since.append((await one.poll()).error_since)
    assert since == [START + 10] * 3
    source.answer = "up"
    assert (await one.poll()).error_since is None
    source.answer = SourceError("down again")
    clock.now += 10
    assert (await one.poll()).error_since == START + 40


async def test_an_unexpected_failure_is_a_reading_too(
    source: Source, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    source.answer = "old"
    one = poller(source, clock)
    await one.poll()
    source.answer = ZeroDivisionError("a\x1b[2J bug, key sk-abcdefgh12345678")
    reading = await one.poll()
    assert reading.value == "old"
    assert reading.error is not None
    assert reading.error.startswith("internal error in the source: ZeroDivisionError")
    assert reading.error.isprintable()
    assert "abcdefgh" not in reading.error
    assert reading.hint == "See the log file."
    assert caplog.records[-1].exc_info is not None


async def test_a_question_that_somebody_else_cancelled_is_a_failed_reading(source: Source, clock: Clock) -> None:
    source.answer = "old"
    one = poller(source, clock)
    await one.poll()
    source.answer = asyncio.CancelledError()
    reading = await one.poll()
    assert (reading.value, reading.error) == ("old", "the question to the source was given up")
    source.answer = "new"
    assert (await one.poll()).value == "new"


async def test_the_pause_grows_with_each_failure_and_is_reset_by_an_answer(source: Source, clock: Clock) -> None:
    paced = Paced(source.ask, Pace(2.0, 30.0), clock)
    source.answer = SourceError("down")
    async with running(paced):
        pauses = [paced.pauses[0], *[await paced.next_pause() for _ in range(5)]]
        assert pauses == [4, 8, 16, BACKOFF_MAX_S, BACKOFF_MAX_S, BACKOFF_MAX_S]
        source.answer = "up"
        assert await paced.next_pause() == 2
        source.answer = SourceError("down")
        assert await paced.next_pause() == 4


@given(st.floats(0.1, 86_400), st.integers(0, 10_000))
def test_the_pause_after_failures_is_bounded(interval_s: float, failures: int) -> None:
    pause_s = Pace(interval_s, 1.0).backoff_s(failures)
    assert interval_s <= pause_s <= max(interval_s, BACKOFF_MAX_S)


async def test_every_reading_is_published(source: Source, clock: Clock) -> None:
    paced = Paced(source.ask, Pace(2.0, 30.0), clock)
    async with running(paced) as published:
        for answer in ("one", "two"):
            source.answer = answer
            await paced.next_pause()
    assert [reading.value for reading in published] == [0, "one", "two"]


async def test_a_slow_poller_pauses_longer(source: Source, clock: Clock) -> None:
    paced = Paced(source.ask, Pace(2.0, 30.0), clock)
    async with running(paced):
        paced.slow = True
        assert await paced.next_pause() == 2 * BLUR_FACTOR
        paced.slow = False
        assert await paced.next_pause() == 2


async def test_the_time_that_publishing_took_is_part_of_the_interval(source: Source, clock: Clock) -> None:
    paced = Paced(source.ask, Pace(2.0, 30.0), clock)

    def publish(reading: Reading[object]) -> None:
        clock.now += 0.5

    task = asyncio.create_task(paced.run(publish))
    await paced.paused.wait()
    task.cancel()
    assert paced.pauses == [1.5]


async def test_after_a_suspend_the_source_is_asked_at_once(source: Source, clock: Clock) -> None:
    paced = Paced(source.ask, Pace(2.0, 30.0), clock)

    def publish(reading: Reading[object]) -> None:
        clock.now += 3_600

    task = asyncio.create_task(paced.run(publish))
    await paced.paused.wait()
    task.cancel()
    assert paced.pauses == [0.0]


async def test_wake_ends_the_pause_at_once(source: Source, clock: Clock) -> None:
    """With the real pause of a day: only being woken can end it."""
    one: Poller[object] = Poller("source", source.ask, Pace(86_400, 30.0), clock=clock)
    second = asyncio.Event()
    readings: list[Reading[object]] = []

    def publish(reading: Reading[object]) -> None:
        readings.append(reading)
        if len(readings) == 1:
            asyncio.get_running_loop().call_soon(one.wake)
        else:
            second.set()

    task = asyncio.create_task(one.run(publish))
    await asyncio.wait_for(second.wait(), 10)
    task.cancel()
    assert source.asked == 2


async def test_a_wake_during_a_question_is_not_lost(source: Source, clock: Clock) -> None:
    """What changed while the answer was under way may not be in it."""
    source.hold()
    one: Poller[object] = Poller("source", source.ask, Pace(86_400, 30.0), clock=clock)
    first, second = asyncio.Event(), asyncio.Event()
    events = iter((first, second))
    task = asyncio.create_task(one.run(lambda reading: next(events).set()))
    await source.was_asked.wait()
    one.wake()
    source.let_go()
    await asyncio.wait_for(second.wait(), 10)
    task.cancel()
    assert source.asked == 2


async def test_the_end_of_the_poller_gives_up_the_question(source: Source, clock: Clock) -> None:
    source.hold()
    paced = Paced(source.ask, Pace(2.0, AT_ONCE_S), clock)
    async with running(paced):
        assert source.open_now == 1
    await asyncio.sleep(0)
    assert (source.open_now, source.cancelled) == (0, 1)
