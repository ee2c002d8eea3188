"""The checklist of facts/tailing.md, row by row (the numbers stand in the names)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.ticks.cursor import MAX_LINE_BYTES
from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.tailer import Tailer


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def new(tailer: Tailer) -> list[bytes]:
    return [line.data for line in tailer.poll().lines]


def test_01_nothing_is_parsed_before_its_newline(path: Path) -> None:
    tailer = Tailer(path)
    append(path, b'{"a":')
    first = tailer.poll()
    append(path, b"1}\n")
    second = tailer.poll()

    assert (first.lines, first.incomplete) == ((), True)
    assert [line.data for line in second.lines] == [b'{"a":1}']
    assert not second.incomplete


def test_03_a_rotated_file_is_finished_and_the_new_one_followed(path: Path) -> None:
    tailer = Tailer(path)
    append(path, b"{1}\n")
    new(tailer)
    append(path, b"{2}\n")
    path.rename(path.with_suffix(".1"))
    append(path, b"{3}\n")

    batch = tailer.poll()

    assert [line.data for line in batch.lines] == [b"{2}", b"{3}"]
    assert batch.note == "rotated"
    assert tailer.poll().note is None


def test_04_late_lines_of_several_rotations_are_all_read(path: Path) -> None:
    """Three writers still have their old files open, as after three rotations in a row."""
    tailer = Tailer(path)
    old: list[Path] = []
    for number in range(3):
        path.write_bytes(b"%d first\n" % number)
        assert [line.data for line in tailer.poll().lines] == [b"%d first" % number]
        for place in range(len(old), 0, -1):
            os.rename(f"{path}.{place}", f"{path}.{place + 1}")
        os.rename(path, f"{path}.1")
        old = [Path(f"{path}.{place}") for place in range(1, number + 2)]
    path.write_bytes(b"newest\n")
    for file in old:
        with file.open("ab") as late:
            late.write(b"late in %s\n" % file.suffix.encode())
    found = sorted(line.data for line in tailer.poll().lines)
    assert found == [b"late in .1", b"late in .2", b"late in .3", b"newest"]
    assert tailer.poll().lines == ()


def test_04_lines_written_to_the_old_file_after_rotation_are_read(path: Path) -> None:
    clock = Clock()
    tailer = Tailer(path, clock=clock, keep_rotated_s=60)
    append(path, b"{1}\n")
    new(tailer)
    old = path.with_suffix(".1")
    path.rename(old)
    append(path, b"{2}\n")
    new(tailer)
    clock.now = 59.0
    append(old, b"{3}\n")
    assert new(tailer) == [b"{3}"]
    clock.now = 118.0
    append(old, b"{4}\n")
    assert new(tailer) == [b"{4}"]
    clock.now = 178.0
    new(tailer)
    append(old, b"{5}\n")
    assert new(tailer) == []


def test_05_a_truncated_file_is_read_from_its_start(path: Path) -> None:
    tailer = Tailer(path)
    append(path, b"{1}\n{22}\n")
    new(tailer)
    os.truncate(path, 0)
    append(path, b"{3}\n")

    batch = tailer.poll()

    assert [line.data for line in batch.lines] == [b"{3}"]
    assert batch.note == "truncated"


@pytest.mark.parametrize("regrown", [b"{3}\n{4}\n", b"{3}\n{4}\n{5}\n", b'{"longer":1}\n{4}\n'])
def test_06_a_file_that_regrew_past_the_old_place_is_read_from_its_start(path: Path, regrown: bytes) -> None:
    tailer = Tailer(path)
    append(path, b"{1}\n{2}\n")
    new(tailer)
    os.truncate(path, 0)
    append(path, regrown)

    batch = tailer.poll()

    assert [line.data for line in batch.lines] == regrown.split()
    assert batch.note == "rewritten"


def test_06_a_rewrite_that_keeps_the_start_is_noticed(path: Path) -> None:
    start = b'{"n":%06d}\n' * 200 % tuple(range(200))
    append(path, start + b"{1}\n")
    tailer = Tailer(path)
    new(tailer)
    path.write_bytes(start + b'{"another":1}\n{2}\n')

    assert new(tailer)[-2:] == [b'{"another":1}', b"{2}"]


def test_06_a_rewrite_that_keeps_the_end_is_noticed(path: Path) -> None:
    end = b'{"n":%06d}\n' * 200 % tuple(range(200))
    append(path, b"{1}\n" + end)
    tailer = Tailer(path)
    new(tailer)
    path.write_bytes(b"{3}\n" + end + b"{2}\n")

    found = new(tailer)

    assert (found[0], found[-1]) == (b"{3}", b"{2}")


def test_06_an_old_line_rewritten_in_place_far_from_the_end_is_noticed(path: Path) -> None:
    lines = [b'{"n":%06d}\n' % n for n in range(2_000)]
    path.write_bytes(b"".join(lines))
    tailer = Tailer(path)
    new(tailer)
    lines[1_000] = b'{"n":999999}\n'
    path.write_bytes(b"".join(lines))
    os.utime(path, ns=(1, 1))

    assert b'{"n":999999}' in new(tailer)


def test_06_a_touched_file_is_not_read_again(path: Path) -> None:
    append(path, b"{1}\n")
    tailer = Tailer(path)
    new(tailer)
    os.utime(path, ns=(1, 1))

    batch = tailer.poll()

    assert (batch.lines, batch.note) == ((), None)


def test_07_a_new_file_with_the_old_inode_number_is_a_new_file(path: Path) -> None:
    clock = Clock()
    tailer = Tailer(path, clock=clock, keep_rotated_s=1)
    append(path, b"{1}\n")
    new(tailer)
    path.unlink()
    new(tailer)
    clock.now = 2.0
    new(tailer)  # lets the deleted file go, so that its number is free
    append(path, b"{2}\n{3}\n")

    assert new(tailer) == [b"{2}", b"{3}"]


def test_13_14_a_file_and_a_folder_may_come_later(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "log.jsonl"
    tailer = Tailer(path)
    assert new(tailer) == []
    path.parent.mkdir(parents=True)
    assert new(tailer) == []
    append(path, b"{1}\n")
    assert new(tailer) == [b"{1}"]


def test_15_a_swapped_link_leads_to_the_other_file_and_back(path: Path, tmp_path: Path) -> None:
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    append(one, b"{1}\n")
    append(two, b"{2}\n")
    path.symlink_to(one)
    tailer = Tailer(path)
    assert new(tailer) == [b"{1}"]
    link.symlink_to(two)
    link.replace(path)
    assert new(tailer) == [b"{2}"]
    append(one, b"{3}\n")
    assert new(tailer) == [b"{3}"]
    link.symlink_to(one)
    link.replace(path)
    append(one, b"{4}\n")
    assert new(tailer) == [b"{4}"]


def test_15_a_file_that_came_back_is_not_let_go(path: Path, tmp_path: Path) -> None:
    clock = Clock()
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    append(one, b"{1}\n")
    append(two, b"{2}\n")
    path.symlink_to(one)
    tailer = Tailer(path, clock=clock, keep_rotated_s=60)
    for target in (two, one):
        new(tailer)
        link.symlink_to(target)
        link.replace(path)
    new(tailer)
    clock.now = 100.0
    new(tailer)
    append(one, b"{3}\n")
    assert new(tailer) == [b"{3}"]


def test_16_a_deleted_file_is_let_go_after_a_silence(path: Path) -> None:
    clock = Clock()
    tailer = Tailer(path, clock=clock, keep_rotated_s=60)
    append(path, b"{1}\n")
    new(tailer)
    with path.open("ab", buffering=0) as writer:
        path.unlink()
        new(tailer)
        clock.now = 60.0
        new(tailer)
        writer.write(b"{2}\n")
        assert new(tailer) == []


def test_16_a_deleted_file_is_reported_once_and_its_late_lines_are_read(path: Path) -> None:
    append(path, b"{1}\n")
    tailer = Tailer(path)
    new(tailer)
    with path.open("ab") as writer:
        path.unlink()
        assert tailer.poll().note == "gone"
        assert tailer.poll().note is None
        writer.write(b"{2}\n")
    assert new(tailer) == [b"{2}"]
    append(path, b"{3}\n")
    batch = tailer.poll()
    assert ([line.data for line in batch.lines], batch.note) == ([b"{3}"], "replaced")


def test_16_a_file_that_was_moved_away_and_back_goes_on(path: Path) -> None:
    append(path, b"{1}\n")
    tailer = Tailer(path)
    new(tailer)
    path.rename(path.with_suffix(".away"))
    new(tailer)
    path.with_suffix(".away").rename(path)
    append(path, b"{2}\n")

    batch = tailer.poll()

    assert ([line.data for line in batch.lines], batch.note) == ([b"{2}"], "back")


def test_17_a_huge_line_is_one_oversized_line_and_the_next_is_intact(path: Path) -> None:
    append(path, b"{1}\n" + b"x" * 11_000_000 + b"\n{2}\n")

    lines = list(_drain(Tailer(path)))

    assert [(line.data, line.oversized) for line in lines] == [(b"{1}", False), (b"", True), (b"{2}", False)]
    assert lines[1].offset == 4


def test_17_the_longest_line_that_is_kept_is_whole(path: Path) -> None:
    append(path, b"x" * MAX_LINE_BYTES + b"\n" + b"y" * (MAX_LINE_BYTES + 1) + b"\n")

    assert [(len(line.data), line.oversized) for line in _drain(Tailer(path))] == [(MAX_LINE_BYTES, False), (0, True)]


def test_17_a_huge_line_that_grows_piece_by_piece_costs_only_itself(path: Path) -> None:
    tailer = Tailer(path, max_line_bytes=100)
    found = []
    for _ in range(30):
        append(path, b"x" * 10)
        found += tailer.poll().lines
    assert found == []
    assert tailer.poll().incomplete is False
    append(path, b"\n{1}\n")
    assert [(line.data, line.oversized) for line in tailer.poll().lines] == [(b"", True), (b"{1}", False)]


def test_18_bytes_that_are_no_utf8_are_handed_on(path: Path) -> None:
    append(path, b'{"tick_id":"\xff"}\n')
    assert new(Tailer(path)) == [b'{"tick_id":"\xff"}']


def test_19_the_hole_behind_a_truncation_is_skipped(path: Path) -> None:
    tailer = Tailer(path)
    with path.open("wb", buffering=0) as writer:
        writer.write(b"{1}\n" * 1_000)
        list(_drain(tailer))
        os.truncate(path, 0)
        writer.write(b"{2}\n")  # at the writer's own offset: a hole comes before it

    lines = list(_drain(tailer))

    assert [(line.offset, line.data) for line in lines] == [(4_000, b"{2}")]


def test_19_a_hole_larger_than_a_line_may_be_is_no_oversized_line(path: Path) -> None:
    with path.open("wb") as file:
        file.seek(12_000_000)
        file.write(b"{1}\n")
    tailer = Tailer(path)

    assert [(line.data, line.oversized) for line in _drain(tailer)] == [(b"{1}", False)]


def test_20_crlf_and_blank_lines_are_no_errors(path: Path) -> None:
    append(path, b"{1}\r\n\r\n\n  \n{2}\n")
    lines = Tailer(path).poll().lines
    assert [(line.offset, line.data) for line in lines] == [(0, b"{1}"), (11, b"{2}")]


def test_21_following_from_a_place_leaves_out_what_is_before_it(path: Path) -> None:
    append(path, b"{1}\n{2}\n")
    tailer = Tailer(path, start=4)
    assert new(tailer) == [b"{2}"]


def test_21_a_file_that_was_cut_before_the_place_is_read_whole(path: Path) -> None:
    append(path, b"{1}\n")
    assert new(Tailer(path, start=400)) == [b"{1}"]


def test_22_one_poll_reads_no_more_than_its_budget(path: Path) -> None:
    append(path, b"{%098d}\n" % 7 * 20_000)
    tailer = Tailer(path, budget_bytes=600_000)

    batch = tailer.poll()

    assert batch.more
    assert len(batch.lines) < 12_000
    assert len(batch.lines) + len(list(_drain(tailer))) == 20_000


def test_the_path_of_a_folder_or_fifo_is_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(TickLogError, match="not a regular file"):
            Tailer(path).poll()


def test_the_tailer_neither_writes_nor_locks(path: Path) -> None:
    append(path, b"{1}\n{2")
    path.chmod(0o400)
    before, beside = path.stat(), sorted(os.listdir(path.parent))
    tailer = Tailer(path)
    new(tailer)
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert sorted(os.listdir(path.parent)) == beside


def _drain(tailer: Tailer):  # type: ignore[no-untyped-def]
    more = True
    while more:
        batch = tailer.poll()
        yield from batch.lines
        more = batch.more


@given(
    st.lists(st.binary(max_size=40), max_size=8),
    st.integers(min_value=1, max_value=50),
    st.integers(min_value=1, max_value=80),
)
def test_any_bytes_in_any_pieces_give_every_line_once(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], max_line_bytes: int, budget_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("tail") / "log"
    tailer = Tailer(path, max_line_bytes=max_line_bytes, budget_bytes=budget_bytes)
    found = []
    for piece in pieces:
        append(path, piece)
        found += list(_drain(tailer))
    tailer.close()

    whole = b"".join(pieces)
    assert all(line.oversized or whole[line.offset :].startswith(line.data) for line in found)
    expected = [line.strip(b"\0 \t\r") for line in whole.split(b"\n")[:-1]]
    if all(len(line) <= max_line_bytes for line in whole.split(b"\n")):
        assert [line.data for line in found] == [line for line in expected if line]
