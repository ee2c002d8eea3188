"""The reading pass: every labelled candidate into the spool, every tick line into its copy."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path

from msgspec import Struct

from timmy_tui.config import Settings
from timmy_tui.services.export.answers import NOTHING, Verdict, verdict_of, without_empty_edit
from timmy_tui.services.export.catalog import Catalog
from timmy_tui.services.export.lines import InputFile, LogReader
from timmy_tui.services.export.manifest import Provenance
from timmy_tui.services.export.output import OutputFile, WrittenFile
from timmy_tui.services.export.reasons import EARLIER, SESSION_CHANGED, TICK_CHANGED, TICK_GONE, TIMELESS, UNPINNED
from timmy_tui.services.export.records import TICKS_FOLDER, ExportOptions, ExportProgress, home_folder, stop_if
from timmy_tui.services.export.redact import Redactor
from timmy_tui.services.export.sampling import Candidate, Sampler
from timmy_tui.services.export.spool import Spool
from timmy_tui.services.export.tick_copies import TickCopier
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import candidate_key
from timmy_tui.services.review.exchange import exchange_of
from timmy_tui.services.review.sessions import SessionCandidates
from timmy_tui.services.ticks.cursor import TailLine
from timmy_tui.services.ticks.folder import TickFolder
from timmy_tui.services.ticks.glued import taken_apart
from timmy_tui.services.ticks.parse import BadLine, HeadFacts, at_of, by_model, decode_head, label_of, severity_of
from timmy_tui.text import clean

STEP_BYTES = 4 * 1024 * 1024
"""Bytes read between two reports of progress."""


class TickCounts(Struct):
    """What the tick logs held."""

    ticks: int = 0
    bad_lines: int = 0
    """Lines that are no tick, and those that can't be copied."""
    incomplete_lines: int = 0
    labelled_by_rules: int = 0
    """Labelled decisions that no model made."""


class Gathered(Struct, frozen=True):
    """What was read."""

    spool: Spool
    catalog: Catalog
    inputs: tuple[InputFile, ...]
    copies: tuple[WrittenFile, ...]
    counts: TickCounts
    dropped: Counter[str]
    provenance: Provenance
    sessions_used: int
    sessions_sha256: str
    """Over the keys of the sessions' candidates, in their order; empty when none was used."""
    mended_characters: int
    marked_completions: int


class Gatherer:
    """Reads ticks and sessions once."""

    def __init__(
        self,
        settings: Settings,
        labels: LabelLog,
        options: ExportOptions,
        folder: Path,
        spool: Spool,
        on_progress: Callable[[ExportProgress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._settings, self._labels, self._options = settings, labels, options
        self._on_progress, self._should_stop = on_progress, should_stop
        self._dropped: Counter[str] = Counter()
        self._counts = TickCounts()
        redactor = Redactor(home_folder()) if options.redact else None
        self._redactor = redactor
        self._copier = TickCopier(redactor)
        self._copies = folder / TICKS_FOLDER if "ticks" in options.formats else None
        self._sampler = Sampler(spool, redactor, self._dropped, keep_marks=options.keep_marks)
        self._since_at = None if options.since is None else _midnight(options.since)
        # What is not met yet, so that at the end it is known which labels are of nothing that is there.
        self._candidates = set(labels.candidates())
        self._tick_ids = {self._tick_id(candidate) for candidate in self._candidates}
        # Labelled, but too old: the same texts may come again on a later day.
        self._early: dict[str, str] = {}
        self._done_bytes = self._told_bytes = self._total_bytes = 0

    def gather(self) -> Gathered:
        """Raises ``TickLogError``, ``HermesError``, :class:`ExportStopped`, and ``OSError`` for what it writes."""
        folder = TickFolder(self._settings.heartbeat_dir)
        paths = [folder.path / name for name in folder.names()]
        self._total_bytes = sum(_size_bytes(path) for path in paths)
        self._on_progress(ExportProgress("reading", 0, self._total_bytes))
        copies: list[WrittenFile] = []
        inputs = tuple(self._read_file(path, copies) for path in paths)
        sessions = self._read_sessions()
        self._dropped.update(self._early.values())
        return Gathered(
            self._sampler.spool,
            self._sampler.catalog,
            inputs,
            tuple(copies),
            self._counts,
            self._dropped,
            self._sampler.provenance(self._counts.labelled_by_rules),
            len(sessions),
            hashlib.sha256("\n".join(sessions).encode()).hexdigest() if sessions else "",
            self._sampler.mended_characters,
            self._sampler.marked_completions,
        )

    def _read_file(self, path: Path, copies: list[WrittenFile]) -> InputFile:
        reader = LogReader(path)
        if self._copies is None:
            for line in reader.lines(self._on_bytes):
                self._take_line(line)
        else:
            with OutputFile(self._copies / path.name) as copy:
                for line in reader.lines(self._on_bytes):
                    for copied in self._take_line(line):
                        copy.write_line(copied)
            if copy.written.rows:
                copies.append(copy.written)
        self._counts.bad_lines += reader.oversized_lines
        self._counts.incomplete_lines += reader.incomplete
        return reader.input_file

    def _on_bytes(self, count: int) -> None:
        stop_if(self._should_stop())
        self._done_bytes += count
        if self._done_bytes - self._told_bytes >= STEP_BYTES:
            self._told_bytes = self._done_bytes
            done = min(self._done_bytes, self._total_bytes)
            self._on_progress(ExportProgress("reading", done, self._total_bytes))

    def _take_line(self, line: bytes) -> list[bytes]:
        """Take in one line, each tick of it where a newline was lost; their copies."""
        copies: list[bytes] = []
        for piece, head in taken_apart([TailLine(0, line)], lambda piece: decode_head(piece.data)):
            if isinstance(head, BadLine):
                self._counts.bad_lines += 1
            elif (copied := self._take(piece.data, head)) is not None:
                copies.append(copied)
        return copies

    def _take(self, line: bytes, head: HeadFacts) -> bytes | None:
        """Take in one tick; its copy, or None for what is not copied."""
        self._counts.ticks += 1
        tick_id = clean(str(head.tick_id))
        self._tick_ids.discard(tick_id)
        at = at_of(head, None) if self._since_at is not None else None
        may_redact = self._redactor is not None and self._redactor.may_touch(line)
        verdict = self._verdict_of_tick(line, head, tick_id, at, may_redact)
        if self._too_early(at) or self._copies is None:
            return None
        copied = self._copier.copied(line, verdict.chosen, may_redact=may_redact)
        if copied is None:
            self._counts.bad_lines += 1
        return copied

    def _verdict_of_tick(
        self, line: bytes, head: HeadFacts, tick_id: str, at: float | None, may_redact: bool
    ) -> Verdict:
        """What is said of a line's tick, which goes into the spool when it is the first with these texts."""
        own_label = label_of(head) if head.dpo_label is not None else None
        exchange = exchange_of(line)
        if exchange is None:
            return NOTHING
        key = candidate_key(exchange.prompt, exchange.completion)
        first = key in self._candidates or key in self._early
        repeated = not first and bool(self._labels.words_on(key))
        if not first and not repeated and own_label is None:
            return NOTHING
        self._candidates.discard(key)
        dropped: Counter[str] = Counter() if repeated else self._dropped
        verdict = verdict_of(self._labels, key, self._options.operator, own_label, dropped)
        verdict = without_empty_edit(verdict, exchange.completion, dropped)
        if repeated or not verdict.serves:
            return verdict
        if self._too_early(at):
            self._early[key] = TIMELESS if at is None else EARLIER
            return verdict
        self._early.pop(key, None)
        if head.prompt_note:
            dropped[UNPINNED] += 1
            return verdict
        self._counts.labelled_by_rules += not by_model(head)
        candidate = Candidate(
            tick_id=tick_id,
            origin="tick",
            source="heartbeat",
            model=clean(head.model) if isinstance(head.model, str) else "",
            severity=severity_of(head),
            prompt_source=exchange.prompt_source,
            completion_source=exchange.completion_source,
            prompt=exchange.prompt,
            completion=exchange.completion,
        )
        self._sampler.take(candidate, verdict, may_redact=may_redact)
        return verdict

    def _read_sessions(self) -> list[str]:
        """Take in the labelled sessions; their keys. The store is read only for labels that no tick has answered."""
        left = {
            candidate
            for candidate in self._candidates
            if verdict_of(self._labels, candidate, self._options.operator, None, Counter()).serves
        }
        if not left:
            return []
        stop_if(self._should_stop())
        settings = self._settings
        review = settings.config.review
        store = SessionCandidates(settings.hermes_home, settings.config.hermes.profile, review.sources)
        sessions = store.read(lambda session: session)
        used: list[str] = []
        for session in sessions:
            key = candidate_key(session.prompt, session.completion)
            if key not in left:
                continue
            left.remove(key)
            verdict = verdict_of(self._labels, key, self._options.operator, None, self._dropped)
            verdict = without_empty_edit(verdict, session.completion, self._dropped)
            if not verdict.serves:
                continue
            if self._too_early(session.at):
                self._early[key] = TIMELESS if session.at is None else EARLIER
                continue
            used.append(key)
            candidate = Candidate(
                tick_id=clean(session.session_id),
                origin="session",
                source=session.source,
                model=session.model or "",
                severity="",
                prompt_source="as sent",
                completion_source="raw text",
                prompt=session.prompt,
                completion=session.completion,
            )
            self._sampler.take(candidate, verdict, may_redact=self._redactor is not None)
        session_ids = {clean(session.session_id) for session in sessions}
        for candidate_left in left:
            self._dropped[self._why_gone(candidate_left, session_ids)] += 1
        return used

    def _why_gone(self, candidate: str, session_ids: set[str]) -> str:
        tick_id = self._tick_id(candidate)
        if tick_id not in self._tick_ids:
            return TICK_CHANGED
        return SESSION_CHANGED if tick_id in session_ids else TICK_GONE

    def _tick_id(self, candidate: str) -> str:
        """The tick that the last word on a candidate names; empty when every word is undone."""
        words = self._labels.words_on(candidate)
        return words[-1].tick_id if words else ""

    def _too_early(self, at: float | None) -> bool:
        return self._since_at is not None and (at is None or at < self._since_at)


def _midnight(day: date) -> float:
    """The first moment of a local day in Unix seconds."""
    return datetime.combine(day, time()).astimezone().timestamp()


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # reading it will tell why
