"""A console that nobody touches over a stack in which nothing happens: CPU, memory, bytes."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench import ROOT
from bench.figures import Row, say
from bench.home import DAY_TICKS, MANY_TICKS, keep_still, make_home, terminal_env
from bench.process import children_cpu_s, cpu_s, rss_bytes
from bench.servers import server
from bench.start import BARE, CONSOLE
from bench.terminal import Terminal, python, watch

CPU_LIMIT = 2.0
BYTES_PER_S_LIMIT = 500
DAY_LIMIT_BYTES = 25 * 10**6
MANY_LIMIT_BYTES = 60 * 10**6
SETTLE_S = 8.0

CLOCK = python(str(ROOT / "bench" / "bare_app.py"), "clock")


def bench_idle(quick: bool) -> list[Row]:
    """All of them side by side, in one stretch of time."""
    seconds = 20.0 if quick else 60.0
    with ExitStack() as stack:
        url = stack.enter_context(server("ollama"))
        day, many = (
            make_home(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="timmy-bench-"))), url, ticks=ticks)
            for ticks in (DAY_TICKS, MANY_TICKS)
        )
        for home in (day, many):
            keep_still(home)
        bare = stack.enter_context(Terminal(BARE, terminal_env()))
        clock = stack.enter_context(Terminal(CLOCK, terminal_env()))
        ours = stack.enter_context(Terminal(CONSOLE, day.env()))
        loaded = stack.enter_context(Terminal(CONSOLE, many.env()))
        everyone = [bare, clock, ours, loaded]
        watch(everyone, SETTLE_S)
        cpu_before = {terminal: cpu_s(terminal.pid) for terminal in everyone}
        children_before = children_cpu_s(ours.pid)
        started = time.perf_counter()
        watch(everyone, seconds)
        took_s = time.perf_counter() - started
        cpu = {terminal: (cpu_s(terminal.pid) - cpu_before[terminal]) / took_s for terminal in everyone}
        children = (children_cpu_s(ours.pid) - children_before) / took_s
        bytes_per_s = {terminal: terminal.written_bytes(started, started + took_s) / took_s for terminal in everyone}
        rss = {terminal: rss_bytes(terminal.pid) for terminal in everyone}
        for terminal in (ours, loaded):
            terminal.catch_up()
            if " labelled" not in terminal.text():
                raise RuntimeError(f"the console shows no ticks:\n{terminal.text()}")
    if children:
        say(f"idle: processes that the console ran took {children:.2%} more")
    say(f"idle: over {took_s:.0f} s; the bare app without a clock {cpu[bare]:.3%}, load {os.getloadavg()[0]:.1f}")
    return [
        _cpu("idle CPU with a day's ticks, against a bare app with a clock", cpu[ours], cpu[clock]),
        _cpu("idle CPU with 100,000 ticks, against a bare app with a clock", cpu[loaded], cpu[clock]),
        _bytes("bytes to the terminal per second", bytes_per_s[ours], bytes_per_s[clock]),
        _memory("memory with a day's ticks", rss[ours], rss[bare], DAY_LIMIT_BYTES),
        _memory("memory with 100,000 ticks", rss[loaded], rss[bare], MANY_LIMIT_BYTES),
    ]


def _cpu(name: str, ours: float, clock: float) -> Row:
    return Row(name, f"{ours:.2%}", f"{clock:.2%}", ours / clock, CPU_LIMIT)


def _bytes(name: str, ours: float, clock: float) -> Row:
    shown = f"limit {BYTES_PER_S_LIMIT} (a clock {clock:.0f})"
    return Row(name, f"{ours:.0f}", shown, ours / BYTES_PER_S_LIMIT, 1.0)


def _memory(name: str, ours: int, bare: int, more: int) -> Row:
    shown = f"bare {bare / 1e6:.1f} + {more / 1e6:.0f} MB"
    return Row(name, f"{ours / 1e6:.1f} MB", shown, ours / (bare + more), 1.0)
