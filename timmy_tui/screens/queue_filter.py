"""Which cards the review shows."""

from __future__ import annotations

from collections.abc import Sequence

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.widgets import Input, Static

from timmy_tui.screens.base import ConsoleModal
from timmy_tui.services.review.desk import FilterChoices
from timmy_tui.services.review.queue import SHOWS, QueueFilter
from timmy_tui.services.ticks.records import Severity
from timmy_tui.widgets.choice_rows import Choice, ChoiceRows
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.text_line import TextLine

ANY = "any"

SEVERITIES: tuple[Severity, ...] = ("ok", "warning", "critical", "unknown", "fallback")


class FilterDialog(ConsoleModal[QueueFilter | None]):
    """A row for each thing to choose by; enter takes it, escape leaves it as it was."""

    BINDING_GROUP_TITLE = "Filter"
    BINDINGS = [
        Binding("enter", "take", "show these", id="queue_filter.take", priority=True),
        Binding("escape", "leave", "leave it", id="queue_filter.leave"),
        Binding("ctrl+x", "clear", "clear", id="queue_filter.clear"),
    ]
    AUTO_FOCUS = "#choices"

    choices = getters.query_one("#choices", ChoiceRows)
    text = getters.query_one(TextLine)

    def __init__(self, wanted: QueueFilter, choices: FilterChoices) -> None:
        super().__init__()
        self._wanted = wanted
        self._models = (ANY, *choices.models)
        self._sources = (ANY, *choices.sources)
        self._days = choices.days

    def compose(self) -> ComposeResult:
        """The rows, the text, the keys."""
        wanted = self._wanted
        days = (ANY, *(day.isoformat() for day in self._days))
        rows = [
            Choice("show", SHOWS, SHOWS.index(wanted.show)),
            Choice("severity", (ANY, *SEVERITIES), _place(wanted.severity, (ANY, *SEVERITIES))),
            Choice("model", self._models, _place(wanted.model, self._models)),
            Choice("source", self._sources, _place(wanted.source, self._sources)),
            Choice("day", days, _place(wanted.day.isoformat() if wanted.day else None, days)),
            Choice("fallbacks", ("left out", "shown"), int(wanted.fallbacks)),
        ]
        with Vertical(classes="dialog"):
            yield Static(Content("Which cards?"), classes="title")
            yield ChoiceRows(rows, id="choices")
            text = TextLine(value=wanted.text, placeholder="text in the decision", compact=True, select_on_focus=False)
            text.cursor_blink = False
            yield text
            yield Static(Content("↑ ↓  row   ← →  answer   tab  text"), classes="keys")
            yield KeyLine(lead="")

    @on(Input.Submitted)
    def action_take(self) -> None:
        """Close with the filter."""
        at = self.choices.chosen
        severity, model, source, day = at("severity"), at("model"), at("source"), at("day")
        self.dismiss(
            QueueFilter(
                show=SHOWS[at("show")],
                severity=SEVERITIES[severity - 1] if severity else None,
                model=self._models[model] if model else None,
                source=self._sources[source] if source else None,
                day=self._days[day - 1] if day else None,
                text=self.text.value.strip(),
                fallbacks=bool(at("fallbacks")),
            )
        )

    def on_key(self, event: Key) -> None:
        """Letters are the text, wherever the cursor is: none of them is a command here."""
        if event.is_printable and event.character and self.focused is not self.text:
            event.stop()
            event.prevent_default()
            self.set_focus(self.text)
            self.text.insert_text_at_cursor(event.character)

    def action_leave(self) -> None:
        """Close without a change."""
        self.dismiss(None)

    def action_clear(self) -> None:
        """Back to what a sitting begins with."""
        self.dismiss(QueueFilter())


def _place(value: str | None, answers: Sequence[str]) -> int:
    return answers.index(value) if value in answers else 0
