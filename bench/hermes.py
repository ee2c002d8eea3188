"""A large Hermes store: a look when it changed, and one when it did not."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

from hermes_store_maker import StoreWriter, make_store

from bench.figures import Row, milliseconds, say, within
from bench.home import DAY_S
from timmy_tui.services.hermes.records import HermesReading
from timmy_tui.services.hermes.store import HermesStore

SESSIONS = 5_000
MESSAGES_PER_SESSION = 23
"""Every eighth session has one message only: 100,000 and some in all."""

CHANGED_LIMIT_S = 0.05
UNCHANGED_LIMIT_S = 0.001
IN_THE_WINDOW = (1_000, 5_000)


def bench_hermes(quick: bool) -> list[Row]:
    """With a day of 1,000 sessions, and with all 5,000 within the day."""
    rows: list[Row] = []
    for inside in IN_THE_WINDOW:
        with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
            path = make_store(
                Path(folder) / "state.db",
                sessions=SESSIONS,
                messages_per_session=MESSAGES_PER_SESSION,
                spacing_s=0.95 * DAY_S / inside,
                now=time.time(),
                fts=False,
            )
            rows += _refresh(path, inside, 20 if quick else 60)
    return rows


def _refresh(path: Path, inside: int, rounds: int) -> list[Row]:
    store = HermesStore(path.parent)
    changed_s: list[float] = []
    unchanged_s: list[float] = []
    with closing(StoreWriter(path)) as writer:
        messages = writer.connection.execute("SELECT COUNT(*) FROM messages").fetchone()[0]
        first_s, reading = _timed(store)
        say(f"hermes: {len(reading.sessions):,} of {SESSIONS:,} sessions in the window, {messages:,} messages,"
            f" first look {milliseconds(first_s)}")  # fmt: skip
        for n in range(rounds):
            id = f"s{n % 50:06d}"
            writer.message(id, "assistant", f"another answer, number {n}", timestamp=time.time(), finish_reason="stop")
            writer.change(id, input_tokens=10_000 + n)
            before = reading
            took_s, reading = _timed(store)
            changed_s.append(took_s)
            assert reading != before
            # Until a file's stamp is old enough to be trusted every look is a whole one.
            time.sleep(0.15)
            store.read()
            took_s, again = _timed(store)
            if again is reading:  # else the minute has moved on
                unchanged_s.append(took_s)
            reading = again
    name = f"Hermes, {inside:,} of 5,000 sessions in the window"
    return [
        within(f"{name}, changed", median(changed_s), CHANGED_LIMIT_S, "median"),
        within(f"{name}, unchanged", median(unchanged_s), UNCHANGED_LIMIT_S, "median"),
    ]


def _timed(store: HermesStore) -> tuple[float, HermesReading]:
    started = time.perf_counter()
    reading = store.read()
    return time.perf_counter() - started, reading
