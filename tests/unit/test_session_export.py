"""The export of sessions: every pair once, from stores of any age, whatever is killed and when."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hermes_store_maker import NOW, StoreWriter, make_empty_store, make_store, tool_call

from timmy_tui.config import Config, HermesConfig, Settings
from timmy_tui.services.hermes.connection import HermesError
from timmy_tui.services.session_export import Exported, SessionExportError, export_sessions, last_export_at

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        config=Config(hermes=HermesConfig()),
        timmy_home=tmp_path / "timmy",
        hermes_home=tmp_path / "hermes",
        config_path=tmp_path / "tui.yaml",
        ollama_host="",
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[StoreWriter]:
    writer = make_empty_store(settings.hermes_home / "state.db")
    yield writer
    writer.close()


def export(settings: Settings, **bounds: int) -> Exported:
    return export_sessions(settings, clock=lambda: NOW, **bounds)


def lines(settings: Settings) -> list[dict[str, object]]:
    text = (settings.timmy_home / "exports" / "sessions.jsonl").read_text()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def said(settings: Settings) -> list[tuple[object, object]]:
    return [(line["user"], line["assistant"]) for line in lines(settings)]


def test_a_pair_is_a_question_and_its_first_answer(settings: Settings, store: StoreWriter) -> None:
    store.session("a", source="telegram", model="hermes4:14b")
    store.message("a", "user", "How full is the disk?", timestamp=NOW)
    calls = json.dumps([tool_call("1", "terminal", {"command": "df"})])
    store.message("a", "assistant", "I look.", tool_calls=calls, timestamp=NOW + 1)
    store.message("a", "tool", '{"output": "81 %"}', tool_call_id="1", timestamp=NOW + 2)
    store.message("a", "assistant", "81 %.\nThat is fine.", timestamp=NOW + 3)
    store.message("a", "assistant", "Anything else?", timestamp=NOW + 4)
    assert export(settings).pairs == 1
    assert lines(settings) == [
        {
            "session_id": "a",
            "source": "telegram",
            "model": "hermes4:14b",
            "at": "2026-11-20T04:05:03+00:00",
            "user": "How full is the disk?",
            "assistant": "81 %.\nThat is fine.",
        }
    ]


def test_sessions_that_run_at_the_same_time_are_kept_apart(settings: Settings, store: StoreWriter) -> None:
    for id in "ab":
        store.session(id, source="heartbeat")
    for id in "abab":
        store.message(id, "user" if len(said_in(store, id)) == 0 else "assistant", f"by {id}")
    export(settings)
    assert said(settings) == [("by a", "by a"), ("by b", "by b")]


def said_in(store: StoreWriter, id: str) -> list[object]:
    return store.connection.execute("SELECT id FROM messages WHERE session_id = ?", (id,)).fetchall()


def test_each_run_brings_only_what_is_new(settings: Settings, store: StoreWriter) -> None:
    store.session("a")
    store.message("a", "user", "one")
    assert export(settings).pairs == 0
    store.message("a", "assistant", "1")
    assert export(settings).pairs == 1
    assert export(settings).pairs == 0
    store.message("a", "user", "two")
    store.message("a", "assistant", "2")
    assert export(settings).pairs == 1
    assert said(settings) == [("one", "1"), ("two", "2")]
    assert last_export_at(settings) == NOW


@pytest.mark.parametrize(
    ("question", "answer"),
    [("", "no question"), ("hello", ""), ("hello", "(empty)"), ("hello", None), ("x" * 1_000_001, "too long")],
    ids=["no question", "no answer", "Hermes' word for no answer", "null", "a file"],
)
def test_what_is_no_exchange_is_left_out(
    settings: Settings, store: StoreWriter, question: str, answer: str | None
) -> None:
    store.session("a")
    store.message("a", "user", question)
    store.message("a", "assistant", answer)
    assert export(settings).pairs == 0
    assert lines(settings) == []


def test_rewound_messages_are_no_part_of_it(settings: Settings, store: StoreWriter) -> None:
    store.session("a")
    store.message("a", "user", "old", active=0)
    store.message("a", "assistant", "old", active=0)
    store.message("a", "user", "new", active=None)
    store.message("a", "assistant", "new")
    export(settings)
    assert said(settings) == [("new", "new")]


def test_secrets_are_masked_and_nothing_acts_in_a_terminal(settings: Settings, store: StoreWriter) -> None:
    store.session("a", source="\x1b]0;x\x07")
    store.message("a", "user", "my key is sk-proj-abcdefgh12345678")
    store.message("a", "assistant", "\x1b[2J \x9b \u202e and \x00json: too")
    export(settings)
    raw = (settings.timmy_home / "exports" / "sessions.jsonl").read_bytes()
    assert b"abcdefgh12345678" not in raw
    assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in raw)
    assert said(settings)[0][1] == "\x1b[2J \x9b \u202e and \x00json: too"


def test_a_session_that_was_deleted_leaves_its_pairs_without_a_source(settings: Settings, store: StoreWriter) -> None:
    store.message("gone", "user", "q")
    store.message("gone", "assistant", "a")
    export(settings)
    assert [(line["source"], line["model"]) for line in lines(settings)] == [(None, None)]


@pytest.mark.parametrize("schema", [14, 20, 22, 26])
def test_stores_of_any_age_are_exported_in_bounded_runs(settings: Settings, schema: int) -> None:
    make_store(settings.hermes_home / "state.db", schema=schema, sessions=20)
    first = export(settings, answers_per_look=5, answers_per_run=10)
    assert (first.more, last_export_at(settings)) == (True, None)
    runs = 1
    while export(settings, answers_per_look=5, answers_per_run=10).more:
        runs += 1
    assert runs > 2
    ids = [line["session_id"] for line in lines(settings)]
    assert len(ids) == len(set(ids)) == 18  # of 20, every eighth has no answer
    assert last_export_at(settings) == NOW


def test_an_export_that_was_taken_away_begins_anew(settings: Settings) -> None:
    make_store(settings.hermes_home / "state.db", sessions=6)
    export(settings)
    whole = lines(settings)
    (settings.timmy_home / "exports" / "sessions.jsonl").unlink()
    export(settings)
    assert lines(settings) == whole


def test_another_store_in_its_place_is_read_from_its_start(settings: Settings) -> None:
    database = settings.hermes_home / "state.db"
    make_store(database, sessions=6)
    export(settings)
    before = len(lines(settings))
    database.unlink()
    make_store(database, sessions=2)
    assert export(settings).pairs == 2
    assert len(lines(settings)) == before + 2


def test_files_are_the_owners_own(settings: Settings) -> None:
    make_store(settings.hermes_home / "state.db")
    export(settings)
    folder = settings.timmy_home / "exports"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_no_store_and_no_room_are_errors_that_say_so(settings: Settings) -> None:
    with pytest.raises(HermesError, match="No Hermes store"):
        export(settings)
    assert not settings.timmy_home.exists()
    make_store(settings.hermes_home / "state.db")
    (settings.timmy_home / "exports" / "sessions.jsonl").mkdir(parents=True)
    with pytest.raises(SessionExportError, match="Is a directory"):
        export(settings)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from timmy_tui.config import Config, Settings
from timmy_tui.services import session_export
home, left = Path(sys.argv[2]), [int(sys.argv[3])]
def dies(name):
    real = getattr(os, name)
    def call(*words):
        left[0] -= 1
        if left[0] < 0:
            if name == "write":
                real(words[0], bytes(words[1])[: len(words[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words)
    setattr(os, name, call)
for name in ("write", "fsync", "replace", "ftruncate"):
    dies(name)
settings = Settings(Config(), home / "timmy", home / "hermes", home / "tui.yaml", "")
session_export.export_sessions(settings, answers_per_look=5)
"""


def test_a_run_that_is_killed_anywhere_costs_and_doubles_nothing(settings: Settings, tmp_path: Path) -> None:
    make_store(settings.hermes_home / "state.db", sessions=12)
    export(settings, answers_per_look=5)
    whole = lines(settings)
    for path in (settings.timmy_home / "exports").iterdir():
        path.unlink()
    steps = 0
    # Each run goes one system call further than the last, on top of what that one left behind.
    while True:
        done = subprocess.run([sys.executable, "-c", KILLED, str(ROOT), str(tmp_path), str(steps)], check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        steps += 1
    assert steps >= 6
    assert lines(settings) == whole
    assert export(settings).pairs == 0


def test_two_runs_at_once_are_one(settings: Settings) -> None:
    import fcntl

    make_store(settings.hermes_home / "state.db")
    export(settings)
    with (settings.timmy_home / "exports" / "sessions.jsonl").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (settings.timmy_home / "exports" / "sessions.jsonl").open("a") as mine:
            os.truncate(mine.fileno(), 0)
        assert export(settings) == Exported(0, False, settings.timmy_home / "exports" / "sessions.jsonl")
    assert export(settings).pairs > 0
