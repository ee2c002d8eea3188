"""Two answers to the very same prompt, side by side: which one is better?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import inf
from time import monotonic

from textual import getters, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.services.labels.records import Preferred
from timmy_tui.services.reading import SourceError
from timmy_tui.services.review.alternative import Sampled, sample_alternative
from timmy_tui.services.review.records import Card
from timmy_tui.services.ticks.records import Decision
from timmy_tui.text import BLOCK_LIMIT, clean, duration_text
from timmy_tui.widgets.decision_card import decision_lines
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import EMPTY, Line, line, wrap
from timmy_tui.widgets.scroller import Scroller

Verdict = tuple[Preferred, Sampled]

GUARD_S = 0.15
"""A key pressed so soon after the second answer came was pressed before it was read."""


class AlternativeScreen(ConsoleScreen[Verdict | None]):
    """The original on the left, another answer on the right; the call begins when the screen opens."""

    BINDING_GROUP_TITLE = "Alternative"
    DECISIONS = ("prefer",)
    HELP = "The same prompt was sent once more, with another seed or to another model. Which answer is better?"
    BINDINGS = [
        Binding("1,o", "prefer('original')", "original", key_display="1", id="alternative.original"),
        Binding("2", "prefer('alternative')", "alternative", id="alternative.other"),
        Binding("0", "prefer('neither')", "neither", id="alternative.neither"),
        Binding("g", "again", "another", id="alternative.again", tooltip="Ask once more, with another seed"),
        Binding("m", "model", "model", id="alternative.model", tooltip="Ask another model"),
        Binding("p", "prompt", "prompt", id="alternative.prompt", tooltip="What both were asked"),
        Binding("escape", "leave", "back", id="alternative.back"),
    ]
    AUTO_FOCUS = "#other"

    other = getters.query_one("#other", Scroller)

    def __init__(self, card: Card, sampled: Sampled | None = None) -> None:
        """``sampled`` is an answer that is there already."""
        super().__init__()
        self._card = card
        self._sampled = sampled
        self._heard_from = inf
        self._model = ""
        self._began = 0.0
        self._asking = False
        self._trouble: SourceError | None = None

    def compose(self) -> ComposeResult:
        """The two answers and the keys."""
        with Container(id="two-answers"):
            yield Scroller("1 Original", glyphs=self.console.glyphs, id="original")
            yield Scroller("2 Alternative", glyphs=self.console.glyphs, id="other")
        yield KeyLine(always=1)

    def on_mount(self) -> None:
        """Show the original, ask for the other."""
        card = self._card
        original = self.query_one("#original", Scroller)
        original.title_line = line(("1 Original", "title"), (f" · {card.entry.model or 'unknown model'}", "quiet"))
        original.read(lambda width: self._answer(card.decision, card.completion, card.entry.severity, width))
        if self._sampled is not None:
            self.show_sampled(self._sampled)
        else:
            self._ask()

    def clock_ticked(self, now: float) -> None:
        if self._asking:
            self._draw()

    @work(group="alternative", exclusive=True, exit_on_error=False, description="ask for an alternative")
    async def _ask(self) -> None:
        console = self.console
        self._sampled, self._trouble, self._asking, self._began = None, None, True, console.clock()
        self._heard_from = inf
        self._draw()
        env = os.environ if console.env is None else console.env
        try:
            sampled = await sample_alternative(
                console.settings, env, self._card, model=self._model or None, clock=console.clock
            )
        except SourceError as error:
            self._trouble = error
            sampled = None
        self.show_sampled(sampled)

    def show_sampled(self, sampled: Sampled | None) -> None:
        """Show the other answer; None = there is none."""
        self._sampled, self._asking = sampled, False
        if self.is_attached:
            self._draw()
            self.call_after_refresh(self._seen)

    def _seen(self) -> None:
        """Both answers are on the screen: from now on one can be preferred."""
        self._heard_from = monotonic() + GUARD_S

    def _draw(self) -> None:
        sampled, other = self._sampled, self.other
        title = [line(("2 Alternative", "title"))]
        if sampled is not None:
            told = sampled.alternative
            seed = f"seed {told.seed}" if told.seed is not None else ""
            who = " · ".join(filter(None, (told.model, duration_text(sampled.duration_ms), seed)))
            title.append(line((f" · {who}", "quiet")))
        other.title_line = tuple(span for part in title for span in part)
        other.read(self._lines)

    def _lines(self, width: int) -> Sequence[Line]:
        sampled, glyphs = self._sampled, self.console.glyphs
        if self._asking:
            waited = max(0, int(self.console.clock() - self._began))
            asked = self._model or "the cascade"
            return [EMPTY, line((f"  {glyphs.half} asking {asked}… {waited} s", "info"))]
        if sampled is None:
            error = self._trouble
            message, hint = (error.message, error.hint) if error is not None else ("Nothing was asked.", "")
            lines = [*wrap(f"{glyphs.critical} {message}", width, "critical"), *wrap(hint, width, "strong")]
            return [*lines, EMPTY, line(("g", "key"), " asks again, ", ("m", "key"), " another model")]
        if sampled.same:
            lines = wrap("Word for word the same answer: there is nothing to prefer.", width, "warning")
            return [EMPTY, *lines, EMPTY, line(("g", "key"), " asks again, ", ("m", "key"), " another model")]
        severity = sampled.decision.severity if sampled.decision is not None else "unknown"
        return self._answer(sampled.decision, sampled.alternative.response, severity, width)

    def _answer(self, decision: Decision | None, text: str, severity: str, width: int) -> Sequence[Line]:
        if decision is not None:
            return [EMPTY, *decision_lines(decision, severity, self.console.glyphs, width)]
        return [EMPTY, *wrap(clean(text, limit=BLOCK_LIMIT, multiline=True), width)]

    def action_prefer(self, preferred: Preferred) -> None:
        """Close with the verdict, once there are two answers."""
        if self._sampled is not None and not self._sampled.same and monotonic() >= self._heard_from:
            self.dismiss((preferred, self._sampled))

    def action_prompt(self) -> None:
        """The whole prompt."""
        from timmy_tui.screens.text import TextScreen

        self.app.push_screen(TextScreen("Prompt", clean(self._card.prompt, limit=BLOCK_LIMIT, multiline=True)))

    def action_again(self) -> None:
        """Ask once more; what runs is given up."""
        self._ask()

    @work(group="ask", exit_on_error=False, description="ask which model to ask")
    async def action_model(self) -> None:
        """Ask a model whose name is typed."""
        from timmy_tui.screens.dialogs import TextDialog

        title = "Which model? Empty = whom the cascade asks"
        known = [
            model.name
            for server in self.console.snapshot.ollama
            if server.reading.value is not None
            for model in server.reading.value.installed or ()
            if not model.remote
        ]
        model = await self.app.push_screen_wait(TextDialog(title, self._model, "a model's name", "ask", known=known))
        if model is not None:
            self._model = model
            self._ask()

    def action_leave(self) -> None:
        """Close without a verdict; what runs is given up."""
        self.workers.cancel_group(self, "alternative")
        self.dismiss(None)
