"""Search: every word, anything a person types, with Hermes' index or without."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from hermes_store_maker import NOW, StoreWriter, make_empty_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timmy_tui.services.hermes.records import SearchHit
from timmy_tui.services.hermes.search import find_messages
from timmy_tui.services.hermes.store import HermesStore

FIXTURE = Path(__file__).parent.parent / "fixtures" / "hermes" / "state.db"


def search(home: Path, text: str, limit: int = 50) -> tuple[SearchHit, ...]:
    return HermesStore(home, clock=lambda: NOW).search(text, limit)


def written(path: Path, *, fts: bool) -> StoreWriter:
    writer = make_empty_store(path, fts=fts)
    writer.session("s")
    for content in ("The disk is 41 percent full.", "disk-check: 100% done_", "unrelated words", 'say "hi" (now): *'):
        writer.message("s", "user", content)
    return writer


@pytest.fixture(params=[True, False], ids=["index", "no index"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    written(tmp_path / "state.db", fts=request.param).close()
    return tmp_path


def found(home: Path, text: str) -> list[int]:
    return sorted(hit.message_id for hit in search(home, text))


def test_the_fixtures_words() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(FIXTURE, Path(folder, "state.db"))
        hits = search(Path(folder), "one word")
    assert [(hit.session_id, hit.message_id, hit.role) for hit in hits] == [("20261120_035126_c927ad", 31, "user")]
    assert hits[0].snippet == "And now in one word?"
    assert hits[0].at == pytest.approx(1795146717.4088063)


def test_a_search_that_is_told_to_stop_stops_in_the_middle_of_its_messages(tmp_path: Path) -> None:
    writer = written(tmp_path / "state.db", fts=False)
    writer.connection.execute("BEGIN")
    for _ in range(20_000):
        writer._insert("messages", {"session_id": "s", "role": "user", "content": "words", "timestamp": NOW})
    writer.connection.execute("COMMIT")
    writer.close()
    looks: list[bool] = []

    def should_stop() -> bool:
        looks.append(len(looks) >= 2)
        return looks[-1]

    store = HermesStore(tmp_path, clock=lambda: NOW)
    assert store.search("disk", should_stop=should_stop) == ()
    assert looks.count(True) <= 3  # SQLite heard the first one
    assert len(store.search("disk")) == 2
    assert store.search("disk", should_stop=lambda: True) == ()


def test_every_word_must_be_there(home: Path) -> None:
    assert found(home, "disk") == [1, 2]
    assert found(home, "disk percent") == [1]
    assert found(home, "percent disk") == [1]
    assert found(home, "disk unrelated") == []


def test_the_last_word_may_be_unfinished_and_case_does_not_matter(home: Path) -> None:
    assert found(home, "DISK perc") == [1]


def test_a_part_of_a_word_is_found_when_no_word_begins_with_it(home: Path) -> None:
    assert found(home, "elated") == [3]


def test_a_phrase_in_quotes_stands_as_it_is(home: Path) -> None:
    assert found(home, '"41 percent"') == [1]
    assert found(home, '"percent 41"') == []
    assert found(home, 'full "is 41"') == [1]
    assert found(home, '"" " "') == []


def test_signs_are_text_not_query_syntax(home: Path) -> None:
    assert found(home, '"hi"') == [4]
    assert found(home, "disk-check:") == [2]
    assert found(home, "(now)") == [4]
    assert found(home, "NEAR( disk") == []


def test_like_wildcards_are_text(tmp_path: Path) -> None:
    written(tmp_path / "state.db", fts=False).close()
    assert found(tmp_path, "100%") == [2]
    assert found(tmp_path, "d_sk") == []
    assert found(tmp_path, "done_") == [2]


def test_signs_alone_are_compared(home: Path) -> None:
    assert found(home, "(") == [4]


def test_blank_text_finds_nothing(home: Path) -> None:
    assert search(home, "") == search(home, " \t\n") == search(home, "\x00") == ()


def test_the_limit(home: Path) -> None:
    assert len(search(home, "disk", limit=1)) == 1
    assert search(home, "disk", limit=-1) == ()


def test_rewound_messages_are_not_found(home: Path) -> None:
    with sqlite3.connect(home / "state.db") as connection:
        connection.execute("UPDATE messages SET active = 0 WHERE id = 1")
        connection.execute("UPDATE messages SET active = NULL WHERE id = 2")
    assert found(home, "disk") == [2]


def test_the_snippet_is_one_clean_line_around_the_match(tmp_path: Path) -> None:
    writer = make_empty_store(tmp_path / "state.db")
    writer.session("s")
    writer.message("s", "user", "first line\n" * 40 + "here the \x1b[31mneedle\x1b[0m lies\n" + "last line\n" * 40)
    writer.close()
    (hit,) = search(tmp_path, "needle")
    assert hit.snippet.isprintable()
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert "here the ^[[31mneedle^[[0m lies last line" in hit.snippet
    assert len(hit.snippet) < 200


def test_a_match_in_a_tool_call_is_shown(tmp_path: Path) -> None:
    writer = make_empty_store(tmp_path / "state.db")
    writer.session("s")
    writer.message("s", "assistant", "", tool_calls='[{"function": {"name": "terminal", "arguments": "uptime"}}]')
    writer.close()
    (hit,) = search(tmp_path, "uptime")
    assert "uptime" in hit.snippet


def test_a_missing_trigram_table_is_no_failure(tmp_path: Path) -> None:
    writer = written(tmp_path / "state.db", fts=True)
    for when in ("insert", "delete", "update"):
        writer.connection.execute(f"DROP TRIGGER messages_fts_trigram_{when}")
    writer.connection.execute("DROP TABLE messages_fts_trigram")
    writer.close()
    assert found(tmp_path, "disk") == [1, 2]
    assert found(tmp_path, "elated") == []


def test_a_damaged_index_is_stepped_over(tmp_path: Path) -> None:
    writer = written(tmp_path / "state.db", fts=True)
    writer.connection.execute("UPDATE messages_fts_data SET block = x'00ff00ff'")
    writer.close()
    assert found(tmp_path, "disk") == [1, 2]


def test_a_sqlite_without_fts5_compares(tmp_path: Path) -> None:
    """Such a build says ``no such module: fts5`` for a table that its authors could still create."""
    written(tmp_path / "state.db", fts=True).close()

    class Without(sqlite3.Connection):
        def execute(self, sql, *parameters):
            if "MATCH" in sql:
                raise sqlite3.OperationalError("no such module: fts5")
            return super().execute(sql, *parameters)

    connection = sqlite3.connect(tmp_path / "state.db", factory=Without)
    connection.text_factory = bytes
    hits = find_messages(connection, "disk", 10)
    connection.close()
    assert [hit.message_id for hit in hits] == [2, 1]


@given(text=st.text(max_size=60) | st.text(alphabet="\"'*:-()^+ANDORNEAR \ud800%_\\", max_size=20))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_can_be_typed_is_an_error(home: Path, text: str) -> None:
    for hit in search(home, text):
        assert hit.snippet.isprintable()
