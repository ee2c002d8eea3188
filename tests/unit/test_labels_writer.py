"""A word is on disk when its method returns, or it is nowhere and the reason is told."""

from __future__ import annotations

import json
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_maker import append, event_line, label_line
from msgspec.structs import replace

from timmy_tui.config import Settings, load_settings
from timmy_tui.services.appending import AppendError, write_lock
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import Alternative
from timmy_tui.services.labels.writer import Labeller, operator_of
from timmy_tui.services.ticks.records import Decision

NOW = 1_795_147_500.0


class Desk:
    """A log, and a pen for each operator."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "heartbeat" / "labels.jsonl"
        self.log = LabelLog(self.path)
        self.pen = self.pen_of("alex")

    def pen_of(self, operator: str) -> Labeller:
        return Labeller(self.log, operator, lambda: NOW)

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_label_is_one_line_of_the_agreed_shape(desk: Desk) -> None:
    desk.pen.label("c0ffee", "20261120_031500", "rejected", shown_at=NOW - 1.5, note="too loud")
    (event,) = desk.events()
    assert event.pop("event_id")
    assert event.pop("app")
    assert event == {
        "v": 1,
        "event": "label",
        "candidate": "c0ffee",
        "tick_id": "20261120_031500",
        "label": "rejected",
        "note": "too loud",
        "shown_at": "2026-11-20T04:04:58.500+00:00",
        "answered_at": "2026-11-20T04:05:00.000+00:00",
        "operator": "alex",
    }
    assert desk.path.stat().st_mode & 0o777 == 0o600
    last = desk.log.answer_of("c0ffee").last
    assert last is not None
    assert last.took_s == 1.5


def test_every_kind_of_word_is_read_back_as_it_was_meant(desk: Desk) -> None:
    edited = Decision("warning", "The disk.", ("ALERT: disk",))
    other = Alternative("\ud800raw\x1b", "m:1b", "ollama", "2026-11-20T04:05:00+00:00", 7)
    desk.pen.edit("a", "t", edited, shown_at=NOW)
    desk.pen.edit("b", "s", "plain words", shown_at=NOW)
    desk.pen.prefer("c", "t", "alternative", other, shown_at=NOW, decision=edited)
    desk.pen.note("c", "t", "why so?")
    desk.pen.label("d", "t", "chosen", shown_at=NOW, blind=True)

    edit, plain, prefer = desk.log.answer_of("a"), desk.log.answer_of("b"), desk.log.answer_of("c")
    assert edit.label == "rejected"
    assert edit.edit is not None
    assert edit.edit.correction == '{"actions": ["ALERT: disk"], "severity": "warning", "reasoning": "The disk."}'
    assert plain.edit is not None
    assert plain.edit.correction == "plain words"
    assert prefer.prefer is not None
    assert (prefer.prefer.preferred, prefer.label, prefer.note) == ("alternative", None, "why so?")
    assert prefer.prefer.alternative == other
    assert desk.log.words_on("d")[0].blind


def test_undo_goes_back_as_far_as_one_likes_and_across_restarts(desk: Desk) -> None:
    for number in range(12):
        desk.pen.label(f"c{number}", "t", "chosen", shown_at=NOW)
    again = LabelLog(desk.path)
    again.poll()
    pen = Labeller(again, "alex", lambda: NOW)
    taken = [word.candidate for _ in range(12) if (word := pen.undo()) is not None]
    assert taken == [f"c{number}" for number in reversed(range(12))]
    assert pen.undo() is None
    assert not any(again.answer_of(f"c{number}").given for number in range(12))
    assert len(desk.events()) == 24


def test_undo_takes_back_only_what_this_operator_said(desk: Desk) -> None:
    desk.pen.label("a", "t", "chosen", shown_at=NOW)
    desk.pen_of("kim").label("a", "t", "rejected", shown_at=NOW)
    undone = desk.pen.undo()
    assert undone is not None
    assert undone.label == "chosen"
    assert desk.log.answer_of("a").label == "rejected"


def test_two_consoles_of_one_operator_take_back_two_words(desk: Desk) -> None:
    other = LabelLog(desk.path)
    other.poll()
    for number in range(2):
        desk.pen.label(f"c{number}", "t", "chosen", shown_at=NOW)
    taken = [Labeller(other, "alex", lambda: NOW).undo(), desk.pen.undo()]
    assert [word.candidate for word in taken if word is not None] == ["c1", "c0"]


def test_a_second_look_takes_back_only_what_was_said_at_one(desk: Desk) -> None:
    desk.pen.label("a", "t", "chosen", shown_at=NOW, blind=True)
    desk.pen.label("b", "t", "rejected", shown_at=NOW)
    undone = desk.pen.undo(blind=True)
    assert undone is not None
    assert undone.candidate == "a"
    assert desk.pen.undo(blind=True) is None
    assert desk.log.labels() == {"b": "rejected"}


def test_a_word_that_was_read_and_then_taken_back_was_never_said(desk: Desk) -> None:
    """A full disk may be told after the line was read: the writer cuts it off again."""
    append(desk.path, label_line("1", "a", "chosen"), label_line("2", "b", "chosen"))
    desk.log.poll()
    lines = desk.path.read_bytes().splitlines(keepends=True)
    with desk.path.open("r+b") as file:
        file.truncate(len(lines[0]))
    desk.log.poll()
    assert desk.log.labels() == {"a": "chosen"}
    assert desk.log.fold.counts.chosen == 1


def test_an_edit_stands_until_the_original_is_found_good_after_all(desk: Desk) -> None:
    desk.pen.edit("a", "t", Decision("ok", "Calm.", ()), shown_at=NOW)
    desk.pen.label("a", "t", "rejected", shown_at=NOW)
    assert desk.log.answer_of("a").edit is not None
    desk.pen.label("a", "t", "chosen", shown_at=NOW)
    assert desk.log.answer_of("a").edit is None
    desk.pen.undo()
    assert desk.log.answer_of("a").edit is not None


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[None]:
    """No file may grow beyond 300 bytes, as on a disk without room."""
    import signal

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_without_room_nothing_is_claimed_and_nothing_is_left(desk: Desk, full_disk: None) -> None:
    append(desk.path, label_line("1", "a", "chosen"))
    before = desk.path.read_bytes()
    with pytest.raises(AppendError, match="No room") as refused:
        desk.pen.label("b", "t", "rejected", shown_at=NOW, note="x" * 300)
    assert refused.value.hint
    assert desk.path.read_bytes() == before
    assert not desk.log.answer_of("b").given


def test_a_torn_tail_costs_only_itself(desk: Desk) -> None:
    append(desk.path, label_line("1", "a", "chosen"), b'{"v":1,"event":"label","cand')
    desk.pen.label("b", "t", "rejected", shown_at=NOW)
    assert desk.log.labels() == {"a": "chosen", "b": "rejected"}
    assert desk.log.fold.bad_lines == 1


def test_two_pens_on_one_file_lose_nothing(desk: Desk) -> None:
    other = LabelLog(desk.path)
    kim = Labeller(other, "kim", lambda: NOW)
    for number in range(20):
        (desk.pen if number % 2 else kim).label(f"c{number}", "t", "chosen", shown_at=NOW)
    desk.log.poll()
    other.poll()
    assert desk.log.labels() == other.labels() == {f"c{number}": "chosen" for number in range(20)}


@settings(max_examples=40)
@given(note=st.text(max_size=50), reasoning=st.text(max_size=50))
def test_whatever_is_typed_is_one_line_and_comes_back_safe(
    tmp_path_factory: pytest.TempPathFactory, note: str, reasoning: str
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.pen.label("a", "t", "chosen", shown_at=NOW, note=note)
    desk.pen.edit("b", "t", Decision("ok", reasoning, ()), shown_at=NOW)
    assert len(desk.path.read_bytes().splitlines()) == 2
    assert desk.log.answer_of("a").note.replace("\n", "").isprintable()
    assert desk.log.fold.bad_lines == 0


def test_the_operator_is_the_configured_name_else_the_login_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "login")
    plain: Settings = load_settings({"HOME": str(tmp_path)})
    assert operator_of(plain) == "login"
    assert operator_of(plain.with_operator("\x1bkim ")) == "^[kim"
    assert operator_of(replace(plain)) == "login"


def test_no_word_is_taken_back_while_another_console_writes(desk: Desk) -> None:
    """It takes the same word back while we wait for the lock: nothing is left for us, and nothing is voided twice."""
    desk.pen.label("c0ffee", "t1", "chosen", shown_at=NOW)
    (first,) = desk.events()
    holds, undone = threading.Event(), threading.Event()
    told: list[object] = []

    def take_back() -> None:
        holds.wait(20)
        told.append(desk.pen.undo())
        undone.set()

    thread = threading.Thread(target=take_back)
    thread.start()
    with write_lock(desk.path.with_name(f"{desk.path.name}.lock")):
        holds.set()
        assert not undone.wait(0.3)
        append(desk.path, event_line("u1", "undo", undoes=first["event_id"], candidate="c0ffee", operator="alex"))
    thread.join(20)
    assert told == [None]
    assert [event["event"] for event in desk.events()] == ["label", "undo"]
