"""What the store says when it can't be read: one line that names the trouble, and what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hermes_store_maker import NOW, StoreWriter, make_store
from hypothesis import given, settings
from hypothesis import strategies as st

from timmy_tui.services.hermes.store import HermesError, HermesStore


def store_of(home: Path, pause: Callable[[float], None] = lambda s: None) -> HermesStore:
    return HermesStore(home, clock=lambda: NOW, pause=pause, busy_timeout_s=0)


def failure(home: Path) -> HermesError:
    """What ``read`` raises; ``transcript`` and ``search`` must say the same."""
    store = store_of(home)
    with pytest.raises(HermesError) as read:
        store.read()
    for ask in (lambda: store.transcript("x"), lambda: store.search("x")):
        with pytest.raises(HermesError) as other:
            ask()
        assert other.value.message == read.value.message
    assert read.value.hint
    assert "\n" not in read.value.message
    return read.value


def test_a_missing_home(tmp_path: Path) -> None:
    error = failure(tmp_path / "nowhere")
    assert error.message == f"No Hermes store at {tmp_path / 'nowhere'}"
    assert "hermes.home" in error.hint


def test_a_home_without_a_store_is_a_new_install(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: x\n")
    error = failure(tmp_path)
    assert error.message == f"No state.db in {tmp_path}"
    assert "run `hermes` once" in error.hint


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "No state.db" in failure(tmp_path / "file").message


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    assert failure(tmp_path).message.endswith("state.db is empty")


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    assert "is a folder" in failure(tmp_path).message


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("this is a text, long enough to have a header\n" * 100)
    assert "is not a SQLite database" in failure(tmp_path).message


def test_a_database_of_something_else(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("CREATE TABLE photos (id INTEGER)")
    error = failure(tmp_path)
    assert "lacks a table: no such table: sessions" in error.message


def test_a_sessions_table_of_something_else(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("CREATE TABLE sessions (number INTEGER)")
        other.execute("CREATE TABLE messages (id INTEGER, session_id TEXT)")
    assert "layout" in failure(tmp_path).message


def test_a_home_with_control_codes_in_its_name_is_shown_safely(tmp_path: Path) -> None:
    error = failure(tmp_path / "a\x1b[31mb")
    assert "\x1b" not in error.message
    assert "^[[31m" in error.message


def test_damaged_pages(tmp_path: Path) -> None:
    path = make_store(tmp_path / "state.db", sessions=40, journal="delete")
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(16) * ((len(content) - 4096) // 16)
    path.write_bytes(content)
    error = failure(tmp_path)
    assert "is damaged" in error.message
    assert error.hint == "run: hermes doctor"


def test_a_schema_that_is_no_text_is_damage(tmp_path: Path, sound_store: Path) -> None:
    content = sound_store.read_bytes()
    (tmp_path / "state.db").write_bytes(content.replace(b"CREATE TABLE sessions", b"CREATE TABLE \x80essions"))
    assert "is damaged" in failure(tmp_path).message


@given(damage=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=40)), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_damage_gives_an_answer_or_a_hermes_error(
    tmp_path_factory: pytest.TempPathFactory, sound_store: Path, damage: list[tuple[float, bytes]]
) -> None:
    content = bytearray(sound_store.read_bytes())
    for where, what in damage:
        start = int(where * (len(content) - len(what)))
        content[start : start + len(what)] = what
    home = tmp_path_factory.mktemp("damaged")
    (home / "state.db").write_bytes(content)
    store = store_of(home)
    for ask in (store.read, lambda: store.transcript("s000000"), lambda: store.search("disk")):
        error = None
        try:
            ask()
        except HermesError as raised:
            error = raised
        assert error is None or (error.message and error.message.isprintable())


@pytest.fixture(scope="module")
def sound_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("sound") / "state.db", sessions=12, journal="delete")


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[StoreWriter]:
    """A store in DELETE mode with its only lock taken."""
    make_store(tmp_path / "state.db", sessions=2, journal="delete")
    writer = StoreWriter(tmp_path / "state.db")
    writer.connection.execute("BEGIN EXCLUSIVE")
    yield writer
    writer.close()


def test_a_lock_that_stays(tmp_path: Path, locked: StoreWriter) -> None:
    assert "is locked by another process" in failure(tmp_path).message


def test_a_lock_that_passes_is_waited_for(tmp_path: Path, locked: StoreWriter) -> None:
    pauses: list[float] = []

    def release(seconds: float) -> None:
        pauses.append(seconds)
        locked.connection.rollback()

    assert len(store_of(tmp_path, release).read().sessions) == 2
    assert len(pauses) == 1
    assert 0 < pauses[0] < 1


def test_old_values_do_not_hide_a_lock_and_the_store_recovers(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=2, journal="delete")
    store = store_of(tmp_path)
    before = store.read()
    writer = StoreWriter(tmp_path / "state.db")
    writer.connection.execute("BEGIN EXCLUSIVE")
    writer.connection.execute("UPDATE sessions SET title = 'x' || id")
    os.utime(tmp_path / "state.db", (1, 1))
    with pytest.raises(HermesError):
        store.read()
    writer.connection.execute("COMMIT")
    writer.close()
    after = store.read()
    assert [session.title for session in after.sessions] == ["xs000000", "xs000001"]
    assert [session.tokens for session in after.sessions] == [session.tokens for session in before.sessions]


@pytest.mark.parametrize("table", ["session_model_usage", "messages", "sessions"])
def test_a_table_that_is_away_during_a_migration(tmp_path: Path, table: str) -> None:
    make_store(tmp_path / "state.db", sessions=4, fts=False)
    expected = store_of(tmp_path).read()
    writer = StoreWriter(tmp_path / "state.db")
    writer.connection.execute(f"ALTER TABLE {table} RENAME TO {table}_old")
    store = store_of(
        tmp_path, lambda s: writer.connection.execute(f"ALTER TABLE {table}_old RENAME TO {table}") and None
    )
    reading = store.read()
    assert reading.sessions == expected.sessions
    if table == "session_model_usage":  # known to be absent before schema 20, so no failure: the sessions' own numbers
        assert sum(usage.tokens.total for usage in reading.by_model) == expected.tokens.total
    writer.close()


def test_the_store_that_goes_away_is_missed_even_with_a_routing_file(tmp_path: Path) -> None:
    make_store(tmp_path / "state.db", sessions=1)
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "sessions.json").write_text("{}")
    store = store_of(tmp_path)
    assert not store.read().routing_only
    (tmp_path / "state.db").rename(tmp_path / "state.db.malformed-backup-1")
    with pytest.raises(HermesError, match=r"No state\.db"):
        store.read()


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder that anyone may enter, and a process without root's rights where the tests run as root."""
    home = Path(tempfile.mkdtemp(prefix="timmy-hermes-"))
    home.chmod(0o755)
    yield home
    if os.getuid() == 0:
        os.seteuid(0)
    home.chmod(0o755)
    shutil.rmtree(home)


def drop_rights() -> None:
    if os.getuid() == 0:
        os.seteuid(65_534)


def test_a_file_that_may_not_be_read(as_nobody: Path) -> None:
    make_store(as_nobody / "state.db", sessions=1, journal="delete").chmod(0o000)
    drop_rights()
    error = failure(as_nobody)
    assert "permission denied" in error.message
    assert "user" in error.hint


def test_a_home_that_may_not_be_entered(as_nobody: Path) -> None:
    make_store(as_nobody / "home" / "state.db", sessions=1)
    (as_nobody / "home").chmod(0o000)
    drop_rights()
    error = failure(as_nobody / "home")
    if os.getuid() == 0:
        os.seteuid(0)
    (as_nobody / "home").chmod(0o755)
    assert "ermission denied" in error.message


def test_a_wal_store_in_a_read_only_folder_is_read_all_the_same(as_nobody: Path) -> None:
    make_store(as_nobody / "state.db", sessions=3).chmod(0o444)
    as_nobody.chmod(0o555)
    drop_rights()
    reading = store_of(as_nobody).read()
    assert len(reading.sessions) == 3
    assert {path.name for path in as_nobody.iterdir()} == {"state.db"}


def test_a_read_only_folder_whose_wal_holds_rows_is_never_read_without_them(as_nobody: Path) -> None:
    make_store(as_nobody / "state.db", sessions=3)
    writer = StoreWriter(as_nobody / "state.db")
    writer.connection.execute("PRAGMA wal_autocheckpoint = 0")
    writer.session("in-the-wal")
    for name in ("state.db", "state.db-wal"):
        shutil.copyfile(as_nobody / name, as_nobody / f"copy-{name}")
    writer.close()
    (as_nobody / "frozen").mkdir()
    for name in ("state.db", "state.db-wal"):
        (as_nobody / f"copy-{name}").rename(as_nobody / "frozen" / name)
    (as_nobody / "frozen").chmod(0o555)
    drop_rights()
    try:
        seen = {session.id for session in store_of(as_nobody / "frozen").read().sessions}
    except HermesError as error:
        seen = {"in-the-wal"} if "writable" in error.hint else set()
    if os.getuid() == 0:
        os.seteuid(0)
    (as_nobody / "frozen").chmod(0o755)
    assert "in-the-wal" in seen
