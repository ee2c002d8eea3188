"""Each decision is asked about once, whatever becomes of the files it stands in."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import pytest
from hermes_store_maker import NOW, make_empty_store
from hypothesis import given, settings
from hypothesis import strategies as st
from tick_maker import day_path, tick_line, write_day

from timmy_tui.services.labels.records import candidate_key
from timmy_tui.services.review.exchange import exchange_of
from timmy_tui.services.review.index import CandidateIndex
from timmy_tui.services.review.sessions import SessionCandidates
from timmy_tui.services.ticks.records import IndexProgress

MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)


class Log:
    """A folder of ticks, a Hermes home, and the index over both."""

    def __init__(self, folder: Path, sources: tuple[str, ...] = ()) -> None:
        self.ticks, self.hermes = folder / "heartbeat", folder / "hermes"
        self.ticks.mkdir(parents=True)
        self.hermes.mkdir()
        minutes = count(0, 60)
        self.index = CandidateIndex(
            self.ticks, SessionCandidates(self.hermes, "", sources), zone=UTC, monotonic=lambda: next(minutes)
        )

    def names(self) -> list[str]:
        return [entry.name for entry in self.index.entries]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_every_tick_with_a_decision_is_a_candidate_the_newest_first(log: Log) -> None:
    write_day(log.ticks, MONDAY, 3)
    write_day(log.ticks, TUESDAY, 2)
    log.index.build()
    assert log.index.complete
    assert log.names() == ["20261117_120000", "20261117_000000"] + [f"20261116_{at}0000" for at in ("16", "08", "00")]
    entry = log.index.entries[0]
    line = day_path(log.ticks, TUESDAY).read_bytes().splitlines()[1]
    exchange = exchange_of(line)
    assert exchange is not None
    assert entry.key == candidate_key(exchange.prompt, exchange.completion)
    assert (entry.severity, entry.model, entry.source, entry.by_model) == ("ok", "hermes4:14b", "heartbeat", True)
    assert log.index.find(entry.key) is entry


def test_the_newest_day_is_there_before_the_others_are_read(log: Log) -> None:
    for day in range(1, 29):
        write_day(log.ticks, date(2026, 10, day), 4)
    seen: list[int] = []

    def look(_progress: IndexProgress) -> None:
        seen.append(len(log.index.entries))
        if seen[-1] == 4:
            assert log.index.entries[0].name.startswith("20261028")

    log.index.build(look)
    assert 4 in seen
    assert len(log.index.entries) == 28 * 4


def test_a_stopped_build_goes_on_where_it_was(log: Log) -> None:
    for day in range(1, 11):
        write_day(log.ticks, date(2026, 10, day), 4)
    looks = iter([False] * 5 + [True] * 99)
    log.index.build(should_stop=lambda: next(looks))
    assert not log.index.complete
    log.index.build()
    assert log.index.complete
    assert len(log.index.entries) == 40


def test_repeated_lines_and_rotated_copies_are_one_candidate(log: Log) -> None:
    path = write_day(log.ticks, MONDAY, 5)
    path.write_bytes(path.read_bytes() * 2)
    log.index.build()
    keys = {entry.key for entry in log.index.entries}
    assert len(log.index.entries) == 5
    os.rename(path, f"{path}.1")
    write_day(log.ticks, MONDAY, 5)
    assert log.index.grow()
    assert {entry.key for entry in log.index.entries} == keys
    assert len(log.index.entries) == 5


def test_two_ticks_with_one_id_are_two_candidates(log: Log) -> None:
    day_path(log.ticks, MONDAY).write_bytes(tick_line(1, tick_id="twin") + tick_line(2, tick_id="twin"))
    log.index.build()
    assert log.names() == ["twin", "twin"]
    assert len({entry.key for entry in log.index.entries}) == 2


def test_a_changed_tick_is_another_candidate(log: Log) -> None:
    path = day_path(log.ticks, MONDAY)
    path.write_bytes(tick_line(1, tick_id="a", response="before"))
    log.index.build()
    (before,) = log.index.entries
    path.write_bytes(tick_line(1, tick_id="a", response="after!"))
    assert log.index.grow()
    (after,) = log.index.entries
    assert (before.name, before.key != after.key) == (after.name, True)


def test_what_is_new_is_taken_in_and_what_is_gone_is_left_out(log: Log) -> None:
    path = write_day(log.ticks, MONDAY, 3)
    log.index.build()
    assert not log.index.grow()
    with path.open("ab") as file:
        file.write(tick_line(90, at=datetime(2026, 11, 16, 23, 59, tzinfo=UTC)))
    assert log.index.grow()
    assert log.names()[0] == "20261116_235900"
    path.unlink()
    write_day(log.ticks, TUESDAY, 1)
    assert log.index.grow()
    assert log.names() == ["20261117_000000"]


def test_lines_that_are_no_tick_cost_only_themselves(log: Log) -> None:
    path = write_day(log.ticks, MONDAY, 2)
    path.write_bytes(b"garbage\n" + path.read_bytes() + b'{"tick_id": "torn"')
    log.index.build()
    assert (len(log.index.entries), log.index.bad_lines) == (2, 1)


def test_no_log_at_all_is_no_candidate(tmp_path: Path) -> None:
    index = CandidateIndex(tmp_path / "nowhere", SessionCandidates(tmp_path, "", ()))
    index.build()
    assert index.entries == ()
    assert not index.grow()


def test_fallback_decisions_say_that_no_model_made_them(log: Log) -> None:
    day_path(log.ticks, MONDAY).write_bytes(tick_line(1, severity="fallback") + tick_line(2, severity="ok"))
    log.index.build()
    assert {entry.name: entry.by_model for entry in log.index.entries} == {
        "20261120_001000": False,
        "20261120_002000": True,
    }


def test_a_file_that_can_not_be_read_costs_only_its_own(log: Log) -> None:
    write_day(log.ticks, MONDAY, 2)
    day_path(log.ticks, TUESDAY).mkdir()
    log.index.build()
    assert len(log.index.entries) == 2
    assert log.index.complete
    assert log.index.trouble is not None
    day_path(log.ticks, TUESDAY).rmdir()
    write_day(log.ticks, TUESDAY, 1)
    assert log.index.grow()
    assert log.index.trouble is None
    assert log.names()[0] == "20261117_000000"


@settings(max_examples=60)
@given(
    tree=st.dictionaries(
        st.sampled_from(["prompt", "response", "decision", "perception", "timestamp", "model", "dpo_label"]),
        st.none() | st.text(max_size=8) | st.integers() | st.dictionaries(st.text(max_size=4), st.text(max_size=4)),
    )
)
def test_the_fast_way_and_the_slow_way_name_a_candidate_alike(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, object]
) -> None:
    log = Log(tmp_path_factory.mktemp("log"))
    line = json.dumps({**tree, "tick_id": "a"}).encode()
    day_path(log.ticks, MONDAY).write_bytes(line + b"\n")
    log.index.build()
    exchange = exchange_of(line)
    expected = [] if exchange is None else [candidate_key(exchange.prompt, exchange.completion)]
    assert [entry.key for entry in log.index.entries] == expected


# Hermes sessions.


def test_a_callers_session_is_a_candidate_and_a_chosen_source_is_one_too(tmp_path: Path) -> None:
    log = Log(tmp_path, sources=("tool",))
    writer = make_empty_store(log.hermes / "state.db")
    asked = {
        "tagged": ("cli", "[triage_issues] Which one first?"),
        "chosen": ("tool", "Quick check."),
        "other": ("cli", "Summarise the box."),
        "tick": ("heartbeat", "[heartbeat_tick] System state…"),
        "sample": ("review", "[triage_issues] Which one first?"),
        "cron": ("cron", "[IMPORTANT: You are running as a cron job.]"),
    }
    for session, (source, prompt) in asked.items():
        writer.session(session, source=source)
        writer.message(session, "user", prompt)
        writer.message(session, "assistant", f"answer to {session}")
    writer.close()
    log.index.build()
    assert {entry.name: entry.source for entry in log.index.entries} == {"tagged": "triage_issues", "chosen": "tool"}
    entry = next(entry for entry in log.index.entries if entry.name == "tagged")
    assert entry.key == candidate_key("[triage_issues] Which one first?", "answer to tagged")
    assert entry.place is None


def test_an_answer_that_followed_from_tools_is_none_to_train_on(tmp_path: Path) -> None:
    log = Log(tmp_path)
    writer = make_empty_store(log.hermes / "state.db")
    for session in ("tools", "empty", "silent", "rewound"):
        writer.session(session)
        writer.message(session, "user", f"[caller] {session}")
    writer.message("tools", "assistant", "", tool_calls='[{"id": "1"}]')
    writer.message("tools", "tool", "42")
    writer.message("tools", "assistant", "It is 42.")
    writer.message("empty", "assistant", "(empty)")
    writer.message("rewound", "assistant", "wrong", active=0)
    writer.message("rewound", "assistant", "right")
    writer.close()
    log.index.build()
    assert [(entry.name, entry.key) for entry in log.index.entries] == [
        ("rewound", candidate_key("[caller] rewound", "right"))
    ]


def test_a_store_that_changes_without_a_new_candidate_changes_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path)
    writer = make_empty_store(log.hermes / "state.db")
    writer.session("s")
    writer.message("s", "user", "[caller] hello")
    writer.message("s", "assistant", "hi")
    log.index.build()
    entries = log.index.entries
    writer.session("t")
    writer.message("t", "user", "no caller")
    assert not log.index.grow()
    assert log.index.entries is entries
    writer.close()


def test_a_store_that_breaks_keeps_what_was_read_of_it(tmp_path: Path) -> None:
    log = Log(tmp_path)
    path = log.hermes / "state.db"
    writer = make_empty_store(path)
    writer.session("s", started_at=NOW)
    writer.message("s", "user", "[caller] hello")
    writer.message("s", "assistant", "hi")
    writer.close()
    log.index.build()
    assert log.index.trouble is None
    path.write_bytes(b"garbage" * 1000)
    log.index.grow()
    assert log.names() == ["s"]
    assert log.index.trouble is not None
