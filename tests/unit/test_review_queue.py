"""The queue asks each open card in turn, and its counts are true after whatever anybody said."""

from __future__ import annotations

from datetime import UTC, date
from itertools import count
from math import nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_maker import append, event_line, label_line

from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.review.index import age
from timmy_tui.services.review.queue import SHOWS, QueueFilter, ReviewQueue, Show
from timmy_tui.services.review.records import Entry
from timmy_tui.services.ticks.records import Label, Severity

DAY = 86_400.0
MIDNIGHT = 1_795_132_800.0
"""2026-11-20 00:00 UTC."""


def entry(
    number: int,
    *,
    at: float | None = None,
    severity: Severity = "ok",
    model: str = "hermes4:14b",
    source: str = "heartbeat",
    by_model: bool = True,
    own_label: Label | None = None,
    text: str = "all is well",
) -> Entry:
    when = MIDNIGHT - 600.0 * number if at is None else at
    return Entry(f"{number:064x}", when, severity, model, source, by_model, own_label, text, f"tick_{number}")


def key(number: int) -> str:
    return f"{number:064x}"


class Sitting:
    """Entries, a log, and the queues over them."""

    def __init__(self, folder: Path, *entries: Entry) -> None:
        self.path = folder / "labels.jsonl"
        self.log = LabelLog(self.path)
        self.entries = entries
        self._ids = count()

    def say(self, number: int, label: str, **keys: object) -> str:
        event_id = f"e{next(self._ids)}"
        append(self.path, label_line(event_id, key(number), label, **keys))
        self.log.poll()
        return event_id

    def undo(self, event_id: str) -> None:
        append(self.path, event_line(f"e{next(self._ids)}", "undo", undoes=event_id))
        self.log.poll()

    def queue(
        self, wanted: QueueFilter | None = None, *, operator: str = "alex", second_look: float = 1
    ) -> ReviewQueue:
        return ReviewQueue(
            sorted(self.entries, key=age),
            {entry.key: entry for entry in self.entries}.get,
            self.log,
            wanted or QueueFilter(),
            operator=operator,
            second_look=second_look,
            zone=UTC,
        )

    def shown(self, wanted: QueueFilter, operator: str = "alex") -> list[str]:
        queue = self.queue(wanted, operator=operator)
        found, at = [], queue.next_open(-1)
        while at is not None and queue.entries[at].name not in found:
            found.append(queue.entries[at].name)
            at = queue.next_open(at)
        return found


@pytest.fixture
def sitting(tmp_path: Path) -> Sitting:
    return Sitting(tmp_path, *(entry(number) for number in range(5)))


def test_cards_come_in_order_and_each_answer_leaves_one_less(sitting: Sitting) -> None:
    queue = sitting.queue()
    assert (queue.left, queue.done, len(queue)) == (5, 0, 5)
    sitting.say(0, "chosen")
    sitting.say(2, "skipped")
    assert queue.refresh()
    assert (queue.left, queue.done) == (3, 2)
    assert [queue.next_open(at) for at in (-1, 0, 1, 2, 3)] == [1, 1, 3, 3, 4]
    assert queue.next_open(4) == 1  # what was passed over comes again


def test_an_undo_opens_the_card_again(sitting: Sitting) -> None:
    queue = sitting.queue()
    said = sitting.say(3, "chosen")
    queue.refresh()
    sitting.undo(said)
    assert queue.refresh()
    assert (queue.left, queue.next_open(2)) == (5, 3)


def test_when_all_is_done_there_is_no_next_card(sitting: Sitting) -> None:
    queue = sitting.queue()
    for number in range(5):
        sitting.say(number, "chosen")
    queue.refresh()
    assert queue.next_open(-1) is None
    assert (queue.left, queue.done) == (0, 5)


def test_a_ticks_own_label_is_one_that_nobody_needs_to_give_again(tmp_path: Path) -> None:
    sitting = Sitting(tmp_path, entry(0, own_label="chosen"), entry(1))
    assert sitting.shown(QueueFilter()) == ["tick_1"]
    assert sitting.shown(QueueFilter(show="chosen")) == ["tick_0"]
    sitting.say(0, "rejected")
    assert sitting.shown(QueueFilter(show="chosen")) == []
    assert sitting.shown(QueueFilter(show="rejected")) == ["tick_0"]


def test_each_filter_shows_what_it_says(tmp_path: Path) -> None:
    sitting = Sitting(
        tmp_path,
        entry(0, severity="critical", text="the disk on mbp is full"),
        entry(1, model="llama3.2:3b"),
        entry(2, source="triage_issues"),
        entry(3, at=MIDNIGHT + 60),
        entry(4, at=nan),
        entry(5, severity="fallback", by_model=False),
        entry(6, at=MIDNIGHT + DAY - 1),
    )
    usual = ["tick_6", "tick_3", "tick_0", "tick_1", "tick_2", "tick_4"]
    assert sitting.shown(QueueFilter()) == usual, "the newest first, and what has no time last"
    assert set(sitting.shown(QueueFilter(fallbacks=True))) == {*usual, "tick_5"}
    assert sitting.shown(QueueFilter(severity="critical")) == ["tick_0"]
    assert sitting.shown(QueueFilter(text="DISK on")) == ["tick_0"]
    assert sitting.shown(QueueFilter(text="tick_4")) == ["tick_4"]
    assert sitting.shown(QueueFilter(model="llama3.2:3b")) == ["tick_1"]
    assert sitting.shown(QueueFilter(source="triage_issues")) == ["tick_2"]
    assert sitting.shown(QueueFilter(day=date(2026, 11, 20))) == ["tick_6", "tick_3", "tick_0"]


def test_a_second_operator_can_ask_for_what_only_the_first_has_labelled(sitting: Sitting) -> None:
    sitting.say(1, "chosen")
    sitting.say(2, "rejected", operator="kim")
    assert sitting.shown(QueueFilter()) == ["tick_0", "tick_3", "tick_4"]
    assert sitting.shown(QueueFilter(show="not by me"), "kim") == ["tick_0", "tick_1", "tick_3", "tick_4"]


def test_disputed_cards_can_be_asked_for(sitting: Sitting) -> None:
    sitting.say(1, "chosen")
    sitting.say(1, "rejected", operator="kim")
    sitting.say(2, "chosen")
    assert sitting.shown(QueueFilter(show="disputed")) == ["tick_1"]


def test_a_second_look_asks_what_this_operator_labelled_and_each_card_once(sitting: Sitting) -> None:
    for number in range(3):
        sitting.say(number, "chosen")
    sitting.say(4, "chosen", operator="kim")
    wanted = QueueFilter(show="second look")
    queue = sitting.queue(wanted)
    assert {card.name for card in queue.entries} == {"tick_0", "tick_1", "tick_2"}
    assert queue.filter.blind
    sitting.say(1, "rejected", blind=True)
    queue.refresh()
    assert (queue.left, len(queue)) == (2, 3)
    assert sorted(sitting.shown(wanted)) == ["tick_0", "tick_2"]


def test_a_second_look_takes_a_share_and_at_every_start_the_same(tmp_path: Path) -> None:
    from hashlib import sha256

    cards = [
        Entry(sha256(bytes([number])).hexdigest(), MIDNIGHT, "ok", "m", "heartbeat", True, None, "", f"tick_{number}")
        for number in range(200)
    ]
    sitting = Sitting(tmp_path, *cards)
    lines = [label_line(f"e{number}", card.key, "chosen") for number, card in enumerate(cards)]
    append(sitting.path, *lines)
    sitting.log.poll()
    wanted = QueueFilter(show="second look")
    tenth = sitting.queue(wanted, second_look=0.1)
    assert 8 <= len(tenth) <= 36
    assert [card.key for card in sitting.queue(wanted, second_look=0.1).entries] == [c.key for c in tenth.entries]
    assert len(sitting.queue(wanted, second_look=1)) == 200


words = st.tuples(
    st.integers(0, 4), st.sampled_from(["chosen", "rejected", "skipped"]), st.sampled_from(["alex", "kim"])
)


@given(
    said=st.lists(words | st.integers(0, 9), max_size=12),
    show=st.sampled_from(SHOWS),
    looks=st.sets(st.integers(0, 12)),
)
def test_counts_that_follow_the_log_are_those_of_a_new_look(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[int, str, str] | int], show: Show, looks: set[int]
) -> None:
    if show == "second look":  # who is asked is fixed when the second look begins
        return
    sitting = Sitting(tmp_path_factory.mktemp("log"), *(entry(number) for number in range(5)))
    queue = sitting.queue(QueueFilter(show=show))
    ids: list[str] = []
    for step, word in enumerate(said):
        if isinstance(word, int):
            sitting.undo(f"e{word}")
        else:
            number, label, operator = word
            ids.append(sitting.say(number, label, operator=operator))
        if step in looks:
            queue.refresh()
    queue.refresh()
    anew = sitting.queue(QueueFilter(show=show))
    assert queue.left == anew.left
    assert [queue.next_open(at) for at in range(-1, 5)] == [anew.next_open(at) for at in range(-1, 5)]
