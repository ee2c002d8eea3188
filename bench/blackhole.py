"""Every source that can hang hangs: does a key still reach the screen at once?"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from bench.figures import Row, percentile, within
from bench.home import Home, make_home
from bench.servers import server
from bench.start import CONSOLE
from bench.terminal import Seen, Terminal, watch

LIMIT_S = 0.05
SETTLE_S = 6.0
PRESS_S = 0.4
NEVER_S = 1.0
"""What a key counts that had no effect in its time."""


def bench_blackhole(quick: bool) -> list[Row]:
    """Ollama and an OpenAI-like server take requests and never answer; all databases are locked."""
    pane_s: list[float] = []
    row_s: list[float] = []
    with ExitStack() as stack:
        url = stack.enter_context(server("hang"))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="timmy-bench-"))
        home = make_home(Path(folder), url)
        for path in _databases(home):
            _hold(path, stack)
        terminal = stack.enter_context(Terminal(CONSOLE, home.env()))
        watch([terminal], SETTLE_S)
        terminal.catch_up()
        rounds = 24 if quick else 120
        for n in range(rounds):
            # The models pane's own keys stand in the footer only while it has the focus.
            key, here = (b"2", False) if n % 2 == 0 else (b"1", True)
            pane_s.append(key_to_paint(terminal, key, footer_says(" model ", here), n))
        terminal.write(b"3")
        watch([terminal], 1.0)
        terminal.catch_up()
        for n in range(rounds):
            before = terminal.text().splitlines()[1:-2]

            def moved(terminal: Terminal, before: list[str] = before) -> bool:
                return terminal.text().splitlines()[1:-2] != before

            row_s.append(key_to_paint(terminal, b"j" if n % 2 == 0 else b"k", moved, n))
    return [
        within("black holes: 1, 2 to another pane", percentile(pane_s, 0.95), LIMIT_S, "p95"),
        within("black holes: j, k to another tick", percentile(row_s, 0.95), LIMIT_S, "p95"),
    ]


def key_to_paint(terminal: Terminal, key: bytes, effect: Seen, n: int) -> float:
    """Seconds from a key to the end of the first frame that shows its effect."""
    at = terminal.write(key)
    watch([terminal], PRESS_S + 0.013 * (n % 17))  # out of step with the clock
    seen_at = terminal.first(effect)
    terminal.catch_up()
    return NEVER_S if seen_at is None else seen_at - at


def footer_says(word: str, wanted: bool) -> Seen:
    """Whether the line of keys has a word."""
    return lambda terminal: (word in terminal.text().splitlines()[-1]) is wanted


def _databases(home: Home) -> list[Path]:
    return [home.state_db, home.root / "timmy" / "timmy.db", home.root / "timmy" / "queue.db"]


def _hold(path: Path, stack: ExitStack) -> None:
    """Lock a database against every reader, for as long as ``stack`` stands."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("CREATE TABLE IF NOT EXISTS bench (held_at REAL)")
        connection.commit()
    holder = sqlite3.connect(path, isolation_level=None)
    stack.callback(holder.close)
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("INSERT INTO bench VALUES (?)", (time.time(),))
