"""The review: one decision after the other, answered by a key, on disk before the next one shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from msgspec.structs import replace
from textual import work
from textual.binding import Binding
from textual.events import Key

from timmy_tui.screens.edit import Correction
from timmy_tui.screens.review_cards import CardScreen
from timmy_tui.services.labels.records import LabelEvent
from timmy_tui.services.reading import SourceError
from timmy_tui.services.review.alternative import Sampled
from timmy_tui.services.review.queue import Show
from timmy_tui.services.review.records import Card, Entry
from timmy_tui.services.ticks.records import Label
from timmy_tui.text import BLOCK_LIMIT, clean

ALWAYS_HEARD = frozenset({"escape", "q", "ctrl+q", "question_mark", "f1"})


class ReviewScreen(CardScreen):
    """The card under review, and the keys that answer it."""

    BINDING_GROUP_TITLE = "Review"
    DECISIONS = ("answer", "undo")
    HELP = (
        "Chosen: a model should answer like this. Rejected: it should not. Skipped: you can't tell. Every answer is on "
        "disk before the next card shows, and u takes it back, as far as you like. In the perception ≠ marks what "
        "changed since the tick before, a line under a value that the decision speaks of it. "
        "Your last answers: ● chosen, ✖ rejected, – skipped, ± edited, » compared with another answer."
    )
    BINDINGS = [
        Binding("c,a", "answer('chosen')", "chosen", id="review.chosen", tooltip="A model should answer like this"),
        Binding("r,x", "answer('rejected')", "rejected", id="review.rejected", tooltip="A model should not"),
        Binding("s,space", "answer('skipped')", "skip", id="review.skip", tooltip="You can't tell"),
        Binding("u", "undo", "undo", id="review.undo", tooltip="Take the last answer back, without limit"),
        Binding("e", "edit", "edit", id="review.edit", tooltip="Write what should have been decided"),
        Binding("g", "alternative", "alternative", id="review.alternative", tooltip="Ask for another answer"),
        Binding("n", "note", "note", id="review.note", tooltip="A note on this card"),
        Binding("f,slash", "filter", "filter", id="review.filter", tooltip="Which cards are shown"),
        Binding("E", "export", "export", id="review.export", tooltip="Write the datasets"),
        Binding("p", "prompt", "prompt", id="review.prompt", tooltip="The whole prompt"),
        Binding("w", "response", "response", id="review.response", tooltip="The raw response"),
        Binding("b", "second_look", "second look", id="review.second_look", tooltip="Some cards again, blind"),
        Binding("S", "statistics", "statistics", id="review.statistics", tooltip="What the labels say"),
        Binding("left_square_bracket", "walk(-1)", "before", key_display="[", id="review.before"),
        Binding("right_square_bracket", "walk(1)", "after", key_display="]", id="review.after"),
        Binding("escape", "back", "back", show=False, id="review.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._dead_key: str | None = None
        """The key that opened the review: dead until another key or a click came (DESIGN §7)."""
        self._told_answer = False
        self._notes: dict[str, str] = {}
        self._drafts: dict[str, Correction] = {}
        self._samples: dict[str, Sampled] = {}
        """What was typed or answered, and is not on disk yet, by candidate."""
        self._show_before: Show = "unlabelled"

    def on_key(self, event: Key) -> None:
        """Let no key through that was pressed before its card could be seen, or while an answer is written."""
        dead = self._dead_key
        if dead is not None and event.key != dead:
            self._dead_key = None
        if event.key in ALWAYS_HEARD:
            return
        if event.key == dead or self.busy or event.time < self.heard_from:
            event.stop()
            event.prevent_default()

    def on_mouse_down(self) -> None:
        """A click shows that somebody looks."""
        self._dead_key = None

    def _hears(self) -> bool:
        """Whether an action may begin. Two keys may come in one read: the second is judged here, after the first."""
        return not (self.busy or self.too_small or monotonic() < self.heard_from)

    def _answerable(self) -> Card | None:
        return self.card if self._hears() else None

    def on_mount(self) -> None:
        """Whatever key brought the operator here meant this screen, not its first card."""
        self._dead_key = self.console.last_input or None

    # Answers.

    def action_answer(self, label: Label) -> None:
        """Say what the card is worth, and go on."""
        card, pen = self._answerable(), self.desk.labeller
        if card is None:
            return
        key, name, shown_at, blind = card.entry.key, card.entry.name, self.shown_at, self.blind
        note = "" if blind else self._own_note(key)
        self._save(
            lambda: pen.label(key, name, label, shown_at=shown_at, note=note, blind=blind),
            lambda: self._tell_first(label),
        )

    def _tell_first(self, label: Label) -> None:
        """Say what the first answer of a visit was: it may be a key that was meant for something else."""
        if not self._told_answer:
            self._told_answer = True
            self.notify(f"{label} · u undo", timeout=3, markup=False)

    def _own_note(self, key: str) -> str:
        return self.desk.labels.answer_of(key, self.desk.operator).note

    def _save(self, write: Callable[[], None], saved: Callable[[], object] = lambda: None) -> None:
        self.busy = True
        self._write(write, saved)

    @work(group="answer", exit_on_error=False, description="write an answer")
    async def _write(self, write: Callable[[], None], saved: Callable[[], object]) -> None:
        """Write, and only then go on; what can't be written is said, and the card stays."""
        try:
            async with self.turn:
                if await self._written(write):
                    saved()
                    if self.queue is not None:
                        self.queue.refresh()
                        await self.advance()
        finally:
            self.busy = False

    async def _written(self, write: Callable[[], None]) -> bool:
        try:
            await asyncio.to_thread(write)
        except SourceError as error:
            self.trouble = (error.message, error.hint)
            if self.card is None:
                self.notify(f"Not saved: {error.message}\n{error.hint}", severity="error", timeout=6, markup=False)
            self.draw_decision()
            return False
        self.trouble = None
        return True

    def action_undo(self) -> None:
        """Take the last answer back and show its card again."""
        if self._hears():
            self.busy = True
            self._undo()

    @work(group="answer", exit_on_error=False, description="take an answer back")
    async def _undo(self) -> None:
        try:
            async with self.turn:
                await self._take_back()
        finally:
            self.busy = False

    async def _take_back(self) -> None:
        taken: list[LabelEvent | None] = []
        blind = self.blind
        if not await self._written(lambda: taken.append(self.desk.labeller.undo(blind=blind))):
            return
        word = taken[0]
        if word is None:
            told = "Nothing of this second look" if blind else "Nothing of yours"
            self.notify(f"{told} is left to take back.", timeout=3, markup=False)
            return
        if self.queue is not None:
            self.queue.refresh()
        entry = self.desk.index.find(word.candidate)
        if entry is None:
            where = "stands in no log any more" if self.desk.index.complete else "is not read yet"
            self.notify(f"Taken back; its tick {where}.", timeout=4, markup=False)
            self.draw_counts()
            return
        position = self.queue.position_of(entry.key) if self.queue is not None else None
        self.position = self.position if position is None else position
        await self.show_card(entry, undone=word)

    def action_walk(self, step: int) -> None:
        """Go to the card before or after, without an answer."""
        queue = self.queue
        if queue is not None and self._hears() and 0 <= self.position + step < len(queue):
            self.position += step
            self.busy = True
            self._go_to(queue.entries[self.position])

    @work(group="answer", exit_on_error=False, description="show a card")
    async def _go_to(self, entry: Entry) -> None:
        try:
            async with self.turn:
                await self.show_card(entry)
        finally:
            self.busy = False

    def action_note(self) -> None:
        """Write a note on the card."""
        card = self._answerable()
        if card is not None:
            self._note(card)

    @work(group="ask", exit_on_error=False, description="write a note")
    async def _note(self, card: Card) -> None:
        from timmy_tui.screens.dialogs import TextDialog

        key, name, pen = card.entry.key, card.entry.name, self.desk.labeller
        # At a second look a note could tell what was said before.
        before = "" if self.blind else self._own_note(key)
        shown = self._notes.get(key, before)
        note = await self.app.push_screen_wait(TextDialog("A note on this card", shown, "why?", "keep"))
        if note is None or note == before:
            return
        self._notes[key] = note
        if await self._written(lambda: pen.note(key, name, note)):
            del self._notes[key]
            await self.heard_of_labels()

    def action_edit(self) -> None:
        """Write what should have been decided: the honest other half of a rejected card."""
        card = self._answerable()
        if card is not None and not self._refused_blind():
            self._edit(card)

    @work(group="ask", exit_on_error=False, description="edit a decision")
    async def _edit(self, card: Card) -> None:
        from timmy_tui.screens.edit import EditDialog, correction_of

        key, name, pen, shown_at = card.entry.key, card.entry.name, self.desk.labeller, self.shown_at
        draft = self._drafts.get(key)
        if draft is None and self.undone is not None:
            draft = correction_of(self.undone, card)
        dialog = EditDialog(card, draft)
        correction = await self.app.push_screen_wait(dialog)
        if dialog.draft is not None:
            self._drafts[key] = dialog.draft
        if correction is not None:
            note = self._own_note(key)
            self._save(
                lambda: pen.edit(key, name, correction, shown_at=shown_at, note=note),
                lambda: self._drafts.pop(key, None),
            )

    def action_alternative(self) -> None:
        """Ask the cascade for another answer to the same prompt, and say which is better."""
        card = self._answerable()
        if card is not None and not self._refused_blind():
            self._compare(card)

    @work(group="ask", exit_on_error=False, description="compare with another answer")
    async def _compare(self, card: Card) -> None:
        from timmy_tui.screens.alternative import AlternativeScreen

        key, name, pen, shown_at = card.entry.key, card.entry.name, self.desk.labeller, self.shown_at
        verdict = await self.app.push_screen_wait(AlternativeScreen(card, self._samples.get(key)))
        if verdict is None:
            return
        preferred, sampled = verdict
        self._samples[key] = sampled
        other, decision, note = sampled.alternative, sampled.decision, self._own_note(key)
        self._save(
            lambda: pen.prefer(key, name, preferred, other, shown_at=shown_at, decision=decision, note=note),
            lambda: self._samples.pop(key, None),
        )

    def _refused_blind(self) -> bool:
        """Say that a second look only chooses and rejects, if it is one."""
        if self.blind:
            self.notify("A second look is c, r or s; b goes back to the review.", timeout=4, markup=False)
        return self.blind

    # Other views.

    def action_back(self) -> None:
        """End a second look, else leave the screen."""
        if self.blind:
            self.action_second_look()
        else:
            self.dismiss()

    def action_filter(self) -> None:
        """Choose which cards are shown."""
        if not self.busy:
            self._filter()

    @work(group="ask", exit_on_error=False, description="choose which cards are shown")
    async def _filter(self) -> None:
        from timmy_tui.screens.queue_filter import FilterDialog

        choices = await asyncio.to_thread(self.desk.choices)
        wanted = await self.app.push_screen_wait(FilterDialog(self.wanted, choices))
        if wanted is not None and wanted != self.wanted:
            await self.requeue(wanted)

    def action_second_look(self) -> None:
        """Ask a part of what was labelled again, blind; the same key goes back."""
        if not self.busy:
            self._look_again()

    @work(group="ask", exit_on_error=False, description="begin or end a second look")
    async def _look_again(self) -> None:
        if self.blind:
            await self.requeue(replace(self.wanted, show=self._show_before))
        else:
            self._show_before = self.wanted.show
            await self.requeue(replace(self.wanted, show="second look"))

    def action_prompt(self) -> None:
        """The whole prompt."""
        self._show_text("Prompt", self.card.prompt if self.card else "")

    def action_response(self) -> None:
        """The raw response."""
        self._show_text("Raw response", self.card.completion if self.card else "")

    def _show_text(self, title: str, text: str) -> None:
        from timmy_tui.screens.text import TextScreen

        if self.card is not None and not self.busy:
            self.app.push_screen(TextScreen(title, clean(text, limit=BLOCK_LIMIT, multiline=True)))

    def action_statistics(self) -> None:
        """What the labels say."""
        from timmy_tui.screens.statistics import StatisticsScreen

        self.app.push_screen(StatisticsScreen())

    def action_export(self) -> None:
        """Write the datasets."""
        from timmy_tui.screens.export import ExportScreen

        self.app.push_screen(ExportScreen())
