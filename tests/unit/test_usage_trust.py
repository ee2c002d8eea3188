"""The usage log of other writers: times in numbers, no times, parts that a rotation has moved away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from timmy_tui.services.usage.reading import read_usage
from timmy_tui.services.usage.today import UsageFollower

AT = 1_795_000_000.0


def call(timestamp: object) -> bytes:
    tree = {"timestamp": timestamp, "task_type": "quick", "model": "m:1b", "latency_sec": 1.0, "success": True}
    return json.dumps(tree).encode() + b"\n"


@pytest.mark.parametrize("factor", [1, 1e3, 1e6])
@pytest.mark.parametrize("form", [float, int, lambda value: str(int(value))], ids=["float", "int", "text"])
def test_numbers_are_times(tmp_path: Path, factor: float, form: type) -> None:
    log = tmp_path / "usage.jsonl"
    log.write_bytes(call(form(AT * factor)) + call(form((AT + 60) * factor)))
    assert sum(group.calls for group in read_usage(log, AT - 10, AT + 100).groups) == 2
    assert read_usage(log, AT + 1000).groups == ()
    (use,) = UsageFollower(log, lambda: AT + 100).read().models
    assert use.calls == 2


def test_calls_without_a_time_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "usage.jsonl"
    log.write_bytes(call("yesterday") + call(None) + call(AT))
    sums = read_usage(log, AT - 10)
    assert (sum(group.calls for group in sums.groups), sums.untimed_calls, sums.bad_lines) == (1, 2, 0)


def test_a_rotated_log_still_counts(tmp_path: Path) -> None:
    log = tmp_path / "usage.jsonl"
    for number, name in enumerate(
        ("usage.jsonl.2", "usage.jsonl.1", "usage.jsonl", "usage.jsonl.gz", "usage.jsonl.old")
    ):
        (tmp_path / name).write_bytes(call(AT + number))
    assert sum(group.calls for group in read_usage(log).groups) == 3
