"""Promise 9: what no person typed is no key. Input as terminals send it, whole, torn and broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.message import Message
from textual.messages import InBandWindowResize, TerminalSupportsSynchronizedOutput

from timmy_tui.input_grammar import PASTE_IDLE_S, TORN_MOST_S
from timmy_tui.input_wall import ANSWER_WITHIN_S, IN_BAND_RESIZE, SYNCHRONISED_OUTPUT, InputWall, crowded, pasted


class Terminal:
    """A wall with a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.wall = InputWall(clock=lambda: self.now)

    def send(self, *reads: str, gap_s: float = 0.05, then_s: float = 10.0) -> list[Message]:
        """The messages of some reads, each ``gap_s`` after the other, and of the silence behind them."""
        found: list[Message] = []
        for read in reads:
            found += self.wall.feed(read)
            self.now += gap_s
            found += self.wall.tick()
        self.now += then_s
        return [*found, *self.wall.tick()]


def keys(found: Iterable[Message]) -> list[str]:
    return [message.key for message in found if isinstance(message, events.Key)]


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


REPLIES = {
    "DA1": "\x1b[?62;1;2;4c",
    "DA2 of xterm": "\x1b[>41;366;0c",
    "DA3": "\x1bP!|00000000\x1b\\",
    "XTVERSION": "\x1bP>|XTerm(366)\x1b\\",
    "DECRQSS": '\x1bP1$r0;1;31"p\x1b\\',
    "XTGETTCAP": "\x1bP1+r524742=38\x1b\\",
    "colour scheme": "\x1b[?997;1n",
    "cursor": "\x1b[24;80R",
    "cursor with a page": "\x1b[?24;80;1R",
    "DSR": "\x1b[0n",
    "size in cells": "\x1b[8;24;80t",
    "size in pixels": "\x1b[4;480;800t",
    "window title": "\x1b]lrejected chosen\x1b\\",
    "OSC 10, BEL": "\x1b]10;rgb:cccc/cccc/cccc\x07",
    "OSC 11, ST": "\x1b]11;rgb:0000/0000/0000\x1b\\",
    "OSC 4": "\x1b]4;1;rgb:cd00/0000/0000\x1b\\",
    "OSC 52": "\x1b]52;c;cmVqZWN0\x07",
    "kitty graphics": "\x1b_Gi=31;OK\x1b\\",
    "kitty flags": "\x1b[?25u",
    "privacy message": "\x1b^crxs\x1b\\",
    "start of string": "\x1bXcrxs\x1b\\",
    "sixel geometry": "\x1b[?2;0;800;480S",
    "mode nobody asked for": "\x1b[?2027;1$y",
    "checksum": "\x1bP1!~ABCD\x1b\\",
    "unknown final": "\x1b[1;2;3z",
    "8-bit CSI": "\x9b>41;366;0c",
    "8-bit DCS": "\x90>|XTerm(366)\x9c",
    "raw 8-bit CSI": "\udc9b>41;366;0c",
    "locator": "\x1b[1;2;3;4;0&w",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_a_reply_is_no_key_and_the_key_behind_it_is_one(terminal: Terminal, reply: str) -> None:
    assert terminal.send(reply) == []
    assert keys(terminal.send(reply + "j")) == ["j"]


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_a_reply_torn_anywhere_is_no_key(terminal: Terminal, reply: str) -> None:
    for at in range(1, len(reply)):
        if reply[:at] != "\x1b":  # followed by a pause that is the key, whatever comes then
            assert keys(terminal.send(reply[:at], reply[at:], gap_s=0.09)) == []
    assert keys(terminal.send(*reply, gap_s=0.004)) == []


def test_a_reply_torn_behind_its_escape_answers_nothing(terminal: Terminal) -> None:
    found = terminal.send("\x1b", "[>41;366;0c", gap_s=0.3)
    assert all(crowded(message) for message in found[1:] if isinstance(message, events.Key))


@pytest.mark.parametrize("begin", ["\x1bP>|XT", "\x1b]11;rgb:", "\x1b_G", "\x1b[>41;3", "\x1b[200~text", "\x9d52;"])
def test_what_never_ends_is_given_up(terminal: Terminal, begin: str) -> None:
    assert keys(terminal.send(begin)) == []
    assert keys(terminal.send("c")) == ["c"]


def test_somebody_who_types_into_a_lost_string_is_heard_again(terminal: Terminal) -> None:
    terminal.wall.feed("\x1b]52;c;")
    found: list[Message] = []
    for _ in range(40):
        terminal.now += 0.1
        found += terminal.wall.feed("j")
    assert len(keys(found)) >= 40 - TORN_MOST_S * 10 - 1


@pytest.mark.parametrize(
    ("sequence", "key"),
    [
        ("\x1b[A", "up"),
        ("\x1bOA", "up"),
        ("\x1b[1;5C", "ctrl+right"),
        ("\x1b[3~", "delete"),
        ("\x1b[3$", "shift+delete"),
        ("\x1b[Z", "shift+tab"),
        ("\x1bOP", "f1"),
        ("\x1b[[A", "f1"),
        ("\x1b[1;2R", "shift+f3"),
        ("\x1bx", "alt+x"),
        ("\x1b", "escape"),
        ("\x03", "ctrl+c"),
        ("\x1b[99u", "c"),
        ("\x1b[99;1:1u", "c"),
        ("\x1b[99;1:2u", "c"),
        ("\x1b[99;5u", "ctrl+c"),
        ("\x1b[99:67:99;2:1;67u", "C"),
        ("\x1b[1:1;1:1B", "down"),
        ("\x1b[97;;229u", "å"),
        ("\x1b[13u", "enter"),
    ],
)
def test_a_key_stays_a_key(terminal: Terminal, sequence: str, key: str) -> None:
    assert keys(terminal.send(sequence)) == [key]


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[99;1:3u",
        "\x1b[99:67;2:3;67u",
        "\x1b[1;1:3A",
        "\x1b[3;1:3~",
        "\x1b[1114112;1u",
        "\x1b[55296u",
        "\x1b[99;1;1114112u",
        "\x1b[99;999999999u",
        "\x1b[:;:u",
        "\x1b[;;;u",
        "\x1b[99;0u",
        "\x1b[99;1;27u",
        f"\x1b[{'9' * 5000}u",
    ],
)
def test_a_release_or_nonsense_is_nothing(terminal: Terminal, sequence: str) -> None:
    assert terminal.send(sequence) == []
    assert keys(terminal.send("c")) == ["c"]


def test_answers_reach_who_asked_in_time(terminal: Terminal) -> None:
    terminal.wall.ask(SYNCHRONISED_OUTPUT)
    terminal.wall.ask(IN_BAND_RESIZE)
    found = terminal.send("\x1b[?2026;2$y\x1b[?20", "48;2$y")
    assert [type(message) for message in found] == [TerminalSupportsSynchronizedOutput, InBandWindowResize]
    [resize] = terminal.send("\x1b[48;30;100;600;1000t")
    assert isinstance(resize, events.Resize)
    assert resize.size == (100, 30)
    assert terminal.send("\x1b[48;999999;999999;1;1t") == []
    assert terminal.send("\x1b[?2026;2$y") == []


def test_an_answer_that_is_late_or_not_asked_for_is_none(terminal: Terminal) -> None:
    assert terminal.send("\x1b[48;30;100;600;1000t") == []
    terminal.wall.ask(SYNCHRONISED_OUTPUT)
    terminal.now += ANSWER_WITHIN_S + 0.1
    assert terminal.send("\x1b[?2026;2$y") == []


def test_a_paste_is_one_message_however_it_comes(terminal: Terminal) -> None:
    text = "chosen\nrejected \x1b[A \x1b]0;x\x07 end"
    whole = f"\x1b[200~{text}\x1b[201~"
    for reads in ([whole], list(whole), [whole[:9], whole[9:-2], whole[-2:]]):
        [paste] = terminal.send(*reads, gap_s=0.01)
        assert isinstance(paste, events.Paste)
        assert paste.text == text
    [lost] = terminal.send("\x1b[200~text", then_s=PASTE_IDLE_S + 0.1)
    assert isinstance(lost, events.Paste)


def test_keys_of_one_read_or_of_one_moment_are_crowded(terminal: Terminal) -> None:
    assert all(crowded(key) for key in terminal.send("cr") if isinstance(key, events.Key))
    [alone] = terminal.send("c")
    assert isinstance(alone, events.Key)
    assert not crowded(alone)
    first, second = terminal.send("c", "r", gap_s=0.02)
    assert isinstance(first, events.Key)
    assert isinstance(second, events.Key)
    assert (crowded(first), crowded(second)) == (False, True)
    _shift, letter = terminal.send("\x1b[57441;2u", "\x1b[69;2;69u", gap_s=0.01)
    assert isinstance(letter, events.Key)
    assert not crowded(letter), "a modifier is no other key"


def test_many_different_keys_at_once_are_a_paste(terminal: Terminal) -> None:
    def all_pasted(text: str) -> bool:
        found = [key for key in terminal.send(text) if isinstance(key, events.Key)]
        return bool(found) and all(pasted(key) for key in found)

    assert all_pasted("please reject this one and quit\n")
    assert not all_pasted("j" * 40)
    assert not all_pasted("/quiz")


PARTS = st.one_of(
    st.sampled_from([*REPLIES.values(), "\x1b[99;1:3u", "\x1b[200~", "\x1b[201~", "\x1b", "c", "r", "\x1b[<0;3;4M"]),
    st.text(st.sampled_from("\x1b[]PO_^X\\;:?>$ 0123456789cnRyutM~\x07\x9b\x9c\udc9b\udcff\x18é"), max_size=12),
)


@given(st.lists(PARTS, max_size=12), st.sampled_from([0.0, 0.05, 0.2, 0.7]))
def test_nothing_raises_and_a_key_still_answers(parts: list[str], gap_s: float) -> None:
    terminal = Terminal()
    terminal.send(*parts, gap_s=gap_s)
    assert keys(terminal.send("j")) == ["j"]


@pytest.mark.parametrize(
    "flood",
    [
        lambda n: "\x1b[" + "1;" * (n // 2) + "m",
        lambda n: "\x1b]52;c;" + "A" * n + "\x07",
        lambda n: "\x1bP" + "\x1b" * n,
        lambda n: "\x1b[200~" + "\x1b[20" * (n // 4),
        lambda n: "\x1b[" * (n // 2),
        lambda n: "\x9b" * n,
    ],
    ids=["CSI", "OSC", "escapes", "paste", "begins", "8-bit"],
)
def test_a_flood_is_bounded_in_memory_and_hears_a_key_after_it(terminal: Terminal, flood: Callable[[int], str]) -> None:
    data = flood(400_000)
    terminal.send(*(data[at : at + 4096] for at in range(0, len(data), 4096)), gap_s=0.0001)
    assert not terminal.wall.waits
    assert keys(terminal.send("j")) == ["j"]
