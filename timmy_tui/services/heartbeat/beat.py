"""One whole tick: perceive, decide by the cascade or by the rules, act, record."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct

from timmy_tui.config import Settings
from timmy_tui.services.cascade.build import build_cascade
from timmy_tui.services.cascade.records import CallError, CascadeOutcome, Completion, CompletionRequest
from timmy_tui.services.events import append_event
from timmy_tui.services.heartbeat.act import ActionOutcome, act
from timmy_tui.services.heartbeat.approvals import EVENT_SOURCE, Approvals
from timmy_tui.services.heartbeat.deadlines import contained
from timmy_tui.services.heartbeat.decision import ANSWER_TOKENS_MOST, DECISION_SCHEMA, parse_decision
from timmy_tui.services.heartbeat.perceive import perceive
from timmy_tui.services.heartbeat.prompt import build_prompt
from timmy_tui.services.heartbeat.refused import alarm_in
from timmy_tui.services.heartbeat.rules import decide_by_rules
from timmy_tui.services.heartbeat.tick_writer import TickDraft, TickWriter, Trigger, WrittenTick
from timmy_tui.services.heartbeat.usual_model import usual_model
from timmy_tui.services.reading import SourceError
from timmy_tui.services.ticks.records import Attempt, Decision
from timmy_tui.text import Json, clean, clean_error

Phase = Literal["perceive", "decide", "act", "record"]

T = TypeVar("T")

CALLER = "heartbeat_tick"

PERCEIVE_SHARE = 0.25
ACT_SHARE = 0.2
"""Shares of the tick's deadline: a model that takes its time leaves some for what follows from its answer."""

CASCADE_OVERRUN_S = 6.0
"""The cascade keeps its deadline by itself, but for a provider's cleaning up; later than this it is cancelled."""

OVERRUN_S = 8.0
"""What a whole tick may be late before it is recorded: the worker gives it up a little later."""

_log = logging.getLogger(__name__)


class Beat(Struct, frozen=True):
    """A tick that is recorded."""

    tick_id: str
    severity: str
    """``ok``, ``warning``, ``critical`` or ``fallback``."""
    provider: str | None
    """Who decided; None for the rules."""
    outcomes: tuple[ActionOutcome, ...]
    duration_ms: float
    path: Path
    line: bytes
    """The record as it is in the log, without its newline."""
    event_error: str | None = None
    """Why the event log does not know of it, if so."""


class _Decided(Struct, frozen=True):
    """A decision with where it came from."""

    decision: Decision
    completion: Completion | None
    """The answer that it was read from, or else the last one that could not be read."""
    by_model: bool
    attempts: tuple[Attempt, ...]


async def beat_once(
    settings: Settings,
    env: Mapping[str, str],
    *,
    trigger: Trigger,
    clock: Callable[[], float] = time.time,
    on_phase: Callable[[Phase], None] | None = None,
    on_id: Callable[[str], None] | None = None,
) -> Beat:
    """Run a tick within ``heartbeat.timeout_s`` and record it.

    ``on_id`` gets the id that the record will have, before anything else is done: it may block for a moment.
    Whatever fails on the way is told in the record, which is written in any case. Raises
    :class:`~timmy_tui.services.appending.AppendError` when it can't be, and nothing else.
    """

    def tell(phase: Phase) -> None:
        _told_to(on_phase, phase)

    started = time.perf_counter()
    timeout_s = settings.config.heartbeat.timeout_s
    at = clock()
    writer = TickWriter(settings.heartbeat_dir, clock)

    def left_s() -> float:
        return timeout_s - (time.perf_counter() - started)

    tick_id, previous = await asyncio.to_thread(lambda: (writer.reserve(at), writer.last_id()))
    _told_to(on_id, tick_id)
    tell("perceive")
    since = _started_at(previous)
    perception = await perceive(settings, env, clock, since, timeout_s=timeout_s * PERCEIVE_SHARE)

    tell("decide")
    prompt = build_prompt(
        perception, datetime.fromtimestamp(at, UTC).astimezone(), previous, tuple(settings.config.actions)
    )
    usual = await asyncio.to_thread(usual_model, settings.heartbeat_dir)
    decided = await _decide(settings, env, clock, prompt, perception, left_s() - timeout_s * ACT_SHARE, usual)

    tell("act")
    acting = act(decided.decision, settings, tick_id, env, clock=clock, timeout_s=max(left_s(), 1.0))
    acted = await contained(acting, max(left_s() + OVERRUN_S - 1.0, 1.0))
    outcomes = acted if isinstance(acted, tuple) else _not_acted(decided.decision, _told(acted))

    tell("record")
    duration_ms = (time.perf_counter() - started) * 1000
    draft = _draft(tick_id, at, trigger, perception, decided, outcomes, prompt, duration_ms)
    written = await asyncio.to_thread(writer.write, draft)
    event_error = await asyncio.to_thread(_tell_event_log, settings, clock, draft, written, usual)
    return Beat(
        tick_id=written.tick_id,
        severity=decided.decision.severity,
        provider=decided.completion.provider if decided.by_model and decided.completion else None,
        outcomes=outcomes,
        duration_ms=duration_ms,
        path=written.path,
        line=written.line,
        event_error=event_error,
    )


async def _decide(
    settings: Settings,
    env: Mapping[str, str],
    clock: Callable[[], float],
    prompt: str,
    perception: Json,
    timeout_s: float,
    usual: str | None,
) -> _Decided:
    """The first decision of the cascade within ``timeout_s``, else the rules'."""
    heartbeat = settings.config.heartbeat
    request = CompletionRequest(
        prompt=prompt,
        caller=CALLER,
        timeout_s=max(timeout_s, 0.1),
        schema=DECISION_SCHEMA,
        model=heartbeat.model or None,
        usual_model=usual,
        local_only=heartbeat.local_only,
        task="heartbeat",
        max_tokens=ANSWER_TOKENS_MOST,
    )
    began = time.perf_counter()
    refused: list[str] = []

    def accept(completion: Completion) -> Decision:
        try:
            return parse_decision(completion.text)
        except CallError:
            refused.append(completion.text)
            raise

    asking = _ask_cascade(settings, env, clock, request, accept)
    outcome = await contained(asking, request.timeout_s + CASCADE_OVERRUN_S)
    alarm = await asyncio.to_thread(alarm_in, refused, prompt)
    if isinstance(outcome, BaseException):
        took_ms = (time.perf_counter() - began) * 1000
        attempts = (Attempt("cascade", _told(outcome), took_ms),)
        return _Decided(decide_by_rules(perception, alarm), None, False, attempts)
    if outcome.value is None:
        return _Decided(decide_by_rules(perception, alarm), outcome.last_completion, False, outcome.attempts)
    return _Decided(outcome.value, outcome.completion, True, outcome.attempts)


async def _ask_cascade(
    settings: Settings,
    env: Mapping[str, str],
    clock: Callable[[], float],
    request: CompletionRequest,
    accept: Callable[[Completion], Decision],
) -> CascadeOutcome[Decision]:
    cascade = build_cascade(settings, env, clock)
    try:
        return await cascade.run(request, accept)
    finally:
        await cascade.aclose()


def _told_to(listener: Callable[[T], None] | None, news: T) -> None:
    if listener is not None:
        try:
            listener(news)
        except Exception:  # noqa: BLE001 -- whose view of the tick fails must not cost the tick
            _log.exception("%s could not be told", news)


def _told(error: BaseException) -> str:
    return clean_error(error)


def _started_at(tick_id: str | None) -> float | None:
    """The time that one of our ids spells; None for anything else."""
    try:
        return datetime.strptime((tick_id or "")[:15], "%Y%m%d_%H%M%S").astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _not_acted(decision: Decision, why: str) -> tuple[ActionOutcome, ...]:
    return tuple(ActionOutcome(clean(action), "failed", why) for action in dict.fromkeys(decision.actions))


def _draft(
    tick_id: str,
    at: float,
    trigger: Trigger,
    perception: Json,
    decided: _Decided,
    outcomes: tuple[ActionOutcome, ...],
    prompt: str,
    duration_ms: float,
) -> TickDraft:
    decision, completion = decided.decision, decided.completion
    return TickDraft(
        tick_id=tick_id,
        started_at=at,
        trigger=trigger,
        perception=perception,
        decision={
            "actions": list(decision.actions),
            "severity": decision.severity,
            "reasoning": decision.reasoning,
        },
        actions=[outcome.document() for outcome in outcomes],
        prompt=prompt,
        response=completion.text if completion else None,
        provider=completion.provider if completion else None,
        model=completion.model if completion else None,
        session_id=completion.session_id if completion else None,
        duration_ms=duration_ms,
        attempts=decided.attempts,
        decided_by="model" if decided.by_model else "rules",
        prompt_note=completion.prompt_note if completion else None,
    )


def _tell_event_log(
    settings: Settings, clock: Callable[[], float], draft: TickDraft, written: WrittenTick, usual: str | None
) -> str | None:
    """The event ``tick``, and an end to proposals that nobody answered. The tick is safe already."""
    try:
        append_event(
            settings.database_path,
            "tick",
            EVENT_SOURCE,
            task_id=written.tick_id,
            data={
                "severity": draft.decision["severity"],
                "trigger": draft.trigger,
                "provider": draft.provider,
                "duration_ms": round(draft.duration_ms),
            },
            now=clock(),
        )
        if draft.decided_by == "model" and usual is not None and draft.model not in (None, usual):
            append_event(
                settings.database_path,
                "model",
                EVENT_SOURCE,
                task_id=written.tick_id,
                data={"before": usual, "now": draft.model},
                now=clock(),
            )
        Approvals(settings.database_path, clock).expire()
    except SourceError as error:
        _log.warning("the tick %s is recorded, but: %s", written.tick_id, error.message)
        return error.message
    return None
