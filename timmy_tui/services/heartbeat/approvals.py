"""Actions that a decision named: proposed, approved by a person, run at most once, their outcome recorded.

The life of one, in ``timmy.db``'s table ``approvals``; each step is a compare-and-set with its event in the same
transaction, so of two consoles only one gets through::

    proposed ──▶ approved ──▶ running ──▶ done | failed
       │            │            └──▶ lost      its runner died: what it did is not known, so it is not run again
       │            └──▶ expired                approved, but nobody ran it in time
       └──▶ rejected | expired
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

from timmy_tui.config import ActionConfig
from timmy_tui.services.appending import AppendError, make_private_folder, write_lock
from timmy_tui.services.database import DatabaseError, columns_of, reading, transaction
from timmy_tui.services.events import append_event
from timmy_tui.services.heartbeat.approval_records import (
    COLUMNS,
    OPEN,
    Approval,
    ApprovalError,
    ApprovalState,
    approval_of,
    too_late,
    unknown_approval,
)
from timmy_tui.services.heartbeat.commands import CommandResult, run_command
from timmy_tui.text import Json, clean

__all__ = ["Approval", "ApprovalError", "Approvals"]

PROPOSAL_S = 2 * 3600.0
"""How long a proposal waits for a person. What a model saw longer ago is no reason to act; it can propose again."""

APPROVED_S = 600.0
"""How long an approved one waits for its runner: a key pressed long ago must not restart anything now."""

BY_CONFIGURATION = "approve: never"
"""``decided_by`` of what the configuration lets run by itself."""

RUNNING_FOLDER = "running"
"""Beside the database: a runner holds a lock on ``running/ID.lock``, which the kernel frees when it dies."""

EVENT_SOURCE = "heartbeat"
LOCK_WAIT_S = 0.05


class Approvals:
    """The approvals of one machine. Every method blocks for moments, :meth:`run_approved` apart.

    Any thread and any number of processes. Raises :class:`ApprovalError`, and nothing else.
    """

    def __init__(self, database_path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = database_path
        self._clock = clock

    def propose(self, tick_id: str, action: str, said: str, *, approved_by: str | None = None) -> tuple[Approval, bool]:
        """Put ``action`` before the operator; with ``approved_by`` it is approved at once.

        While the same action is open there is no second one: the open one is given back, with False, and waits
        from now on again if it waited.
        """
        now = self._clock()
        with self._transaction() as connection:
            row = connection.execute(
                f"SELECT {COLUMNS} FROM approvals WHERE action = ? AND state IN (?, ?, ?)"
                " AND (state = 'running' OR expires_at > ?) ORDER BY created_at LIMIT 1",
                (action, *OPEN, now),
            ).fetchone()
            if row is not None:
                connection.execute(
                    "UPDATE approvals SET expires_at = ? WHERE id = ? AND state = 'proposed'",
                    (now + PROPOSAL_S, row[0]),
                )
                return self._get(connection, str(row[0])), False
            id = uuid.uuid4().hex
            by_itself = approved_by is not None
            connection.execute(
                f"INSERT INTO approvals ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL)",
                (
                    id,
                    tick_id,
                    action,
                    clean(said, limit=2_000, multiline=True),
                    "approved" if by_itself else "proposed",
                    now,
                    now + (APPROVED_S if by_itself else PROPOSAL_S),
                    now if by_itself else None,
                    approved_by,
                ),
            )
            approval = self._get(connection, id)
            self._event(connection, "action_approved" if by_itself else "action_proposed", approval)
            return approval, True

    def open(self) -> tuple[Approval, ...]:
        """What waits or runs, oldest first."""
        return self._select(
            "state IN (?, ?, ?) AND (state = 'running' OR expires_at > ?) ORDER BY created_at, rowid",
            (*OPEN, self._clock()),
        )

    def recent(self, limit: int = 50) -> tuple[Approval, ...]:
        """The last ones whatever their state, newest first."""
        return self._select("1 ORDER BY created_at DESC, rowid DESC LIMIT ?", (limit,))

    def get(self, id: str) -> Approval:
        """One approval."""
        found = self._select("id = ?", (id,))
        if not found:
            raise unknown_approval(id)
        return found[0]

    def approve(self, id: str, operator: str) -> Approval:
        """Let it run: the caller runs it, by :meth:`run_approved` or through the queue."""
        return self._decide(id, "approved", operator)

    def reject(self, id: str, operator: str) -> Approval:
        """Let it not run."""
        return self._decide(id, "rejected", operator)

    def expire(self, now: float | None = None) -> tuple[Approval, ...]:
        """End what nobody decided or ran in time, and what ran when its runner died; those that ended."""
        now = self._clock() if now is None else now
        ended: list[Approval] = []
        with self._transaction() as connection:
            late = connection.execute(
                "SELECT id FROM approvals WHERE state IN ('proposed', 'approved') AND expires_at <= ?", (now,)
            ).fetchall()
            for (id,) in late:
                connection.execute(
                    "UPDATE approvals SET state = 'expired', finished_at = ? WHERE id = ?"
                    " AND state IN ('proposed', 'approved')",
                    (now, id),
                )
                ended.append(self._get(connection, id))
                self._event(connection, "action_expired", ended[-1])
        for approval in self._select("state = 'running'", ()):
            if self._runner_lives(approval.id):
                continue
            with self._transaction() as connection:
                if _step(
                    connection,
                    approval.id,
                    "running",
                    "state = 'lost', finished_at = ?, output = ?",
                    (now, "What ran it ended before the command did; what came of it is not known."),
                ):
                    ended.append(self._get(connection, approval.id))
                    self._event(connection, "action_lost", ended[-1])
        return tuple(ended)

    async def run_approved(
        self,
        id: str,
        actions: Mapping[str, ActionConfig],
        env: Mapping[str, str] | None = None,
    ) -> Approval:
        """Run what was approved, as ``actions`` has it now, and record how it ended.

        At most once, whoever calls: a second call, in any process, is an :class:`ApprovalError`. A command that
        fails or takes too long is an outcome (``failed``).
        """
        approval = await asyncio.to_thread(self.get, id)
        with await self._held(approval.id):
            await asyncio.to_thread(self._start, approval.id)
            action = actions.get(approval.action)
            result = CommandResult(None, "", f"{approval.action} is no longer in the configuration's actions")
            if action is not None:
                result = await run_command(
                    action.run, timeout_s=action.timeout_s, env=os.environ if env is None else env
                )
            return await asyncio.to_thread(self._finish, approval.id, result)

    def _decide(self, id: str, state: Literal["approved", "rejected"], operator: str) -> Approval:
        now = self._clock()
        with self._transaction() as connection:
            changed = _step(
                connection,
                id,
                "proposed",
                "state = ?, decided_at = ?, decided_by = ?, expires_at = ?",
                (state, now, clean(operator, limit=80), now + APPROVED_S),
                unless_expired_at=now,
            )
            approval = self._get(connection, id)
            if not changed:
                raise too_late(approval)
            self._event(connection, f"action_{state}", approval)
            return approval

    def _start(self, id: str) -> None:
        now = self._clock()
        with self._transaction() as connection:
            changed = _step(
                connection, id, "approved", "state = 'running', started_at = ?", (now,), unless_expired_at=now
            )
            approval = self._get(connection, id)
            if not changed:
                raise too_late(approval)
            self._event(connection, "action_started", approval)

    def _finish(self, id: str, result: CommandResult) -> Approval:
        state = "done" if result.error is None else "failed"
        output = "\n".join(part for part in (result.error, result.shown) if part)
        with self._transaction() as connection:
            _step(
                connection,
                id,
                "running",
                "state = ?, finished_at = ?, exit_code = ?, output = ?",
                (state, self._clock(), result.exit_code, output),
            )
            approval = self._get(connection, id)
            self._event(connection, f"action_{state}", approval)
        with suppress(OSError):  # the outcome is recorded; an empty file is no reason to deny it
            self._lock_path(id).unlink(missing_ok=True)
        return approval

    async def _held(self, id: str) -> ExitStack:
        """:meth:`_runner_lock`, taken in a thread: it waits for the disk and for other processes."""
        taking = asyncio.ensure_future(asyncio.to_thread(self._runner_lock, id))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(_let_go)
            raise

    def _runner_lock(self, id: str) -> ExitStack:
        """Held from before the state is ``running`` until after it no longer is; to be closed, which waits for nothing.

        Raises :class:`ApprovalError`.
        """
        lock = ExitStack()
        try:
            lock.enter_context(write_lock(self._lock_path(id), wait_s=LOCK_WAIT_S))
        except AppendError:
            raise ApprovalError(
                f"{id[:8]} is being run by another process", "Look at its outcome in a moment"
            ) from None
        return lock

    def _runner_lives(self, id: str) -> bool:
        path = self._lock_path(id)
        try:
            make_private_folder(path.parent)
            with write_lock(path, wait_s=0):
                path.unlink(missing_ok=True)
                return False
        except (AppendError, OSError):
            return True

    def _lock_path(self, id: str) -> Path:
        return self._path.parent / RUNNING_FOLDER / f"{re.sub('[^0-9A-Za-z-]', '_', id)}.lock"

    def _select(self, where: str, values: tuple[str | float, ...]) -> tuple[Approval, ...]:
        try:
            with reading(self._path) as connection:
                if connection is None or not columns_of(connection, "approvals"):
                    return ()
                rows = connection.execute(f"SELECT {COLUMNS} FROM approvals WHERE {where}", values).fetchall()
        except DatabaseError as error:
            raise ApprovalError(error.message, error.hint) from None
        return tuple(approval_of(row) for row in rows)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._path) as connection:
                yield connection
        except DatabaseError as error:
            raise ApprovalError(error.message, error.hint) from None

    def _get(self, connection: sqlite3.Connection, id: str) -> Approval:
        row = connection.execute(f"SELECT {COLUMNS} FROM approvals WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise unknown_approval(id)
        return approval_of(row)

    def _event(self, connection: sqlite3.Connection, event_type: str, approval: Approval) -> None:
        facts: dict[str, Json] = {
            "approval": approval.id,
            "action": approval.action,
            "tick_id": approval.tick_id,
            "by": approval.decided_by,
            "exit_code": approval.exit_code,
            "output": None if approval.output is None else clean(approval.output, limit=500, multiline=True),
        }
        append_event(
            connection,
            event_type,
            EVENT_SOURCE,
            task_id=approval.tick_id,
            data={name: value for name, value in facts.items() if value is not None},
            now=self._clock(),
        )


def _let_go(taking: asyncio.Future[ExitStack]) -> None:
    """Free a lock whose taker no longer wants it."""
    if taking.exception() is None:
        taking.result().close()


def _step(
    connection: sqlite3.Connection,
    id: str,
    state: ApprovalState,
    change: str,
    values: tuple[str | float | None, ...],
    *,
    unless_expired_at: float = float("-inf"),
) -> bool:
    """Change the row if it is still in ``state``; whether it was."""
    return (
        connection.execute(
            f"UPDATE approvals SET {change} WHERE id = ? AND state = ? AND expires_at > ?",
            (*values, id, state, unless_expired_at),
        ).rowcount
        == 1
    )
