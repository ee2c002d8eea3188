"""The tick log at 100,000 ticks: reading it, and one more tick."""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from statistics import median

import msgspec

from bench.figures import Row, milliseconds, percentile, say, within
from bench.home import MANY_TICKS, Home, make_home, write_ticks
from bench.process import cpu_s
from bench.servers import server
from bench.start import CONSOLE
from bench.terminal import Seen, Terminal, watch
from timmy_tui.services.ticks.history import TickHistory
from timmy_tui.services.ticks.log import HeartbeatStore

LOAD_LIMIT = 0.5
"""Of the speed of the bare loop, at least."""

ON_SCREEN_LIMIT_S = 0.25
GROWTH_LIMIT = 1.2
FEW_TICKS = 1_000
READY_S = 30.0
WINDOW_S = 1.0
"""A stretch of one second holds the work of one tick of the console's clock."""


def bench_load(quick: bool) -> list[Row]:
    """The whole file, by what the panes read and by what the history lists, against decoding alone."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        path = write_ticks(Path(folder), time.time(), MANY_TICKS)

        def bare() -> None:
            decode = msgspec.json.Decoder().decode
            with path.open("rb") as file:
                for line in file:
                    decode(line)

        def store() -> None:
            reading = HeartbeatStore(Path(folder), every_s=600).read()
            assert reading.ticks_today == MANY_TICKS

        def history() -> None:
            index = TickHistory(Path(folder))
            index.build()
            assert len(index) == MANY_TICKS

        bare_s, store_s, history_s = _in_turns((bare, store, history), 2 if quick else 5)
    return [
        _speed("load 100,000 ticks: the heartbeat's reading", store_s, bare_s),
        _speed("load 100,000 ticks: the history's index", history_s, bare_s),
    ]


def _speed(name: str, ours_s: Sequence[float], bare_s: Sequence[float]) -> Row:
    ours, bare = median(ours_s), median(bare_s)
    per_s = (f"{MANY_TICKS / ours / 1e3:.0f}k/s", f"{MANY_TICKS / bare / 1e3:.0f}k/s")
    return Row(f"{name}, speed", *per_s, bare / ours, LOAD_LIMIT, at_least=True)


def _in_turns(works: Sequence[Callable[[], None]], rounds: int) -> list[list[float]]:
    """The seconds of each piece of work, ``rounds`` times in turn."""
    took_s: list[list[float]] = [[] for _ in works]
    for _, (work, times) in ((n, pair) for n in range(rounds) for pair in zip(works, took_s, strict=True)):
        gc.collect()
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return took_s


def bench_append(quick: bool) -> list[Row]:
    """One more tick, in two consoles side by side, and in the service alone."""
    with ExitStack() as stack:
        url = stack.enter_context(server("ollama"))
        few, many = (
            make_home(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="timmy-bench-"))), url, ticks=ticks)
            for ticks in (FEW_TICKS, MANY_TICKS)
        )
        rows = _append_on_screen(few, many, rounds=10 if quick else 24)
        rows.append(_append_in_service(few, many, rounds=100 if quick else 400))
    return rows


def _append_on_screen(few: Home, many: Home, rounds: int) -> list[Row]:
    latency_s: dict[Home, list[float]] = {few: [], many: []}
    idle_s: dict[Home, list[float]] = {few: [], many: []}
    busy_s: dict[Home, list[float]] = {few: [], many: []}
    with ExitStack() as stack:
        consoles = {home: stack.enter_context(Terminal(CONSOLE, home.env())) for home in (few, many)}
        _settle(list(consoles.values()))
        for n, (home, terminal) in ((n, pair) for n in range(rounds) for pair in consoles.items()):
            word = f"bench-word-{n}-of-{terminal.pid}"
            # Out of step with the clock and the polls, so that the wait for them counts in full.
            watch(list(consoles.values()), 0.137 * (n % 7))
            terminal.catch_up()
            started = cpu_s(terminal.pid)
            watch(list(consoles.values()), WINDOW_S)
            terminal.catch_up()
            middle = cpu_s(terminal.pid)
            at = time.perf_counter()
            home.append_tick(n, word)
            watch(list(consoles.values()), WINDOW_S)
            idle_s[home].append(middle - started)
            busy_s[home].append(cpu_s(terminal.pid) - middle)
            seen_at = terminal.first(_shows(word))
            if seen_at is None:
                raise RuntimeError(f"the tick is not on the screen after {WINDOW_S} s:\n{terminal.text()}")
            latency_s[home].append(seen_at - at)
        for home in consoles:
            say(f"append: on the screen after {milliseconds(median(latency_s[home]))} (median)")
    # The lower quartile: stretches into which no slower poll fell.
    cost_s = {home: percentile(busy_s[home], 0.25) - percentile(idle_s[home], 0.25) for home in (few, many)}
    return [
        within("tick on screen at 1,000", percentile(latency_s[few], 0.95), ON_SCREEN_LIMIT_S, "p95"),
        within("tick on screen at 100,000", percentile(latency_s[many], 0.95), ON_SCREEN_LIMIT_S, "p95"),
        _growth("one tick's CPU in the console", cost_s[many], cost_s[few]),
    ]


def _shows(word: str) -> Seen:
    return lambda terminal: word in terminal.text()


def _settle(terminals: Sequence[Terminal]) -> None:
    """Until every console shows a tick and then keeps quiet."""
    end = time.perf_counter() + READY_S
    while time.perf_counter() < end:
        watch(terminals, 1.0)
        for terminal in terminals:
            terminal.catch_up()
        if all(" labelled" in terminal.text() for terminal in terminals):
            watch(terminals, 3.0)
            return
    raise RuntimeError(f"no ticks on the screen after {READY_S} s:\n{terminals[-1].text()}")


def _append_in_service(few: Home, many: Home, rounds: int) -> Row:
    stores = {home: HeartbeatStore(home.heartbeat, every_s=600) for home in (few, many)}
    took_s: dict[Home, list[float]] = {few: [], many: []}
    for store in stores.values():
        store.read()
    gc.collect()
    gc.freeze()  # the measurement's own garbage is not to be sought among 20,000 heads
    for n, (home, store) in chain.from_iterable(((n, pair) for pair in stores.items()) for n in range(rounds)):
        home.append_tick(n, f"another {n} of {os.getpid()}")
        started = time.perf_counter()
        reading = store.read()
        took_s[home].append(time.perf_counter() - started)
        assert reading.last is not None
        assert reading.last.decision is not None
        assert reading.last.decision.reasoning.startswith(f"another {n} ")
    gc.unfreeze()
    return _growth("one tick's time in the service", median(took_s[many]), median(took_s[few]))


def _growth(name: str, many_s: float, few_s: float) -> Row:
    if few_s <= 0:
        say(f"{name}: too small to be told from the noise at 1,000 ticks")
    ratio = many_s / few_s if few_s > 0 else float("inf")
    return Row(f"{name}, 100,000 against 1,000", milliseconds(many_s), milliseconds(few_s), ratio, GROWTH_LIMIT)
