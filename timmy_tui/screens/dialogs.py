"""Small dialogs: a question, a name, a line of text."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from timmy_tui.input_wall import together
from timmy_tui.screens.base import ConsoleModal
from timmy_tui.text import clean
from timmy_tui.widgets.text_line import TextLine


class ConfirmDialog(ConsoleModal[bool]):
    """Asks before something is done; only ``y`` does it, Enter never does."""

    BINDINGS = [
        Binding("y", "answer(True)", "yes", id="dialog.yes"),
        Binding("n,escape", "answer(False)", "no", id="dialog.no"),
    ]

    def __init__(self, question: str, more: str, verb: str) -> None:
        super().__init__()
        self._question, self._more, self._verb = question, more, verb

    def compose(self) -> ComposeResult:
        """The question, its consequence, the keys."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._question), classes="title")
            yield Static(Content(self._more), classes="quiet")
            yield Static(Content(f"y  {self._verb}     n / esc  leave it"), classes="keys")

    def on_key(self, event: Key) -> None:
        """No answer to a question that was not there yet when it was typed."""
        if event.key == "y" and together(event):
            event.stop()
            event.prevent_default()

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)


class NameDialog(ConsoleModal[str]):
    """Asks for a name; empty = never mind."""

    TAKES_TEXT = True
    BINDINGS = [Binding("escape", "leave", "back", id="dialog.leave")]

    def __init__(self, title: str, example: str, verb: str) -> None:
        super().__init__()
        self._title, self._example, self._verb = title, example, verb

    def compose(self) -> ComposeResult:
        """The title, the line to type in, the keys."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._title), classes="title")
            name = TextLine(placeholder=self._example, compact=True)
            name.cursor_blink = False
            yield name
            yield Static(Content(f"enter  {self._verb}     esc  leave it"), classes="keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with the name."""
        self.dismiss(clean(event.value.strip()))

    def action_leave(self) -> None:
        """Close without a name."""
        self.dismiss("")


class TextDialog(ConsoleModal[str | None]):
    """Asks for a line of text that may be empty; None = never mind."""

    TAKES_TEXT = True
    BINDINGS = [Binding("escape", "leave", "back", id="dialog.leave")]

    def __init__(self, title: str, value: str, example: str, verb: str, *, known: Sequence[str] = ()) -> None:
        """``known`` are answers that are offered while one of them is typed."""
        super().__init__()
        self._title, self._value, self._example, self._verb = title, value, example, verb
        self._known = tuple(known)

    def compose(self) -> ComposeResult:
        """The title, the line to type in, the keys."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._title), classes="title")
            if self._known:
                yield Static(Content("  ".join(self._known)), classes="quiet")
            known = SuggestFromList(self._known, case_sensitive=False) if self._known else None
            text = TextLine(value=self._value, placeholder=self._example, compact=True, suggester=known)
            text.cursor_blink = False
            yield text
            yield Static(Content(f"enter  {self._verb}     esc  leave it"), classes="keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with the text."""
        self.dismiss(clean(event.value.strip(), limit=2_000))

    def action_leave(self) -> None:
        """Close without a change."""
        self.dismiss(None)
