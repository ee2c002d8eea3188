"""A line to type in: everything happens in the order in which it was typed."""

from __future__ import annotations

from screens import scenes
from screens.scenes import Stack
from screens.test_dashboard import SIZE, open_with, settle
from textual.events import Key, Paste

from timmy_tui.screens.dialogs import TextDialog
from timmy_tui.widgets.text_block import TextBlock
from timmy_tui.widgets.text_line import TextLine


async def test_what_is_typed_without_a_pause_acts_in_its_order(stack: Stack) -> None:
    """Nothing runs between these events: on a busy machine that is how they come."""
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        app.push_screen(TextDialog("A note", "an old note", "why?", "keep"))
        await settle(pilot)
        for event in (
            Key("ctrl+u", None),
            Paste("disk\nnot this"),
            Key("home", None),
            Key("a", "a"),
            Key("end", None),
            Key("backspace", None),
            Key("c", "c"),
            Paste("!"),
        ):
            app.post_message(event)
        await settle(pilot)
        assert app.screen.query_one(TextLine).value == "adisc!"


async def test_enter_keeps_what_was_typed_before_it(stack: Stack) -> None:
    app = scenes.console(stack.env)
    answers: list[str | None] = []
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        app.push_screen(TextDialog("A note", "", "why?", "keep"), answers.append)
        await settle(pilot)
        for event in (Paste("too warm"), Key("left", None), Key("x", "x"), Key("enter", "\r")):
            app.post_message(event)
        await settle(pilot)
        assert answers == ["too warxm"]


async def test_a_block_of_text_keeps_the_order_too(stack: Stack) -> None:
    app = scenes.console(stack.env)
    async with app.run_test(size=SIZE) as pilot:
        await open_with(pilot, stack.healthy())
        block = TextBlock("")
        await app.screen.mount(block)
        block.focus()
        await settle(pilot)
        for event in (Paste("warm"), Key("home", None), Key("x", "x"), Key("end", None), Paste("!")):
            app.post_message(event)
        await settle(pilot)
        assert block.text == "xwarm!"
