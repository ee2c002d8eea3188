"""The decision under review: the largest thing on the screen."""

from __future__ import annotations

from msgspec import Struct

from timmy_tui.glyphs import Glyphs
from timmy_tui.services.labels.records import Answer, LabelEvent
from timmy_tui.services.review.records import Card
from timmy_tui.services.ticks.records import Decision
from timmy_tui.text import BLOCK_LIMIT, clean, duration_text
from timmy_tui.widgets.answers_line import answer_line, word_line
from timmy_tui.widgets.line import EMPTY, Line, Span, line, wrap
from timmy_tui.widgets.scroller import Scroller


class CardFacts(Struct, frozen=True):
    """A card, and what stands around it."""

    card: Card
    answer: Answer
    """What is said of it; nothing at a second look."""
    undone: LabelEvent | None = None
    """The word that was just taken back."""
    trouble: tuple[str, str] | None = None
    """Why the last answer is not saved, and what to do."""


class DecisionCard(Scroller):
    """Shows one card. The keys that answer it are the screen's; these only scroll."""

    BINDING_GROUP_TITLE = "Decision"

    def show_card(self, facts: CardFacts, *, keep_place: bool = False) -> None:
        """Show this card."""
        card, dot = facts.card, self.glyphs.dot
        who = card.entry.model or ("rules" if not card.entry.by_model else "unknown model")
        took = f" {dot} {duration_text(card.duration_ms)}" if card.duration_ms is not None else ""
        title = "Decision" if card.decision is not None else "Answer"
        self.title_line = line((title, "title"), (f" {dot} {who}{took}", "quiet"))
        self.foot = line(("w", "key"), (" raw response", "quiet"))
        self.read(lambda width: _lines(facts, self.glyphs, width), keep_place=keep_place)

    def show_message(self, text: str, more: str = "") -> None:
        """Show something in a card's place."""
        self.title_line, self.foot = line(("Decision", "title")), EMPTY
        self.read(lambda width: [EMPTY, *wrap(text, width), EMPTY, *wrap(more, width, "quiet")])


def _lines(facts: CardFacts, glyphs: Glyphs, width: int) -> list[Line]:
    card = facts.card
    out: list[Line] = []
    if facts.trouble is not None:
        message, hint = facts.trouble
        out += [*wrap(f"{glyphs.critical} not saved: {message}", width, "critical"), *wrap(hint, width, "strong")]
    out.append(EMPTY)
    if card.decision is not None:
        out += decision_lines(card.decision, card.entry.severity, glyphs, width)
    else:
        out += wrap(clean(card.completion, limit=BLOCK_LIMIT, multiline=True), width, indent="  ")
    rest = [*_said(facts, glyphs, width), *_remarks(card, glyphs, width)]
    return [*out, EMPTY, *rest] if rest else out


def decision_lines(decision: Decision, severity: str, glyphs: Glyphs, width: int) -> list[Line]:
    """A decision as it is read: severity, reasoning, actions."""
    out = [line((f"  {glyphs.severity(severity)} {severity}", severity)), EMPTY]
    if severity == "unknown" and decision.severity:
        out[0] = line((f"  {glyphs.unknown} {decision.severity}", "unknown"))
    out += wrap(decision.reasoning or "(no reasoning)", width, indent="  ")
    if decision.actions:
        out.append(EMPTY)
    for action in decision.actions:
        role = "warning" if action.upper().startswith("ALERT") else "text"
        for index, content in enumerate(wrap(action, width - 4, role)):
            out.append((Span(f"  {glyphs.arrow} " if index == 0 else "    ", role), *content))
    return out


def _said(facts: CardFacts, glyphs: Glyphs, width: int) -> list[Line]:
    answer = facts.answer
    out: list[Line] = []
    if facts.undone is not None:
        out.append((Span("  taken back: ", "quiet"), *word_line(facts.undone, glyphs)))
    if answer.given:
        out.append((Span("  now: ", "quiet"), *answer_line(answer, glyphs)))
    if answer.note:
        out += wrap(f"note: {answer.note}", width, "info", indent="  ")
    return out


def _remarks(card: Card, glyphs: Glyphs, width: int) -> list[Line]:
    told = []
    if card.tick_changed:
        told.append("A label names this tick's id but other texts: it was changed since, or two ticks share the id.")
    if not card.entry.by_model:
        rules = "The hard-coded rules decided"
        told.append(f"{rules}." if card.decision else f"{rules}, because this answer of a model was of no use.")
    if card.prompt_source == "reconstructed":
        told.append("The log holds no prompt: it is rebuilt from the perception.")
    return [content for text in told for content in wrap(f"{glyphs.dot} {text}", width, "quiet", indent="  ")]
