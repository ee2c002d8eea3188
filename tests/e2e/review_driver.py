"""A reviewer at a console: sees a card, waits until keys count, answers, sees the next one; and is killed meanwhile.

Every card's reasoning begins with a number of its own (``card-000123``; 0 is the newest), so what stands on the
screen can be held against what stands in the log. Nothing here sleeps: see :mod:`e2e.console`.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from e2e.console import WAIT_S, Console
from msgspec import Struct
from tick_maker import day_path, tick_tree

from timmy_tui.services.labels.records import candidate_key

GUARD_S, FIRST_GUARD_S = 0.165, 0.415
"""The screen does not hear a key that comes within 150 ms after the card; 400 ms after the first of a visit."""

UNHEARD_S = 2.0
"""After so long without a new card the reviewer presses again, as anybody would. A key that came too early was not
heard; one that the console still has to take in when the next card is on the screen will not be."""

KEYS = {"c": "chosen", "x": "rejected", "s": "skipped"}

_CARD = re.compile(r"card-(\d{6})")
_COUNTS = re.compile(r"review +([\d,]+) of ([\d,]+) left")


class CardLine(Struct, frozen=True):
    """A tick that becomes a card: its line, and how the label log names it."""

    number: int
    tick_id: str
    candidate: str
    at: datetime
    line: bytes


def card_line(
    number: int,
    at: datetime,
    told: str = "All is well.",
    *,
    decided: Mapping[str, object] | None = None,
    **extra: object,
) -> CardLine:
    """The tick of card ``number``; ``decided`` replaces keys of its decision, ``extra`` replaces or adds the tick's."""
    decision: dict[str, object] = {
        "actions": ["look at the build host"],
        "severity": "ok",
        "reasoning": f"card-{number:06d} {told}",
        **(decided or {}),
    }
    values = {"response": json.dumps(decision), "tick_id": f"{at:%Y%m%d_%H%M%S}_{number}", **extra}
    tree = tick_tree(number, at=at, severity="ok", decision=decision, actions=decision["actions"]) | values
    key = candidate_key(str(tree["prompt"]), str(tree["response"]))
    line = json.dumps(tree, separators=(",", ":")).encode() + b"\n"
    return CardLine(number, str(tree["tick_id"]), key, at, line)


def write_cards(directory: Path, cards: Sequence[CardLine]) -> None:
    """Write them into the files of their days (in the zone of their times), each day's oldest first."""
    directory.mkdir(parents=True, exist_ok=True)
    days: dict[Path, list[bytes]] = {}
    for card in sorted(cards, key=lambda card: card.at):
        days.setdefault(day_path(directory, card.at.date()), []).append(card.line)
    for path, lines in days.items():
        with path.open("ab") as file:
            file.writelines(lines)


def deal(directory: Path, count: int, *, now: datetime | None = None, every_s: float = 600) -> list[CardLine]:
    """Write ``count`` cards, the newest a minute ago; the first of the list is the first of the queue."""
    newest = (now or datetime.now(UTC)) - timedelta(minutes=1)
    cards = [card_line(number, newest - timedelta(seconds=every_s * number)) for number in range(count)]
    write_cards(directory, cards)
    return cards


class LoggedLabels(Struct, frozen=True):
    """What a label log says, read without the console's own reader."""

    events: list[dict[str, object]]
    bad_lines: int

    @property
    def labels(self) -> list[dict[str, object]]:
        """The label events, in the order of the file."""
        return [event for event in self.events if event["event"] == "label"]

    @property
    def doubled(self) -> int:
        """Event ids and candidates' labels that stand there more than once."""
        ids = Counter(str(event["event_id"]) for event in self.events)
        candidates = Counter(str(event["candidate"]) for event in self.labels)
        return sum(count - 1 for count in (*ids.values(), *candidates.values()))


def read_labels(path: Path) -> LoggedLabels:
    """The complete lines of the log; what is no JSON object with an event is counted."""
    events: list[dict[str, object]] = []
    bad_lines = 0
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for line in lines:
        try:
            tree = json.loads(line)
        except ValueError:
            tree = None
        if isinstance(tree, dict) and "event" in tree:
            events.append(tree)
        else:
            bad_lines += 1
    return LoggedLabels(events, bad_lines)


class Reviewer:
    """One operator at one console. ``console`` has been started and shows its dashboard, or soon will."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.labelled: list[tuple[int, str]] = []
        """Card and label of each answer behind which the next card was seen."""
        self.unheard = 0
        """Keys that were pressed twice."""
        self._seen_at = 0.0

    @property
    def card(self) -> int | None:
        """The card on the screen now; None when it shows none, or another screen."""
        return card_on(self.console.text)

    @property
    def counts(self) -> tuple[int, int]:
        """How many cards are left, of how many."""
        return counts_on(self.console.text)

    def open(self, total: int = 0) -> int:
        """``r`` on the dashboard; returns the first card. With ``total`` only when all of so many cards are counted:
        the first shows before the older days are read."""
        self.console.wait_for("1 Models", "3 Heartbeat", "card-")
        self.console.press("r")
        if total:
            self.console.wait_for(f" of {total:,} left")
        first = self.see()
        self._seen_at += FIRST_GUARD_S - GUARD_S
        return first

    def see(self, *, other_than: int | None = None, timeout_s: float = WAIT_S) -> int:
        """Wait for a card, and return it."""
        shown: list[int] = []

        def holds(text: str) -> bool:
            card = card_on(text)
            if card is not None and card != other_than:
                shown.append(card)
            return bool(shown)

        self.console.wait_until(holds, f"a card other than {other_than}", timeout_s)
        self._seen_at = time.monotonic()
        return shown[0]

    def attend(self, seconds: float = GUARD_S) -> None:
        """Look at the card until it has been there for so long."""
        while (left := self._seen_at + seconds - time.monotonic()) > 0:
            watch(self.console, left)

    def press(self, key: str) -> None:
        """Press a key as soon as it counts."""
        self.attend()
        self.console.press(key)

    def ask(self, key: str, *shown: str) -> None:
        """Press a key that opens another screen, and wait for that. Nobody presses again here: so rather late."""
        self.attend(0.5)
        self.console.press(key)
        self.console.wait_for(*shown)

    def answer(self, key: str) -> int:
        """Answer the card that is seen, and return the next one."""
        before = self.card
        assert before is not None, self.console.text
        after = self.go(key)
        self.labelled.append((before, KEYS[key]))
        return after

    def go(self, key: str) -> int:
        """Press a key that leads to another card, and return that: ``u``, ``[``, ``]`` and the answers."""
        before = self.card
        self.press(key)
        return self.follow(before, key)

    def follow(self, before: int | None, key: str) -> int:
        """The card to which ``key``, pressed just now, leads."""
        for _ in range(4):
            try:
                return self.see(other_than=before, timeout_s=UNHEARD_S)
            except AssertionError:
                if self.console.process.poll() is not None:
                    raise
                self.unheard += 1
                self.console.press(key)
        return self.see(other_than=before)


class Sitting:
    """A review that is killed and begun again over the same cards; :meth:`check` tells what became of the labels."""

    def __init__(self, env: Mapping[str, str], heartbeat: Path, cards: Sequence[CardLine], seed: int) -> None:
        self.chance = random.Random(seed)
        self.seen: dict[int, str] = {}
        """The label of every card that the screen had moved past."""
        self.in_doubt: dict[int, str] = {}
        """Cards whose key was pressed and whose next card was never seen: on disk or not, but not twice."""
        self.kills = 0
        self.found: list[str] = []
        """What should not be."""
        self._env = env
        self._path = heartbeat / "labels.jsonl"
        self._cards = {card.number: card for card in cards}
        self._numbers = {card.candidate: card.number for card in cards}

    def round(self, answers: int) -> None:
        """A new console, ``answers`` cards at most; ``kill -9`` strikes somewhere around the last key."""
        with Console(self._env, arguments=("--operator", "alex")) as console:
            reviewer = Reviewer(console)
            card = reviewer.open()
            self._check_open(card, console.text)
            for _ in range(answers - 1):
                key = self._key()
                after = reviewer.answer(key)
                self.seen[card] = KEYS[key]
                card = after
            key = self._key()
            reviewer.press(key)
            # Most keys are answered within 30 ms; now and then it strikes while nothing happens.
            strike(console, self.chance.uniform(0, 0.04 if self.chance.random() < 0.8 else 0.25))
            self.kills += 1
            # What was painted before the kill was seen.
            shown = card_on(console.text)
            (self.in_doubt if shown in (None, card) else self.seen)[card] = KEYS[key]

    def check(self) -> tuple[int, int]:
        """How many labels are lost, and how many doubled."""
        logged = read_labels(self._path)
        by_number = {self._numbers.get(str(event["candidate"])): event for event in logged.labels}
        lost = 0
        for number, label in self.seen.items():
            event = by_number.get(number)
            card = self._cards[number]
            right = event is not None and (event["label"], event["tick_id"]) == (label, card.tick_id)
            if not right:
                lost += 1
                self.found.append(f"card {number} was {label} and the log says {event}")
        for event in logged.labels:
            known = self._numbers.get(str(event["candidate"]), -1)
            if event["label"] != self.seen.get(known, self.in_doubt.get(known)):
                lost += 1
                self.found.append(f"nobody said what the log says: {event}")
        if logged.doubled:
            self.found.append(f"{logged.doubled} doubled")
        if logged.bad_lines:
            self.found.append(f"{logged.bad_lines} bad lines")
        return lost, logged.doubled

    def go_on(self) -> int:
        """A last console: it shows a card that has no label; returns how many are left of it."""
        with Console(self._env) as console:
            reviewer = Reviewer(console)
            card = reviewer.open(len(self._cards))
            self._check_open(card, console.text)
            left, total = reviewer.counts
            if total - left != len(read_labels(self._path).labels):
                self.found.append(f"{left} of {total} are left, and {len(read_labels(self._path).labels)} have a label")
            return left

    def _check_open(self, card: int, screen: str) -> None:
        """A new console shows the newest card without a label."""
        labelled = {self._numbers.get(str(event["candidate"])) for event in read_labels(self._path).labels}
        newest = next(number for number in sorted(self._cards) if number not in labelled)
        if card != newest:
            self.found.append(f"a new console shows card {card}, and {newest} has no label:\n{screen}")

    def _key(self) -> str:
        return self.chance.choice(tuple(KEYS))


def strike(console: Console, delay_s: float) -> None:
    """``kill -9`` after a delay that is spun; what the console had written by then is taken in."""
    until = time.perf_counter() + delay_s
    while time.perf_counter() < until:
        pass
    console.process.kill()
    console.end()


def card_on(text: str) -> int | None:
    """The card that a screen shows; None for any other screen."""
    if "review " not in text.partition("\n")[0]:
        return None
    found = set(_CARD.findall(text))
    return int(found.pop()) if len(found) == 1 else None


def counts_on(text: str) -> tuple[int, int]:
    """The cards left and all cards, as the review's first line says."""
    found = _COUNTS.search(text.partition("\n")[0])
    assert found, text
    left, total = (int(count.replace(",", "")) for count in found.groups())
    return left, total


def watch(console: Console, seconds: float) -> None:
    """Take in what a console writes for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        console._read(until)
