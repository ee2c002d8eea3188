"""The last answers as signs, and what is wrong with the label log."""

from __future__ import annotations

from collections.abc import Sequence

from timmy_tui.glyphs import UNICODE, Glyphs
from timmy_tui.services.labels.records import Answer, LabelEvent
from timmy_tui.text import moment_text
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
    if word.event == "note":
        return glyphs.dot, "info", f"note “{word.note.splitlines()[0] if word.note else ''}”"
    sign, role = _label_signs(glyphs).get(word.label or "", (glyphs.unknown, "unknown"))
    return sign, role, word.label or "unknown"


def _label_signs(glyphs: Glyphs) -> dict[str, tuple[str, str]]:
    return {
        "chosen": (glyphs.ok, "ok"),
        "rejected": (glyphs.critical, "critical"),
        "skipped": (glyphs.skipped, "quiet"),
    }


def word_line(word: LabelEvent, glyphs: Glyphs) -> Line:
    """An answer in a line: ``● chosen  by alex, 14:03``."""
    sign, role, told = word_sign(word, glyphs)
    when = moment_text(word.answered_at, ", %H:%M", unknown="")
    return line((f"{sign} {told}", role), (f"  by {word.operator or 'nobody'}{when}", "quiet"))


def answer_line(answer: Answer, glyphs: Glyphs) -> Line:
    """What is said of a card now; a tick's own label is nobody's word."""
    if answer.last is not None:
        return word_line(answer.last, glyphs)
    if answer.label is None:
        return EMPTY
    sign, role = _label_signs(glyphs)[answer.label]
    return line((f"{sign} {answer.label}", role), ("  in the tick itself", "quiet"))
