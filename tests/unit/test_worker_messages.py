"""What is read from a queue runs nothing, and a message that is none stops nobody."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
from huey.registry import Message
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.config import Settings, load_settings
from timmy_tui.services.worker.app import TICK_TASK, make_huey, message, send
from timmy_tui.services.worker.messages import BadMessage, PlainHuey, plain
from timmy_tui.services.worker.queue import parse_queue, read_queue
from timmy_tui.services.worker.records import RequestRecord
from timmy_tui.services.worker.recover import mark_lost
from timmy_tui.services.worker.requests import put_record


class Evil:
    def __init__(self, what: object) -> None:
        self.what = what

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.system, (f"touch {self.what}",)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": ""}


@pytest.fixture
def settings(env: Mapping[str, str]) -> Settings:
    return load_settings(env)


GOOD = message(TICK_TASK, "abc", "manual")


def test_a_message_of_ours_is_read() -> None:
    found = plain(GOOD)
    assert isinstance(found, Message)
    assert (found.name, found.args) == (TICK_TASK, ("abc", "manual"))


def test_nothing_is_run(tmp_path: Path) -> None:
    for evil in (Evil(tmp_path / "ran"), [Evil(tmp_path / "ran")], Message("1", "x", args=(Evil(tmp_path / "ran"),))):
        with pytest.raises(BadMessage, match="it names"):
            plain(pickle.dumps(evil))
    assert not (tmp_path / "ran").exists()


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_flipped_byte_is_a_message_or_a_bad_one(place: int, value: int) -> None:
    data = bytearray(GOOD)
    data[place] = value
    try:
        plain(bytes(data))
    except BadMessage:
        pass


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_bad_message(data: bytes) -> None:
    try:
        plain(data)
    except BadMessage:
        pass


BAD = {
    "empty": b"",
    "nonsense": b"\x80\x05nonsense",
    "cut": GOOD[:-7],
    "a function": pickle.dumps(os.getcwd),
    "no pickle": b"{}",
    "a number": pickle.dumps(7),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_message_is_set_aside_counted_and_stops_nobody(
    settings: Settings, env: Mapping[str, str], bad: bytes
) -> None:
    huey = make_huey(settings, env, host="here")
    assert isinstance(huey, PlainHuey)
    ran: list[str] = []

    @huey.task(name="heartbeat_tick")
    def heartbeat_tick(id: str, trigger: str) -> None:
        ran.append(id)

    heartbeat_tick.task_class.__module__ = TICK_TASK.rpartition(".")[0]
    put_record(huey, RequestRecord("waiting", "queued", "here", "manual", 0.0, 0.0))
    huey.storage.enqueue(bad)
    send(huey, message("heartbeat_tick", "one", "manual"))
    mark_lost(huey, "here", started_at=1_000.0, now=1_000.0)  # the look that a worker begins with
    assert huey.dequeue() is None
    huey.dequeue()
    view = read_queue(parse_queue(settings, env))
    assert view.pending == 0
    assert view.bad_messages >= 1
    assert bad in [bytes(value) for (value,) in huey.storage.sql("SELECT value FROM kv", results=True)]


@pytest.mark.parametrize("gone", ["queue.db", "queue.db-wal", "queue.db-shm"])
def test_a_file_that_was_removed_is_opened_anew(settings: Settings, env: Mapping[str, str], gone: str) -> None:
    huey = make_huey(settings, env)
    huey.storage.put_data("before", b"1")
    assert not huey.storage.open_anew()
    (settings.timmy_home / gone).unlink()
    assert huey.storage.open_anew()
    assert not huey.storage.open_anew()
    huey.storage.put_data("after", b"1")
    other = make_huey(settings, env)
    assert other.storage.peek_data("after") == b"1"
    send(other, GOOD)
    assert huey.storage.dequeue() == GOOD
