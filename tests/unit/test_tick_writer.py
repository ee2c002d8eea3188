"""No finished tick is ever lost or doubled, and no id is given out twice."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from timmy_tui.services.appending import AppendError, append_line, write_lock
from timmy_tui.services.heartbeat.tick_writer import (
    LINE_LIMIT_BYTES,
    LOCK_NAME,
    SEARCHED_BYTES,
    TickDraft,
    TickWriter,
)
from timmy_tui.services.review.exchange import exchange_of
from timmy_tui.services.ticks.parse import BadLine, parse_tick
from timmy_tui.services.ticks.records import Attempt, TickPlace

AT = datetime(2026, 11, 20, 3, 15, 0, 123456, tzinfo=UTC).timestamp()

KEYS = [
    "tick_id",
    "timestamp",
    "trigger",
    "previous_tick",
    "perception",
    "decision",
    "actions",
    "prompt",
    "response",
    "provider",
    "model",
    "session_id",
    "duration_ms",
    "attempts",
    "host",
    "writer",
]

EIGHT_TIMES = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:4]
from test_tick_writer import a_draft
from timmy_tui.services.heartbeat.tick_writer import TickWriter
writer = TickWriter(Path(sys.argv[1]), lambda: 1_795_144_500.0)
for _ in range(125):
    print(writer.write(a_draft(writer.reserve())).tick_id)
"""

LIMITED = """
import resource, sys
from pathlib import Path
from timmy_tui.services.appending import AppendError, append_line
path, limit = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    append_line(path, b"x" * 100)
except AppendError as error:
    print(error.message)
"""


def a_draft(tick_id: str, **values: object) -> TickDraft:
    draft = TickDraft(
        tick_id=tick_id,
        started_at=AT,
        trigger="schedule",
        perception={"gitea_alive": True, "model_health": {"ollama_running": True}},
        decision={"actions": [], "severity": "ok", "reasoning": "All services answer."},
        actions=[],
        prompt="System state at …",
        response='{"severity": "ok"}',
        provider="hermes",
        model="hermes4:14b",
        session_id="20261120_031502_ab12cd",
        duration_ms=1834.4,
        attempts=(Attempt("hermes", None, 1834.4),),
    )
    return replace(draft, **values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".timmy" / "heartbeat"


def a_writer(folder: Path, at: float = AT) -> TickWriter:
    return TickWriter(folder, lambda: at, UTC, host="mbp")


def lines_of(folder: Path, day: str = "20261120") -> list[bytes]:
    return (folder / f"ticks_{day}.jsonl").read_bytes().splitlines()


def test_a_record_has_the_keys_of_the_design_in_their_order(folder: Path) -> None:
    writer = a_writer(folder)
    written = writer.write(a_draft(writer.reserve()))
    record = json.loads(written.line)
    assert list(record) == KEYS
    assert record["tick_id"] == "20261120_031500"
    assert record["timestamp"] == "2026-11-20T03:15:00.123456+00:00"
    assert record["previous_tick"] is None
    assert (record["duration_ms"], record["attempts"][0]["duration_ms"]) == (1834, 1834)
    assert record["attempts"] == [{"provider": "hermes", "error": None, "duration_ms": 1834}]
    assert lines_of(folder) == [written.line]


def test_what_is_written_reads_back_whole(folder: Path) -> None:
    writer = a_writer(folder)
    written = writer.write(a_draft(writer.reserve(), response='thinks…\n{"severity": "ok"}\x1b[2J'))
    tick = parse_tick(written.line, TickPlace("", 0, 0))
    assert not isinstance(tick, BadLine)
    assert (tick.head.severity, tick.provider, tick.host) == ("ok", "hermes", "mbp")
    exchange = exchange_of(written.line)
    assert exchange is not None
    assert exchange.completion == 'thinks…\n{"severity": "ok"}\x1b[2J'


def test_ids_of_one_second_are_numbered(folder: Path) -> None:
    writer, other = a_writer(folder), a_writer(folder)
    ids = [writer.reserve(), other.reserve(), writer.reserve()]
    assert ids == ["20261120_031500", "20261120_031500_2", "20261120_031500_3"]


def test_an_id_is_not_given_out_again_when_its_tick_was_never_written(folder: Path) -> None:
    a_writer(folder).reserve()
    assert a_writer(folder).reserve() == "20261120_031500_2"


@pytest.mark.parametrize("line", [b'{"tick_id": "20261120_031500_4"}\n', b'{"a":1,"tick_id":"20261120_031500_4"}\n'])
def test_the_ids_of_another_programs_ticks_are_taken(folder: Path, line: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "ticks_20261120.jsonl").write_bytes(line)
    assert a_writer(folder).reserve() == "20261120_031500_5"


@pytest.mark.parametrize("memory", [b"", b"{", b'{"20261120_031500": 7}', b"\xff\xfe"])
def test_a_lost_memory_of_ids_costs_no_id(folder: Path, memory: bytes) -> None:
    first, second = a_writer(folder), a_writer(folder)
    one = first.reserve()
    (folder / LOCK_NAME).write_bytes(memory)
    two = second.reserve()
    assert one == two  # nothing was written that could tell
    assert first.write(a_draft(one)).tick_id == "20261120_031500"
    assert second.write(a_draft(two)).tick_id == "20261120_031500_2"


def test_of_a_huge_log_only_the_end_is_read(folder: Path) -> None:
    folder.mkdir(parents=True)
    with (folder / "ticks_20261120.jsonl").open("wb") as file:
        file.truncate(400_000_000)  # a hole: it takes no room, and a byte of it is read like any other
        file.seek(0, os.SEEK_END)
        file.write(b'\n{"tick_id": "20261120_031500_4"}\n')
    writer = a_writer(folder)
    tracemalloc.start()
    try:
        written = writer.write(a_draft(writer.reserve()))
        most_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (written.tick_id, written.previous_tick) == ("20261120_031500_5", "20261120_031500_4")
    assert most_bytes < 4 * SEARCHED_BYTES


def test_the_hour_that_comes_twice_gives_two_ids(folder: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    ids = [TickWriter(folder, lambda at=at: at, berlin).reserve() for at in (first, first + 3600)]
    assert ids == ["20261025_023000", "20261025_023000_2"]


def test_a_tick_names_the_one_before_it_across_midnight(folder: Path) -> None:
    late = a_writer(folder, datetime(2026, 11, 20, 23, 55, tzinfo=UTC).timestamp())
    late.write(a_draft(late.reserve()))
    early = a_writer(folder, datetime(2026, 11, 21, 0, 5, tzinfo=UTC).timestamp())
    assert early.write(a_draft(early.reserve())).previous_tick == "20261120_235500"
    assert len(lines_of(folder, "20261121")) == 1


def test_a_tick_that_ends_after_midnight_is_in_the_file_of_its_date(folder: Path) -> None:
    writer = a_writer(folder, datetime(2026, 11, 21, 0, 1, tzinfo=UTC).timestamp())
    tick_id = writer.reserve(datetime(2026, 11, 20, 23, 59, 50, tzinfo=UTC).timestamp())
    assert writer.write(a_draft(tick_id)).path.name == "ticks_20261120.jsonl"


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_torn_tail_costs_one_line_and_not_the_next_tick(folder: Path, kept: int) -> None:
    writer = a_writer(folder)
    whole = writer.write(a_draft(writer.reserve())).line
    path = folder / "ticks_20261120.jsonl"
    path.write_bytes(whole + b"\n" + whole[:kept])
    after = writer.write(a_draft(writer.reserve()))
    lines = lines_of(folder)
    assert lines == [whole, whole[:kept], after.line]
    assert after.previous_tick == "20261120_031500"


def test_a_lone_surrogate_of_a_models_is_recorded(folder: Path) -> None:
    writer = a_writer(folder)
    written = writer.write(a_draft(writer.reserve(), response="\ud800"))
    assert json.loads(written.line)["response"] == "\ud800"
    assert list(json.loads(written.line)) == KEYS


@pytest.mark.parametrize("character", ["x", "\x01", "💥"])
def test_a_response_that_no_reader_takes_in_is_cut_and_its_tick_kept(folder: Path, character: str) -> None:
    writer = a_writer(folder)
    written = writer.write(a_draft(writer.reserve(), response=character * (LINE_LIMIT_BYTES + 1)))
    assert len(written.line) <= LINE_LIMIT_BYTES
    assert not isinstance(parse_tick(written.line, TickPlace("", 0, 0)), BadLine)


def test_files_are_the_owners_alone(folder: Path) -> None:
    writer = a_writer(folder)
    path = writer.write(a_draft(writer.reserve())).path
    assert [file.stat().st_mode & 0o777 for file in (path, folder / LOCK_NAME)] == [0o600, 0o600]
    assert [place.stat().st_mode & 0o777 for place in (folder, folder.parent)] == [0o700, 0o700]


def test_a_thousand_ticks_of_eight_processes_are_a_thousand_lines(folder: Path) -> None:
    here = Path(__file__)
    command = [sys.executable, "-c", EIGHT_TIMES, str(folder), str(here.parents[2]), str(here.parent)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    told = [tick_id for writer in writers for tick_id in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [0] * 8
    records = [msgspec.json.decode(line) for line in lines_of(folder)]
    ids = [record["tick_id"] for record in records]
    assert len(set(ids)) == len(ids) == len(told) == 1000
    assert set(ids) == set(told)
    assert [record["previous_tick"] for record in records] == [None, *ids[:-1]]


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    threads = [
        threading.Thread(target=lambda n=n: [append_line(path, f"{n} {i}".encode()) for i in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().splitlines()) == sorted(f"{n} {i}" for n in range(4) for i in range(50))


@given(lines=st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line), max_size=8), torn=st.binary())
def test_lines_are_appended_whole_behind_whatever_is_there(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes(torn)
    for line in lines:
        append_line(path, line)
    closed = torn if not torn or torn.endswith(b"\n") or not lines else torn + b"\n"
    assert path.read_bytes() == closed + b"".join(line + b"\n" for line in lines)


def test_a_newline_inside_a_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="newline"):
        append_line(tmp_path / "log", b"a\nb")


@pytest.mark.parametrize("room", [0, 1, 60, 100])
def test_a_full_disk_leaves_nothing_of_the_line(tmp_path: Path, room: int) -> None:
    path = tmp_path / "log"
    append_line(path, b"before")
    before = path.read_bytes()
    limit = str(len(before) + room)
    said = subprocess.run([sys.executable, "-c", LIMITED, str(path), limit], capture_output=True, text=True, check=True)
    assert "No room to write" in said.stdout
    assert path.read_bytes() == before


@pytest.mark.parametrize("foreign", [b"", b"a foreign line\n"])
def test_what_a_foreign_writer_appended_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: bytes
) -> None:
    path = tmp_path / "log"
    append_line(path, b"before")

    def fails(descriptor: int) -> None:
        with path.open("ab") as file:
            file.write(foreign)
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr("timmy_tui.services.appending.os.fsync", fails)
    with pytest.raises(AppendError):
        append_line(path, b"ours")
    assert path.read_bytes() == (b"before\nours\n" + foreign if foreign else b"before\n")


def _a_folder(path: Path) -> None:
    path.mkdir()


def _a_link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(b"")
    path.symlink_to(path.parent / "elsewhere")


def _a_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [_a_folder, _a_link, _a_fifo])
def test_what_is_no_file_of_ours_is_refused_with_a_reason(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "log"
    make(path)
    with pytest.raises(AppendError) as caught:
        append_line(path, b"line")
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_stopped_holder_of_the_lock_is_not_waited_for_forever(tmp_path: Path) -> None:
    lock = tmp_path / "log.lock"
    with write_lock(lock), pytest.raises(AppendError, match="locked by another process"), write_lock(lock, wait_s=0.01):
        pass


def test_the_disk_knows_the_name_of_a_new_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's fsync does not save its name: after a power cut the day's first tick would be in no folder."""
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    path = folder / "ticks_20261120.jsonl"
    append_line(path, b'{"tick_id": "a"}')
    assert synced[-2:] == ["file", "folder"]
    synced.clear()
    append_line(path, b'{"tick_id": "b"}')
    assert synced == ["file"]
