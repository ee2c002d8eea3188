"""What becomes of a decision's actions: alerts are told, entries of the operator's own list are proposed or run.

Nothing that a model says is ever run (DESIGN §9.5): its text is only compared with the names in ``actions:``,
and a command gets none of it, not as an argument and not through a shell.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.config import Settings
from timmy_tui.services.events import append_event
from timmy_tui.services.heartbeat.approvals import BY_CONFIGURATION, EVENT_SOURCE, Approvals
from timmy_tui.services.heartbeat.commands import run_command
from timmy_tui.services.reading import SourceError
from timmy_tui.services.ticks.records import Decision
from timmy_tui.text import Json, clean

Outcome = Literal["alert", "proposed", "waiting", "done", "failed"]

ACTIONS_LIMIT = 21
"""Entries of one decision that are looked at; the parser keeps as many."""

TEXT_LIMIT = 1_000
NOTIFY_TIMEOUT_S = 10.0
SHORTEST_S = 0.5
"""With less time left than this no action is begun."""

_log = logging.getLogger(__name__)


class ActionOutcome(Struct, frozen=True):
    """What became of one action."""

    action: str
    """The model's text, or the entry's name."""
    outcome: Outcome
    """``alert``: told; ``proposed``; ``waiting``: proposed by an earlier tick; ``done`` or ``failed``: it ran."""
    error: str | None = None
    """Why it failed, or why an alert reached nobody: one clean line."""
    approval_id: str | None = None
    exit_code: int | None = None

    def document(self) -> Json:
        """The outcome as the tick record has it."""
        facts: dict[str, Json] = {
            "action": self.action,
            "outcome": self.outcome,
            "error": self.error,
            "approval": self.approval_id,
            "exit_code": self.exit_code,
        }
        return {name: value for name, value in facts.items() if value is not None}


async def act(
    decision: Decision,
    settings: Settings,
    tick_id: str,
    env: Mapping[str, str],
    *,
    clock: Callable[[], float] = time.time,
    timeout_s: float = 60.0,
) -> tuple[ActionOutcome, ...]:
    """Carry out ``decision``, each different action once, in its order.

    A text that is exactly the name of an entry of ``actions:`` proposes it, or runs it here for ``approve:
    never``; any other text is an alert: an event, and ``heartbeat.notify``. Raises nothing: what fails is told in
    the outcomes and in the log.

    After ``timeout_s`` no command is begun any more, and none runs longer than that.
    """
    acting = _Acting(decision, settings, tick_id, env, clock, time.monotonic() + timeout_s)
    texts = dict.fromkeys(clean(action.strip(), limit=TEXT_LIMIT) for action in decision.actions[:ACTIONS_LIMIT])
    return tuple([await acting.on(text) for text in texts if text])


class _Acting:
    """One decision being carried out."""

    def __init__(
        self,
        decision: Decision,
        settings: Settings,
        tick_id: str,
        env: Mapping[str, str],
        clock: Callable[[], float],
        end: float,
    ) -> None:
        self._decision = decision
        self._settings = settings
        self._tick_id = tick_id
        self._env = env
        self._clock = clock
        self._end = end
        """Monotonic seconds."""
        self._approvals = Approvals(settings.database_path, clock)

    async def on(self, text: str) -> ActionOutcome:
        """Carry out one action."""
        if text not in self._settings.config.actions:
            return await self._alert(text)
        try:
            return await self._named(text)
        except SourceError as error:
            _log.warning("the action %s: %s", text, error.message)
            return ActionOutcome(text, "failed", error.message)

    async def _named(self, name: str) -> ActionOutcome:
        """Propose an entry of the operator's list; run it when the list says so."""
        actions = self._settings.config.actions
        if actions[name].approve == "never" and self._left_s() < SHORTEST_S:
            return ActionOutcome(name, "failed", "the tick had no time left for it")
        by = BY_CONFIGURATION if actions[name].approve == "never" else None
        approval, new = await asyncio.to_thread(
            lambda: self._approvals.propose(self._tick_id, name, self._decision.reasoning, approved_by=by)
        )
        if not new:
            return ActionOutcome(name, "waiting", approval_id=approval.id)
        if by is None:
            return ActionOutcome(name, "proposed", approval_id=approval.id)
        limited = replace(actions[name], timeout_s=min(actions[name].timeout_s, self._left_s()))
        ended = await self._approvals.run_approved(approval.id, {name: limited}, self._env)
        error = None if ended.state == "done" else (ended.output or ended.state).partition("\n")[0]
        return ActionOutcome(name, "done" if ended.state == "done" else "failed", error, ended.id, ended.exit_code)

    async def _alert(self, text: str) -> ActionOutcome:
        """Tell of it: an event, then the operator's own command with the text on its standard input."""
        problem = await self._event("alert", {"text": text, "severity": self._decision.severity})
        command = self._settings.config.heartbeat.notify.run
        if command:
            timeout_s = min(NOTIFY_TIMEOUT_S, max(self._left_s(), SHORTEST_S))
            result = await run_command(command, timeout_s=timeout_s, env=self._env, stdin=f"{text}\n")
            told: dict[str, Json] = {"text": text, "exit_code": result.exit_code}
            if result.error is not None:
                told |= {"error": result.error, "output": clean(result.shown, limit=500, multiline=True)}
                problem = f"heartbeat.notify.run: {result.error}"
            problem = await self._event("notification", told) or problem
        return ActionOutcome(text, "alert", problem)

    def _left_s(self) -> float:
        return self._end - time.monotonic()

    async def _event(self, event_type: str, data: Json) -> str | None:
        """Write an event; why it could not be written, if so."""
        try:
            await asyncio.to_thread(
                lambda: append_event(
                    self._settings.database_path,
                    event_type,
                    EVENT_SOURCE,
                    task_id=self._tick_id,
                    data=data,
                    now=self._clock(),
                )
            )
        except SourceError as error:
            _log.warning("no event %s for the tick %s: %s", event_type, self._tick_id, error.message)
            return error.message
        return None
