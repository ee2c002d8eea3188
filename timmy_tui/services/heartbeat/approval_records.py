"""One proposed action as a record, as a row of ``timmy.db``'s table ``approvals``, and what can be wrong with it."""

from __future__ import annotations

from typing import Literal, cast, get_args

from msgspec import Struct

from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean

ApprovalState = Literal["proposed", "approved", "running", "done", "failed", "rejected", "expired", "lost"]

OPEN: tuple[ApprovalState, ...] = ("proposed", "approved", "running")

COLUMNS = (
    "id, tick_id, action, said, state, created_at, expires_at, decided_at, decided_by, started_at, finished_at,"
    " exit_code, output"
)
Row = tuple[str | float | int | None, ...]


class ApprovalError(SourceError):
    """The step is not possible: another one was faster, or the database can't be used."""


class Approval(Struct, frozen=True):
    """One action that was proposed. Strings are safe to show; times are Unix seconds."""

    id: str
    tick_id: str
    action: str
    """The name in ``actions:`` of the configuration."""
    said: str
    """The model's reasoning for it."""
    state: ApprovalState
    created_at: float
    expires_at: float
    decided_at: float | None = None
    decided_by: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    output: str | None = None
    """What the command said, or why there is no outcome: cleaned, secrets masked."""

    @property
    def is_open(self) -> bool:
        """It waits or runs."""
        return self.state in OPEN


def approval_of(row: Row) -> Approval:
    """The record of one row, whatever somebody else wrote into it."""
    id, tick_id, action, said, state, *rest = row
    created_at, expires_at, decided_at, decided_by, started_at, finished_at, exit_code, output = rest
    return Approval(
        id=clean(str(id or ""), limit=80),
        tick_id=clean(str(tick_id or ""), limit=80),
        action=clean(str(action or "")),
        said=clean(str(said or ""), limit=2_000, multiline=True),
        state=cast(ApprovalState, state) if state in get_args(ApprovalState) else "lost",
        created_at=_time(created_at) or 0.0,
        expires_at=_time(expires_at) or 0.0,
        decided_at=_time(decided_at),
        decided_by=None if decided_by is None else clean(str(decided_by), limit=80),
        started_at=_time(started_at),
        finished_at=_time(finished_at),
        exit_code=exit_code if isinstance(exit_code, int) else None,
        output=None if output is None else clean(str(output), limit=10_000, multiline=True),
    )


def _time(value: str | float | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def unknown_approval(id: str) -> ApprovalError:
    return ApprovalError(f"There is no proposal {clean(id, limit=40)!r}")


def too_late(approval: Approval) -> ApprovalError:
    """Why the step came too late, in the operator's words."""
    state: str = approval.state
    if state == "proposed":
        told = "has expired"
    elif state == "approved":
        told = f"has been approved by {approval.decided_by} already, or too long ago"
    elif state == "rejected":
        told = f"has been rejected by {approval.decided_by} already"
    else:
        told = {"running": "runs already", "done": "has run already", "failed": "has run already"}.get(
            state, f"is {state}"
        )
    return ApprovalError(f"{approval.action} {told}", "A later tick can propose it again")
