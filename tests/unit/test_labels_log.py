"""Label events: the last word wins, an undo voids what it names, and a strange line costs only itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import candidate_key
from timmy_tui.services.ticks.records import LabelCounts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.jsonl"


def event(kind: str, event_id: str, **keys: object) -> bytes:
    return json.dumps({"v": 1, "event_id": event_id, "event": kind, **keys}).encode() + b"\n"


def label(event_id: str, candidate: str, word: str, **keys: object) -> bytes:
    return event("label", event_id, candidate=candidate, label=word, **keys)


def undo(event_id: str, target: str) -> bytes:
    return event("undo", event_id, undoes=target)


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


def folded(path: Path, *lines: bytes) -> LabelLog:
    append(path, *lines)
    log = LabelLog(path)
    log.poll()
    return log


def test_no_file_is_no_label(path: Path) -> None:
    log = LabelLog(path)
    first = log.poll()
    assert first.counts == LabelCounts()
    assert log.poll() is first


def test_the_last_word_wins(path: Path) -> None:
    log = folded(path, label("1", "c", "chosen"), label("2", "c", "rejected"), label("3", "d", "skipped"))
    assert log.labels() == {"c": "rejected", "d": "skipped"}
    assert log.counts() == LabelCounts(rejected=1, skipped=1)


def test_an_undo_brings_back_the_word_before(path: Path) -> None:
    log = folded(path, label("1", "c", "chosen"), label("2", "c", "rejected"), undo("3", "2"))
    assert log.label_of("c") == "chosen"
    append(path, undo("4", "1"))
    log.poll()
    assert log.label_of("c") is None
    assert log.counts() == LabelCounts()


def test_an_undo_of_an_older_word_leaves_the_last(path: Path) -> None:
    log = folded(path, label("1", "c", "chosen"), label("2", "c", "rejected"), undo("3", "1"))
    assert log.label_of("c") == "rejected"


def test_an_undo_can_be_undone(path: Path) -> None:
    log = folded(path, label("1", "c", "chosen", tick_id="t"), undo("2", "1"))
    assert not log.speaks_of("t")
    append(path, undo("3", "2"))
    log.poll()
    assert (log.label_of("c"), log.speaks_of("t")) == ("chosen", True)
    append(path, undo("4", "3"))
    log.poll()
    assert (log.label_of("c"), log.counts()) == (None, LabelCounts())


def test_an_undo_of_what_was_never_said_changes_nothing(path: Path) -> None:
    log = folded(path, undo("1", "9"), undo("2", "2"), undo("3", "1"), label("9", "c", "chosen"))
    assert log.label_of("c") == "chosen"


def test_an_event_that_is_read_twice_counts_once(path: Path) -> None:
    log = folded(path, label("1", "c", "chosen"), label("2", "c", "rejected"), label("1", "c", "chosen"))
    assert log.label_of("c") == "rejected"
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes() + label("3", "d", "skipped"))
    copy.replace(path)
    log.poll()
    assert log.labels() == {"c": "rejected", "d": "skipped"}


def test_edits_and_preferences_are_kept_beside_the_label(path: Path) -> None:
    log = folded(
        path,
        label("1", "c", "rejected", note="too\x1bloud", operator="alex"),
        event("edit", "2", candidate="c", decision={"severity": "ok"}),
        event("prefer", "3", candidate="c", preferred="alternative", alternative={}),
        undo("4", "2"),
    )
    said = log.event_of("c", "label")
    preferred = log.event_of("c", "prefer")
    assert said is not None
    assert preferred is not None
    assert (said.note, said.operator, preferred.preferred) == ("too^[loud", "alex", "alternative")
    assert log.event_of("c", "edit") is None
    assert log.label_of("c") == "rejected"


def test_strange_lines_are_counted_and_cost_only_themselves(path: Path) -> None:
    fold = folded(
        path,
        b"garbage\n[]\n\n",
        b'{"v":2,"event_id":"1","event":"label","candidate":"c","label":"chosen"}\n',
        event("bless", "2", candidate="c"),
        event("label", "3", candidate=["c"], label="chosen"),
        label("4", "c", "splendid"),
        event("undo", "5"),
        label("6", "d", "chosen"),
        b'{"v":1,"event_id":"7","event":"label","candidate":"d","label":"rej',
    ).poll()
    assert (fold.counts, fold.bad_lines, fold.unknown_events, fold.events) == (LabelCounts(chosen=1), 5, 2, 1)
    assert fold.incomplete


def test_a_torn_event_counts_when_it_is_whole(path: Path) -> None:
    line = label("1", "c", "chosen")
    log = folded(path, line[:20])
    assert log.counts() == LabelCounts()
    append(path, line[20:])
    log.poll()
    assert log.counts() == LabelCounts(chosen=1)


words = st.sampled_from(["chosen", "rejected", "skipped"])


@given(
    st.lists(
        st.tuples(st.just("label"), st.integers(0, 3), words)
        | st.tuples(st.just("undo"), st.integers(0, 14), st.none()),
        max_size=15,
    )
)
def test_the_fold_is_what_reading_the_whole_list_again_says(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, str | None]]
) -> None:
    """The incremental fold against the definition: an undo is in force unless a later one in force names it."""
    path = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    path.touch()
    log = LabelLog(path)
    for number, (kind, value, word) in enumerate(events):
        append(path, label(str(number), f"c{value}", word or "") if kind == "label" else undo(str(number), str(value)))
        log.poll()

    void: set[int] = set()
    for number in range(len(events) - 1, -1, -1):
        kind, value, _ = events[number]
        if kind == "undo" and number not in void and value < number:
            void.add(value)
    expected = {
        f"c{value}": word for number, (kind, value, word) in enumerate(events) if kind == "label" and number not in void
    }
    assert log.labels() == expected
    counts = log.counts()
    for word in ("chosen", "rejected", "skipped"):
        assert getattr(counts, word) == list(expected.values()).count(word)


def test_the_candidate_key_is_the_hash_of_prompt_nul_completion() -> None:
    assert candidate_key("p", "é") == hashlib.sha256(b"p\0\xc3\xa9").hexdigest()


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_has_a_candidate_key_even_a_lone_surrogate(prompt: str, completion: str) -> None:
    assert len(candidate_key(prompt, completion + "\ud800")) == 64
