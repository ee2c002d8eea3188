"""One tick of the log by its id: whole lines only, wherever its file is by now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.lookup import line_of

ID = "20261120_031500"


def line(tick_id: object, **more: object) -> bytes:
    return json.dumps({"tick_id": tick_id, **more}).encode()


def write(folder: Path, name: str, *lines: bytes, tail: bytes = b"") -> None:
    (folder / name).write_bytes(b"".join(each + b"\n" for each in lines) + tail)


def test_a_tick_is_found_by_its_whole_id_and_not_by_what_mentions_it(tmp_path: Path) -> None:
    others = [line(f"{ID}_2"), line("20261120_030500", previous_tick=ID), b"{not JSON " + ID.encode()]
    write(tmp_path, "ticks_20261120.jsonl", *others)
    assert line_of(tmp_path, ID) is None
    write(tmp_path, "ticks_20261120.jsonl", line(ID, n=1), *others)
    assert line_of(tmp_path, ID) == line(ID, n=1)


def test_a_torn_line_is_no_tick(tmp_path: Path) -> None:
    write(tmp_path, "ticks_20261120.jsonl", line("20261120_030500"), tail=line(ID))
    assert line_of(tmp_path, ID) is None


def test_it_is_found_after_its_file_was_rotated_and_newer_ones_came(tmp_path: Path) -> None:
    write(tmp_path, "ticks_20261120.jsonl.1", line(ID))
    for day in (20, 21, 22, 23):
        write(tmp_path, f"ticks_202611{day}.jsonl", line(f"202611{day}_120000"))
    assert line_of(tmp_path, ID) == line(ID)


@pytest.mark.parametrize("tick_id", ["tick-é", 'a "quoted" one', "17"])
def test_somebody_elses_ids_are_looked_for_in_the_newest_files(tmp_path: Path, tick_id: str) -> None:
    write(tmp_path, "ticks_20261119.jsonl", line("x"))
    write(tmp_path, "ticks_20261120.jsonl", line(int(tick_id) if tick_id == "17" else tick_id), line("y"))
    assert line_of(tmp_path, tick_id) is not None


def test_no_log_has_no_tick_and_one_that_cant_be_read_is_an_error(tmp_path: Path) -> None:
    assert line_of(tmp_path / "none", ID) is None
    (tmp_path / "ticks_20261120.jsonl").mkdir()
    with pytest.raises(TickLogError):
        line_of(tmp_path, ID)
