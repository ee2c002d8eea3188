"""What should have been decided, in the operator's words."""

from __future__ import annotations

import json

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static, TextArea

from timmy_tui.screens.base import ConsoleModal
from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.heartbeat.decision import ACTIONS_LIMIT, SEVERITIES, parse_decision
from timmy_tui.services.labels.records import decision_text
from timmy_tui.services.review.records import Card
from timmy_tui.services.ticks.records import Decision
from timmy_tui.text import BLOCK_LIMIT, clean
from timmy_tui.widgets.choice_rows import Choice, ChoiceRows
from timmy_tui.widgets.key_line import KeyLine

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

    reasoning = getters.query_one("#reasoning", TextArea)
    trouble = getters.query_one("#trouble", Static)

    def __init__(self, card: Card) -> None:
        super().__init__()
        self._card = card

    def compose(self) -> ComposeResult:
        """Severity, reasoning, actions; what is wrong; the keys."""
        decision = self._card.decision
        with Vertical(classes="dialog edit"):
            yield Static(
                Content("What should have been decided?" if decision else "What should it say?"), classes="title"
            )
            if decision is None:
                yield _area(self._card.completion, "reasoning")
            else:
                at = SEVERITIES.index(decision.severity) if decision.severity in SEVERITIES else 0
                yield ChoiceRows([Choice("severity", SEVERITIES, at)], id="severity")
                yield Static(Content("reasoning"), classes="quiet")
                yield _area(decision.reasoning, "reasoning")
                yield Static(Content("actions, one on each line"), classes="quiet")
                yield _area("\n".join(decision.actions), "actions")
            yield Static("", id="trouble", markup=False)
            yield Static(Content("tab  next field   ← →  severity" if decision else "tab  next field"), classes="keys")
            yield KeyLine(lead="")

    def action_keep(self) -> None:
        """Close with the correction, if it is one."""
        try:
            self.dismiss(self._correction())
        except _RefusedError as error:
            self.trouble.update(Content(str(error)))

    def action_leave(self) -> None:
        """Close without a change."""
        self.dismiss(None)

    def _correction(self) -> Correction:
        decision = self._card.decision
        said = self.reasoning.text.strip()
        if not said:
            raise _RefusedError("The reasoning is empty: say why." if decision else "There is no text.")
        if decision is None:
            if said == _editable(self._card.completion).strip():
                raise _RefusedError(UNCHANGED)
            return said
        lines = self.query_one("#actions", TextArea).text.splitlines()
        actions = [action for line in lines if (action := line.strip())]
        if len(actions) > ACTIONS_LIMIT:
            raise _RefusedError(f"{len(actions)} actions: {ACTIONS_LIMIT} are the most.")
        severity = SEVERITIES[self.query_one("#severity", ChoiceRows).chosen("severity")]
        try:
            wanted = parse_decision(json.dumps({"actions": actions, "severity": severity, "reasoning": said}))
        except CallError as error:
            raise _RefusedError(f"This is no decision: {error.message}") from None
        if decision_text(wanted) == decision_text(decision):
            raise _RefusedError(UNCHANGED)
        return wanted


def _editable(text: str) -> str:
    """A verbatim answer as it can stand in a field: tabs stay, what acts on a terminal becomes visible."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return clean(text, limit=BLOCK_LIMIT, multiline=True)


def _area(text: str, id: str) -> TextArea:
    area = TextArea(text, id=id, compact=True, tab_behavior="focus", soft_wrap=True, show_line_numbers=False)
    area.cursor_blink = False
    return area
