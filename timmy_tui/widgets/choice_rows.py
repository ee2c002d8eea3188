"""Rows of a form: each a question with a few answers, walked through by the arrow keys."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from textual import events
from textual.binding import Binding
from textual.message import Message

from timmy_tui.widgets.line import Line, Span, crop, fit, line
from timmy_tui.widgets.lines_view import LinesView


class Choice(Struct, frozen=True):
    """One row: ``answers`` are shown as they are; ``at`` is the one that is chosen."""

    name: str
    answers: tuple[str, ...]
    at: int = 0


class ChoiceRows(LinesView, can_focus=True):
    """Up and down go to another row, left and right to another answer; a click goes to the next one."""

    BINDING_GROUP_TITLE = "Form"

    BINDINGS = [
        Binding("down", "move(1)", "Next row", show=False, id="choice.down"),
        Binding("up", "move(-1)", "Row before", show=False, id="choice.up"),
        Binding("right,space", "turn(1)", "Next answer", show=False, id="choice.right"),
        Binding("left", "turn(-1)", "Answer before", show=False, id="choice.left"),
    ]

    class Turned(Message):
        """Another answer was chosen."""

    def __init__(self, choices: Sequence[Choice], *, id: str) -> None:
        super().__init__(id=id)
        self._choices = list(choices)
        self._row = 0
        self.styles.height = len(choices)

    def chosen(self, name: str) -> int:
        """The place of the answer that is chosen in a row."""
        return next(choice.at for choice in self._choices if choice.name == name)

    def redraw(self) -> None:
        """Draw every row."""
        self.show([self._line(row, choice) for row, choice in enumerate(self._choices)])

    def _line(self, row: int, choice: Choice) -> Line:
        here = row == self._row and self.has_focus
        answer = choice.answers[choice.at] if choice.answers else ""
        left, right = ("◂ ", " ▸") if len(choice.answers) > 1 else ("  ", "")
        width = self.size.width
        content = line((f"{choice.name:<12}", "quiet"), (left, "key"), (answer, "strong"), (right, "key"))
        if not here:
            return crop(content, width)
        return tuple(Span(span.text, f"{span.role}!") for span in fit(content, width))

    def watch_has_focus(self, has_focus: bool) -> None:
        """The row shows the focus."""
        super().watch_has_focus(has_focus)
        self.redraw()

    def action_move(self, step: int) -> None:
        """Go to another row."""
        self._row = (self._row + step) % max(1, len(self._choices))
        self.redraw()

    def action_turn(self, step: int) -> None:
        """Go to another answer of the row."""
        if not self._choices:
            return
        choice = self._choices[self._row]
        at = (choice.at + step) % max(1, len(choice.answers))
        self._choices[self._row] = Choice(choice.name, choice.answers, at)
        self.redraw()
        self.post_message(self.Turned())

    def on_click(self, event: events.Click) -> None:
        """A click goes to the row, and on the same row to the next answer."""
        if not 0 <= event.y < len(self._choices):
            return
        self._row = event.y
        self.action_turn(1)
