"""Label events folded into what each candidate's label is now (DESIGN §5). This side only reads."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from timmy_tui import text
from timmy_tui.services.ticks.once import Once
from timmy_tui.services.ticks.parse import BadLine, decode_tree
from timmy_tui.services.ticks.records import Label, LabelCounts
from timmy_tui.services.ticks.tailer import Tailer

LABELS_NAME = "labels.jsonl"
"""In ``TIMMY_HOME/heartbeat``."""

VERSION = 1

_LABELS: dict[str | None, Label] = {"chosen": "chosen", "rejected": "rejected", "skipped": "skipped"}
_KINDS = frozenset({"label", "undo", "edit", "prefer"})


def candidate_key(prompt: str, completion: str) -> str:
    """The hex SHA-256 that names a candidate: prompt, NUL, completion, both verbatim (not cleaned)."""
    return hashlib.sha256(
        prompt.encode("utf-8", "surrogatepass") + b"\0" + completion.encode("utf-8", "surrogatepass")
    ).hexdigest()


class LabelEvent(Struct, frozen=True):
    """One event in force. ``label`` stands in ``label`` events, ``preferred`` in ``prefer`` events."""

    event_id: str
    event: str
    candidate: str
    tick_id: str
    label: Label | None
    note: str
    preferred: str | None
    operator: str | None


class LabelFold(Struct, frozen=True):
    """What the events read so far amount to. A new object for every change, so identity tells of one."""

    counts: LabelCounts
    events: int
    bad_lines: int
    """Lines that are no label event at all."""
    unknown_events: int
    """Events of another version or kind: a newer program wrote them."""
    incomplete: bool


class LabelLog:
    """Follows the label log and folds it: the last word on a candidate wins, an undo voids one event.

    A label that was undone gives way to the one before it. An undo can itself be undone. Events are known by
    their id, so one that is read twice counts once. One caller at a time.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._tailer = Tailer(path, clock=clock)
        self._once = Once()
        self._events: dict[str, LabelEvent] = {}
        self._targets: dict[str, str] = {}
        self._voided_by: Counter[str] = Counter()
        self._by_candidate: dict[tuple[str, str], list[str]] = {}
        self._tick_ids: Counter[str] = Counter()
        self._counts: Counter[Label] = Counter()
        self._seen: set[str] = set()
        self._bad_lines = 0
        self._unknown_events = 0
        self._fold = LabelFold(LabelCounts(), 0, 0, 0, False)

    def poll(self) -> LabelFold:
        """Take in what is new; the same object when nothing is. A missing file holds no labels.

        Raises :class:`~timmy_tui.services.ticks.errors.TickLogError`.
        """
        more = True
        incomplete = False
        while more:
            batch = self._tailer.poll()
            more, incomplete = batch.more, batch.incomplete
            for line in batch.lines:
                self._take(line.offset, line.data)
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

    def counts(self) -> LabelCounts:
        """How many candidates carry each label, as of the last :meth:`poll`."""
        return self._fold.counts

    def label_of(self, candidate: str) -> Label | None:
        """The candidate's label now."""
        event = self.event_of(candidate, "label")
        return event.label if event else None

    def event_of(self, candidate: str, kind: str) -> LabelEvent | None:
        """The last event of ``kind`` (``label``, ``edit``, ``prefer``) on a candidate that no undo voids."""
        for event_id in reversed(self._by_candidate.get((candidate, kind), ())):
            if not self._voided_by[event_id]:
                return self._events[event_id]
        return None

    def labels(self) -> dict[str, Label]:
        """Every candidate's label now."""
        found = {candidate: self.label_of(candidate) for candidate, kind in self._by_candidate if kind == "label"}
        return {candidate: label for candidate, label in found.items() if label is not None}

    def speaks_of(self, tick_id: str) -> bool:
        """A label event that names this tick is in force."""
        return self._tick_ids[tick_id] > 0

    def close(self) -> None:
        """Let the file go."""
        self._tailer.close()

    def _take(self, offset: int, data: bytes) -> None:
        tree = decode_tree(data) if data else BadLine("oversized")
        kind = None if isinstance(tree, BadLine) else tree.get("event")
        if isinstance(tree, BadLine) or not isinstance(kind, str):
            self._bad_lines += self._once.bad(offset, data)
            return
        if tree.get("v") != VERSION or kind not in _KINDS:
            self._unknown_events += self._once.tick(data)
            return
        event_id = _line(tree, "event_id") or hashlib.sha256(data).hexdigest()
        if event_id in self._seen:
            return
        candidate, undone = _line(tree, "candidate"), _line(tree, "undoes")
        label = _LABELS.get(_line(tree, "label"))
        if kind == "undo" and undone is not None:
            self._undo(event_id, undone)
        elif kind != "undo" and candidate is not None and (label is not None or kind != "label"):
            self._add(_event(event_id, kind, candidate, label, tree))
        else:
            self._bad_lines += self._once.bad(offset, data)
            return
        self._seen.add(event_id)

    def _add(self, event: LabelEvent) -> None:
        before = self.label_of(event.candidate)
        self._events[event.event_id] = event
        self._by_candidate.setdefault((event.candidate, event.event), []).append(event.event_id)
        if event.event == "label":
            self._recount(before, self.label_of(event.candidate))
            self._tick_ids[event.tick_id] += 1

    def _undo(self, event_id: str, target: str) -> None:
        if target not in self._seen:
            return  # it can only void what was said before it; so no chain of undos ever closes
        self._targets[event_id] = target
        step = 1
        while True:
            event = self._events.get(target)
            before = self.label_of(event.candidate) if event else None
            was_void = self._voided_by[target] > 0
            self._voided_by[target] += step
            is_void = self._voided_by[target] > 0
            if event is not None and event.event == "label":
                self._recount(before, self.label_of(event.candidate))
                self._tick_ids[event.tick_id] += was_void - is_void
            if was_void == is_void or target not in self._targets:
                return
            # An undo was undone (or that was): what it voided speaks again (or no longer).
            step = -1 if is_void else 1
            target = self._targets[target]

    def _recount(self, before: Label | None, after: Label | None) -> None:
        if before is not None:
            self._counts[before] -= 1
        if after is not None:
            self._counts[after] += 1


def _line(tree: dict[str, object], key: str) -> str | None:
    value = tree.get(key)
    return text.clean(value) if isinstance(value, str) and value else None


def _event(event_id: str, kind: str, candidate: str, label: Label | None, tree: dict[str, object]) -> LabelEvent:
    return LabelEvent(
        event_id=event_id,
        event=kind,
        candidate=candidate,
        tick_id=_line(tree, "tick_id") or "",
        label=label,
        note=_line(tree, "note") or "",
        preferred=_line(tree, "preferred"),
        operator=_line(tree, "operator"),
    )
