"""A newline that was lost between two ticks loses none of them: in the log, the history, the review, the export."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from export_home import ExportHome
from tick_maker import day_path, tick_line

from timmy_tui.services.review.candidates import CandidateFile
from timmy_tui.services.ticks.history import TickHistory
from timmy_tui.services.ticks.log import HeartbeatStore
from timmy_tui.services.ticks.parse import whole_records

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


def tick(n: int) -> bytes:
    return tick_line(n, at=AT.replace(minute=n)).rstrip(b"\n")


GLUED = {
    "two on one": (tick(1) + tick(2) + b"\n" + tick(3) + b"\n", 3, 0),
    "three, with blanks": (tick(1) + b"  " + tick(2) + b" " + tick(3) + b"\n", 3, 0),
    "torn, then whole": (tick(1)[:200] + tick(2) + b"\n" + tick(3) + b"\n", 2, 1),
    "whole, then torn": (tick(1) + tick(2)[:200] + b"\n" + tick(3) + b"\n", 2, 1),
    "a tick within a torn one is none": (b'{"tick_id": "a", "perception": {"seen": ' + tick(2) + b', "b\n', 0, 1),
    "another writer's object": (tick(1) + b'{"level": "info"}\n', 1, 1),
}


@pytest.mark.parametrize(("data", "ticks", "bad"), GLUED.values(), ids=GLUED.keys())
def test_every_whole_tick_counts_everywhere(tmp_path: Path, data: bytes, ticks: int, bad: int) -> None:
    folder = tmp_path / "heartbeat"
    folder.mkdir()
    path = day_path(folder, date(2026, 11, 20))
    path.write_bytes(data)
    store = HeartbeatStore(folder, every_s=600, clock=lambda: AT.timestamp() + 600, zone=UTC)
    reading = store.read()
    assert (len(reading.recent), reading.ticks_today, reading.bad_lines) == (ticks, ticks, bad)
    for head in reading.recent:
        assert store.load(head.place).head == head
    history = TickHistory(folder, zone=UTC)
    history.build()
    assert (len(history), history.bad_lines) == (ticks, bad)
    assert [history.load(index).head.tick_id for index in range(ticks)] == [head.tick_id for head in reading.recent]
    cards = CandidateFile(path, UTC)
    cards.grow(lambda _: None, lambda: False)
    assert (len(cards), cards.bad_lines) == (ticks, bad)
    store.close()


def test_the_export_takes_both(tmp_path: Path) -> None:
    home = ExportHome(tmp_path)
    keys = [home.tick(number, prompt=f"State {number}", response="{}") for number in range(3)]
    home.day.write_bytes(home.day.read_bytes().replace(b"\n", b"", 1))
    for key in keys:
        home.label(key)
    home.export()
    assert len(home.labelled()) == 3
    assert home.manifest()["logs"]["ticks"] == 3
    assert home.manifest()["logs"]["bad_tick_lines"] == 0
    assert len([json.loads(line) for line in (home.target / "ticks" / home.day.name).read_text().splitlines()]) == 3


def test_time_grows_with_the_length() -> None:
    assert whole_records(b'{"tick_id": "a", ' * 50_000) == []
