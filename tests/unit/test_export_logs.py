"""Logs as they come: torn, with garbage, from newer programs, with characters that no trainer reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from export_home import ExportHome, said
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.export.lines import BLOCK_BYTES, LogReader
from timmy_tui.services.labels.records import candidate_key
from timmy_tui.services.ticks.cursor import MAX_LINE_BYTES, Cursor


@pytest.fixture
def home(tmp_path: Path) -> ExportHome:
    return ExportHome(tmp_path)


def test_a_label_log_with_a_torn_tail_garbage_and_newer_words_gives_what_it_holds(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="P", response="one"))
    with home.labels.open("ab") as file:
        file.write(b"garbage\n\0\0\0\n[]\n")
        file.write(b'{"v": 2, "event": "label", "candidate": "x", "label": "rejected"}\n')
        file.write(b'{"v": 1, "event": "wave", "candidate": "x"}\n')
        file.write(b'{"v": 1, "event_id": "t", "event": "label", "cand')
    home.export()
    assert home.labelled() == {("P", "one", True)}
    logs = home.manifest()["logs"]
    assert (logs["label_events"], logs["bad_label_lines"], logs["unknown_label_events"]) == (1, 2, 2)


def test_lone_surrogates_and_nuls_become_a_sign_and_are_counted(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="a \ud800 b", response="c \0 d \udfff"))
    home.export()
    assert home.labelled() == {("a \ufffd b", "c \ufffd d \ufffd", True)}
    assert home.manifest()["replaced_characters"] == 3
    for name in ("kto.jsonl", "sft.jsonl", "llamafactory_kto.jsonl"):
        assert b"\\ud" not in (home.target / name).read_bytes()


def test_texts_of_any_script_arrive_as_they_are(home: ExportHome) -> None:
    text = 'ж 漢字 \U0001f600 \u2028 \x85 \x1b[2J \\n " </s> \t\r\n \x7f'
    home.label(home.tick(1, prompt=text, response=text[::-1]))
    home.export()
    (line,) = (home.target / "kto.jsonl").read_bytes().splitlines()
    row = json.loads(line)
    assert (said(row["prompt"]), said(row["completion"])) == (text, text[::-1])


@pytest.mark.parametrize("rotated", ["ticks_20261120.jsonl.1", "ticks_20261119.jsonl"])
def test_all_files_of_the_folder_are_read(home: ExportHome, rotated: str) -> None:
    home.label(home.tick(1, prompt="P", response="one"))
    home.day.rename(home.heartbeat / rotated)
    home.label(home.tick(2, prompt="Q", response="two"))
    home.export()
    assert home.labelled() == {("P", "one", True), ("Q", "two", True)}
    assert sorted(path.name for path in (home.target / "ticks").iterdir()) == sorted([rotated, home.day.name])


def test_a_tick_changed_under_its_id_has_lost_its_label(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="P", response="one"))
    home.label(candidate_key("Q", "before"), tick_id="20261120_002000")
    home.tick(2, prompt="Q", response="after")
    assert home.export().dropped == {"the tick changed after it was labelled": 1}


def test_a_deep_or_huge_tick_costs_only_itself(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="P", response="one"))
    with home.day.open("ab") as file:
        file.write(b'{"tick_id": "deep", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n")
        file.write(b'{"tick_id": "huge", "x": "' + b"y" * (MAX_LINE_BYTES + BLOCK_BYTES) + b'"}\n')
        file.write(b'{"tick_id": "deepish", "at": "/home/alex", "x": ' + b"[" * 900 + b"]" * 900 + b"}\n")
    home.label(home.tick(2, prompt="Q", response="two"))
    home.export()
    assert home.labelled() == {("P", "one", True), ("Q", "two", True)}
    assert home.manifest()["logs"]["bad_tick_lines"] in (2, 3)


LINES = st.lists(st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")) | st.just(b"\0" * 50), max_size=12)


@given(lines=LINES, end=st.sampled_from([b"", b"\n", b"\r\n", b"torn"]))
def test_lines_are_those_that_the_console_shows(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes(b"\n".join(lines) + end)
    cursor = Cursor()
    with path.open("rb") as file:
        shown = [line.data for line in cursor.read(file.fileno(), path.stat(), 1 << 30)]
    reader = LogReader(path)
    assert list(reader.lines()) == shown
    assert reader.incomplete == bool((b"\n".join(lines) + end).rpartition(b"\n")[2].strip(b"\0 \t\r"))


def test_a_line_longer_than_a_block_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    long = b"x" * (3 * BLOCK_BYTES)
    path.write_bytes(b"a\n" + long + b"\nb\n" + b"y" * (MAX_LINE_BYTES + 2 * BLOCK_BYTES) + b"\nc\n")
    reader = LogReader(path)
    assert list(reader.lines()) == [b"a", long, b"b", b"c"]
    assert reader.oversized_lines == 1
    assert reader.input_file.bytes == path.stat().st_size
