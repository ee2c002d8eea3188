"""A terminal that answers what nobody asked, and at length: does a key still reach the screen at once?"""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from bench.blackhole import footer_says, key_to_paint
from bench.figures import Row, milliseconds, percentile, say
from bench.home import keep_still, make_home
from bench.servers import server
from bench.start import CONSOLE
from bench.terminal import Terminal, watch

LIMIT = 1.25
"""Of the time that a key takes without a flood before it."""

SETTLE_S = 6.0
DRAIN_S = 0.3
FLOODS = {
    "40 kB of CSI": b"\x1b[" + b"1;" * 20_000 + b"R",
    "200 kB of OSC": b"\x1b]11;" + b"x" * 200_000 + b"\x1b\\",
}


def bench_flood(quick: bool) -> list[Row]:
    """Keys with nothing before them, and after each kind of flood, in turn."""
    times_s: dict[str, list[float]] = {name: [] for name in ("nothing", *FLOODS)}
    with ExitStack() as stack:
        url = stack.enter_context(server("ollama"))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="timmy-bench-"))
        home = make_home(Path(folder), url)
        keep_still(home)
        terminal = stack.enter_context(Terminal(CONSOLE, home.env()))
        watch([terminal], SETTLE_S)
        terminal.catch_up()
        for n in range(24 if quick else 100):
            key, here = (b"2", False) if n % 2 == 0 else (b"1", True)
            for name, taken in times_s.items():
                if name != "nothing":
                    _pour(terminal, FLOODS[name])
                taken.append(key_to_paint(terminal, key, footer_says(" model ", here), n))
                key, here = (b"1", True) if key == b"2" else (b"2", False)
    say(f"flood: a key without one is painted after {milliseconds(percentile(times_s['nothing'], 0.5))} (median)")
    plain_s = percentile(times_s["nothing"], 0.95)
    return [
        Row(
            f"key to paint after {name} (p95)",
            milliseconds(percentile(times_s[name], 0.95)),
            milliseconds(plain_s),
            percentile(times_s[name], 0.95) / plain_s,
            LIMIT,
        )
        for name in FLOODS
    ]


def _pour(terminal: Terminal, flood: bytes) -> None:
    """Write more than the terminal's buffer holds, and wait until the console has read it."""
    writer = threading.Thread(target=_write_all, args=(terminal.fd, flood))
    writer.start()
    while writer.is_alive():
        watch([terminal], 0.01)
    writer.join()
    watch([terminal], DRAIN_S)
    terminal.catch_up()


def _write_all(fd: int, flood: bytes) -> None:
    left = flood
    while left:
        left = left[os.write(fd, left) :]
