"""The usage log is read whatever is in it: every call once, nothing that is none, in one pass."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usage_maker import OLD, usage_bytes, write_log

from timmy_tui.services.usage import reading
from timmy_tui.services.usage.reading import (
    GROUPS_LIMIT,
    NAMES_LIMIT,
    OTHERS,
    UsageGroup,
    UsageSums,
    day_starts,
    local_day,
    log_mark,
    read_usage,
)
from timmy_tui.services.usage.records import UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def utc(own_environment: None) -> Iterator[None]:
    """A test may go elsewhere; the next one is at home again."""
    time.tzset()
    yield
    os.environ["TZ"] = "UTC"
    time.tzset()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "metrics" / "local-llm-usage.jsonl"


def read_lines(path: Path, *lines: bytes, **options: int) -> UsageSums:
    return read_usage(write_log(path, lines), **options)


def calls_of(sums: UsageSums) -> int:
    return sum(group.calls for group in sums.groups)


def only(sums: UsageSums) -> UsageGroup:
    (group,) = sums.groups
    return group


def test_a_log_that_is_not_there_is_an_empty_one(log: Path) -> None:
    assert read_usage(log) == UsageSums(())
    assert read_usage(Path("/dev/null/x")) == UsageSums(())
    assert log_mark(log) is None


def test_a_line_of_the_old_shape_is_read(log: Path) -> None:
    group = only(read_lines(log, json.dumps(OLD).encode() + b"\n"))
    assert (group.day, group.model, group.task, group.caller) == ("2026-01-30", "llama3.2:3b", "quick", "")
    assert (group.calls, group.succeeded, group.failed) == (1, 1, 0)
    assert (group.tokens_in, group.tokens_out, list(group.latencies_s)) == (3, 9, [5.02])
    assert (group.generation_s, group.answered_tokens, group.answer_s) == (0.0, 9, 5.02)


def test_a_line_of_ours_tells_caller_provider_and_the_generation(log: Path) -> None:
    line = usage_bytes(caller="delegate", provider="ollama", eval_sec=4.5, load_sec=0.1, error="", future={"x": [1]})
    group = only(read_lines(log, line))
    assert (group.caller, group.provider) == ("delegate", "ollama")
    assert (group.generated_tokens, group.generation_s, group.answer_s) == (9, 4.5, 0.0)


def test_what_a_line_does_not_tell_is_unknown(log: Path) -> None:
    group = only(read_lines(log, b'{"timestamp": "2026-01-30T16:12:32.132Z"}\n'))
    assert (group.model, group.task, group.caller) == ("", "", "")
    assert (group.calls, group.succeeded, group.failed) == (1, 0, 0)
    assert (group.tokens_in, group.tokens_out, len(group.latencies_s)) == (None, None, 0)


@pytest.mark.parametrize(
    ("values", "unknown"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"task_type": ["quick"]}, "task"),
        ({"caller": {"a": 1}}, "caller"),
        ({"tokens_in": "three"}, "tokens_in"),
        ({"tokens_in": -1}, "tokens_in"),
        ({"tokens_in": True}, "tokens_in"),
        ({"tokens_out": 10**30}, "tokens_out"),
        ({"tokens_out": 10**400}, "tokens_out"),
        ({"latency_sec": "slow"}, "latencies_s"),
        ({"latency_sec": -5}, "latencies_s"),
        ({"latency_sec": 1e300}, "latencies_s"),
        ({"success": "yes"}, "succeeded"),
    ],
)
def test_a_value_of_the_wrong_type_is_unknown_and_the_rest_stays(
    log: Path, values: dict[str, object], unknown: str
) -> None:
    group = only(read_lines(log, usage_bytes(**values)))
    assert not getattr(group, unknown)
    told = {"model": "llama3.2:3b", "task": "quick", "tokens_in": 3, "tokens_out": 9, "succeeded": 1}
    assert {key: getattr(group, key) for key in told if key != unknown} == {
        key: value for key, value in told.items() if key != unknown
    }


@pytest.mark.parametrize(
    "bad",
    [
        b"garbage",
        b"[1, 2]",
        b'"text"',
        b"null",
        b"{}",
        b'{"task_type": "quick"}',
        b'{"timestamp": "2026-01-30T16',
        b"\xff\xfe{}",
        b'{"timestamp": "\xff"}',
        b"[" * 5_000,
        b'{"timestamp": "\\ud800"}',
    ],
)
def test_a_line_that_is_no_call_is_counted_and_costs_no_other(log: Path, bad: bytes) -> None:
    sums = read_lines(log, usage_bytes(), bad + b"\n", usage_bytes())
    assert (calls_of(sums), sums.bad_lines, sums.oversized_lines) == (2, 1, 0)


def test_margins_blank_lines_and_holes_are_no_lines(log: Path) -> None:
    line = usage_bytes().rstrip()
    sums = read_lines(log, b"\xef\xbb\xbf", line, b"\r\n\n   \n", b"\0" * 900 + line, b"\n\n")
    assert (calls_of(sums), sums.bad_lines) == (2, 0)


def test_a_torn_tail_is_counted_and_a_whole_one_is_read(log: Path) -> None:
    torn = read_lines(log, usage_bytes(), usage_bytes()[:40])
    assert (calls_of(torn), torn.bad_lines) == (1, 1)
    whole = read_lines(log, usage_bytes(), usage_bytes().rstrip())
    assert (calls_of(whole), whole.bad_lines) == (2, 0)


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("block_bytes", [64, 200, 1_000, 100_000])
def test_a_line_that_is_too_long_is_skipped_wherever_it_stands(log: Path, at: int, block_bytes: int) -> None:
    lines = [usage_bytes(), usage_bytes()]
    lines.insert(at, usage_bytes(prompt="x" * 200_000))
    for text in (b"".join(lines), b"".join(lines).rstrip()):
        log.parent.mkdir(exist_ok=True)
        log.write_bytes(text)
        sums = read_usage(log, block_bytes=block_bytes, max_line_bytes=100_000)
        assert (calls_of(sums), sums.bad_lines, sums.oversized_lines) == (2, 1, 1)


def test_a_log_that_cannot_be_read_is_one_clear_line(log: Path) -> None:
    log.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"Can't read .*local-llm-usage.jsonl: "):
        read_usage(log)
    log.rmdir()
    os.mkfifo(log)
    with pytest.raises(UsageError, match="it is no regular file"):
        read_usage(log)


def test_names_are_safe_to_show_and_of_a_bounded_number(log: Path) -> None:
    hostile = usage_bytes(model="\x1b]0;PWNED\x07", task_type="a\u202eb", caller="c" * 100_000)
    group = only(read_lines(log, hostile, hostile))
    assert (group.model, group.task) == ("^[]0;PWNED^G", "a<U+202E>b")
    assert len(group.caller) < 100
    many = read_lines(log, *(usage_bytes(caller=f"script {number}") for number in range(NAMES_LIMIT * 2)))
    callers = {group.caller: group.calls for group in many.groups}
    assert len(callers) == NAMES_LIMIT + 1
    assert callers[OTHERS] == NAMES_LIMIT


def test_groups_are_of_a_bounded_number(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GROUPS_LIMIT", 10)
    monkeypatch.setattr(reading, "HOURS_LIMIT", 4)
    sums = read_lines(log, *(usage_bytes(timestamp=f"2026-01-{day:02d}T16:12:32.132Z") for day in range(1, 31)))
    assert (len(sums.groups), calls_of(sums)) == (11, 30)
    assert GROUPS_LIMIT > 10


# Time.


def test_a_stretch_takes_its_first_moment_and_not_its_end(log: Path) -> None:
    at = 1_769_789_552.0  # 2026-01-30T16:12:32Z
    moments = [
        "2026-01-30T16:12:31.999Z",
        "2026-01-30T16:12:32.000Z",
        "2026-01-30T16:12:41.999Z",
        "2026-01-30T16:12:42Z",
    ]
    write_log(log, [usage_bytes(timestamp=moment) for moment in moments])
    assert calls_of(read_usage(log, at, at + 10)) == 2
    assert calls_of(read_usage(log, at)) == 3
    assert calls_of(read_usage(log, None, at)) == 1
    assert calls_of(read_usage(log, at + 86_400)) == 0


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-30T16:12:32Z",
        "2026-01-30T16:12:32.132456+00:00",
        "2026-01-30T18:12:32+02:00",
        "2026-01-30 16:12:32",
        "20260130T161232Z",
    ],
)
def test_moments_in_other_forms_are_understood(log: Path, moment: str) -> None:
    assert only(read_lines(log, usage_bytes(timestamp=moment))).day == "2026-01-30"


@pytest.mark.parametrize(
    "moment", ["", "yesterday", "2026-99-99T99:99:99Z", "9" * 10_000, None, 5, ["x"], "0001-01-01"]
)
def test_a_call_at_an_unusable_moment_counts_where_there_is_no_bound(
    log: Path, monkeypatch: pytest.MonkeyPatch, moment: object
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")  # in which the first day of the calendar has no local time
    time.tzset()
    write_log(log, [usage_bytes(timestamp=moment), usage_bytes()])
    assert sorted(group.day for group in read_usage(log).groups) == ["", "2026-01-30"]
    assert [group.day for group in read_usage(log, 0.0).groups] == ["2026-01-30"]


def days_in(zone: str, log: Path, monkeypatch: pytest.MonkeyPatch, *moments: str) -> list[str]:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    write_log(log, [usage_bytes(timestamp=moment, caller=str(place)) for place, moment in enumerate(moments)])
    by_place = {int(group.caller): group.day for group in read_usage(log).groups}
    return [by_place[place] for place in range(len(moments))]


def test_days_are_local_also_where_the_clock_changes(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spring = [
        "2026-03-28T22:59:59.999Z",
        "2026-03-28T23:00:00.000Z",
        "2026-03-29T21:59:59.999Z",
        "2026-03-29T22:00:00.000Z",
    ]
    assert days_in("Europe/Berlin", log, monkeypatch, *spring) == [
        "2026-03-28",
        "2026-03-29",
        "2026-03-29",
        "2026-03-30",
    ]
    autumn = [
        "2026-10-24T21:59:59.999Z",
        "2026-10-24T22:00:00.000Z",
        "2026-10-25T22:59:59.999Z",
        "2026-10-25T23:00:00.000Z",
    ]
    assert days_in("Europe/Berlin", log, monkeypatch, *autumn) == [
        "2026-10-24",
        "2026-10-25",
        "2026-10-25",
        "2026-10-26",
    ]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"])
def test_days_are_local_also_where_midnight_is_no_full_hour(
    log: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    start = day_starts(date(2026, 4, 6), 1)
    assert local_day(start) == "2026-04-06"
    assert local_day(start - 0.001) == "2026-04-05"
    moments = [start - 1, start, start + 1, start - 1]
    texts = [time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at)) for at in moments]
    assert days_in(zone, log, monkeypatch, *texts) == ["2026-04-05", "2026-04-06", "2026-04-06", "2026-04-05"]
    assert calls_of(read_usage(log, start)) == 2


def test_a_stretch_of_days_begins_at_local_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    assert day_starts(date(2026, 10, 26), 2) == day_starts(date(2026, 10, 26), 1) - 25 * 3600
    assert local_day(day_starts(date(2026, 10, 26), 7)) == "2026-10-20"


# Anything at all.

_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=12), st.lists(st.integers())
)
_LINES = st.one_of(
    st.dictionaries(st.sampled_from([*OLD, "caller", "provider", "eval_sec", "x"]), _VALUES).map(
        lambda values: usage_bytes(**values).rstrip(b"\n")
    ),
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b" ")),
    st.just(usage_bytes().rstrip()),
)


@given(st.lists(_LINES, max_size=20), st.integers(7, 400))
def test_every_line_is_a_call_or_a_bad_one_whatever_it_is(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], block_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    sums = read_usage(path, block_bytes=block_bytes)
    filled = sum(bool(line.strip(b" \t\r\0").removeprefix(b"\xef\xbb\xbf")) for line in lines)
    assert calls_of(sums) + sums.bad_lines == filled
    for group in sums.groups:
        assert group.succeeded + group.failed <= group.calls
        assert group.saved_in >= 0
        assert group.saved_out >= 0


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_lines_says_nothing(tmp_path_factory: pytest.TempPathFactory, shuffler: random.Random) -> None:
    lines = [
        usage_bytes(timestamp=f"2026-01-{day:02d}T{hour:02d}:00:00.000Z", latency_sec=day / 8, caller=str(hour % 3))
        for day in range(1, 9)
        for hour in range(0, 24, 5)
    ]
    folder = tmp_path_factory.mktemp("order")
    in_order = read_usage(write_log(folder / "a", lines))
    shuffler.shuffle(lines)
    shuffled = read_usage(write_log(folder / "b", lines))

    def comparable(sums: UsageSums) -> set[tuple[object, ...]]:
        return {(g.day, g.caller, g.calls, g.tokens_in, tuple(sorted(g.latencies_s))) for g in sums.groups}

    assert comparable(in_order) == comparable(shuffled)


_APPENDER = """
import sys
from pathlib import Path
from timmy_tui.services.usage.recording import record_calls
from timmy_tui.services.usage.records import UsageCall
sys.stdin.readline()
for number in range(200):
    call = UsageCall("2026-01-30T16:12:32.132Z", caller=sys.argv[2], model="m" * 300, success=True)
    record_calls(Path(sys.argv[1]), [call])
"""


def test_two_processes_append_at_once_and_every_line_is_whole(log: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _APPENDER, str(log), name], stdin=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
        )
        for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [writer.wait(60) for writer in writers] == [0, 0]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    sums = read_usage(log)
    assert sums.bad_lines == 0
    assert {group.caller: group.calls for group in sums.groups} == {"one": 200, "two": 200}
