"""The review: one decision after the other, answered by a key, on disk before the next one shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic

from textual import getters, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.events import Key
from textual.worker import get_current_worker

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.services.labels.records import UNANSWERED, Answer, LabelEvent
from timmy_tui.services.reading import SourceError
from timmy_tui.services.review.desk import ReviewDesk, trouble_of
from timmy_tui.services.review.mentions import mentioned_paths
from timmy_tui.services.review.queue import QueueFilter, ReviewQueue
from timmy_tui.services.review.records import Card, Entry
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks.changes import changed_paths
from timmy_tui.services.ticks.records import IndexProgress, Label
from timmy_tui.text import BLOCK_LIMIT, clean, moment_text
from timmy_tui.widgets.answers_line import AnswersLine
from timmy_tui.widgets.decision_card import CardFacts, DecisionCard
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import EMPTY, Line, line, wrap
from timmy_tui.widgets.perception_tree import PerceptionTree
from timmy_tui.widgets.review_bar import ReviewBar, ReviewFacts
from timmy_tui.widgets.scroller import Scroller

GUARD_S = 0.15
"""A key pressed so soon after a card came was meant for the one before."""

ALWAYS_HEARD = frozenset({"escape", "q", "ctrl+q", "question_mark", "f1"})


class ReviewScreen(ConsoleScreen[None]):
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
    AUTO_FOCUS = "#decision"

    bar = getters.query_one(ReviewBar)
    perception = getters.query_one("#perception", PerceptionTree)
    asked = getters.query_one("#asked", Scroller)
    decision = getters.query_one("#decision", DecisionCard)
    answers = getters.query_one(AnswersLine)

    def __init__(self) -> None:
        super().__init__()
        self._queue: ReviewQueue | None = None
        self._wanted = QueueFilter()
        self._position = -1
        self._card: Card | None = None
        self._undone: LabelEvent | None = None
        """The answer that was taken back last, while its card is shown."""
        self._trouble: tuple[str, str] | None = None
        self._shown_at = 0.0
        self._heard_from = inf
        """The moment from which on keys count, on the clock of key events."""
        self._busy = False
        """An answer is being written, or a card read."""
        self._progress: IndexProgress | None = None
        self._growing = self._polling = False
        self._told = ""

    @property
    def desk(self) -> ReviewDesk:
        """The index, the labels and the operator's pen."""
        return self.console.monitor.sources.review

    @property
    def card(self) -> Card | None:
        """The card that is shown."""
        return self._card

    def compose(self) -> ComposeResult:
        """Counts, perception beside decision, the last answers, the keys."""
        yield ReviewBar()
        with Container(id="review-body"):
            yield PerceptionTree("Perception", glyphs=self.console.glyphs, id="perception")
            yield Scroller("Prompt", glyphs=self.console.glyphs, id="asked")
            yield DecisionCard("Decision", glyphs=self.console.glyphs, id="decision")
        yield AnswersLine(glyphs=self.console.glyphs)
        yield KeyLine(always=1)

    def on_mount(self) -> None:
        """Read the log, the newest day first; the first card shows as soon as there is one."""
        self.asked.display = False
        self.decision.show_message([line(("Reading the tick log…", "quiet"))])
        self._draw_counts()
        self._index()

    def on_key(self, event: Key) -> None:
        """Let no key through that was pressed before its card could be seen, or while an answer is written."""
        if event.key in ALWAYS_HEARD:
            return
        if self._busy or event.time < self._heard_from:
            event.stop()
            event.prevent_default()

    # The index and the queue.

    @work(group="index", exclusive=True, exit_on_error=False, description="index the candidates")
    async def _index(self) -> None:
        worker, loop, desk = get_current_worker(), asyncio.get_running_loop(), self.desk

        def on_progress(progress: IndexProgress) -> None:
            loop.call_soon_threadsafe(self._indexed, progress)

        try:
            await asyncio.to_thread(desk.labels.poll)
            if desk.index.complete:
                await asyncio.to_thread(desk.index.grow)
            else:
                await asyncio.to_thread(desk.index.build, on_progress, lambda: worker.is_cancelled)
        except SourceError as error:
            self._tell(error)
        self._progress = None
        if desk.index.trouble is not None:
            self._tell(desk.index.trouble)
        await self._requeue(self._wanted)

    def _indexed(self, progress: IndexProgress) -> None:
        self._progress = progress
        if not self.is_attached:
            return
        if self._queue is None and self.desk.index.entries and not self._busy:
            self._busy = True
            self._begin()
        self._draw_counts()

    @work(group="begin", exit_on_error=False, description="show the first card")
    async def _begin(self) -> None:
        self._busy = False
        await self._requeue(self._wanted)

    async def _requeue(self, wanted: QueueFilter) -> None:
        """Put the cards of a filter in order, and stay on the card that is shown if it is among them."""
        queue = await asyncio.to_thread(self.desk.queue, wanted)
        if not self.is_attached:
            return
        same = self._queue is not None and self._wanted == wanted
        self._queue, self._wanted = queue, wanted
        queue.refresh()
        position = queue.position_of(self._card.entry.key) if self._card is not None and same else None
        if position is not None:
            self._position = position
            self._draw_counts()
        else:
            self._position = -1
            await self._advance()

    async def _advance(self) -> None:
        """Show the next open card."""
        queue = self._queue
        if queue is None:
            return
        tried: set[int] = set()
        while True:
            position = queue.next_open(self._position)
            if position is None or position in tried:
                self._show_end()
                return
            tried.add(position)
            self._position = position
            if await self._show(queue.entries[position]):
                return

    async def _show(self, entry: Entry, *, undone: LabelEvent | None = None) -> bool:
        """Read a card and show it; False when the log does not hold it any more."""
        self._heard_from = inf
        try:
            card = await asyncio.to_thread(self.desk.cards.load, entry)
        except SourceError as error:
            self._tell(error)
            return False
        if not self.is_attached:
            return True
        self._card, self._undone, self._trouble = card, undone, None
        self._draw_card()
        self._draw_counts()
        self.call_after_refresh(self._seen)
        return True

    def _seen(self) -> None:
        """The card is on the screen: its time begins."""
        self._shown_at = self.console.clock()
        self._heard_from = monotonic() + GUARD_S

    def _show_end(self) -> None:
        self._card = None
        self._heard_from = 0.0
        queue, glyphs = self._queue, self.console.glyphs
        self.perception.show(None, None, frozenset())
        self.perception.border_title = Content("Perception")
        self.perception.border_subtitle = Content("")
        self._swap(session=False)
        lines: list[Line]
        if queue is None or not len(queue):
            lines = [line("No decision passes this filter."), EMPTY]
            if self._wanted.is_default:
                lines = [line("There is nothing to review yet."), EMPTY]
                lines += wrap(
                    "A tick that a model decides becomes a card here:  t  runs the heartbeat now.", 60, "quiet"
                )
        else:
            lines = [line((f"{glyphs.ok} ", "ok"), "All done."), EMPTY]
            lines += wrap("f  shows others, b  asks some again, E  writes the datasets.", 60, "quiet")
        self.decision.show_message(lines)
        self._draw_counts()

    # Drawing.

    def _draw_card(self, *, keep_place: bool = False) -> None:
        card = self._card
        if card is None:
            return
        facts = CardFacts(card, self._answer(card), undone=self._undone is not None, trouble=self._trouble)
        self.decision.show_card(facts, keep_place=keep_place)
        if keep_place:
            return
        entry = card.entry
        self._swap(session=entry.place is None)
        if entry.place is None:
            self.asked.title_line = line(("Prompt", "title"), (f" · {entry.source} {entry.name}", "quiet"))
            shown = clean(card.prompt, limit=BLOCK_LIMIT, multiline=True)
            self.asked.read(lambda width: wrap(shown, width))
            return
        said = "" if card.decision is None else " ".join((card.decision.reasoning, *card.decision.actions))
        before = card.perception if card.previous_perception is None else card.previous_perception
        self.perception.show(
            card.perception, before, changed_paths(before, card.perception), mentioned_paths(card.perception, said)
        )
        # Plain strings would be read as markup, and the host's name is the log's.
        self.perception.border_title = Content(f"Perception · {self._when(entry.at)} {card.host or ''}".rstrip())
        since = f" · ≠ since {moment_text(card.previous_at, '%H:%M')}" if card.previous_at is not None else ""
        self.perception.border_subtitle = Content(f"p prompt{since}")

    def _when(self, at: float) -> str:
        """The time of day, with the day where it is not today."""
        today = moment_text(self.console.clock(), "%Y%m%d")
        return moment_text(at, "%H:%M" if moment_text(at, "%Y%m%d") == today else "%d %b %H:%M")

    def _swap(self, *, session: bool) -> None:
        """A session has a prompt to show where a tick has its perception."""
        if self.asked.display != session:
            self.asked.display, self.perception.display = session, not session

    def _answer(self, card: Card) -> Answer:
        """What the card tells of earlier answers: nothing at a second look."""
        if self._wanted.show == "second look":
            return UNANSWERED
        if self._undone is not None:
            word = self._undone
            label = word.label or ("rejected" if word.event == "edit" else None)
            edit, prefer = (word if word.event == kind else None for kind in ("edit", "prefer"))
            return Answer(label, edit, prefer, self.desk.labels.answer_of(card.entry.key).note or word.note, word)
        answer = self.desk.labels.answer_of(card.entry.key)
        return answer if answer.given or card.entry.own_label is None else Answer(label=card.entry.own_label)

    def _draw_counts(self) -> None:
        queue, progress = self._queue, self._progress
        pace = self.desk.pace(blind=self._wanted.show == "second look")
        share = progress.done_bytes / progress.total_bytes if progress and progress.total_bytes else None
        self.bar.update(
            ReviewFacts(
                look=self.console.view(),
                wanted=self._wanted,
                left=queue.left if queue else 0,
                total=len(queue) if queue else 0,
                median_s=pace.median_s,
                today=pace.today,
                indexed=share,
                ready=queue is not None,
            )
        )
        self.answers.update(pace.last, trouble_of(self.desk.labels.fold))

    def _tell(self, error: SourceError) -> None:
        """Say it once, not at each look."""
        if error.message != self._told:
            self._told = error.message
            self.notify(f"{error.message}\n{error.hint}".strip(), severity="warning", timeout=6, markup=False)

    # What other consoles do, and new ticks.

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        self._grow()

    def clock_ticked(self, now: float) -> None:
        self._poll()

    def clock_ticked_while_paused(self, now: float) -> None:
        self._poll()

    def _poll(self) -> None:
        if self._queue is not None and not self._polling:
            self._polling = True
            self._take_in()

    @work(group="labels", exit_on_error=False, description="read the label log")
    async def _take_in(self) -> None:
        try:
            before = self.desk.labels.fold
            if await asyncio.to_thread(self.desk.labels.poll) is not before and not self._busy:
                self._heard_of_labels()
        except SourceError as error:
            self._tell(error)
        finally:
            self._polling = False

    def _heard_of_labels(self) -> None:
        if self._queue is None or not self.is_attached:
            return
        self._queue.refresh()
        self._draw_card(keep_place=True)
        self._draw_counts()

    def _grow(self) -> None:
        if self._queue is not None and self._progress is None and not self._growing:
            self._growing = True
            self._take_in_ticks()

    @work(group="grow", exit_on_error=False, description="look for new candidates")
    async def _take_in_ticks(self) -> None:
        try:
            if await asyncio.to_thread(self.desk.index.grow) and not self._busy:
                await self._requeue(self._wanted)
        except SourceError as error:
            self._tell(error)
        finally:
            self._growing = False

    # Answers.

    def action_answer(self, label: Label) -> None:
        """Say what the card is worth, and go on."""
        card, pen = self._card, self.desk.labeller
        if card is None:
            return
        key, name, shown_at, blind = card.entry.key, card.entry.name, self._shown_at, self._wanted.show == "second look"
        note = "" if blind else self.desk.labels.answer_of(key).note
        self._save(lambda: pen.label(key, name, label, shown_at=shown_at, note=note, blind=blind))

    def _save(self, write: Callable[[], None]) -> None:
        if not self._busy:
            self._busy = True
            self._write(write)

    @work(group="answer", exit_on_error=False, description="write an answer")
    async def _write(self, write: Callable[[], None]) -> None:
        """Write, and only then go on; what can't be written is said, and the card stays."""
        try:
            if await self._written(write) and self._queue is not None:
                self._queue.refresh()
                await self._advance()
        finally:
            self._busy = False

    async def _written(self, write: Callable[[], None]) -> bool:
        try:
            await asyncio.to_thread(write)
        except SourceError as error:
            self._trouble = (error.message, error.hint)
            self._draw_card(keep_place=True)
            return False
        self._trouble = None
        return True

    @work(group="answer", exit_on_error=False, description="take an answer back")
    async def action_undo(self) -> None:
        """Take the last answer back and show its card again."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._undo()
        finally:
            self._busy = False

    async def _undo(self) -> None:
        taken: list[LabelEvent | None] = []
        if not await self._written(lambda: taken.append(self.desk.labeller.undo())):
            return
        word = taken[0]
        if word is None:
            self.notify("Nothing of yours is left to take back.", timeout=3, markup=False)
            return
        if self._queue is not None:
            self._queue.refresh()
        entry = self.desk.index.find(word.candidate)
        if entry is None:
            self.notify("Taken back; its tick stands in no log any more.", timeout=4, markup=False)
            self._draw_counts()
            return
        position = self._queue.position_of(entry.key) if self._queue is not None else None
        self._position = self._position if position is None else position
        await self._show(entry, undone=word)

    def action_walk(self, step: int) -> None:
        """Go to the card before or after, without an answer."""
        queue = self._queue
        if queue is None or self._busy or not 0 <= self._position + step < len(queue):
            return
        self._position += step
        self._busy = True
        self._walk(queue.entries[self._position])

    @work(group="answer", exit_on_error=False, description="show a card")
    async def _walk(self, entry: Entry) -> None:
        try:
            await self._show(entry)
        finally:
            self._busy = False

    @work(group="ask", exit_on_error=False, description="write a note")
    async def action_note(self) -> None:
        """Write a note on the card."""
        from timmy_tui.screens.dialogs import TextDialog

        card, pen = self._card, self.desk.labeller
        if card is None:
            return
        entry = card.entry
        before = self.desk.labels.answer_of(entry.key).note
        note = await self.app.push_screen_wait(TextDialog("A note on this card", before, "why?", "keep"))
        if note is None or note == before:
            return
        if await self._written(lambda: pen.note(entry.key, entry.name, note)):
            self._heard_of_labels()

    @work(group="ask", exit_on_error=False, description="edit a decision")
    async def action_edit(self) -> None:
        """Write what should have been decided: the honest other half of a rejected card."""
        from timmy_tui.screens.edit import EditDialog

        card, pen, shown_at = self._card, self.desk.labeller, self._shown_at
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

        card, pen, shown_at = self._card, self.desk.labeller, self._shown_at
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

        wanted = await self.app.push_screen_wait(FilterDialog(self._wanted, self.desk.index.entries))
        if wanted is not None and wanted != self._wanted:
            await self._requeue(wanted)

    @work(group="ask", exit_on_error=False, description="begin or end a second look")
    async def action_second_look(self) -> None:
        """Ask a part of what was labelled again, blind; the same key goes back."""
        blind = self._wanted.show == "second look"
        await self._requeue(QueueFilter() if blind else QueueFilter(show="second look"))

    def action_prompt(self) -> None:
        """The whole prompt."""
        self._show_text("Prompt", self._card.prompt if self._card else "")

    def action_response(self) -> None:
        """The raw response."""
        self._show_text("Raw response", self._card.completion if self._card else "")

    def _show_text(self, title: str, text: str) -> None:
        from timmy_tui.screens.text import TextScreen

        if self._card is not None:
            self.app.push_screen(TextScreen(title, clean(text, limit=BLOCK_LIMIT, multiline=True)))

    def action_statistics(self) -> None:
        """What the labels say."""
        from timmy_tui.screens.statistics import StatisticsScreen

        self.app.push_screen(StatisticsScreen())

    def action_export(self) -> None:
        """Write the datasets."""
        from timmy_tui.screens.export import ExportScreen

        self.app.push_screen(ExportScreen())
