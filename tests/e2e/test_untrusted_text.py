"""Promise 1: no untrusted byte reaches the terminal as anything but text. Asserted on the bytes of a pty."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from e2e.console import Console
from e2e.escapes import kinds, strangers, texts
from e2e.hostile_home import World
from e2e.walk import walk

SINKS = {
    "Mo": "a model's name", "De": "a model's details", "Mc": "a cloud model's name", "Rm": "its remote name",
    "Rh": "its remote host", "Pm": "parameters", "Te": "template", "Sy": "system prompt", "Li": "license",
    "Ca": "capability", "In": "model info", "Er": "an error in a notification", "Be": "an error in a pane",
    "Sv": "a server's name", "Ke": "a key's id in the configuration", "Pn": "a provider's name",
    "Pi": "a provider's model", "Le": "a provider's last error", "Ev": "an event's text", "Et": "an event's type",
    "Ap": "a profile's name", "Hf": "a folder's name", "Ti": "a session's title", "So": "a session's source",
    "Hm": "a session's model", "Id": "a session's id", "En": "an end reason", "Pa": "a parent session",
    "Me": "a message", "Re": "reasoning", "Tn": "a tool's name", "Ta": "tool arguments", "Tr": "a tool's result",
    "Fi": "a finish reason", "Ro": "a role", "Su": "a tick's summary", "Mt": "a tick's model", "Tk": "a tick's id",
    "Rs": "a decision's reasoning", "Ac": "an action", "Pk": "a perception's key", "Pv": "a perception's value",
    "Pr": "a prompt", "Rp": "a response", "Pd": "a tick's provider", "Se": "a tick's session", "Ht": "a tick's host",
    "Wr": "a tick's writer", "At": "an attempt's provider", "Ae": "an attempt's error",
}  # fmt: skip
TYPED = {"Ff": "a filter", "Fd": "what is looked for", "Fs": "what is searched", "Fp": "the palette", "Pl": "a pull"}
VISIBLE = ("^[", "^G", "^M", "^@", "^?", "<9B>", "<9D>", "<85>", "<U+202E>", "<U+200B>", "<U+E0041>", "<U+2028>")
LITERAL = ("[/b]", "[/]", "[TODO] x", "[b +", "[red]x[/red]", "[@click=app.quit]x[/]", "[$error]y", "a\\[b]")


def test_every_string_of_every_screen_is_text_and_nothing_else(tmp_path: Path) -> None:
    """The whole matrix in one process; the same walk over harmless words says what Textual itself writes."""
    outputs = {}
    for attack in (False, True):
        folder = tmp_path / str(attack)
        with World(folder, attack=attack) as world, Console(world.home.env, columns=160, rows=110) as console:
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
    assert [name for letters, name in TYPED.items() if f"{letters}" not in shown] == []
    assert [form for form in (*VISIBLE, *LITERAL) if form not in shown] == []
