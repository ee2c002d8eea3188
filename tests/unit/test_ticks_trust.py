"""Promise 10 of the tick log: a clock that is ahead, a log that nobody can read, times in other forms."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tick_maker import day_path, tick_line

from timmy_tui.services.moments import epoch_seconds
from timmy_tui.services.reading import Reading
from timmy_tui.services.severity import overall
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks.log import HeartbeatStore
from timmy_tui.services.ticks.records import HeartbeatReading

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AT = NOW.timestamp()


class Log:
    """One folder of ticks and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.now = AT
        self.store = HeartbeatStore(folder, every_s=600, clock=lambda: self.now, zone=UTC)

    def add(self, minutes: float, severity: str = "ok", *, file: int = 20, **extra: object) -> None:
        at = datetime.fromtimestamp(AT + 60 * minutes, UTC)
        line = tick_line(int(minutes) % 1000, at=at, severity=severity, **extra)  # type: ignore[arg-type]
        path = day_path(self.folder, NOW.date().replace(day=file))
        with path.open("ab") as log:
            log.write(line)
        os.utime(path, (self.now, self.now))

    def write(self, data: bytes) -> HeartbeatReading:
        day_path(self.folder, NOW.date()).write_bytes(data)
        return self.store.read()

    def problems(self) -> tuple[str, ...]:
        reading = Reading(value=self.store.read(), at=self.now)
        return overall(Snapshot(host="here", heartbeat=reading), self.now).problems


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "heartbeat")


@pytest.mark.parametrize("file", [20, 29])
def test_a_tick_of_the_future_hides_no_critical_one(log: Log, file: int) -> None:
    log.add(-1, "critical")
    log.add(3 * 24 * 60, "ok", file=file, host="fast-clock")
    reading = log.store.read()
    assert reading.last is not None
    assert reading.last.head.severity == "critical"
    assert reading.age_s(AT) == 60
    told = [problem for problem in log.problems() if "future" in problem]
    assert len(told) == 1
    assert "fast-clock" in told[0]
    assert f"ticks_202611{file}" in told[0]


def test_silence_behind_a_tick_of_the_future_is_judged_by_when_it_came(log: Log) -> None:
    log.add(3 * 60)
    reading = log.store.read()
    assert reading.last_is_ahead
    assert reading.age_s(log.now) is None
    assert not reading.overdue(log.now)
    assert reading.overdue(log.now + 3 * 600)
    log.now += 3600
    assert any("overdue" in problem for problem in log.problems())


def test_a_clock_that_differs_a_little_is_no_problem(log: Log) -> None:
    log.add(0.9)
    assert log.store.read().ahead is None
    assert not any("future" in problem for problem in log.problems())


def test_the_time_of_a_tick_that_was_ahead_comes(log: Log) -> None:
    log.add(-1)
    log.add(5, "critical")
    assert log.store.read().ahead is not None
    log.now += 4.5 * 60
    reading = log.store.read()
    assert reading.ahead is None
    assert reading.last is not None
    assert reading.last.head.severity == "critical"


TICK = json.loads(tick_line(1, at=NOW))
UNREADABLE = {
    "UTF-16": (f"{json.dumps(TICK)}\n" * 3).encode("utf-16"),
    "UTF-16 without a mark": (f"{json.dumps(TICK)}\n" * 3).encode("utf-16-le"),
    "array": json.dumps([TICK, TICK]).encode() + b"\n",
    "array in lines": b"[\n" + json.dumps(TICK).encode() + b",\n" + json.dumps(TICK).encode()[:-1] + b"\n]\n",
    "pretty": json.dumps(TICK, indent=2).encode() + b"\n",
    "CR": json.dumps(TICK).encode() + b"\r" + json.dumps(TICK).encode() + b"\r",
    "log driver": b"".join(json.dumps({"log": json.dumps(TICK), "stream": "stdout"}).encode() + b"\n" for _ in "ab"),
    "prefix": b"2026-11-20T12:00:00Z stdout F " + json.dumps(TICK).encode()[:-9] + b"\n",
    "gzip": b"\x1f\x8b" + bytes(range(256)) * 4 + b"\n",
}
KINDS = {"CR": "CR", "pretty": "pretty-printed", "prefix": "log driver", "array in lines": "array"}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_log_of_which_no_line_can_be_read_is_a_problem_that_names_its_kind(log: Log, name: str) -> None:
    reading = log.write(UNREADABLE[name])
    assert reading.last is None
    assert reading.unreadable is not None
    kind = KINDS.get(name, name.split()[0] if name.startswith("UTF") else name)
    assert kind in reading.unreadable
    assert "no line of the log can be read (" in reading.unreadable
    assert any("no line of the log can be read" in problem for problem in log.problems())


def test_lines_of_no_known_kind_are_counted(log: Log) -> None:
    assert log.write(b"hello\nworld\n").unreadable == "no line of the log can be read (2 bad)"


@pytest.mark.parametrize("data", [b"", b'{"tick_id": "2026', b"\n\n"])
def test_an_empty_log_and_a_first_line_under_way_are_no_problem(log: Log, data: bytes) -> None:
    assert log.write(data).unreadable is None


@pytest.mark.parametrize("factor", [1, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("form", [float, int, str])
def test_a_time_in_numbers_is_a_time(log: Log, factor: float, form: type) -> None:
    stamp = form(AT * factor) if form is not str else str(int(AT * factor))
    tree = {**TICK, "tick_id": "20240101_000000", "timestamp": stamp}
    reading = log.write(json.dumps(tree).encode() + b"\n")
    assert reading.last is not None
    assert reading.last.head.at == pytest.approx(AT)


@pytest.mark.parametrize("value", [True, None, "", "soon", -5, 0, 1e40, float("nan"), float("inf"), [], "1e9", "0x10"])
def test_what_is_no_time_is_none(value: object) -> None:
    assert epoch_seconds(value) is None
