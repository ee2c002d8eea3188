"""The cards of the review: read in the background, put in order, shown one at a time."""

from __future__ import annotations

import asyncio
from math import inf
from time import monotonic

from msgspec.structs import replace
from textual import getters, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static
from textual.worker import get_current_worker

from timmy_tui.screens.base import ConsoleScreen
from timmy_tui.screens.dashboard import TOO_SMALL
from timmy_tui.services.labels.records import UNANSWERED, Answer, LabelEvent, LabelFold
from timmy_tui.services.reading import SourceError
from timmy_tui.services.review.desk import ReviewDesk, trouble_of
from timmy_tui.services.review.mentions import mentioned_paths
from timmy_tui.services.review.queue import QueueFilter, ReviewQueue
from timmy_tui.services.review.records import Card, Entry
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.ticks.changes import changed_paths
from timmy_tui.services.ticks.records import IndexProgress
from timmy_tui.text import BLOCK_LIMIT, clean, moment_text
from timmy_tui.widgets.answers_line import AnswersLine
from timmy_tui.widgets.decision_card import CardFacts, DecisionCard
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import line, wrap
from timmy_tui.widgets.perception_tree import PerceptionTree
from timmy_tui.widgets.review_bar import ReviewBar, ReviewFacts
from timmy_tui.widgets.scroller import Scroller

GUARD_S, FIRST_GUARD_S = 0.15, 0.4
"""A key pressed so soon after a card came was meant for the one before."""

MOST_PASSED_OVER = 50
"""Cards in a row that can't be read before that is said instead."""

SMALLEST = Size(40, 12)


class CardScreen(ConsoleScreen[None]):
    """Shows the cards of a filter, and keeps up with the log, with new ticks and with other consoles.

    :attr:`turn` is held by whoever changes which card is shown.
    """

    AUTO_FOCUS = "#decision"

    bar = getters.query_one(ReviewBar)
    perception = getters.query_one("#perception", PerceptionTree)
    asked = getters.query_one("#asked", Scroller)
    decision = getters.query_one("#decision", DecisionCard)
    answers = getters.query_one(AnswersLine)

    def __init__(self) -> None:
        super().__init__()
        self.queue: ReviewQueue | None = None
        self.wanted = QueueFilter()
        self.position = -1
        self.card: Card | None = None
        self.undone: LabelEvent | None = None
        """The word that was taken back last, while its card is shown."""
        self.trouble: tuple[str, str] | None = None
        self.shown_at = 0.0
        self.heard_from = inf
        """The moment from which on keys count, on the clock of key events."""
        self._seen_one = False
        self.busy = False
        """An answer is being written, or a card read: no key counts."""
        self.turn = asyncio.Lock()
        self._begins = False
        self._progress: IndexProgress | None = None
        self._growing = self._polling = False
        self._heard: LabelFold | None = None
        """What the labels came to when they were last drawn."""
        self._queued: tuple[Entry, ...] = ()
        """The candidates that the queue was made of."""
        self._told = ""

    @property
    def desk(self) -> ReviewDesk:
        """The index, the labels and the operator's pen."""
        return self.console.monitor.sources.review

    @property
    def blind(self) -> bool:
        """A second look: what was said before is not to be seen."""
        return self.wanted.blind

    @property
    def too_small(self) -> bool:
        """A card could not be read here, so none is answered."""
        return self.size.width < SMALLEST.width or self.size.height < SMALLEST.height

    def compose(self) -> ComposeResult:
        """Counts, perception beside decision, the last answers, the keys."""
        yield ReviewBar()
        with Container(id="review-body"):
            yield PerceptionTree("Perception", glyphs=self.console.glyphs, id="perception")
            yield Scroller("Prompt", glyphs=self.console.glyphs, id="asked")
            yield DecisionCard("Decision", glyphs=self.console.glyphs, id="decision")
        yield AnswersLine(glyphs=self.console.glyphs)
        yield KeyLine(always=1, bare=True)
        yield Static(TOO_SMALL, id="too-small", markup=False)

    def on_mount(self) -> None:
        """Read the log, the newest day first; the first card shows as soon as there is one."""
        self.asked.display = False
        self.decision.show_message("", "Reading the tick log…")
        self.draw_counts()
        self._index()

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
            self.tell(error)
        self._progress = None
        if desk.index.trouble is not None:
            self.tell(desk.index.trouble)
        await self.requeue()

    def _indexed(self, progress: IndexProgress) -> None:
        self._progress = progress
        if not self.is_attached:
            return
        if self.card is None and not self._begins and self.desk.index.entries is not self._queued:
            self._begins = True
            self._begin()
        self.draw_counts()

    @work(group="begin", exit_on_error=False, description="show a card of what is read so far")
    async def _begin(self) -> None:
        try:
            await self.requeue()
        finally:
            self._begins = False

    async def requeue(self, wanted: QueueFilter | None = None) -> None:
        """Put the cards of a filter in order, by default of the one in force; a card that is shown stays."""
        async with self.turn:
            await self._requeue(self.wanted if wanted is None else wanted)

    async def _requeue(self, wanted: QueueFilter) -> None:
        entries = self.desk.index.entries
        queue = await asyncio.to_thread(self.desk.queue, wanted)
        if not self.is_attached:
            return
        same = self.queue is not None and self.wanted == wanted
        self.queue, self.wanted, self._queued = queue, wanted, entries
        queue.refresh()
        if same and self.card is not None and self.desk.index.find(self.card.entry.key) is not None:
            position = queue.position_of(self.card.entry.key)
            self.position = min(self.position, len(queue) - 1) if position is None else position
            self.draw_counts()
        else:
            self.position = -1
            await self.advance()

    async def advance(self) -> None:
        """Show the next open card; one that can't be read is passed over."""
        queue = self.queue
        if queue is None:
            return
        tried: set[int] = set()
        while len(tried) < MOST_PASSED_OVER:
            position = queue.next_open(self.position)
            if position is None or position in tried:
                break
            tried.add(position)
            self.position = position
            if await self.show_card(queue.entries[position]):
                return
        self._show_end(unreadable=bool(tried))

    async def show_card(self, entry: Entry, *, undone: LabelEvent | None = None) -> bool:
        """Read a card and show it; False when the log does not hold it any more."""
        self.heard_from = inf
        try:
            card = await asyncio.to_thread(self.desk.cards.load, entry)
        except SourceError as error:
            self.heard_from = 0.0
            self.tell(error)
            return False
        if not self.is_attached:
            return True
        self.card, self.undone, self.trouble = card, undone, None
        self._draw_perception(card)
        self.draw_decision()
        self.draw_counts()
        self.call_after_refresh(self._seen, card)
        return True

    def _seen(self, card: Card) -> None:
        """The card is on the screen: its time begins."""
        if card is self.card:
            self.shown_at = self.console.clock()
            self.heard_from = monotonic() + (GUARD_S if self._seen_one else FIRST_GUARD_S)
            self._seen_one = True

    def _show_end(self, *, unreadable: bool) -> None:
        self.card = None
        self.heard_from = 0.0
        self.perception.clear()
        self.perception.border_title = Content("Perception")
        self.perception.border_subtitle = Content("")
        self._swap(session=False)
        self.decision.show_message(*self._end_text(unreadable))
        self.draw_counts()

    def _end_text(self, unreadable: bool) -> tuple[str, str]:
        """Why there is no card, and what to do."""
        queue = self.queue
        if self._progress is not None:
            return "", "Reading the older ticks…"
        if unreadable:
            return "What is left can't be read.", self._told
        if queue is not None and len(queue):
            how = "b  goes back to the review." if self.blind else "f  shows others, b  asks some again, E  exports."
            return f"{self.console.glyphs.ok} All done.", how
        if self.blind:
            return "Nothing to look at again yet.", "Label some decisions first; b  goes back to the review."
        if self.wanted.is_default:
            how = "Each tick that a model decides becomes a card:  t  runs the heartbeat now."
            return "There is nothing to review yet.", how
        return "No decision passes this filter.", "f  chooses another, ctrl+x there clears it."

    # Drawing.

    def draw_decision(self, *, keep_place: bool = False) -> None:
        """Show the card's decision, and what is said of it; trouble is always in view."""
        card = self.card
        if card is not None:
            facts = CardFacts(card, self._answer(card), undone=self.undone, trouble=self.trouble)
            self.decision.show_card(facts, keep_place=keep_place and self.trouble is None)

    def _draw_perception(self, card: Card) -> None:
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
        if self.blind:
            return UNANSWERED
        answer = self.desk.labels.answer_of(card.entry.key)
        return answer if answer.label is not None else replace(answer, label=card.entry.own_label)

    def draw_counts(self) -> None:
        """Show how many are left, how fast it goes, and the last answers."""
        queue, progress = self.queue, self._progress
        pace = self.desk.pace(blind=self.blind)
        share = progress.done_bytes / progress.total_bytes if progress and progress.total_bytes else None
        self.bar.update(
            ReviewFacts(
                look=self.console.view(),
                wanted=self.wanted,
                left=queue.left if queue else 0,
                total=len(queue) if queue else 0,
                median_s=pace.median_s,
                today=pace.today,
                indexed=share,
                ready=queue is not None,
            )
        )
        self.answers.update(pace.last, self.desk.operator, trouble_of(self.desk.labels.fold))

    def tell(self, error: SourceError) -> None:
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
        if self.queue is not None and not self._polling:
            self._polling = True
            self._take_in()

    @work(group="labels", exit_on_error=False, description="read the label log")
    async def _take_in(self) -> None:
        """Look at the labels every second; the dashboard's own look may have read them first."""
        try:
            fold = await asyncio.to_thread(self.desk.labels.poll)
            if fold is not self._heard and not self.busy:
                await self.heard_of_labels()
                self._heard = fold
            if self._progress is None and self.desk.index.entries is not self._queued and not self.busy:
                await self.requeue()
        except SourceError as error:
            self.tell(error)
        finally:
            self._polling = False

    async def heard_of_labels(self) -> None:
        """Take in what was said, here or elsewhere."""
        async with self.turn:
            if self.queue is None or not self.is_attached:
                return
            await asyncio.to_thread(self.queue.refresh)  # another console may have said a lot
            self.draw_decision(keep_place=True)
            self.draw_counts()

    def _grow(self) -> None:
        if self.queue is not None and self._progress is None and not self._growing:
            self._growing = True
            self._take_in_ticks()

    @work(group="grow", exit_on_error=False, description="look for new candidates")
    async def _take_in_ticks(self) -> None:
        try:
            await asyncio.to_thread(self.desk.index.grow)
            if self.desk.index.entries is not self._queued and not self.busy:
                await self.requeue()  # else at the next second
        except SourceError as error:
            self.tell(error)
        finally:
            self._growing = False
