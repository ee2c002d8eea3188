"""Promise 1: no untrusted byte reaches the terminal as anything but text. Asserted on the bytes of a pty."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from e2e.console import APPS, ENTER, ESCAPE, Console
from e2e.escapes import kinds, strangers, texts
from e2e.homes import Home
from e2e.hostile_home import World
from e2e.walk import walk
from payloads import PAYLOADS
from tick_maker import tick_line

SINKS = {
    "Mo": "a model's name", "De": "a model's details", "Mc": "a cloud model's name", "Rm": "its remote name",
    "Rh": "its remote host", "Pm": "parameters", "Te": "template", "Sy": "system prompt", "Li": "license",
    "Ca": "capability", "In": "model info", "Er": "an error in a notification", "Be": "an error in a pane",
    "Sv": "a server's name", "Pn": "a provider's name",
    "Pi": "a provider's model", "Le": "a provider's last error", "Ev": "an event's text", "Et": "an event's type",
    "Ap": "a profile's name", "Hf": "a folder's name", "Ti": "a session's title", "So": "a session's source",
    "Hm": "a session's model", "Id": "a session's id", "En": "an end reason", "Pa": "a parent session",
    "Me": "a message", "Re": "reasoning", "Tn": "a tool's name", "Tr": "a tool's result",
    "Fi": "a finish reason", "Ro": "a role", "Su": "a tick's summary", "Mt": "a tick's model", "Tk": "a tick's id",
    "Rs": "a decision's reasoning", "Ac": "an action", "Pk": "a perception's key", "Pv": "a perception's value",
    "Pr": "a prompt", "Rp": "a response", "Pd": "a tick's provider", "Se": "a tick's session", "Ht": "a tick's host",
    "Wr": "a tick's writer", "At": "an attempt's provider", "Ae": "an attempt's error",
}  # fmt: skip
TYPED = {"Ff": "a filter", "Fd": "what is looked for", "Fs": "what is searched", "Fp": "the palette", "Pl": "a pull"}
VISIBLE = (
    "Ta\\u001b",
    "^[",
    "^G",
    "^M",
    "^@",
    "^?",
    "<9B>",
    "<9D>",
    "<85>",
    "<U+202E>",
    "<U+200B>",
    "<U+E0041>",
    "<U+2028>",
)
LITERAL = ("[/b]", "[/]", "[TODO] x", "[b +", "[red]x[/red]", "[@click=app.quit]x[/]", "[$error]y", "a\\[b]")


def test_every_string_of_every_screen_is_text_and_nothing_else(tmp_path: Path) -> None:
    """The whole matrix in one process; the same walk over harmless words says what Textual itself writes."""
    outputs = {}
    for attack in (False, True):
        with (
            World(tmp_path / str(attack), attack=attack) as world,
            Console(world.home.env, columns=140, rows=80) as console,
        ):
            walk(console, world)
            assert console.stop() == 0
            assert console.screen.title == ""
            assert console.screen.answers == []
            outputs[attack] = console.output
    assert strangers(outputs[False]) == []
    assert strangers(outputs[True]) == []
    assert kinds(outputs[True]) <= kinds(outputs[False])
    shown = "\n".join(texts(outputs[True]))
    assert [name for letters, name in SINKS.items() if f"{letters}^[" not in shown] == []
    assert [name for letters, name in TYPED.items() if letters not in shown] == []
    assert [form for form in (*VISIBLE, *LITERAL) if form not in shown] == []


def test_the_last_wall_holds_where_cleaning_was_forgotten(home: Home) -> None:
    """Widgets of every kind that were handed raw strings: what is unsafe is replaced before it is written."""
    with Console(home.env, columns=140, rows=80, command=(sys.executable, str(APPS / "forgetful.py"))) as console:
        console.wait_for("static", "option", "logged", "cell", "branch", "typed", "edge", "told", "pressed", "\ufffd")
        assert console.stop() == 0
        assert strangers(console.output) == []
        assert console.screen.title == ""
        assert console.screen.answers == []


def test_a_key_id_of_the_configuration_is_named_safely(home: Home) -> None:
    home.configure(keys={"Ke\x1b]0;PWNED\x07\u202e[/b]": "f9"})
    with Console(home.env) as console:
        assert console.end() == 2
        assert "unknown key 'keys.Ke^[]0;PWNED^G<U+202E>[/b]'" in console.output
        assert strangers(console.output) == []


@pytest.mark.parametrize("name", ["long-sgr", "huge", "digits", "quotes", "fence"])
def test_a_text_without_end_is_shown_in_part_and_freezes_nothing(home: Home, name: str) -> None:
    """In the newest tick's reasoning: the pane shows its beginning, and the console still answers keys."""
    decision = {"severity": "warning", "reasoning": f"begin {PAYLOADS[name]}", "actions": []}
    home.tick_bytes(tick_line(77, at=home.now, decision=decision, model="endless:1b"), home.now)
    with Console(home.env) as console:
        console.wait_for("endless:1b", "begin")
        console.press("3", ENTER)
        console.wait_for("Decision", "begin")
        console.press(ESCAPE)
        console.wait_for("1 Models")
        assert console.stop() == 0
        assert strangers(console.output) == []


def test_a_line_on_standard_error_is_safe_too(home: Home) -> None:
    home.configure(theme="\x1b]0;PWNED\x07\x9b2J\u202e")
    with Console(home.env) as console:
        assert console.end() == 2
        assert "theme" in console.text
        assert strangers(console.output) == []


LEAKS = (
    "\x1b]52;c;SEk=\x07", "\x1b]0;x", "\x1b[2J", "\x1b[6n", "\x1b[?47h", "\x1bc", "\x1b(0", "\x9b2J", "\x07", "\u202e",
    "\u200b", "\U000e0041", "\x1bPq\x1b\\", "\x1b_G\x1b\\", "\x1b[10A", "\x1b[1;2;3H", "\x1b]8;;http://e\x1b\\",
    "\x1b",
)  # fmt: skip


@pytest.mark.parametrize("leak", LEAKS)
def test_the_measure_itself_finds_every_leak(leak: str) -> None:
    own = "\x1b[?1049h\x1b[1;1H\x1b[38;2;1;2;3mtext\x1b[0m\r\n\x1b]22;default\x07"
    assert strangers(own) == []
    assert strangers(f"{own}a{leak}b{own}") != []
