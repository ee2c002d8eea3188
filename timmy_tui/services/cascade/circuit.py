"""A provider's circuit as pure transitions: closed, open after failures in a row, half-open for a few trials.

::

    closed ──failure_threshold failures, or one that no retry mends──▶ open
    open ──recovery_timeout has passed, a caller asks──▶ half-open
    half-open ──a trial succeeds──▶ closed          half-open ──a trial fails──▶ open

Only a trial moves a circuit that is not closed: an answer to a call from before it opened says nothing new.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.config import CircuitConfig
from timmy_tui.services.cascade.records import OPENS_AT_ONCE, CallProblem
from timmy_tui.services.providers.records import Circuit

NOT_ITS_FAULT: frozenset[CallProblem] = frozenset({"not_local", "too_long", "circuit_open"})
"""Problems of the request: the provider did nothing wrong, so they neither count nor move its circuit."""

CLOCK_SLACK_S = 5.0
"""A clock set back by less than this is the same clock; by more, times in the future are not waited for."""


class Lease(Struct, frozen=True):
    """A trial slot that is taken; free again at ``until``, whatever became of its holder. Unix seconds."""

    token: str
    taken_at: float
    until: float

    def holds(self, now: float) -> bool:
        """The slot is still taken."""
        return self.taken_at - CLOCK_SLACK_S <= now < self.until


class CircuitState(Struct, frozen=True):
    """A circuit at rest. Times are Unix seconds."""

    circuit: Circuit = "closed"
    consecutive_failures: int = 0
    opened_at: float | None = None
    next_try_at: float | None = None
    """When an open circuit lets the next trial through; None = at once."""
    leases: tuple[Lease, ...] = ()


class Permit(Struct, frozen=True):
    """A call may be made, as a trial or like any other."""

    trial: bool = False
    provider: str = ""
    token: str = ""


class Refusal(Struct, frozen=True):
    """No call now. ``retry_at`` is when to ask again: the next trial's time, or the end of the oldest trial's lease."""

    circuit: Circuit
    retry_at: float


def allowed(state: CircuitState, now: float, config: CircuitConfig) -> Permit | Refusal:
    """Whether a call may be made at ``now``; :func:`entered` is the state once it is."""
    if state.circuit == "closed":
        return Permit()
    if state.circuit == "open":
        return Permit(trial=True) if _is_due(state, now) else Refusal("open", state.next_try_at or now)
    holding = [lease.until for lease in state.leases if lease.holds(now)]
    return Permit(trial=True) if len(holding) < config.half_open_max_calls else Refusal("half_open", min(holding))


def entered(state: CircuitState, permit: Permit, now: float, lease_s: float) -> CircuitState:
    """The call of ``permit`` begins; a trial takes a slot for at most ``lease_s``."""
    if not permit.trial:
        return state
    holding = tuple(lease for lease in state.leases if lease.holds(now))
    lease = Lease(permit.token, now, now + lease_s)
    return replace(state, circuit="half_open", next_try_at=None, leases=(*holding, lease))


def succeeded(state: CircuitState, permit: Permit) -> CircuitState:
    """The call was answered as its caller wanted."""
    if state.circuit == "closed" or (state.circuit == "half_open" and permit.trial):
        return CircuitState()
    return released(state, permit)


def failed(
    state: CircuitState,
    permit: Permit,
    problem: CallProblem,
    now: float,
    config: CircuitConfig,
    retry_after_s: float | None = None,
) -> CircuitState:
    """The call failed by ``problem``. ``retry_after_s``: the provider wants no call for so long, and gets none."""
    if retry_after_s is not None and problem not in NOT_ITS_FAULT:
        until = max(now + retry_after_s, state.next_try_at or 0.0)
        return CircuitState("open", state.consecutive_failures + 1, opened_at=now, next_try_at=until)
    if problem in NOT_ITS_FAULT or state.circuit == "open" or (state.circuit == "half_open" and not permit.trial):
        return released(state, permit)
    failures = state.consecutive_failures + 1
    if state.circuit == "closed" and failures < config.failure_threshold and problem not in OPENS_AT_ONCE:
        return replace(state, consecutive_failures=failures)
    return CircuitState("open", failures, opened_at=now, next_try_at=now + config.recovery_timeout)


def released(state: CircuitState, permit: Permit) -> CircuitState:
    """The call ended without saying anything about the provider: its slot is free."""
    if not any(lease.token == permit.token for lease in state.leases):
        return state
    return replace(state, leases=tuple(lease for lease in state.leases if lease.token != permit.token))


def _is_due(state: CircuitState, now: float) -> bool:
    if state.next_try_at is None or now >= state.next_try_at:
        return True
    return state.opened_at is not None and now < state.opened_at - CLOCK_SLACK_S
