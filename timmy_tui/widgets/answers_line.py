"""The last answers as signs, and what is wrong with the label log."""

from __future__ import annotations

from collections.abc import Sequence

from timmy_tui.glyphs import UNICODE, Glyphs
from timmy_tui.services.labels.records import Answer, LabelEvent
from timmy_tui.widgets.line import EMPTY, Line, Span, line, spread
from timmy_tui.widgets.lines_view import LinesView

SHOWN = 10


class AnswersLine(LinesView):
    """One sign for each of the last ten answers, the latest on the right."""

    def __init__(self, *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__(id="answers")
        self._glyphs = glyphs
        self._words: tuple[LabelEvent, ...] = ()
        self._operator = self._trouble = ""

    def update(self, words: Sequence[LabelEvent], operator: str, trouble: str) -> None:
        """Show these answers, the oldest first, whose they are, and one line of trouble."""
        if (tuple(words), operator, trouble) != (self._words, self._operator, self._trouble):
            self._words, self._operator, self._trouble = tuple(words), operator, trouble
            self.redraw()

    def redraw(self) -> None:
        """Draw from the current values."""
        left: list[Span] = [Span(" last: ", "quiet")]
        for word in self._words[-SHOWN:]:
            sign, role, _ = word_sign(word, self._glyphs)
            left += [Span(sign, role), Span(" ")]
        if not self._words:
            left.append(Span("nothing yet", "quiet"))
        right = line((f"{self._trouble} ", "warning")) if self._trouble else line((f"{self._operator} ", "quiet"))
        self.show([spread(tuple(left), right, self.size.width)])


def word_sign(word: LabelEvent, glyphs: Glyphs) -> tuple[str, str, str]:
    """Sign, role and word of an answer."""
    if word.event == "edit":
        return glyphs.edited, "info", "edited"
    if word.event == "prefer":
        told = {"original": "original preferred", "alternative": "alternative preferred"}
        return glyphs.preferred, "info", told.get(word.preferred or "", "neither preferred")
    signs = {
        "chosen": (glyphs.ok, "ok", "chosen"),
        "rejected": (glyphs.critical, "critical", "rejected"),
        "skipped": (glyphs.skipped, "quiet", "skipped"),
    }
    return signs.get(word.label or "", (glyphs.unknown, "unknown", "unknown"))


def answer_line(answer: Answer, glyphs: Glyphs, when: str) -> Line:
    """What was said of a card, in a line: ``● chosen  by alex, 14:03``."""
    if answer.last is None:
        if answer.label is None:
            return EMPTY
        return line((f"{glyphs.ok if answer.label == 'chosen' else glyphs.critical} {answer.label}", "info"))
    sign, role, told = word_sign(answer.last, glyphs)
    by = f"  by {answer.last.operator or 'nobody'}{', ' if when else ''}{when}"
    return line((f"{sign} {told}", role), (by, "quiet"))
