"""Label events folded into what is said of each candidate now (DESIGN §5). This side only reads."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from timmy_tui.services.labels.decode import Undo, UnknownEvent, decode_event
from timmy_tui.services.labels.records import UNANSWERED, Answer, LabelEvent, LabelFold
from timmy_tui.services.ticks.once import Once
from timmy_tui.services.ticks.parse import BadLine
from timmy_tui.services.ticks.records import Label, LabelCounts
from timmy_tui.services.ticks.tailer import Tailer

FORGETS = frozenset({"truncated", "rewritten"})
"""After these the file is read from its start, and what it no longer holds was never said."""


class LabelLog:
    """Follows the label log and folds it: the last word on a candidate wins, an undo voids one event.

    A word that was undone gives way to the one before it. An undo can itself be undone. Events are known by their
    id, so one that is read twice counts once. Every method may be called from any thread.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._one_reader = threading.Lock()
        self._tailer = Tailer(path, clock=clock)
        self._once = Once()
        self._events: dict[str, LabelEvent] = {}
        self._targets: dict[str, str] = {}
        self._voided_by: Counter[str] = Counter()
        self._by_candidate: dict[str, list[LabelEvent]] = {}
        self._by_operator: dict[str | None, list[LabelEvent]] = {}
        self._tick_ids: Counter[str] = Counter()
        self._answered_ids: Counter[str] = Counter()
        self._counts: Counter[Label] = Counter()
        self._seen: set[str] = set()
        self._touched: list[str] = []
        self._bad_lines = 0
        self._unknown_events = 0
        self._fold = LabelFold(LabelCounts(), 0, 0, 0, False)

    def poll(self) -> LabelFold:
        """Take in what is new; the same object when nothing is. A missing file holds no labels.

        Raises :class:`~timmy_tui.services.ticks.errors.TickLogError`.
        """
        with self._one_reader:
            more = True
            incomplete = False
            while more:
                batch = self._tailer.poll()
                more, incomplete = batch.more, batch.incomplete
                with self._lock:  # not for all batches at once: the screen asks meanwhile
                    if batch.note in FORGETS:
                        self._forget()
                    for line in batch.lines:
                        self._take(line.offset, line.data)
            return self._publish(incomplete)

    def _publish(self, incomplete: bool) -> LabelFold:
        with self._lock:
            fold = LabelFold(
                counts=LabelCounts(self._counts["chosen"], self._counts["rejected"], self._counts["skipped"]),
                events=len(self._seen),
                bad_lines=self._bad_lines,
                unknown_events=self._unknown_events,
                incomplete=incomplete,
            )
            if fold != self._fold:
                self._fold = fold
            return self._fold

    @property
    def fold(self) -> LabelFold:
        """What the last :meth:`poll` returned."""
        return self._fold

    def counts(self) -> LabelCounts:
        """How many candidates carry each label, as of the last :meth:`poll`."""
        return self._fold.counts

    def answer_of(self, candidate: str, operator: str | None = None) -> Answer:
        """What was said of a candidate: by ``operator``, or with None by anybody."""
        events = self._by_candidate.get(candidate)
        if events is None:
            return UNANSWERED
        with self._lock:
            return self._answer([e for e in events if operator is None or e.operator == operator])

    def label_of(self, candidate: str) -> Label | None:
        """The candidate's label now."""
        return self.answer_of(candidate).label

    def event_of(self, candidate: str, kind: str) -> LabelEvent | None:
        """The last event of ``kind`` (``label``, ``edit``, ``prefer``, ``note``) that no undo voids."""
        with self._lock:
            return next((event for event in reversed(self.words_on(candidate)) if event.event == kind), None)

    def words_on(self, candidate: str) -> list[LabelEvent]:
        """Every event on a candidate that no undo voids, in the order in which they were said."""
        with self._lock:
            return [event for event in self._by_candidate.get(candidate, ()) if not self._voided_by[event.event_id]]

    def labels(self) -> dict[str, Label]:
        """Every candidate's label now."""
        with self._lock:
            found = {candidate: self.label_of(candidate) for candidate in self._by_candidate}
        return {candidate: label for candidate, label in found.items() if label is not None}

    def candidates(self) -> tuple[str, ...]:
        """Every candidate that any event names, in the order of the first."""
        with self._lock:
            return tuple(self._by_candidate)

    def operators(self) -> tuple[str, ...]:
        """Everybody who has said something, by name."""
        with self._lock:
            return tuple(sorted(operator for operator in self._by_operator if operator is not None))

    def words_of(self, operator: str | None) -> Iterator[LabelEvent]:
        """What an operator said and no undo voids, the latest first."""
        said = self._by_operator.get(operator, [])
        places = range(len(said) - 1, -1, -1)  # words are only ever added: no copy, and no lock, is needed
        return (said[place] for place in places if not self._voided_by[said[place].event_id])

    def speaks_of(self, tick_id: str) -> bool:
        """A label or an edit that names this tick is in force."""
        return self._tick_ids[tick_id] > 0

    def answers(self, tick_id: str) -> bool:
        """Any answer that names this tick is in force: a label, an edit or a preference."""
        return self._answered_ids[tick_id] > 0

    def touched_since(self, mark: int) -> tuple[int, list[str]]:
        """The candidates that were spoken of since ``mark``, and the mark for the next call; begin with 0."""
        with self._lock:
            return len(self._touched), self._touched[mark:]

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._tailer.close()

    def _answer(self, events: list[LabelEvent]) -> Answer:
        label = edit = prefer = last = None
        note = ""
        for event in events:
            if self._voided_by[event.event_id]:
                continue
            note = event.note or note
            if event.event == "note":
                note = event.note
                continue
            last = event
            if event.event == "label":
                label = event.label
                edit = edit if event.label == "rejected" else None
            elif event.event == "edit":
                label, edit = "rejected", event
            else:
                prefer = event
        if last is None and not note:
            return UNANSWERED
        return Answer(label, edit, prefer, note, last)

    def _forget(self) -> None:
        """Something that was read has been taken back, by a writer whose disk was full: all is read again."""
        self._touched.extend(self._by_candidate)
        for held in (self._events, self._targets, self._by_candidate, self._by_operator):
            held.clear()
        for count in (self._voided_by, self._tick_ids, self._answered_ids, self._counts):
            count.clear()
        self._seen.clear()
        self._once = Once()
        self._bad_lines = self._unknown_events = 0

    def _take(self, offset: int, data: bytes) -> None:
        event = decode_event(data, len(self._events))
        if isinstance(event, BadLine):
            self._bad_lines += self._once.bad(offset, data)
        elif isinstance(event, UnknownEvent):
            self._unknown_events += self._once.tick(data)
        elif event.event_id not in self._seen:
            self._seen.add(event.event_id)
            if isinstance(event, Undo):
                self._undo(event.event_id, event.undoes)
            else:
                self._add(event)

    def _add(self, event: LabelEvent) -> None:
        before = self.label_of(event.candidate)
        self._events[event.event_id] = event
        self._by_candidate.setdefault(event.candidate, []).append(event)
        self._by_operator.setdefault(event.operator, []).append(event)
        self._changed(event, before, 1)

    def _undo(self, event_id: str, target: str) -> None:
        if target not in self._seen or target == event_id:
            return  # it can only void what was said before it; so no chain of undos ever closes
        self._targets[event_id] = target
        step = 1
        while True:
            event = self._events.get(target)
            before = self.label_of(event.candidate) if event else None
            was_void = self._voided_by[target] > 0
            self._voided_by[target] += step
            is_void = self._voided_by[target] > 0
            if event is not None:
                self._changed(event, before, was_void - is_void)
            if was_void == is_void or target not in self._targets:
                return
            # An undo was undone (or that was): what it voided speaks again (or no longer).
            step = -1 if is_void else 1
            target = self._targets[target]

    def _changed(self, event: LabelEvent, before: Label | None, voices: int) -> None:
        """Take in that ``event`` was added (1), voided (-1), or neither."""
        after = self.label_of(event.candidate)
        if before is not None:
            self._counts[before] -= 1
        if after is not None:
            self._counts[after] += 1
        if event.said is not None:
            self._tick_ids[event.tick_id] += voices
        if event.event != "note":
            self._answered_ids[event.tick_id] += voices
        self._touched.append(event.candidate)
