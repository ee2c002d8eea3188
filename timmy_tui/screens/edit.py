"""What should have been decided, in the operator's words."""

from __future__ import annotations

from msgspec.structs import replace
from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from timmy_tui.screens.base import ConsoleModal
from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.heartbeat.decision import ACTIONS_LIMIT, SEVERITIES, parse_decision, verbatim_decision
from timmy_tui.services.labels.records import LabelEvent, decision_text
from timmy_tui.services.review.records import Card
from timmy_tui.services.ticks.records import Decision
from timmy_tui.text import BLOCK_LIMIT, clean
from timmy_tui.widgets.choice_rows import Choice, ChoiceRows
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.text_block import TextBlock

Correction = Decision | str

UNCHANGED = "Nothing was changed: c says that it is good as it is."


class _RefusedError(Exception):
    """What stands in the form is no correction; the text says why."""


class EditDialog(ConsoleModal[Correction | None]):
    """A form over a decision, or a text field over an answer that is none; ctrl+s keeps it, Enter is a newline."""

    BINDING_GROUP_TITLE = "Edit"
    BINDINGS = [
        Binding("ctrl+s", "keep", "keep", id="edit.keep", priority=True),
        Binding("escape", "leave", "leave it", id="edit.leave", priority=True),
    ]

    reasoning = getters.query_one("#reasoning", TextBlock)
    trouble = getters.query_one("#trouble", Static)

    def __init__(self, card: Card, draft: Correction | None = None) -> None:
        """``draft`` is what was typed before and could not be kept."""
        super().__init__()
        self._original = original_of(card)
        self._start = draft if type(draft) is type(self._original) else self._original
        self.draft: Correction | None = None
        """What stood in the form when it was left, if that is not the original."""

    def compose(self) -> ComposeResult:
        """Severity, reasoning, actions; what is wrong; the keys."""
        start = self._start
        decides = isinstance(start, Decision)
        title = "What should have been decided?" if decides else "What should it say?"
        with Vertical(classes="dialog edit"):
            yield Static(Content(title), classes="title")
            if isinstance(start, Decision):
                at = SEVERITIES.index(start.severity) if start.severity in SEVERITIES else 0
                yield ChoiceRows([Choice("severity", SEVERITIES, at)], id="severity")
                yield Static(Content("reasoning"), classes="quiet")
                yield _area(start.reasoning, "reasoning")
                yield Static(Content("actions, one on each line"), classes="quiet")
                yield _area("\n".join(start.actions), "actions")
            else:
                yield _area(start, "reasoning")
            yield Static("", id="trouble", markup=False)
            yield Static(Content("tab  next field   ← →  severity" if decides else "tab  next field"), classes="keys")
            yield KeyLine(lead="")

    def on_mount(self) -> None:
        """Say what of the original could not be put into the form as it is."""
        start = self._start
        texts = (start.reasoning, *start.actions) if isinstance(start, Decision) else (start,)
        if any(_editable(text) != text for text in texts):
            self.trouble.update(Content("Signs that can't stand here are written as <U+…>: mend them."))

    def action_keep(self) -> None:
        """Close with the correction, if it is one."""
        try:
            correction = self._correction()
        except _RefusedError as error:
            self.trouble.update(Content(str(error)))
        else:
            self.draft = correction
            self.dismiss(correction)

    def action_leave(self) -> None:
        """Close without a change; what was typed is there again when the form opens over the same card."""
        typed = self._typed()
        self.draft = None if typed == self._original else typed
        self.dismiss(None)

    def _typed(self) -> Correction:
        """What stands in the form."""
        said = self.reasoning.text.strip()
        if not isinstance(self._original, Decision):
            return said
        lines = self.query_one("#actions", TextBlock).text.splitlines()
        severity = SEVERITIES[self.query_one("#severity", ChoiceRows).chosen("severity")]
        return Decision(severity, said, tuple(action for line in lines if (action := line.strip())))

    def _correction(self) -> Correction:
        typed, original = self._typed(), self._original
        if isinstance(typed, Decision):
            _check(typed)
        elif not typed:
            raise _RefusedError("There is no text.")
        if typed == original or (isinstance(original, str) and typed == _editable(original).strip()):
            raise _RefusedError(UNCHANGED)
        return typed


def _check(decision: Decision) -> None:
    """Raise :class:`_RefusedError` for what no model should answer."""
    if not decision.reasoning:
        raise _RefusedError("The reasoning is empty: say why.")
    if len(decision.actions) > ACTIONS_LIMIT:
        raise _RefusedError(f"{len(decision.actions)} actions: {ACTIONS_LIMIT} are the most.")
    try:
        parse_decision(decision_text(decision))
    except CallError as error:
        raise _RefusedError(f"This is no decision: {error.message}") from None


def original_of(card: Card) -> Correction:
    """What a card says, as it can be edited: its texts verbatim, if they can be had so."""
    if card.decision is None:
        return card.completion.strip()
    try:
        return verbatim_decision(card.completion)
    except CallError:
        severity = card.entry.severity
        return replace(card.decision, severity=severity if severity in SEVERITIES else "ok")


def correction_of(word: LabelEvent, card: Card) -> Correction | None:
    """The correction that a word was; None for any other word."""
    if word.correction is None or card.decision is None:
        return word.correction
    try:
        return verbatim_decision(word.correction)
    except CallError:
        return None


def _editable(text: str) -> str:
    """A verbatim answer as it can stand in a field: tabs stay, what acts on a terminal becomes visible."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return clean(text, limit=BLOCK_LIMIT, multiline=True)


def _area(text: str, id: str) -> TextBlock:
    area = TextBlock(
        _editable(text), id=id, compact=True, tab_behavior="focus", soft_wrap=True, show_line_numbers=False
    )
    area.cursor_blink = False
    area.move_cursor(area.document.end)
    return area
