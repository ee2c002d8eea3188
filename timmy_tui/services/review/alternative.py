"""Another answer to the very same prompt, asked of the same cascade as the heartbeat."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from timmy_tui.config import Settings
from timmy_tui.services.cascade.build import build_cascade
from timmy_tui.services.cascade.records import CallError, Completion, CompletionRequest
from timmy_tui.services.heartbeat.decision import DECISION_SCHEMA, parse_decision
from timmy_tui.services.labels.records import Alternative
from timmy_tui.services.reading import SourceError
from timmy_tui.services.review.records import Card
from timmy_tui.services.review.sessions import REVIEW
from timmy_tui.services.ticks.records import Decision
from timmy_tui.text import clean

SEEDS = 2**31


class AlternativeError(SourceError):
    """No provider gave another answer."""


class Sampled(Struct, frozen=True):
    """An alternative, and what it decides."""

    alternative: Alternative
    decision: Decision | None
    """None for an answer that is no decision, as the original is none."""
    duration_ms: float
    same: bool
    """Word for word what was answered before: there is nothing to prefer."""


async def sample_alternative(
    settings: Settings,
    env: Mapping[str, str],
    card: Card,
    *,
    model: str | None = None,
    seed: int | None = None,
    clock: Callable[[], float] = time.time,
) -> Sampled:
    """Send the card's prompt once more, with a new seed, to ``model`` or whom the cascade would ask.

    Hermes gets it behind the tag that the original had, so not a byte differs; the call is local-only as the
    heartbeat's are. Raises :class:`AlternativeError`, ``ProvidersError``.
    """
    seed = random.randrange(1, SEEDS) if seed is None else seed
    cascade = await asyncio.to_thread(build_cascade, settings, env, clock)
    heartbeat = settings.config.heartbeat
    request = CompletionRequest(
        prompt=card.prompt,
        caller=REVIEW,
        timeout_s=heartbeat.timeout_s,
        schema=DECISION_SCHEMA if card.decision is not None else None,
        model=model or settings.config.review.alternative_model or None,
        local_only=heartbeat.local_only,
        seed=seed,
        tag=card.caller,
        task="alternative",
        counted=False,
    )
    judge = _decides if card.decision is not None else _answers

    def accept(completion: Completion) -> Decision | None:
        if model and not _is_same(completion.model, model):
            other = clean(completion.model or "some model")
            raise CallError("wrong_shape", f"{other} answered, not {clean(model)}")
        return judge(completion)

    try:
        outcome = await cascade.run(request, accept)
    finally:
        await cascade.aclose()
    completion = outcome.completion
    if completion is None:
        told = "; ".join(f"{attempt.provider}: {attempt.error}" for attempt in outcome.attempts)
        raise AlternativeError(f"No alternative: {told or 'no provider is configured'}", "Look at the providers pane")
    alternative = Alternative(
        response=completion.text,
        model=completion.model,
        provider=completion.provider,
        sampled_at=datetime.fromtimestamp(clock(), UTC).isoformat(timespec="milliseconds"),
        seed=completion.seed,
    )
    return Sampled(alternative, outcome.value, completion.duration_ms, same=completion.text == card.completion)


def _is_same(answered: str | None, asked: str) -> bool:
    """Whether the model that was named has answered; ``:latest`` goes without saying."""
    names = {asked.casefold(), f"{asked}:latest".casefold()}
    return answered is not None and answered.casefold() in names


def _decides(completion: Completion) -> Decision | None:
    return parse_decision(completion.text)


def _answers(completion: Completion) -> Decision | None:
    if not completion.text.strip():
        raise CallError("empty", "an answer without text")
    return None
