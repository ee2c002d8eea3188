"""Promise 9: no byte that a person did not type acts as a key. On a real terminal, over a card of the review."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest
from e2e.console import ENTER, ESCAPE, Console
from e2e.homes import Home
from e2e.review_driver import Reviewer
from e2e.test_review import ALEX, Desk, desk  # noqa: F401 - the fixture
from faulty_server import FaultyServer

SEQUENCES = 10_000
AT_ONCE = 25

FINALS = "ABCDEFGHPQRSZabcdefghijklmnopqrstuvwxyz@^{|}`"
LETTERS = "0123456789;:?<>=!\"#$%&'()*+,-./ abcdeghijklnorstuvwxyzACR"


class Grammar:
    """Sequences that a terminal may send and no person types: whole, broken off, far too long."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def sequence(self) -> str:
        kinds = (self.control, self.device, self.string, self.kitty, self.window, self.eight_bit, self.cut)
        return self.chance.choice(kinds)()

    def numbers(self, most: int = 5) -> str:
        few = (0, 1, 2, 3, 27, 48, 99, 200, 0x10FFFF, 0x110000, 0xD800, 10**12)
        return ";".join(
            ":".join(str(self.chance.choice(few)) for _ in range(self.chance.randint(1, 3)))
            for _ in range(self.chance.randint(0, most))
        )

    def control(self) -> str:
        # None of the finals that keys have: with those a sequence is a key that somebody may have pressed.
        return f"\x1b[{self.numbers()}{self.chance.choice('bcdegnrtxy')}"

    def device(self) -> str:
        ending = self.chance.choice(("c", "n", "R", "t", "y", "$y", "u", "S"))
        return f"\x1b[{self.chance.choice('?>=<')}{self.numbers()}{ending}"

    def string(self) -> str:
        text = "".join(self.chance.choices(LETTERS, k=self.chance.choice((0, 3, 20, 300))))
        return f"\x1b{self.chance.choice('P]X^_')}{text}{self.chance.choice([chr(7), chr(27) + chr(92)])}"

    def kitty(self) -> str:
        return f"\x1b[{self.chance.choice((99, 114, 113, 0x110000, 0xD800))};1:3u"

    def window(self) -> str:
        return f"\x1b[48;{self.numbers(4)};999999;999999;1;1t"

    def eight_bit(self) -> str:
        return f"\x9b>{self.numbers()}c"

    def cut(self) -> str:
        """Broken off by the next one."""
        begin = self.chance.choice((self.device()[:-1], "\x1b]" + "".join(self.chance.choices(LETTERS, k=9))))
        return begin + "\x1b[?1;2c"


def test_ten_thousand_sequences_label_nothing_and_a_key_still_answers(desk: Desk) -> None:  # noqa: F811
    grammar = Grammar(seed=20261129)
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        first = reviewer.open(60)
        for _ in range(SEQUENCES // AT_ONCE):
            console.press("".join(grammar.sequence() for _ in range(AT_ONCE)).encode("utf-8", "replace"))
            console._read(time.monotonic())  # the console must not wait for its terminal
        reviewer.see()
        assert console.process.poll() is None
        assert reviewer.card == first
        assert desk.said() == []
        reviewer.answer("c")
        assert desk.said() == [(first, "chosen")]
        console.press(ESCAPE)
        console.wait_for("1 Models")
        assert console.stop() == 0
        assert "Traceback" not in console.output


CASES = {
    "da2": b"\x1b[>41;366;0c",
    "xtversion": b"\x1bP>|XTerm(366)\x1b\\",
    "colour scheme": b"\x1b[?997;1n",
    "osc 11": b"\x1b]11;rgb:0000/0000/0000\x1b\\",
    "kitty release": b"\x1b[99;1:3u",
    "huge code point": b"\x1b[1114112;1u",
    "paste without brackets": b"chosen r rejected c!",
    "long CSI": b"\x1b[" + b"1;" * 20_000 + b"m",
    "long OSC": b"\x1b]52;c;" + b"A" * 200_000 + b"\x07",
    "window": b"\x1b[48;999999;999999;1;1t",
}


@pytest.mark.parametrize("bytes_", CASES.values(), ids=CASES.keys())
def test_a_card_stays_what_it_was(desk: Desk, bytes_: bytes) -> None:  # noqa: F811
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        first = reviewer.open(60)
        reviewer.attend(0.5)
        console.press(bytes_)
        if b" r " in bytes_:
            console.wait_for("Pasted text is no keys")
        console.press("w")
        console.wait_for("Raw response")
        console.press(ESCAPE)
        reviewer.see()
        assert (reviewer.card, desk.said()) == (first, [])
        console.press(ESCAPE)
        console.wait_for("1 Models")
        assert console.stop() == 0


def test_a_paste_into_a_dialog_that_has_just_been_painted_is_whole(desk: Desk) -> None:  # noqa: F811
    note = "why? because it says so, quite exactly"
    with desk.console(*ALEX) as console:
        reviewer = Reviewer(console)
        first = reviewer.open(60)
        reviewer.attend(0.5)
        console.press("n")
        console.wait_for("A note on this card")
        console.paste(note)
        console.press("!", ENTER)
        console.wait_gone("A note on this card")
        console.wait_for(f"{note}!")
        assert reviewer.card == first
        console.press(ESCAPE)
        console.wait_for("1 Models")
        assert console.stop() == 0


def test_a_word_typed_in_the_history_filters_it(tmp_path: Path, ollama: FaultyServer) -> None:
    made = Desk(tmp_path, ollama, count=30)
    with made.console() as console:
        console.wait_for("1 Models", "card-")
        console.press("H")
        console.wait_for("Every tick", "30 ticks")
        console.press("/", "card-000017 quit")
        console.wait_for("No tick holds “card-000017 quit”")
        console.press(ESCAPE)
        console.wait_for("30 ticks", "card-000000")
        console.press("/", "card-000017", ENTER)
        console.wait_for("1 of 30 ticks", "card-000017")
        console.press(ESCAPE)
        console.wait_for("30 ticks", "card-000000")
        console.press(ESCAPE)
        console.wait_for("1 Models")
        assert console.stop() == 0


def test_a_defect_in_the_thread_that_reads_keys_is_a_crash(home: Home) -> None:
    from e2e.console import APPS

    with Console(home.env, command=(sys.executable, str(APPS / "deaf.py"))) as console:
        console.wait_for("1 Models")
        console.press("x")
        assert console.end() == 1
        assert "timmy-tui crashed: RuntimeError" in console.output
        assert "Traceback" not in console.output
