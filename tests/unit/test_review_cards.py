"""A card is read from where its tick stands; one that is no longer there is said to be gone."""

from __future__ import annotations

from datetime import UTC, date
from pathlib import Path

import pytest
from hermes_store_maker import make_empty_store
from label_maker import append, label_line
from tick_maker import day_path, tick_line, write_day

from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.reading import SourceError
from timmy_tui.services.review.cards import CardReader
from timmy_tui.services.review.index import CandidateIndex
from timmy_tui.services.review.records import Card
from timmy_tui.services.review.sessions import SessionCandidates
from timmy_tui.services.ticks.errors import TickLogError

MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.ticks, self.hermes = folder / "heartbeat", folder / "hermes"
        self.ticks.mkdir()
        self.hermes.mkdir()
        sessions = SessionCandidates(self.hermes, "", ())
        self.labels = LabelLog(self.ticks / "labels.jsonl")
        self.index = CandidateIndex(self.ticks, sessions, zone=UTC)
        self.cards = CardReader(self.ticks, sessions, self.labels, zone=UTC)

    def card(self, name: str) -> Card:
        self.index.build()
        self.labels.poll()
        return self.cards.load(next(entry for entry in self.index.entries if entry.name == name))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_card_is_the_whole_tick_with_the_state_before_it(desk: Desk) -> None:
    write_day(desk.ticks, MONDAY, 3)
    card = desk.card("20261116_160000")
    assert card.decision is not None
    assert card.decision.reasoning.startswith("All services answer")
    assert (card.prompt_source, card.completion_source, card.host) == ("as sent", "raw text", "mbp")
    assert isinstance(card.perception, dict)
    assert isinstance(card.previous_perception, dict)
    assert (card.previous_perception["disk_used_pct"], card.perception["disk_used_pct"]) == (61, 62)


def test_the_state_before_the_first_tick_of_a_day_is_of_the_day_before(desk: Desk) -> None:
    write_day(desk.ticks, MONDAY, 3)
    write_day(desk.ticks, TUESDAY, 1)
    card = desk.card("20261117_000000")
    assert isinstance(card.previous_perception, dict)
    assert card.previous_perception["disk_used_pct"] == 62
    assert desk.card("20261116_000000").previous_perception is None


def test_the_tick_that_is_named_as_the_previous_one_is_taken_before_the_nearest(desk: Desk) -> None:
    """Two machines may share a log: what changed is told against one's own state."""
    lines = [
        tick_line(1, tick_id="mine_1", perception={"disk": 1}),
        tick_line(2, tick_id="yours_1", perception={"disk": 2}),
        tick_line(3, tick_id="mine_2", perception={"disk": 3}, previous_tick="mine_1"),
    ]
    day_path(desk.ticks, MONDAY).write_bytes(b"".join(lines))
    assert desk.card("mine_2").previous_perception == {"disk": 1}


def test_an_answer_of_no_use_is_shown_as_it_came_and_not_as_what_the_rules_said(desk: Desk) -> None:
    day_path(desk.ticks, MONDAY).write_bytes(
        tick_line(1, tick_id="a", severity="fallback", response="I can't decide.")
        + tick_line(2, tick_id="b", severity="fallback", response=None)
    )
    unread, ruled = desk.card("a"), desk.card("b")
    assert (unread.decision, unread.completion) == (None, "I can't decide.")
    assert ruled.decision is not None
    assert ruled.completion_source == "re-serialised JSON"


def test_a_tick_that_left_its_place_is_one_clear_line(desk: Desk) -> None:
    path = write_day(desk.ticks, MONDAY, 2)
    desk.index.build()
    entry = desk.index.entries[0]
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(TickLogError, match="changed since"):
        desk.cards.load(entry)


def test_a_tick_that_was_changed_after_it_was_labelled_says_so(desk: Desk) -> None:
    path = day_path(desk.ticks, MONDAY)
    path.write_bytes(tick_line(1, tick_id="a"))
    before = desk.card("a")
    append(desk.labels.path, label_line("1", before.entry.key, "chosen", tick_id="a"))
    assert not desk.card("a").tick_changed
    path.write_bytes(tick_line(1, tick_id="a", response="something else"))
    desk.index.grow()
    assert desk.card("a").tick_changed


def test_a_sessions_card_has_its_prompt_and_its_answer(desk: Desk) -> None:
    writer = make_empty_store(desk.hermes / "state.db")
    writer.session("s1")
    writer.message("s1", "user", "[triage_issues] Which one first?")
    writer.message("s1", "assistant", "The crash.")
    card = desk.card("s1")
    assert (card.prompt, card.completion, card.decision) == ("[triage_issues] Which one first?", "The crash.", None)
    assert (card.perception, card.caller) == (None, "")
    writer.connection.execute("UPDATE messages SET content = 'The leak.' WHERE role = 'assistant'")
    writer.close()
    with pytest.raises(SourceError, match="no longer what it was"):
        desk.cards.load(card.entry)
