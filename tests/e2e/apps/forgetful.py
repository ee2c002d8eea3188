"""A console whose author forgot to clean: raw foreign strings in widgets of every kind."""

from __future__ import annotations

import os
from pathlib import Path

from payloads import PAYLOADS
from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, DataTable, Input, Label, OptionList, RichLog, Static, Tree
from textual.widgets.option_list import Option

import timmy_tui.app
from timmy_tui.app import TimmyApp
from timmy_tui.config import load_settings

RAW = "".join(text for name, text in PAYLOADS.items() if len(text) < 60 and name not in ("controls", "yaml", "heart"))
"""Without line ends of its own."""


class Forgetful(Screen[None]):
    CSS = "* { height: auto; max-height: 8; }"

    def compose(self) -> ComposeResult:
        yield Static(Content(f"static {RAW}"))
        yield Label(f"label {RAW}", markup=False)
        yield OptionList(Option(Content(f"option {RAW}")))
        yield RichLog()
        yield DataTable()
        yield Tree(Text("tree"))
        yield Input(f"typed {RAW}")
        yield Button(Content(f"pressed {RAW}"))

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_column(Text(f"column {RAW}"), width=60)
        table.add_row(Text(f"cell {RAW}"))
        tree = self.query_one(Tree)
        tree.root.add_leaf(Text(f"branch {RAW}"))
        tree.root.expand()
        frame = self.query_one(Static)
        frame.styles.border = ("round", "red")
        frame.border_title = Content(f"edge {RAW}")
        self.app.notify(f"told {RAW}", title=f"title {RAW}", markup=False, timeout=60)
        self.call_after_refresh(self.query_one(RichLog).write, Text(f"logged {RAW}"))
        self.set_focus(None)


class ForgetfulConsole(TimmyApp):
    CSS_PATH = Path(timmy_tui.app.__file__).with_name("styles.tcss")

    def get_default_screen(self) -> Screen[None]:
        return Forgetful()


if __name__ == "__main__":
    ForgetfulConsole(load_settings(os.environ), env=os.environ, live=False).run()
