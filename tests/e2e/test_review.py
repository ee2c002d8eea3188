"""The review by keys on a real terminal: every answer that was given is on disk, once, whatever happens meanwhile."""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from e2e.console import CONSOLE, DOWN, ENTER, ESCAPE, LEFT, RIGHT, TAB, WAIT_S, Console
from e2e.escapes import kinds, strangers, texts
from e2e.homes import Home, healthy_bodies, ps, tags
from e2e.hostile_home import SAMPLE_NAMES, harmless
from e2e.review_driver import (
    KEYS,
    UNHEARD_S,
    CardLine,
    Reviewer,
    Sitting,
    card_line,
    deal,
    read_labels,
    strike,
    watch,
    write_cards,
)
from faulty_server import FaultyServer
from payloads import LINES, PAYLOADS, SHORT

ALEX = ("--operator", "alex")
KIM = ("--operator", "kim")

IN_TIME_S = 3.0
"""Another console's answer is counted at the next tick of the clock, each second; more is left for a busy machine."""

HOME, CTRL_S, CTRL_U, CTRL_X = "\x1b[H", "\x13", "\x15", "\x18"


class Desk:
    """A home whose only ticks are cards."""

    def __init__(self, folder: Path, ollama: FaultyServer, count: int = 60) -> None:
        self.home = Home(folder / "home", ollama=ollama.url).configure()
        self.folder = self.home.timmy / "heartbeat"
        self.path = self.folder / "labels.jsonl"
        self.cards = deal(self.folder, count, now=self.home.now)

    def console(self, *arguments: str, command: tuple[str, ...] = CONSOLE) -> Console:
        return Console(self.home.env, arguments=arguments, command=command)

    def said(self) -> list[tuple[int, str]]:
        """Card and label of each label event, in the order of the log."""
        numbers = {card.candidate: card.number for card in self.cards}
        logged = read_labels(self.path)
        return [(numbers[str(event["candidate"])], str(event["label"])) for event in logged.labels]


@pytest.fixture
def desk(tmp_path: Path, ollama: FaultyServer) -> Desk:
    return Desk(tmp_path, ollama)


def label_event(number: int, candidate: str, **extra: object) -> dict[str, object]:
    """A label that somebody gave before."""
    event = {"v": 1, "event_id": f"before-{number}", "event": "label", "candidate": candidate, "tick_id": f"t{number}"}
    return {**event, "label": "chosen", "note": "", "operator": "sam", **extra}


def json_line(tree: object) -> bytes:
    return json.dumps(tree).encode() + b"\n"


def test_fifty_answers_are_in_the_log_in_their_order_with_their_times_and_the_operators_name(desk: Desk) -> None:
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        assert reviewer.open(60) == 0
        assert reviewer.counts == (60, 60)
        for number in range(50):
            assert reviewer.answer("ccxcs"[number % 5]) == number + 1
        assert reviewer.counts == (10, 60)
        assert console.stop() == 0
    logged = read_labels(desk.path)
    assert logged.bad_lines == 0
    assert logged.doubled == 0
    assert desk.said() == reviewer.labelled == [(number, KEYS["ccxcs"[number % 5]]) for number in range(50)]
    before = ""
    for event, card in zip(logged.events, desk.cards, strict=False):
        assert event["operator"] == "alex"
        assert event["tick_id"] == card.tick_id
        assert str(event["shown_at"]) < str(event["answered_at"])
        took = datetime.fromisoformat(str(event["answered_at"])) - datetime.fromisoformat(str(event["shown_at"]))
        assert took > timedelta(milliseconds=149)  # no key counts before; times are cut to milliseconds
        assert before <= str(event["shown_at"])
        before = str(event["answered_at"])


def test_a_key_that_was_meant_for_the_card_before_answers_nothing(desk: Desk) -> None:
    """Nine keys at once are no person's answer; nor is one that comes before the card behind it could be seen."""
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        assert reviewer.open(60) == 0
        reviewer.attend(0.5)
        console.press("c" * 9)
        console.press("w")
        console.wait_for("Raw response")
        console.press(ESCAPE)
        assert reviewer.see() == 0
        assert reviewer.answer("c") == 1
        assert reviewer.answer("x") == 2
        assert console.stop() == 0
    assert desk.said() == [(0, "chosen"), (1, "rejected")]


def test_ten_undos_after_a_restart_bring_the_same_cards_back_in_reverse(desk: Desk) -> None:
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        reviewer.open(60)
        for number in range(10):
            reviewer.answer("cxs"[number % 3])
        assert console.stop() == 0
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        assert reviewer.open(60) == 10
        for number in reversed(range(10)):
            assert reviewer.go("u") == number
            console.wait_for(f"{KEYS['cxs'[number % 3]]}  by alex", "taken back", f" {60 - number} of 60 left")
        reviewer.ask("u", "Nothing of yours is left to take back")
        assert reviewer.card == 0
        assert reviewer.answer("s") == 1
        assert console.stop() == 0
    events = read_labels(desk.path).events
    labels, undos = events[:10], events[10:20]
    assert [event["event"] for event in events] == ["label"] * 10 + ["undo"] * 10 + ["label"]
    assert [undo["undoes"] for undo in undos] == [label["event_id"] for label in reversed(labels)]


def test_an_undo_takes_back_ones_own_answer_and_nobody_elses(desk: Desk) -> None:
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        reviewer.open(60)
        reviewer.answer("c")
        assert console.stop() == 0
    with desk.console(*KIM) as console:
        reviewer = Reviewer(console)
        assert reviewer.open(60) == 1
        reviewer.ask("u", "Nothing of yours is left to take back")
        assert reviewer.counts == (59, 60)
        assert console.stop() == 0
    assert len(read_labels(desk.path).events) == 1


class TestKills:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_no_answer_that_the_screen_went_on_from_is_lost_or_doubled(
        self, tmp_path: Path, ollama: FaultyServer, seed: int
    ) -> None:
        desk = Desk(tmp_path, ollama, count=100)
        sitting = Sitting(desk.home.env, desk.folder, desk.cards, seed)
        for _ in range(4):
            sitting.round(sitting.chance.randint(1, 11))
        left = sitting.go_on()
        assert sitting.check() == (0, 0), sitting.found
        assert sitting.found == []
        assert len(sitting.seen) <= 100 - left <= len(sitting.seen) + len(sitting.in_doubt)

    def test_an_undo_that_was_seen_is_not_forgotten(self, desk: Desk) -> None:
        with desk.console(*ALEX) as console:
            reviewer = Reviewer(console)
            reviewer.open(60)
            for _ in range(6):
                reviewer.answer("c")
            assert [reviewer.go("u") for _ in range(3)] == [5, 4, 3]
            strike(console, 0)
        with desk.console(*ALEX) as console:
            reviewer = Reviewer(console)
            assert reviewer.open(60) == 3
            assert reviewer.counts == (57, 60)
            assert reviewer.go("u") == 2
            assert console.stop() == 0

    def test_a_console_that_is_killed_while_another_one_works_holds_it_up_with_no_lock(self, desk: Desk) -> None:
        with desk.console(*ALEX) as victim, desk.console(*KIM) as console:
            doomed, reviewer = Reviewer(victim), Reviewer(console)
            doomed.open(60)
            assert reviewer.open(60) == 0
            for number in range(20):
                assert reviewer.go("]") == number + 1
            assert reviewer.answer("c") == 21
            doomed.press("x")
            strike(victim, 0.01)
            for number in range(21, 25):
                assert reviewer.answer("x") == number + 1
            assert console.stop() == 0
        said = [(number, label) for number, label in desk.said() if number]
        assert said == [(20, "chosen"), *((number, "rejected") for number in range(21, 25))]
        assert read_labels(desk.path).doubled == 0


def test_two_consoles_at_once_count_each_others_answers_and_lose_none(desk: Desk) -> None:
    with desk.console(*ALEX) as one, desk.console(*KIM) as two:
        alex, kim = Reviewer(one), Reviewer(two)
        assert (alex.open(60), kim.open(60)) == (0, 0)
        assert alex.answer("c") == 1
        two.wait_for("now: ● chosen  by alex", " 59 of 60 left", timeout_s=IN_TIME_S)
        for number in range(15):
            assert kim.go("]") == number + 1
        for step in range(10):
            before = alex.card, kim.card
            alex.attend()
            kim.attend()
            one.press("x")  # both at the same moment
            two.press("s")
            assert alex.follow(before[0], "x") == step + 2
            assert kim.follow(before[1], "s") == step + 16
        for console in (one, two):
            console.wait_for(" 39 of 60 left", timeout_s=IN_TIME_S)
        assert kim.go("u") == 24
        one.wait_for(" 40 of 60 left", timeout_s=IN_TIME_S)
        assert one.stop() == 0
        assert two.stop() == 0
    said = desk.said()
    assert [item for item in said if item[0] < 15] == [
        (0, "chosen"),
        *((number, "rejected") for number in range(1, 11)),
    ]
    assert [item for item in said if item[0] >= 15] == [(number, "skipped") for number in range(15, 25)]
    logged = read_labels(desk.path)
    assert logged.doubled == logged.bad_lines == 0
    assert {event["operator"] for event in logged.labels} == {"alex", "kim"}


FULL_DISK = """\
import os, resource, sys
limit, *command = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
os.execv(command[0], command)
"""


def press_in_vain(reviewer: Reviewer, key: str, path: Path) -> None:
    """Press a key whose word finds no room: what there was room for is written and taken away again."""
    before = path.stat()
    until = time.monotonic() + WAIT_S
    while path.stat().st_mtime_ns == before.st_mtime_ns:
        assert time.monotonic() < until, f"nothing was tried:\n{reviewer.console.text}"
        reviewer.press(key)  # a second one is not heard while the first is dealt with
        asked = time.monotonic() + UNHEARD_S
        while path.stat().st_mtime_ns == before.st_mtime_ns and time.monotonic() < asked:
            watch(reviewer.console, 0.05)
    while path.stat().st_size != before.st_size:
        assert time.monotonic() < until, "a part of a line stays"
        watch(reviewer.console, 0.05)


def test_a_full_disk_keeps_the_card_and_says_that_nothing_was_saved(desk: Desk) -> None:
    """No file can grow beyond what the label log has: it is by far the largest that the console writes."""
    desk.path.write_bytes(b"".join(json_line(label_event(n, f"{n:064x}", note="x" * 200)) for n in range(2_500)))
    before = desk.path.read_bytes()
    room = len(before) + 500  # for one answer, not for two
    command = (sys.executable, "-c", FULL_DISK, str(room), *CONSOLE)
    with desk.console(*ALEX, command=command) as console:
        reviewer = Reviewer(console)
        assert reviewer.open(60) == 0
        assert reviewer.answer("c") == 1
        for key in ("c", "u", "x"):
            press_in_vain(reviewer, key, desk.path)
            console.wait_for("not saved", "No room to write", "df -h")
            assert reviewer.card == 1
            assert reviewer.counts == (59, 60)
        limits = (resource.RLIM_INFINITY, resource.prlimit(console.process.pid, resource.RLIMIT_FSIZE)[1])
        resource.prlimit(console.process.pid, resource.RLIMIT_FSIZE, limits)  # somebody has made room
        assert reviewer.answer("x") == 2
        assert "not saved" not in console.text
        assert console.stop() == 0
    logged = desk.path.read_bytes()
    assert logged.startswith(before)
    events = [json.loads(line) for line in logged[len(before) :].splitlines()]
    assert [(event["tick_id"], event["label"]) for event in events] == [
        (desk.cards[0].tick_id, "chosen"),
        (desk.cards[1].tick_id, "rejected"),
    ]


def test_a_log_with_garbage_and_a_torn_tail_is_survived_and_said(desk: Desk) -> None:
    torn = json_line(label_event(1, desk.cards[1].candidate))[:70]
    desk.path.write_bytes(
        json_line(label_event(0, desk.cards[0].candidate))
        + b"garbage\n\0\xff\xfe\n[1, 2]\n"
        + b"[" * 100_000
        + b"\n"
        + json_line({"v": 9, "event": "label", "candidate": desk.cards[2].candidate, "label": "chosen"})
        + torn
    )
    before = desk.path.read_bytes()
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        assert reviewer.open(60) == 1
        console.wait_for("4 bad lines in labels.jsonl", "1 of a newer version", "torn", " 59 of 60 left")
        assert reviewer.answer("x") == 2
        console.wait_for("5 bad lines in labels.jsonl", " 58 of 60 left")
        assert reviewer.answer("c") == 3
        assert reviewer.go("u") == 2
        assert console.stop() == 0
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        assert reviewer.open(60) == 2
        console.wait_for("5 bad lines in labels.jsonl", " 58 of 60 left")
        assert console.stop() == 0
    after = desk.path.read_bytes()
    assert after.startswith(before + b"\n")
    assert [json.loads(line)["event"] for line in after[len(before) + 1 :].splitlines()] == ["label", "label", "undo"]


def test_a_label_log_that_grows_by_garbage_while_a_card_is_shown(desk: Desk) -> None:
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        reviewer.open(60)
        reviewer.answer("c")
        with desk.path.open("ab") as file:
            file.write(b"{]\n" + json_line(label_event(5, desk.cards[5].candidate)))
        console.wait_for("1 bad line in labels.jsonl", " 58 of 60 left", timeout_s=IN_TIME_S)
        assert reviewer.card == 1
        for number in (2, 3, 4, 6):  # somebody has answered card 5
            assert reviewer.answer("x") == number
        assert console.stop() == 0


class Attack:
    """Cards of which every string is an attack, with words on them that are; or the same out of harmless words."""

    def __init__(self, folder: Path, *, attack: bool) -> None:
        self.names = {**SHORT, "surrogate": PAYLOADS["surrogate"]} if attack else harmless(SHORT)
        self.sample = "".join(LINES[name] if attack else f"x{name}" for name in SAMPLE_NAMES)
        self.attack = attack
        self.ollama = FaultyServer(healthy_bodies())
        self.home = Home(folder, ollama="")
        self.folder = self.home.timmy / "heartbeat"

    def __enter__(self) -> Attack:
        self.ollama.__enter__()
        model = {"name": f"Om{self.sample}"[:24]}
        self.ollama.bodies |= {"/api/tags": tags(model), "/api/ps": ps(model)}
        answer = {"actions": self._all("Ja")[:18], "severity": "warning", "reasoning": f"Jr{self.sample}"}
        message = {"role": "assistant", "content": json.dumps(answer)}
        self.ollama.bodies["/api/chat"] = json.dumps({"model": f"Jm{self.sample}", "message": message, "done": True})
        self.home.configure()
        self.home.providers({"name": "plain", "type": "ollama", "url": self.ollama.url, "priority": 1})
        cards = self._cards()
        self.count = len(cards) + 1
        write_cards(self.folder, cards)
        self._write_session()
        self._write_labels(cards)
        return self

    def __exit__(self, *error: object) -> None:
        self.ollama.__exit__(None, None, None)

    def _all(self, letters: str) -> list[str]:
        return [letters + text for text in self.names.values()]

    def _one(self, letters: str) -> str:
        return letters + self.sample

    def _cards(self) -> list[CardLine]:
        newest = self.home.now - timedelta(minutes=2)
        told = {
            "actions": self._all("Ac")[:18],
            "severity": self._one("Sr"),
            "reasoning": f"card-000000 {self._one('Rs')}",
        }
        whole = card_line(
            0, newest, tick_id=self._one("Tk"), decided=told, prompt="\n".join(self._all("Pr")),
            perception={f"Pk{text}": {f"Pk{text}": f"Pv{text}"} for text in self.names.values()},
            model=self._one("Mt"), host=self._one("Ht"), provider=self._one("Pd"),
        )  # fmt: skip
        # Several on a card, for each has to be looked at for a while.
        texts = list(self.names.values())
        shown = [" Su".join(texts[first : first + 6]) for first in range(0, len(texts), 6)]
        others = [
            card_line(n, newest - timedelta(minutes=n), f"Su{text}", model=f"Mt{text}"[:80], host=f"Ht{text}")
            for n, text in enumerate(shown, 1)
        ]
        return [whole, *others]

    def _write_session(self) -> None:
        """A script's session whose answer is no decision; the newest of all."""
        at = self.home.now.timestamp() - 60
        writer = self.home.store()
        session = "20261120_triage"
        writer.session(session, source=self._one("So"), model=self._one("Hm"), started_at=at)
        writer.message(session, "user", "[triage] " + "\n".join(self._lines("Sp")), timestamp=at)
        writer.message(session, "assistant", "card-000099\n" + "\n".join(self._lines("Sa")), timestamp=at + 1)
        writer.close()

    def _lines(self, letters: str) -> list[str]:
        """What SQLite can hold."""
        return [letters + text for name, text in self.names.items() if name != "surrogate"]

    def _write_labels(self, cards: list[CardLine]) -> None:
        noted = cards[:3]
        words = [
            json_line(
                label_event(
                    card.number, card.candidate, event="note", note=self._one("No"), operator=self._one("Op"),
                    tick_id=card.tick_id,
                )
            )
            for card in noted
        ]  # fmt: skip
        words.append(json_line(label_event(90, cards[3].candidate, note=self._one("Nl"), operator=self._one("Op"))))
        words.append(json_line(label_event(91, cards[4].candidate, operator=self._one("Oq"), label="rejected")))
        (self.folder / "labels.jsonl").write_bytes(b"".join(words))


SINKS = {
    "Rs": "a reasoning", "Ac": "an action", "Sr": "a severity", "Pk": "a perception's key", "Pv": "its value",
    "Pr": "a prompt", "Mt": "a model", "Ht": "a host", "Su": "the reasoning of another card", "No": "a note",
    "Op": "an operator", "Sp": "a session's prompt", "Sa": "its answer", "Hm": "its model",
    "Ja": "an alternative's action", "Jr": "an alternative's reasoning", "Jm": "its model",
}  # fmt: skip
TYPED = {"Fn": "a note", "Ff": "the filter's text", "Fe": "a correction"}


def press_until(console: Console, key: str, shown: str = "", *, focused: str = "") -> None:
    """Press a key that does no harm twice until it has its effect: a dialog is painted before it hears keys."""
    for _ in range(5):
        console.press(key)
        try:
            console.wait_until(lambda text: shown in text and (not focused or lit(console, focused)), shown, 1.0)
            return
        except AssertionError:
            continue
    raise AssertionError(f"no {shown or focused}:\n{console.text}")


def lit(console: Console, row: str) -> bool:
    """The row of a dialog has the focus: its name is painted like the answer behind it, unlike the row above."""
    lines = console.text.splitlines()
    y = next(y for y, line in enumerate(lines) if f" {row}  " in line)
    x = lines[y].index(f" {row}  ") + 1
    buffer = console.screen.buffer
    return bool(buffer[y][x].bg != buffer[y - 1][x].bg)


def leave_row(console: Console, row: str) -> None:
    """Tab out of a dialog's rows: what is pasted before the row has lost its colour would go there."""
    assert lit(console, row)
    console.press(TAB)
    console.wait_until(lambda text: not lit(console, row), f"{row} to lose the focus")


def see_it_all(console: Console, attack: Attack) -> None:
    """Every part of the review, over each of its screens."""
    reviewer = Reviewer(console)
    console.wait_for("3 Heartbeat", "card-")
    console.press("r")
    console.wait_for(f" of {attack.count} left")
    if reviewer.see() == 0:  # the sessions are read last, and a card that shows stays
        assert reviewer.go("[") == 99
    console.wait_for("Prompt", "triage", "Hm", "Sp", "Sa")
    reviewer.ask("e", "What should it say?", "Sa")
    console.press(ESCAPE)
    assert reviewer.see() == 99
    assert reviewer.go("s") == 0
    console.wait_for("Rs", "Ac", "Pk", "No")
    for key, shown in (("p", "Pr"), ("w", "Rs")):
        reviewer.ask(key, "Prompt" if key == "p" else "Raw response", shown)
        console.press(ESCAPE)
        console.wait_for("review ", "No")
    reviewer.ask("n", "A note on this card")
    press_until(console, CTRL_U, "why?")
    console.paste(f"Fn{attack.sample}")
    console.press(HOME)
    console.wait_for("Fn")
    console.press(ENTER)
    console.wait_gone("A note on this card")
    console.wait_for("note:", "Fn")
    reviewer.ask("e", "What should have been decided?", "Rs")
    press_until(console, RIGHT, "◂ warning ▸")
    leave_row(console, "severity")
    console.paste(f"Fe{attack.sample}")
    console.wait_for("Fe")
    console.press(CTRL_S)
    reviewer.see(other_than=0)
    reviewer.go("u")
    console.wait_for("taken back")
    reviewer.ask("g", "1 Original", "2 Alternative", "Jr", "Ja")
    press_until(console, "2", " review ")
    reviewer.see(other_than=0)
    reviewer.ask("S", "What the labels say", "Hm", "Mt")
    console.press("G")
    console.wait_for("Op")
    console.press(ESCAPE)
    reviewer.see()
    reviewer.ask("f", "Which cards?", "severity")
    press_until(console, DOWN, focused="severity")
    press_until(console, DOWN, focused="model")
    console.press(RIGHT)
    console.wait_for("model       ◂ Hm")
    console.press(LEFT)
    console.wait_gone("model       ◂ Hm")
    leave_row(console, "model")
    console.paste(f"Ff{attack.sample[:24]}")
    console.press(HOME)
    console.wait_for("Ff")
    console.press(ENTER)
    console.wait_for("No decision passes this filter", "Ff")
    reviewer.ask("f", "Which cards?")
    console.press(CTRL_X)
    reviewer.see()
    # The other cards one by one, with and without an answer.
    for step in range(attack.count - 6):
        reviewer.go("c" if step % 4 == 0 else "]")


def test_what_a_model_or_an_operator_wrote_never_acts_on_the_terminal(tmp_path: Path) -> None:
    outputs = {}
    for hostile in (False, True):
        with (
            Attack(tmp_path / str(hostile), attack=hostile) as attack,
            Console(attack.home.env, columns=140, rows=44) as console,
        ):
            see_it_all(console, attack)
            assert console.stop() == 0
            assert console.screen.title == ""
            assert console.screen.answers == []
            outputs[hostile] = console.output
            assert "Traceback" not in console.output
    assert strangers(outputs[False]) == []
    assert strangers(outputs[True]) == []
    assert kinds(outputs[True]) <= kinds(outputs[False])
    shown = "\n".join(texts(outputs[True]))
    assert [name for letters, name in SINKS.items() if f"{letters}^[" not in shown] == []
    assert [name for letters, name in TYPED.items() if letters not in shown] == []


def test_the_card_shows_at_once_and_the_review_ends_with_a_clean_terminal(desk: Desk) -> None:
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        reviewer.open(60)
        began = time.monotonic()
        console.press(ESCAPE)
        console.wait_for("1 Models", "3 Heartbeat")
        console.press("r")
        assert reviewer.see() == 0
        assert time.monotonic() - began < 10
        assert console.stop() == 0
        assert strangers(console.output) == []
