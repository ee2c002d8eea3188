"""All days of ticks in one list that costs little and never shows the wrong tick."""

from __future__ import annotations

import os
import threading
import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tick_maker import day_path, tick_line, write_day

from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.history import TickHistory
from timmy_tui.services.ticks.records import IndexProgress

DAYS = [date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for day in DAYS:
        write_day(tmp_path, day, 4)
    return tmp_path


def built(folder: Path) -> TickHistory:
    history = TickHistory(folder, zone=UTC)
    history.build()
    return history


def ids(history: TickHistory) -> list[str]:
    return [history.head(index).tick_id for index in range(len(history))]


def append(folder: Path, day: date, data: bytes) -> None:
    with day_path(folder, day).open("ab") as file:
        file.write(data)


def test_the_oldest_tick_is_the_first(folder: Path) -> None:
    history = built(folder)

    assert ids(history) == [f"{day:%Y%m%d}_{hour:02}0000" for day in DAYS for hour in (0, 6, 12, 18)]
    assert history.load(5).head == history.head(5)
    assert history.at(5) == datetime(2026, 11, 19, 6, tzinfo=UTC).timestamp()
    for index in (12, -1):
        with pytest.raises(IndexError):
            history.head(index)


def test_what_a_timeline_needs_is_known_without_the_files(folder: Path) -> None:
    append(folder, DAYS[2], tick_line(1, severity="fallback", dpo_label="chosen") + b'{"tick_id":"bare"}\n')
    history = built(folder)
    heads = [history.head(index) for index in range(len(history))]
    for day in DAYS:
        day_path(folder, day).unlink()

    for index, head in enumerate(heads):
        assert (history.at(index), history.severity(index), history.by_model(index)) == (
            head.at,
            head.severity,
            head.by_model,
        )
    assert history.severity(12) == "fallback"
    assert history.at(13) is None
    with pytest.raises(TickLogError, match="changed since"):
        history.load(0)


def test_growing_takes_in_only_what_is_new(folder: Path) -> None:
    history = built(folder)
    assert history.grow() is False
    append(folder, DAYS[2], tick_line(90, tick_id="new") + b'{"tick_id": "torn')
    assert history.grow() is True
    append(folder, DAYS[2], b'"}\n')
    assert history.grow() is True
    assert ids(history)[12:] == ["new", "torn"]
    write_day(folder, date(2026, 11, 21), 1)
    append(folder, DAYS[0], tick_line(91, tick_id="late"))
    assert history.grow() is True
    assert ids(history)[4] == "late"
    assert ids(history)[-1] == "20261121_000000"


def test_a_repeated_line_is_one_tick_and_bad_lines_are_counted(folder: Path) -> None:
    append(folder, DAYS[2], tick_line(90, tick_id="a") * 2 + b"garbage\n" + tick_line(91, tick_id="a"))
    history = built(folder)
    assert ids(history)[12:] == ["a", "a"]
    assert history.bad_lines == 1


def test_rotated_files_stand_before_their_day_and_a_copy_adds_nothing(folder: Path) -> None:
    today = day_path(folder, DAYS[2])
    history = built(folder)
    before = ids(history)
    today.rename(f"{today}.1")
    append(folder, DAYS[2], tick_line(90, tick_id="new"))
    history.grow()
    assert ids(history) == [*before, "new"]
    Path(f"{today}.2").write_bytes(Path(f"{today}.1").read_bytes())
    history.grow()
    assert ids(history) == [*before, "new"]
    Path(f"{today}.1").unlink()
    history.grow()
    assert ids(history) == [*before, "new"]


def test_a_truncated_file_shows_what_it_holds_now(folder: Path) -> None:
    history = built(folder)
    path = day_path(folder, DAYS[1])
    os.truncate(path, 0)
    append(folder, DAYS[1], b"".join(tick_line(n, tick_id=f"r{n}") for n in range(9)))
    history.grow()
    assert ids(history)[4:13] == [f"r{n}" for n in range(9)]
    path.unlink()
    history.grow()
    assert len(history) == 8


def test_another_tick_at_the_same_place_is_not_shown_for_it(folder: Path) -> None:
    history = built(folder)
    path = day_path(folder, DAYS[2])
    path.write_bytes(path.read_bytes().replace(b'"severity":"ok"', b'"severity":"OK"'))
    with pytest.raises(TickLogError, match="changed since"):
        history.load(8)


def test_progress_goes_up_to_the_whole_and_a_stopped_build_goes_on(tmp_path: Path) -> None:
    for day in DAYS:
        write_day(tmp_path, day, 3_000)
    total = sum(day_path(tmp_path, day).stat().st_size for day in DAYS)
    seen: list[IndexProgress] = []
    history = TickHistory(tmp_path, zone=UTC)

    history.build(seen.append, should_stop=lambda: len(seen) >= 3)

    assert 3_000 < len(history) < 6_000  # in the middle of the second file
    stopped_at = len(history)
    assert history.head(stopped_at - 1).tick_id
    history.build(seen.append)
    assert len(history) == 9_000
    assert len(set(ids(history))) == 9_000
    assert seen[-1] == IndexProgress(total, total)
    assert all(progress.total_bytes == total and progress.done_bytes <= total for progress in seen)


def test_a_stopped_build_is_not_complete_and_is_finished_before_anything_grows(tmp_path: Path) -> None:
    for day in DAYS:
        write_day(tmp_path, day, 500)
    looks = iter([False, False, False])  # stops after the first file
    history = TickHistory(tmp_path, zone=UTC)
    assert not history.complete

    history.build(should_stop=lambda: next(looks, True))

    assert 0 < len(history) < 1_500
    assert not history.complete
    history.grow()
    assert (history.complete, len(history)) == (True, 1_500)
    assert ids(history) == ids(built(tmp_path))


def test_a_build_that_is_stopped_while_it_starts_over_is_not_complete(folder: Path) -> None:
    history = built(folder)
    assert history.complete
    day_path(folder, DAYS[0]).unlink()

    history.build(should_stop=lambda: True)

    assert not history.complete
    history.build()
    assert history.complete
    assert ids(history) == ids(built(folder))


def test_a_file_that_can_not_be_read_is_read_when_it_can(folder: Path) -> None:
    """The folder's listing is no file: it opens, and no byte of it can be read, whoever asks."""
    blocked = day_path(folder, DAYS[1])
    data = blocked.read_bytes()
    blocked.unlink()
    blocked.mkdir()
    history = TickHistory(folder, zone=UTC)
    with pytest.raises(TickLogError):
        history.build()
    assert not history.complete
    assert len(history) == 4  # what stands before it is there

    blocked.rmdir()
    blocked.write_bytes(data)
    history.grow()
    assert (history.complete, len(history)) == (True, 12)
    assert ids(history) == ids(built(folder))


def test_a_second_caller_waits_for_the_first(tmp_path: Path) -> None:
    """A worker that is cancelled leaves its thread behind: the next one must not read beside it."""
    for day in DAYS:
        write_day(tmp_path, day, 50)
    history = TickHistory(tmp_path, zone=UTC)
    inside, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def hold(_progress: IndexProgress) -> None:
        inside.set()
        go_on.wait(10)
        order.append("first")

    first = threading.Thread(target=history.build, args=(hold,))
    first.start()
    assert inside.wait(10)
    others = [
        threading.Thread(target=lambda: (history.build(), order.append("second"))),
        threading.Thread(target=lambda: (history.grow(), order.append("second"))),
    ]
    for other in others:
        other.start()
    for other in others:
        other.join(0.2)
        assert other.is_alive()
    go_on.set()
    for thread in (first, *others):
        thread.join(10)

    assert order[-2:] == ["second", "second"]
    assert order.count("second") == 2
    assert ids(history) == ids(built(tmp_path))


def test_what_is_indexed_names_its_tick_wherever_it_moves_to(folder: Path) -> None:
    history = built(folder)
    last = history.indexed(11)
    assert (last.at, last.severity) == (history.at(11), history.severity(11))
    append(folder, DAYS[0], tick_line(91, tick_id="late"))
    history.grow()
    assert history.indexed(12) == last
    assert history.read_head(last).tick_id == "20261120_180000"
    with pytest.raises(IndexError):
        history.indexed(13)


def test_a_missing_folder_is_the_same_error_as_everywhere(tmp_path: Path) -> None:
    with pytest.raises(TickLogError, match="No tick log at"):
        TickHistory(tmp_path / "nowhere").build()


def test_a_tick_costs_a_few_bytes_not_its_line(tmp_path: Path) -> None:
    write_day(tmp_path, DAYS[0], 5_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        history = built(tmp_path)
        held_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(history) == 5_000
    assert held_bytes / 5_000 < 250  # 35 MB for 100,000 would be 350
