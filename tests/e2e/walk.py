"""A walk through every screen of the console over a :class:`World`."""

from __future__ import annotations

import re

from e2e.console import CTRL_R, CTRL_T, DOWN, ENTER, ESCAPE, SPACE, TAB, Console
from e2e.hostile_home import World

PANES = ("1 Models", "2 Sessions", "3 Heartbeat", "4 Providers")

TYPING = "esc clear"
"""In the footer while a line is typed."""

_PLACE = re.compile(r"(<1|>?\d+) % ─╯")


def walk(console: Console, world: World) -> None:
    """See everything there is to see, each screen to its end."""
    _start(console, world)
    _models(console, world)
    _sessions(console, world)
    _heartbeat(console)
    _providers(console)
    _texts_of_the_console(console, world)
    _actions(console, world)
    _events(console, world)


def _start(console: Console, world: World) -> None:
    console.wait_for("Models", "Be", "Mo", "no store", "Ap", "Pn", "Rs", "Le")
    world.mend_profile()
    console.press(CTRL_R)
    console.wait_for("Ti", "So")


def _models(console: Console, world: World) -> None:
    console.press(ENTER)
    console.wait_for("In memory", "On disk", "Parameters", "Pm")
    page_through(console)
    _leave(console)
    console.press("G")
    console.wait_for("Mc")
    _back_from(console, ENTER, "In memory", "Rm", "Rh")
    _filter(console, world, "1 Models")


def _sessions(console: Console, world: World) -> None:
    console.press("2", "/")
    console.wait_for("filter sessions", TYPING)
    console.press("topid", ENTER)
    console.wait_gone(TYPING)
    console.wait_for("/topid", "Ti")
    console.press(ENTER)
    console.wait_for("Me", "tokens", "cost")
    page_through(console)
    console.press("/")
    console.wait_for("find in this text", TYPING)
    console.paste("Fd" + world.sample)
    console.wait_for("Fd")
    console.press(ESCAPE)
    console.wait_gone("Fd")
    console.press(ESCAPE)
    console.wait_for("1 Models", "/topid")
    console.press(ESCAPE)
    console.wait_gone("/topid")
    _filter(console, world, "2 Sessions")
    console.press("S")
    console.wait_for("Type at least two letters")
    console.press("needle")
    console.wait_for("found", "needle")
    console.press(DOWN, ENTER)
    console.wait_for("Me", "/needle")
    console.press(ESCAPE)
    console.wait_gone("/needle")
    console.press(ESCAPE)
    console.wait_for("Messages")
    console.press(ESCAPE)
    console.wait_for("1 Models")
    console.press("S")
    console.wait_for("Type at least two letters")
    console.paste("Fs" + world.sample)
    console.wait_for("Fs", "No message holds that")
    console.press(ESCAPE)
    console.wait_for("1 Models")


def _heartbeat(console: Console) -> None:
    console.press("3", "j")
    console.wait_for("Su")
    console.press("g", ENTER)
    console.wait_for("Perception", "Decision", "Pk", "Pv", "Ac")
    page_through(console)
    console.press("p")
    console.wait_for("Pr")
    console.press(TAB, "G")
    console.press(ESCAPE)
    console.wait_for("1 Models")
    console.press("H")
    console.wait_for("Every tick", "ticks", "Su")
    console.press("j", ENTER)
    console.wait_for("Perception", "Decision")
    console.press(ESCAPE)
    console.wait_for("Every tick")
    console.press(ESCAPE)
    console.wait_for("1 Models")


def _providers(console: Console) -> None:
    console.press("4")
    console.press(ENTER)
    console.wait_for("Probes of this console", "Last error", "Ev", "Et", "Pi")
    _leave(console)


def _events(console: Console, world: World) -> None:
    world.let_go()
    console.wait_for("unloaded")
    _back_from(console, "5", "Activity", "unloaded")


def _actions(console: Console, world: World) -> None:
    """Last, for their notifications lie over the ends of the texts."""
    console.press("1g")
    console.press("l")
    console.wait_for("/api/generate", "Er")
    console.press("x")
    console.wait_for("leave it", "Unload")
    console.press("n")
    console.wait_gone("leave it")
    console.press("P")
    console.wait_for("Pull a model to")
    console.paste("Pl" + world.sample)
    console.wait_for("Pl")
    console.press(ENTER)
    console.wait_for("/api/pull")


def _texts_of_the_console(console: Console, world: World) -> None:
    for title in PANES:
        console.press(title[0], "z")
        console.wait_until(lambda text: _panes(text) == 1, "a zoom")
        _back_from(console, "?", "Everywhere", "Signs", below=title)
        console.press("z")
        console.wait_until(lambda text: _panes(text) == 4, "all panes")
    console.press(":")
    console.wait_for("Search for commands")
    console.paste("Fp" + world.sample)
    console.wait_for("Fp")
    console.press(ESCAPE)
    console.wait_gone("Fp")
    for command, shown in (("Picture", "Saved"), ("Setup", "Setup: what was found here")):
        console.press(":")
        console.wait_for("Search for commands")
        console.press(command)
        console.wait_for(command)
        console.press(DOWN, ENTER)
        console.wait_for(shown)
    console.press(ESCAPE)
    console.wait_for("1 Models")
    console.press(SPACE, CTRL_T)
    console.wait_for("paused", "Theme:")
    console.press(SPACE)
    console.wait_gone("paused")


def _filter(console: Console, world: World, pane: str) -> None:
    console.press("/")
    console.wait_for(TYPING)
    console.paste("Ff" + world.sample)
    console.wait_for("Ff")
    console.press(ENTER)
    console.wait_gone(TYPING)
    console.wait_for("/Ff", pane)
    console.press(ESCAPE)
    console.wait_gone("Ff")


def _back_from(console: Console, key: str, *shown: str, below: str = "1 Models") -> None:
    console.press(key)
    console.wait_for(*shown)
    _leave(console, below)


def _leave(console: Console, below: str = "1 Models") -> None:
    console.press(ESCAPE)
    console.wait_for(below)


def page_through(console: Console) -> None:
    """To the end of a text that is longer than the screen, page by page; each is painted before the next."""
    console.wait_until(lambda text: _place(text) != "", "the place at the end of the frame")
    while (place := _place(console.text)) != "100":
        console.press("d")
        console.wait_until(lambda text, before=place: _place(text) != before, "the next page")


def _place(text: str) -> str:
    found = _PLACE.findall(text)
    return found[-1] if found else ""


def _panes(text: str) -> int:
    return sum(title in text for title in PANES)
