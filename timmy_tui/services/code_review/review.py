"""A diff, reviewed: piece by piece, a few at once, and whatever could not be reviewed is named."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from timmy_tui.services.code_review.diff import parse_diff
from timmy_tui.services.code_review.findings import merged, parse_findings
from timmy_tui.services.code_review.left_out import why_left_out
from timmy_tui.services.code_review.pieces import Piece, halved, split_diff, token_estimate
from timmy_tui.services.code_review.prompt import FINDINGS_SCHEMA, review_prompt
from timmy_tui.services.code_review.records import CodeReviewError, Finding, Gap, Progress, Review, Skipped
from timmy_tui.services.delegation.records import LLMResponse
from timmy_tui.text import Json, clean_error

UNKNOWN_CONTEXT_TOKENS = 4_096
"""What any server that can do this work holds."""

PIECE_TOKENS_MOST = 2_500
"""With the instructions and an answer it fits 4,096 tokens. That is what Ollama gives a model by default on a small
machine; of one that is not loaded only the trained maximum is known, and what is too long is cut without a word."""

PIECE_TOKENS_LEAST = 256

ANSWER_TOKENS_MOST = 2_048

ANSWER_TOKENS_BOUND = 2 * ANSWER_TOKENS_MOST
"""No answer is longer: a model that does not end would go on for minutes, and what it thinks counts too."""

FAILURES_IN_A_ROW = 3
"""After so many calls in a row without an answer the model counts as gone, and no more is asked of it."""


class Reviewer(Protocol):
    """The part of a :class:`~timmy_tui.services.delegation.delegator.Delegator` that a review needs."""

    async def ask(
        self,
        prompt: str,
        *,
        task: str = "quick",
        model: str | None = None,
        schema: Json = None,
        max_tokens: int | None = None,
    ) -> LLMResponse:
        """One answer, or why there is none."""

    async def context_tokens(self, task: str, model: str | None = None) -> int | None:
        """The context of the model that would be asked; None = unknown."""


async def review_diff(
    diff: str,
    delegator: Reviewer,
    *,
    task: str = "review",
    model: str | None = None,
    in_flight: int = 2,
    on_progress: Callable[[Progress], None] | None = None,
) -> Review:
    """Review ``diff`` with at most ``in_flight`` calls at once. An empty one gives a review with no pieces.

    Raises :class:`CodeReviewError` for a text that is no diff and for a context that has no room for a piece.
    """
    parsed = parse_diff(diff)
    if not parsed.files and diff.strip():
        why = parsed.notes[0] if parsed.notes else "There is no diff in this text"
        raise CodeReviewError(why, "A unified diff is wanted: git diff, diff -u")
    reasons = [(file, file.why_not_reviewed or why_left_out(file)) for file in parsed.files]
    files = [file for file, why in reasons if not why]
    skipped = tuple(Skipped(file.path, why) for file, why in reasons if why)
    unread = tuple(file.path for file in parsed.files if file.is_unreadable)
    if not files:
        return Review(skipped=skipped, notes=parsed.notes, unread=unread)
    split = split_diff(files, _room(await delegator.context_tokens(task, model)))
    notes = parsed.notes
    if split.cut_lines:
        notes += (f"{split.cut_lines:,} long {'line was' if split.cut_lines == 1 else 'lines were'} cut",)
    run = _Run(delegator, split.pieces, task, model, on_progress)
    await run.all(in_flight)
    return Review(
        findings=merged(run.findings),
        gaps=tuple(sorted(run.gaps, key=lambda gap: (gap.file, gap.first_line))),
        skipped=skipped,
        unread=unread,
        notes=notes,
        files=len({file.path for file in files}),
        pieces=run.total,
        answered=run.answered,
        dropped=run.dropped,
        model=", ".join(run.models),
        tokens_in=run.tokens_in or None,
        tokens_out=run.tokens_out or None,
        hint=run.hint,
    )


def _room(context_tokens: int | None) -> int:
    """Tokens of a piece that leave room for the instructions and the answer."""
    context = context_tokens or UNKNOWN_CONTEXT_TOKENS
    instructions = token_estimate(review_prompt(""))
    answer = min(ANSWER_TOKENS_MOST, context // 4)
    room = context - instructions - answer
    if room < PIECE_TOKENS_LEAST:
        raise CodeReviewError(
            f"The model's context of {context:,} tokens is too small for a review: the instructions take "
            f"{instructions:,}, an answer {answer:,}, and {PIECE_TOKENS_LEAST} are wanted for the diff",
            "Name another model with --model, or give this one more context",
        )
    return min(room, PIECE_TOKENS_MOST)


class _Run:
    """The calls of one review, and what came of them."""

    def __init__(
        self,
        delegator: Reviewer,
        pieces: tuple[Piece, ...],
        task: str,
        model: str | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.delegator = delegator
        self.pieces = pieces
        self.task = task
        self.model = model
        self.on_progress = on_progress
        self.waiting = deque(pieces)
        self.total = len(pieces)
        self.done = 0
        self.answered = 0
        self.failed_in_a_row = 0
        self.findings: list[Finding] = []
        self.gaps: list[Gap] = []
        self.dropped = 0
        self.models: list[str] = []
        self.tokens_in = 0
        self.tokens_out = 0
        self.hint = ""
        self.last_error = ""

    async def all(self, in_flight: int) -> None:
        workers = [asyncio.ensure_future(self._work()) for _ in range(max(1, min(in_flight, len(self.pieces))))]
        self._tell()
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        while self.waiting:
            piece = self.waiting.popleft()
            if self.failed_in_a_row >= FAILURES_IN_A_ROW:
                self._gap(piece, f"not asked any more after {FAILURES_IN_A_ROW} failures: {self.last_error}")
            else:
                await self._review(piece)
            self.done += 1
            self._tell()

    async def _review(self, piece: Piece) -> None:
        response = await self.delegator.ask(
            review_prompt(piece.text),
            task=self.task,
            model=self.model,
            schema=FINDINGS_SCHEMA,
            max_tokens=ANSWER_TOKENS_BOUND,
        )
        self.tokens_in += response.tokens_in
        self.tokens_out += response.tokens
        smaller = halved(piece) if response.problem == "too_long" else None
        if smaller is not None:
            self.waiting.extendleft(reversed(smaller))
            self.total += len(smaller)
            return
        if not response.success:
            self.failed_in_a_row += 1
            self.last_error = clean_error(response.error or "no answer")
            self.hint = self.hint or clean_error(response.hint)
            self._gap(piece, self.last_error)
            return
        self.failed_in_a_row = 0
        name = clean_error(response.model)
        if name and name not in self.models:
            self.models.append(name)
        try:
            parsed = parse_findings(response.text, piece, cut=response.cut)
        except CodeReviewError as error:
            self._gap(piece, error.message)
            return
        self.answered += 1
        self.findings += parsed.findings
        self.dropped += parsed.dropped
        if response.cut:
            self._gap(piece, "the model's answer was cut at its length limit")

    def _gap(self, piece: Piece, reason: str) -> None:
        self.gaps += (Gap(part.path, part.spans[0].first, part.spans[-1].last, reason) for part in piece.parts)

    def _tell(self) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(self.done, self.total))
