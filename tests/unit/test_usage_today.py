"""Today's use of each model is what the usage log says since midnight, however it grows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from timmy_tui.services.usage.recording import record_calls, usage_moment
from timmy_tui.services.usage.records import UsageCall
from timmy_tui.services.usage.today import UsageFollower, UsageToday, Use

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def utc(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


class Log:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOON
        self.follower = UsageFollower(path, lambda: self.now)

    def call(self, hours_ago: float, model: str, tokens: int | None = 40, seconds: float | None = 0.5) -> None:
        call = UsageCall(
            timestamp=usage_moment(NOON - hours_ago * 3600),
            model=model,
            provider="ollama",
            tokens_out=tokens,
            eval_sec=seconds,
            success=True,
        )
        record_calls(self.path, [call])


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "metrics" / "usage.jsonl")


def test_no_log_is_no_use(log: Log) -> None:
    assert log.follower.read() == UsageToday()


def test_only_calls_since_midnight_count_and_each_model_apart(log: Log) -> None:
    log.call(30, "old:1b")
    log.call(12.5, "hermes4:14b")
    log.call(3, "hermes4:14b")
    log.call(2, "hermes4:14b", tokens=60, seconds=0.5)
    log.call(1, "llama3.2:3b", seconds=None)
    today = log.follower.read()
    assert today.models == (Use("llama3.2:3b", 1, None), Use("hermes4:14b", 2, 100.0))
    assert today.of_provider("ollama") == Use("ollama", 3, 100.0)
    assert today.of_model("old:1b") is None


def test_new_calls_are_added_and_an_unchanged_log_is_the_same_object(log: Log) -> None:
    log.call(3, "a")
    first = log.follower.read()
    assert log.follower.read() is first
    log.call(1, "a")
    assert log.follower.read().of_model("a") == Use("a", 2, 80.0)


def test_a_new_day_begins_with_nothing(log: Log) -> None:
    log.call(3, "a")
    assert log.follower.read().models
    log.now += timedelta(days=1).total_seconds()
    assert log.follower.read() == UsageToday()


def test_garbage_costs_only_itself_and_a_replaced_log_is_read_anew(log: Log) -> None:
    log.call(3, "a")
    with log.path.open("ab") as file:
        file.write(b"garbage\n[1]\n" + json.dumps({"timestamp": 5, "model": ["x"]}).encode() + b"\n")
    log.call(2, "a", tokens=-5)
    assert log.follower.read().of_model("a") == Use("a", 2, 80.0)
    log.path.unlink()
    log.call(1, "b")
    assert [use.name for use in log.follower.read().models] == ["b"]
