"""Which folder is read: profiles, ``active_profile``, and the routing file of a home without a store."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hermes_store_maker import NOW, make_store

from timmy_tui.services.hermes.profiles import find_place
from timmy_tui.services.hermes.store import HermesError, HermesStore

FIXTURE = Path(__file__).parent.parent / "fixtures" / "hermes"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one session, and a profile ``work`` with two."""
    make_store(tmp_path / "state.db", sessions=1)
    make_store(tmp_path / "profiles" / "work" / "state.db", sessions=2)
    return tmp_path


def read(home: Path, profile: str = "") -> tuple[str | None, int]:
    reading = HermesStore(home, profile=profile, clock=lambda: NOW).read()
    return reading.profile, len(reading.sessions)


def test_the_root_without_profiles(root: Path) -> None:
    assert read(root) == (None, 1)


def test_active_profile_redirects(root: Path) -> None:
    (root / "active_profile").write_text("work\n")
    assert read(root) == ("work", 2)
    assert HermesStore(root, clock=lambda: NOW).read().path == str(root / "profiles" / "work" / "state.db")


def test_an_explicit_profile_wins_and_default_is_the_root(root: Path) -> None:
    (root / "active_profile").write_text("work")
    assert read(root, "default") == (None, 1)
    (root / "active_profile").write_text("default")
    assert read(root) == (None, 1)
    assert read(root, "work") == ("work", 2)


def test_an_empty_active_profile_is_the_root(root: Path) -> None:
    (root / "active_profile").write_text(" \n")
    assert read(root) == (None, 1)


def test_a_home_that_is_a_profile(root: Path) -> None:
    (root / "active_profile").write_text("default")
    assert read(root / "profiles" / "work") == ("work", 2)
    assert read(root / "profiles" / "work", "default") == (None, 1)


def test_a_profile_that_is_switched_while_the_console_runs(root: Path) -> None:
    store = HermesStore(root, clock=lambda: NOW)
    assert len(store.read().sessions) == 1
    (root / "active_profile").write_text("work")
    assert len(store.read().sessions) == 2
    assert len(store.search("disk")) > 0


@pytest.mark.parametrize(
    "name", ["../work", "work/../..", "/etc", ".", "..", ".hidden", "a b", "a\x00b", "x" * 65, "ä"]
)
def test_names_that_lead_elsewhere_are_refused(root: Path, name: str) -> None:
    with pytest.raises(HermesError, match="can't be the name"):
        find_place(root, name)
    (root / "active_profile").write_text(name)
    with pytest.raises(HermesError, match="can't be the name") as raised:
        HermesStore(root).read()
    assert "active_profile" in raised.value.hint
    assert raised.value.message.isprintable()


def test_a_profile_without_a_folder(root: Path) -> None:
    with pytest.raises(HermesError, match="profile 'gone' has no folder"):
        find_place(root, "gone")


def test_an_active_profile_that_is_no_text(root: Path) -> None:
    (root / "active_profile").write_bytes(b"\xff\xfe\x1b[31m")
    with pytest.raises(HermesError, match="can't be the name"):
        HermesStore(root).read()
    (root / "active_profile").unlink()
    (root / "active_profile").mkdir()
    with pytest.raises(HermesError, match="can't be read"):
        HermesStore(root).read()


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def routed(tmp_path: Path, utc: None) -> Path:
    (tmp_path / "sessions").mkdir()
    shutil.copyfile(FIXTURE / "sessions" / "sessions.json", tmp_path / "sessions" / "sessions.json")
    return tmp_path


def test_the_routing_file_stands_in_for_a_missing_store(routed: Path) -> None:
    store = HermesStore(routed, clock=lambda: NOW)
    reading = store.read()
    assert reading.routing_only
    assert reading.path.endswith("sessions.json")
    (session,) = reading.sessions
    assert (session.id, session.source, session.title) == ("20261120_035045_bd83548c", "telegram", "telegram dm")
    assert session.started_at == pytest.approx(1795146645.841991)
    assert (session.tokens.total, session.place, session.cost_usd) == (0, "unknown", None)
    assert store.read() is reading


def test_no_name_of_a_person_or_chat_comes_out_of_the_routing_file(routed: Path) -> None:
    shown = repr(HermesStore(routed, clock=lambda: NOW).read()).replace(str(routed), "")
    for private in ("Ops", "sam", "1234", "'42'"):
        assert private not in shown


def test_a_store_wins_over_the_routing_file(routed: Path) -> None:
    make_store(routed / "state.db", sessions=2)
    reading = HermesStore(routed, clock=lambda: NOW).read()
    assert (reading.routing_only, len(reading.sessions)) == (False, 2)


def test_routes_older_than_the_window_are_left_out(routed: Path) -> None:
    assert HermesStore(routed, clock=lambda: NOW + 86_400).read().sessions == ()


@pytest.mark.parametrize("content", ["", "{", "[1]", "[" * 100_000, '"x"'])
def test_a_routing_file_that_is_none(routed: Path, content: str) -> None:
    (routed / "sessions" / "sessions.json").write_text(content)
    with pytest.raises(HermesError, match=r"sessions\.json"):
        HermesStore(routed, clock=lambda: NOW).read()


def test_routing_entries_of_any_shape(routed: Path) -> None:
    fine = {"session_id": "fine", "created_at": "2026-11-20T03:50:45+00:00", "platform": "x\x1b"}
    entries = {
        "_README": "text",
        "a": None,
        "b": [],
        "c": {},
        "d": {"session_id": 4, "created_at": "2026-11-20"},
        "e": {"session_id": "e", "created_at": "yesterday"},
        "f": {**fine, "model_override": "m"},
        "g": {**fine, "session_id": "g", "updated_at": 7, "model_override": {"model": "big"}, "chat_type": None},
    }
    (routed / "sessions" / "sessions.json").write_text(json.dumps(entries))
    sessions = HermesStore(routed, clock=lambda: NOW).read().sessions
    assert [(session.id, session.model, session.title) for session in sessions] == [
        ("g", "big", "x^["),
        ("fine", "m", "x^["),
    ]
