"""The heartbeat's reading: the last 24 hours, today's counts, and nothing told twice."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from tick_maker import day_path, tick_line, write_day

from timmy_tui.services.reading import SourceError
from timmy_tui.services.ticks import day, log
from timmy_tui.services.ticks.log import HeartbeatStore, TickLogError
from timmy_tui.services.ticks.records import HeartbeatReading, LabelCounts

TODAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class World:
    """A heartbeat folder and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOON
        self.store = self.open()

    def open(self) -> HeartbeatStore:
        return HeartbeatStore(
            self.folder, every_s=600, clock=lambda: self.now.timestamp(), zone=UTC, monotonic=lambda: 0.0
        )

    def append(self, data: bytes, day: date = TODAY) -> None:
        self.folder.mkdir(exist_ok=True)
        with day_path(self.folder, day).open("ab") as file:
            file.write(data)

    def tick(self, at: datetime, **keys: object) -> None:
        self.append(tick_line(1, at=at, **keys), at.date())  # type: ignore[arg-type]

    def read(self) -> HeartbeatReading:
        return self.store.read()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "heartbeat")


def ids(reading: HeartbeatReading) -> list[str]:
    return [head.tick_id for head in reading.recent]


def test_without_a_folder_the_error_says_what_to_do(world: World) -> None:
    with pytest.raises(TickLogError) as caught:
        world.read()
    assert isinstance(caught.value, SourceError)
    assert caught.value.message == f"No tick log at {world.folder} yet"
    assert "timmy-tui tick" in caught.value.hint
    assert "timmy-tui worker" in caught.value.hint


def test_an_empty_folder_is_a_heartbeat_without_ticks(world: World) -> None:
    world.folder.mkdir()

    reading = world.read()

    assert (reading.recent, reading.last, reading.ticks_today, reading.note) == ((), None, 0, None)
    assert reading.next_at() is None
    assert not reading.overdue(NOON.timestamp())


def test_the_first_reading_spans_midnight_and_counts_today_alone(world: World) -> None:
    write_day(world.folder, TODAY - timedelta(days=1), 144)
    write_day(world.folder, TODAY, 144)
    world.now = datetime(2026, 11, 20, 23, 55, tzinfo=UTC)

    reading = world.read()

    assert len(reading.recent) == 144
    assert reading.recent[0].tick_id == "20261120_000000"
    world.now = NOON + timedelta(seconds=1)
    earlier = world.open().read()
    assert len(earlier.recent) == 144 + 71  # ahead of this clock, yet in the log: not hidden
    assert earlier.recent[0].tick_id == "20261119_121000"
    assert reading.ticks_today == earlier.ticks_today == 144
    assert sum(count for _, count in reading.by_severity) == 144
    assert dict(reading.by_severity)["fallback"] == reading.fallback_decisions == 5
    assert reading.model_decisions == 139
    assert reading.last is not None
    assert reading.previous is not None
    assert (reading.last.head.tick_id, reading.previous.head.tick_id) == ("20261120_235000", "20261120_234000")


def test_nothing_new_is_the_same_object(world: World) -> None:
    write_day(world.folder, TODAY, 10)
    first = world.read()
    assert world.read() is first
    world.tick(NOON)
    second = world.read()
    assert second is not first
    assert len(second.recent) == 11
    assert world.read() is second


def test_a_tick_leaves_after_24_hours_and_the_reading_changes_only_then(world: World) -> None:
    world.tick(NOON)
    world.tick(NOON + timedelta(minutes=10))
    first = world.read()
    world.now = NOON + timedelta(hours=24) - timedelta(seconds=1)
    world.read()  # midnight passed: today's counts changed
    before = world.read()
    assert ids(before) == ids(first)
    world.now = NOON + timedelta(hours=24, seconds=1)
    after = world.read()
    assert ids(after) == ["20261120_121000"]
    assert world.read() is after


def test_midnight_opens_the_next_file_and_yesterdays_late_lines_still_come(world: World) -> None:
    world.now = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
    world.tick(world.now, tick_id="eve")
    assert world.read().ticks_today == 1
    world.now += timedelta(minutes=2)
    assert world.read().ticks_today == 0
    world.tick(world.now, tick_id="morning")
    assert ids(world.read()) == ["eve", "morning"]
    world.append(tick_line(2, at=NOON, tick_id="late"), TODAY)

    reading = world.read()

    assert ids(reading) == ["eve", "late", "morning"]
    assert reading.ticks_today == 1
    assert reading.last is not None
    assert reading.last.head.tick_id == "morning"


def test_after_a_long_silence_the_last_tick_is_still_known(world: World) -> None:
    write_day(world.folder, date(2026, 3, 1), 1)
    write_day(world.folder, date(2026, 3, 9), 1)
    world.folder.joinpath("ticks_20261231.jsonl.bak").write_bytes(tick_line(1, tick_id="backup"))

    reading = world.read()

    assert reading.recent == ()
    assert reading.last is not None
    assert reading.previous is not None
    assert [reading.previous.head.tick_id, reading.last.head.tick_id] == ["20260301_000000", "20260309_000000"]
    assert reading.overdue(NOON.timestamp())
    world.tick(NOON)
    newer = world.read()
    assert newer.previous == reading.last


def test_bad_lines_are_counted_once_each_and_cost_only_themselves(world: World) -> None:
    world.append(b"garbage\ngarbage\n{}\n" + tick_line(1) + b"\n\r\n" + b'{"tick_id": "torn')
    world.append(b"x" * 5_000_000 + b"\n" + tick_line(2) + b'{"tick_id":')

    reading = world.read()

    assert reading.bad_lines == 4
    assert reading.ticks_today == 2
    assert reading.incomplete_line
    # An editor that saves the file with one more line rewrites it whole: nothing counts again.
    path = day_path(world.folder, TODAY)
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes().rpartition(b"\n")[0] + b"\n" + tick_line(3))
    copy.replace(path)
    again = world.read()
    assert (again.bad_lines, again.ticks_today, again.incomplete_line) == (4, 3, False)
    assert again.note == "replaced"


def test_a_repeated_line_is_shown_once_and_a_repeated_id_twice(world: World) -> None:
    world.append(tick_line(1, tick_id="a") * 3 + tick_line(2, tick_id="a"))
    assert ids(world.read()) == ["a", "a"]


def test_the_note_tells_what_happened_to_todays_file(world: World) -> None:
    write_day(world.folder, TODAY, 3)
    path = day_path(world.folder, TODAY)
    assert world.read().note is None
    path.rename(path.with_suffix(".away"))
    gone = world.read()
    assert (gone.note, len(gone.recent), gone.ticks_today) == ("gone", 3, 3)
    path.write_bytes(tick_line(70))
    assert world.read().note == "rotated"
    os.truncate(path, 0)
    world.append(b"{}\n")
    assert world.read().note == "truncated"


def test_a_tick_is_loaded_whole_from_its_place(world: World) -> None:
    write_day(world.folder, TODAY, 5)
    reading = world.read()
    assert reading.last is not None
    assert world.store.load(reading.last.head.place) == reading.last


def test_a_tick_is_loaded_while_a_reading_is_under_way(world: World) -> None:
    world.tick(NOON)
    place = world.read().recent[-1].place
    begun, go_on = threading.Event(), threading.Event()

    def clock() -> float:
        begun.set()
        assert go_on.wait(20)
        return NOON.timestamp()

    store = HeartbeatStore(world.folder, every_s=600, clock=clock, zone=UTC)
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(store.read)
        try:
            assert begun.wait(20)
            assert threads.submit(store.load, place).result(20).head.place == place
        finally:
            go_on.set()
        assert reading.result(20).recent[-1].place == place


def test_a_place_that_holds_another_tick_now_is_an_error(world: World) -> None:
    world.append(tick_line(1, tick_id="a") + tick_line(2, tick_id="b"))
    place = world.read().recent[1].place
    path = day_path(world.folder, TODAY)
    path.write_bytes(path.read_bytes().replace(b'"tick_id":"b"', b'"tick_id":"c"'))
    with pytest.raises(TickLogError, match="changed since"):
        world.store.load(place)
    path.unlink()
    with pytest.raises(TickLogError, match="changed since"):
        world.store.load(place)


def test_a_place_in_the_middle_of_a_line_is_an_error(world: World) -> None:
    world.append(b'  {"tick_id": "a", "perception": {"tick_id": "b"}}\n')
    place = world.read().recent[0].place
    assert world.store.load(place).head.tick_id == "a"
    inner = type(place)(place.path, place.offset + 31, 16)
    with pytest.raises(TickLogError):
        world.store.load(inner)


def test_labels_are_the_events_fold_and_the_recent_ticks_own(world: World) -> None:
    for number, label in enumerate(["chosen", "chosen", "REJECTED", "what", 7, None]):
        world.tick(NOON - timedelta(minutes=number), tick_id=f"t{number}", dpo_label=label)
    assert world.read().labels == LabelCounts(chosen=2, rejected=1)
    event = b'{"v":1,"event_id":"%s","event":"label","candidate":"%s","tick_id":"%s","label":"%s"}\n'
    labels = world.folder / "labels.jsonl"
    labels.write_bytes(event % (b"e1", b"c1", b"t1", b"skipped") + event % (b"e2", b"c9", b"t9", b"chosen"))
    assert world.read().labels == LabelCounts(chosen=2, rejected=1, skipped=1)
    with labels.open("ab") as file:
        file.write(b'{"v":1,"event_id":"e3","event":"undo","undoes":"e1"}\n')
    assert world.read().labels == LabelCounts(chosen=3, rejected=1)


def test_a_tick_without_any_time_counts_as_of_its_files_day(world: World) -> None:
    world.append(b'{"tick_id": "no-time"}\n')
    assert ids(world.read()) == ["no-time"]
    world.now += timedelta(days=1)
    assert ids(world.read()) == []


def test_an_unreadable_file_fails_once_and_nothing_is_lost_by_it(world: World) -> None:
    yesterday = TODAY - timedelta(days=1)
    day_path(world.folder, TODAY).mkdir(parents=True)  # a folder where today's file should be
    world.append(tick_line(1, at=NOON - timedelta(hours=13), tick_id="eve"), yesterday)
    with pytest.raises(TickLogError, match=r"Can't read .*ticks_20261120"):
        world.read()
    day_path(world.folder, TODAY).rmdir()
    world.tick(NOON, tick_id="noon")
    assert ids(world.read()) == ["eve", "noon"]


def test_the_window_is_capped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "RECENT_LIMIT", 50)
    write_day(world.folder, TODAY, 60)
    assert [len(world.read().recent), world.read().ticks_today] == [50, 60]
    world.tick(NOON, tick_id="newest")
    reading = world.read()
    assert (len(reading.recent), reading.recent[-1].tick_id) == (50, "newest")
    assert reading.ticks_today == 61


def test_yesterdays_file_is_read_from_its_end_and_only_back_to_the_window(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = TODAY - timedelta(days=1)
    write_day(world.folder, yesterday, 1440)
    parsed = 0
    parse_head = day.parse_head

    def counting(*args: object) -> object:
        nonlocal parsed
        parsed += 1
        return parse_head(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(day, "parse_head", counting)
    world.now = datetime(2026, 11, 20, 23, 0, 30, tzinfo=UTC)
    assert len(world.read().recent) == 59
    assert parsed < 200


def test_a_clock_set_back_over_midnight_counts_the_whole_day_again(world: World) -> None:
    write_day(world.folder, TODAY, 144)
    world.now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert world.read().ticks_today == 0
    world.now = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
    reading = world.read()
    assert (reading.ticks_today, len(reading.recent)) == (144, 144)
