"""A log too long for one look: shown by its end at once, counted over several looks, and exact in the end."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
from tick_maker import day_path, tick_line

from timmy_tui.services.reading import Reading
from timmy_tui.services.severity import problems
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks.day import CATCH_UP_S
from timmy_tui.services.ticks.log import HeartbeatStore
from timmy_tui.services.ticks.records import HeartbeatReading

TODAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TICKS = 4_000
"""Of 1.5 kB and more: several times what one poll of the file takes."""


def flood(folder: Path) -> None:
    folder.mkdir()
    with day_path(folder, TODAY).open("wb") as file:
        for n in range(TICKS):
            file.write(tick_line(n, at=NOON - timedelta(seconds=(TICKS - n) * 2), tick_id=f"n{n}"))
            if n % 1_000 == 7:
                file.write(b"no tick\n")


def store_of(folder: Path, *, slow: bool) -> HeartbeatStore:
    """``slow``: every look at the clock finds that a look at the file has used up its time."""
    passed = itertools.count(step=int(CATCH_UP_S) + 1)
    return HeartbeatStore(
        folder,
        every_s=600,
        clock=NOON.timestamp,
        zone=UTC,
        monotonic=(lambda: float(next(passed))) if slow else (lambda: 0.0),
    )


def looks_of(store: HeartbeatStore) -> list[HeartbeatReading]:
    readings = [store.read()]
    while readings[-1].counting:
        readings.append(store.read())
    return readings


def test_a_log_too_long_for_one_look_is_shown_by_its_end_and_counted_over_several(tmp_path: Path) -> None:
    folder = tmp_path / "heartbeat"
    flood(folder)
    whole = store_of(folder, slow=False).read()
    *counting, last = looks_of(store_of(folder, slow=True))

    assert len(counting) > 2
    totals = [reading.ticks_today for reading in (*counting, last)]
    assert totals == sorted(set(totals))
    for reading in counting:
        assert reading.recent == whole.recent
        assert (reading.last, reading.previous) == (whole.last, whole.previous)
    assert last == whole
    assert (last.ticks_today, last.bad_lines) == (TICKS, 4)


def test_a_tick_that_comes_while_the_log_is_counted_is_shown_at_once_and_counted_once(tmp_path: Path) -> None:
    folder = tmp_path / "heartbeat"
    flood(folder)
    store = store_of(folder, slow=True)
    assert store.read().counting
    with day_path(folder, TODAY).open("ab") as file:
        file.write(tick_line(TICKS, at=NOON, tick_id="new"))
    reading = store.read()
    assert reading.counting
    assert reading.last is not None
    assert (reading.last.head.tick_id, reading.recent[-1].tick_id) == ("new", "new")
    end = looks_of(store)[-1]
    assert (end.ticks_today, [head.tick_id for head in end.recent].count("new")) == (TICKS + 1, 1)


def test_totals_that_are_not_whole_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "heartbeat"
    flood(folder)
    reading = store_of(folder, slow=True).read()
    snapshot = Snapshot(host="here", heartbeat=Reading(value=reading, at=NOON.timestamp()))
    said = [problem.text for problem in problems(snapshot, NOON.timestamp())]
    assert f"today's log is very long: {reading.ticks_today:,} ticks counted so far" in said
    whole = msgspec.structs.replace(
        snapshot, heartbeat=Reading(value=looks_of(store_of(folder, slow=True))[-1], at=1.0)
    )
    assert not any("so far" in problem.text for problem in problems(whole, NOON.timestamp()))
