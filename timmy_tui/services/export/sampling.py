"""A candidate and what was said of it, made ready for the spool."""

from __future__ import annotations

import hashlib
from collections import Counter

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.services.answer import has_marks
from timmy_tui.services.export.answers import Verdict, Word, without_empty_edit
from timmy_tui.services.export.catalog import Catalog
from timmy_tui.services.export.manifest import Provenance, by_name
from timmy_tui.services.export.passages import is_date, no_date, passage_of, well_formed
from timmy_tui.services.export.reasons import EMPTY, MARKED, ONLY_A_DATE
from timmy_tui.services.export.redact import Redactor
from timmy_tui.services.export.spool import Sample, Spool

UNKNOWN = "unknown"

_GROUPS = ("origins", "sources", "prompt_sources", "completion_sources", "models", "operators")


class Candidate(Struct, frozen=True):
    """A prompt and its completion, both verbatim, and where they come from."""

    tick_id: str
    origin: str
    source: str
    model: str
    severity: str
    prompt_source: str
    completion_source: str
    prompt: str
    completion: str


class Sampler:
    """Redacts, mends and spools candidates."""

    def __init__(
        self, spool: Spool, redactor: Redactor | None, dropped: Counter[str], *, keep_marks: bool = False
    ) -> None:
        self.spool = spool
        self.catalog = Catalog()
        self.mended_characters = 0
        self.marked_completions = 0
        """Answers with marks of turns or of thinking, left out or not."""
        self._keep_marks = keep_marks
        self._redactor = redactor
        self._dropped = dropped
        self._groups: dict[str, Counter[str]] = {name: Counter() for name in _GROUPS}

    def take(self, candidate: Candidate, verdict: Verdict, *, may_redact: bool) -> None:
        """Spool ``candidate`` unless nothing of it can be exported. ``may_redact``: its own texts may need it.

        Raises ``OSError``.
        """
        prompt = self._exported(candidate.prompt, may_redact)
        completion = self._exported(candidate.completion, may_redact)
        if not prompt.strip() or not completion.strip():
            self._dropped[EMPTY] += 1
            return
        if is_date(prompt) or is_date(completion):
            self._dropped[ONLY_A_DATE] += 1
            return
        if self._is_left_out(completion):
            return
        verdict = self._without_dates(verdict)
        if verdict.alternative is not None and self._is_left_out(verdict.alternative.response):
            verdict = replace(verdict, alternative=None)
        redacted = prompt != candidate.prompt or completion != candidate.completion
        correction = None if verdict.correction is None else self._exported(verdict.correction, True)
        if correction is not None and correction == completion:
            verdict = without_empty_edit(replace(verdict, correction=completion), completion, self._dropped)
            correction = verdict.correction
        if not verdict.serves:
            return
        alternative = verdict.alternative
        response = None if alternative is None else self._exported(alternative.response, True)
        sample = Sample(
            tick_id=self._fact(candidate.tick_id),
            origin=candidate.origin,
            source=self._fact(candidate.source),
            model=self._fact(candidate.model),
            severity=candidate.severity,
            prompt_source=candidate.prompt_source,
            completion_source=candidate.completion_source,
            note=self._fact(verdict.note),
            redacted=redacted
            or correction != verdict.correction
            or (alternative is not None and response != alternative.response),
            prompt=passage_of(prompt),
            completion=passage_of(completion),
            label_by=self._word(verdict.label_by),
            correction=None if correction is None else passage_of(correction),
            correction_by=self._word(verdict.correction_by),
            alternative=None if response is None else passage_of(response),
            alternative_model=self._fact((alternative.model if alternative is not None else None) or ""),
            preference_by=self._word(verdict.preference_by),
        )
        asked = sample.prompt.digest if prompt == candidate.prompt else _digest(candidate.prompt)
        self.catalog.add(sample, asked, verdict.chosen, alternative_preferred=verdict.alternative_preferred)
        self.spool.put(sample)
        self._count(sample)

    def provenance(self, labelled_by_rules: int) -> Provenance:
        """Where everything taken comes from."""
        told = {name: by_name(counts) for name, counts in self._groups.items()}
        return msgspec.convert({**told, "labelled_decisions_by_rules": labelled_by_rules}, Provenance)

    def _count(self, sample: Sample) -> None:
        groups = self._groups
        groups["origins"][sample.origin] += 1
        groups["sources"][sample.source] += 1
        groups["prompt_sources"][sample.prompt_source] += 1
        groups["completion_sources"][sample.completion_source] += 1
        groups["models"][sample.model or UNKNOWN] += 1
        words = (sample.label_by, sample.correction_by, sample.preference_by)
        for operator in {word.operator for word in words if word.at or word.operator} or {""}:
            groups["operators"][operator or UNKNOWN] += 1

    def _is_left_out(self, answer: str) -> bool:
        if not has_marks(answer):
            return False
        self.marked_completions += 1
        if not self._keep_marks:
            self._dropped[MARKED] += 1
        return not self._keep_marks

    def _without_dates(self, verdict: Verdict) -> Verdict:
        """``verdict`` without a correction or an alternative that is only a date."""
        if verdict.correction is not None and is_date(verdict.correction):
            self._dropped[ONLY_A_DATE] += 1
            verdict = replace(verdict, correction=None)
        if verdict.alternative is not None and is_date(verdict.alternative.response):
            self._dropped[ONLY_A_DATE] += 1
            verdict = replace(verdict, alternative=None)
        return verdict

    def _exported(self, text: str, may_redact: bool) -> str:
        if may_redact and self._redactor is not None:
            text = self._redactor.text(text)
        text, mended = well_formed(text)
        self.mended_characters += mended
        return text

    def _fact(self, text: str) -> str:
        """A column's value."""
        return no_date(self._exported(text, True)) if text else ""

    def _word(self, word: Word) -> Word:
        return Word(self._fact(word.operator), word.at) if word.operator else word


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
