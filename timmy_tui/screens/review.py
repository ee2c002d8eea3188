"""The review: one decision after the other, answered by a key, on disk before the next one shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual import work
from textual.binding import Binding
from textual.events import Key

from timmy_tui.screens.review_cards import CardScreen
from timmy_tui.services.labels.records import LabelEvent
from timmy_tui.services.reading import SourceError
from timmy_tui.services.review.queue import QueueFilter
from timmy_tui.services.review.records import Entry
from timmy_tui.services.ticks.records import Label
from timmy_tui.text import BLOCK_LIMIT, clean

ALWAYS_HEARD = frozenset({"escape", "q", "ctrl+q", "question_mark", "f1"})


class ReviewScreen(CardScreen):
    """The card under review, and the keys that answer it."""

    BINDING_GROUP_TITLE = "Review"
    HELP = (
        "Chosen: a model should answer like this. Rejected: it should not. Skipped: you can't tell. "
        "Every answer is on disk before the next card shows, and u takes it back, as far as you like."
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
        Binding("b", "second_look", "second look", show=False, id="review.second_look", tooltip="Blind, once more"),
        Binding("p", "prompt", "prompt", show=False, id="review.prompt", tooltip="The whole prompt"),
        Binding("w", "response", "response", show=False, id="review.response", tooltip="The raw response"),
        Binding("left_square_bracket", "walk(-1)", "before", show=False, id="review.before", tooltip="The card before"),
        Binding("right_square_bracket", "walk(1)", "after", show=False, id="review.after", tooltip="The next card"),
        Binding("S", "statistics", "statistics", show=False, id="review.statistics", tooltip="What the labels say"),
        Binding("E", "export", "export", id="review.export", tooltip="Write the datasets"),
        Binding("escape", "dismiss", "back", show=False, id="review.back"),
    ]

    def on_key(self, event: Key) -> None:
        """Let no key through that was pressed before its card could be seen, or while an answer is written."""
        if event.key in ALWAYS_HEARD:
            return
        if self.busy or event.time < self.heard_from:
            event.stop()
            event.prevent_default()

    # Answers.

    def action_answer(self, label: Label) -> None:
        """Say what the card is worth, and go on."""
        card, pen = self.card, self.desk.labeller
        if card is None:
            return
        key, name, shown_at, blind = card.entry.key, card.entry.name, self.shown_at, self.blind
        note = "" if blind else self.desk.labels.answer_of(key).note
        self._save(lambda: pen.label(key, name, label, shown_at=shown_at, note=note, blind=blind))

    def _save(self, write: Callable[[], None]) -> None:
        if not self.busy:
            self.busy = True
            self._write(write)

    @work(group="answer", exit_on_error=False, description="write an answer")
    async def _write(self, write: Callable[[], None]) -> None:
        """Write, and only then go on; what can't be written is said, and the card stays."""
        try:
            async with self.turn:
                if await self._written(write) and self.queue is not None:
                    self.queue.refresh()
                    await self.advance()
        finally:
            self.busy = False

    async def _written(self, write: Callable[[], None]) -> bool:
        try:
            await asyncio.to_thread(write)
        except SourceError as error:
            self.trouble = (error.message, error.hint)
            self.draw_card(keep_place=True)
            return False
        self.trouble = None
        return True

    @work(group="answer", exit_on_error=False, description="take an answer back")
    async def action_undo(self) -> None:
        """Take the last answer back and show its card again."""
        if self.busy:
            return
        self.busy = True
        try:
            async with self.turn:
                await self._undo()
        finally:
            self.busy = False

    async def _undo(self) -> None:
        taken: list[LabelEvent | None] = []
        if not await self._written(lambda: taken.append(self.desk.labeller.undo())):
            return
        word = taken[0]
        if word is None:
            self.notify("Nothing of yours is left to take back.", timeout=3, markup=False)
            return
        if self.queue is not None:
            self.queue.refresh()
        entry = self.desk.index.find(word.candidate)
        if entry is None:
            self.notify("Taken back; its tick stands in no log any more.", timeout=4, markup=False)
            self.draw_counts()
            return
        position = self.queue.position_of(entry.key) if self.queue is not None else None
        self.position = self.position if position is None else position
        await self.show_card(entry, undone=word)

    def action_walk(self, step: int) -> None:
        """Go to the card before or after, without an answer."""
        queue = self.queue
        if queue is None or self.busy or not 0 <= self.position + step < len(queue):
            return
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

    @work(group="ask", exit_on_error=False, description="write a note")
    async def action_note(self) -> None:
        """Write a note on the card."""
        from timmy_tui.screens.dialogs import TextDialog

        card, pen = self.card, self.desk.labeller
        if card is None:
            return
        entry = card.entry
        # At a second look a note could tell what was said before.
        before = "" if self.blind else self.desk.labels.answer_of(entry.key).note
        note = await self.app.push_screen_wait(TextDialog("A note on this card", before, "why?", "keep"))
        if note is None or note == before:
            return
        if await self._written(lambda: pen.note(entry.key, entry.name, note)):
            self.heard_of_labels()

    @work(group="ask", exit_on_error=False, description="edit a decision")
    async def action_edit(self) -> None:
        """Write what should have been decided: the honest other half of a rejected card."""
        from timmy_tui.screens.edit import EditDialog

        card, pen, shown_at = self.card, self.desk.labeller, self.shown_at
        if card is None:
            return
        correction = await self.app.push_screen_wait(EditDialog(card))
        if correction is not None:
            note = self.desk.labels.answer_of(card.entry.key).note
            key, name = card.entry.key, card.entry.name
            self._save(lambda: pen.edit(key, name, correction, shown_at=shown_at, note=note))

    @work(group="ask", exit_on_error=False, description="compare with another answer")
    async def action_alternative(self) -> None:
        """Ask the cascade for another answer to the same prompt, and say which is better."""
        from timmy_tui.screens.alternative import AlternativeScreen

        card, pen, shown_at = self.card, self.desk.labeller, self.shown_at
        if card is None:
            return
        verdict = await self.app.push_screen_wait(AlternativeScreen(card))
        if verdict is not None:
            preferred, sampled = verdict
            key, name = card.entry.key, card.entry.name
            other, decision = sampled.alternative, sampled.decision
            self._save(lambda: pen.prefer(key, name, preferred, other, shown_at=shown_at, decision=decision))

    # Other views.

    @work(group="ask", exit_on_error=False, description="choose which cards are shown")
    async def action_filter(self) -> None:
        """Choose which cards are shown."""
        from timmy_tui.screens.queue_filter import FilterDialog

        wanted = await self.app.push_screen_wait(FilterDialog(self.wanted, self.desk.index.entries))
        if wanted is not None and wanted != self.wanted:
            await self.requeue(wanted)

    @work(group="ask", exit_on_error=False, description="begin or end a second look")
    async def action_second_look(self) -> None:
        """Ask a part of what was labelled again, blind; the same key goes back."""
        await self.requeue(QueueFilter() if self.blind else QueueFilter(show="second look"))

    def action_prompt(self) -> None:
        """The whole prompt."""
        self._show_text("Prompt", self.card.prompt if self.card else "")

    def action_response(self) -> None:
        """The raw response."""
        self._show_text("Raw response", self.card.completion if self.card else "")

    def _show_text(self, title: str, text: str) -> None:
        from timmy_tui.screens.text import TextScreen

        if self.card is not None:
            self.app.push_screen(TextScreen(title, clean(text, limit=BLOCK_LIMIT, multiline=True)))

    def action_statistics(self) -> None:
        """What the labels say."""
        from timmy_tui.screens.statistics import StatisticsScreen

        self.app.push_screen(StatisticsScreen())

    def action_export(self) -> None:
        """Write the datasets."""
        from timmy_tui.screens.export import ExportScreen

        self.app.push_screen(ExportScreen())
