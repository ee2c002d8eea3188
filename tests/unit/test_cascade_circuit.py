"""A circuit protects a provider that fails, tries it again by itself, and closes when it answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.config import CircuitConfig
from timmy_tui.services.cascade.circuit import (
    NOT_ITS_FAULT,
    CircuitState,
    Permit,
    Refusal,
    allowed,
    entered,
    failed,
    released,
    succeeded,
)
from timmy_tui.services.cascade.records import OPENS_AT_ONCE, CallProblem

CONFIG = CircuitConfig(failure_threshold=3, recovery_timeout=60, half_open_max_calls=2)
NOW = 1_000_000.0
LEASE_S = 30.0
CALL = Permit(token="call")


def opened(at: float = NOW) -> CircuitState:
    return CircuitState("open", 3, opened_at=at, next_try_at=at + 60)


def trial(state: CircuitState, token: str, now: float) -> tuple[CircuitState, Permit]:
    permit = allowed(state, now, CONFIG)
    assert isinstance(permit, Permit)
    assert permit.trial
    permit = Permit(trial=True, token=token)
    return entered(state, permit, now, LEASE_S), permit


def test_a_closed_circuit_lets_every_call_through() -> None:
    assert allowed(CircuitState(), NOW, CONFIG) == Permit()
    assert entered(CircuitState(), CALL, NOW, LEASE_S) == CircuitState()


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    state = CircuitState()
    for _ in range(2):
        state = failed(state, CALL, "refused", NOW, CONFIG)
        assert state.circuit == "closed"
    assert failed(succeeded(state, CALL), CALL, "refused", NOW, CONFIG).circuit == "closed"
    assert failed(state, CALL, "refused", NOW, CONFIG) == opened()


@pytest.mark.parametrize("problem", sorted(OPENS_AT_ONCE))
def test_what_no_retry_mends_opens_it_at_once(problem: CallProblem) -> None:
    assert failed(CircuitState(), CALL, problem, NOW, CONFIG).circuit == "open"


@pytest.mark.parametrize("problem", sorted(NOT_ITS_FAULT))
def test_what_is_not_the_providers_fault_moves_nothing(problem: CallProblem) -> None:
    state = CircuitState("closed", 2)
    assert failed(state, CALL, problem, NOW, CONFIG) == state
    half_open, permit = trial(opened(), "a", NOW + 60)
    assert failed(half_open, permit, problem, NOW + 60, CONFIG) == released(half_open, permit)


def test_an_open_circuit_refuses_until_its_time_and_says_when() -> None:
    assert allowed(opened(), NOW + 59.9, CONFIG) == Refusal("open", NOW + 60)
    assert allowed(opened(), NOW + 60, CONFIG) == Permit(trial=True)


def test_half_open_lets_so_many_trials_through_at_once() -> None:
    state, first = trial(opened(), "a", NOW + 60)
    state, _ = trial(state, "b", NOW + 61)
    assert state.circuit == "half_open"
    assert allowed(state, NOW + 62, CONFIG) == Refusal("half_open", NOW + 90)
    assert allowed(released(state, first), NOW + 62, CONFIG) == Permit(trial=True)


def test_a_trials_success_closes_it_and_its_failure_opens_it_anew() -> None:
    state, permit = trial(opened(), "a", NOW + 60)
    assert succeeded(state, permit) == CircuitState()
    assert failed(state, permit, "timeout", NOW + 70, CONFIG) == CircuitState("open", 4, NOW + 70, NOW + 130)


def test_a_dead_holders_slot_is_free_when_its_lease_ends() -> None:
    state, _ = trial(opened(), "a", NOW + 60)
    state, _ = trial(state, "b", NOW + 60)
    assert isinstance(allowed(state, NOW + 89.9, CONFIG), Refusal)
    state, _ = trial(state, "c", NOW + 90)
    assert [lease.token for lease in state.leases] == ["c"]


def test_an_answer_from_before_it_opened_moves_it_in_neither_direction() -> None:
    half_open, _ = trial(opened(), "a", NOW + 60)
    for state in (opened(), half_open):
        assert succeeded(state, CALL) == state
        assert failed(state, CALL, "auth", NOW + 61, CONFIG) == state


def test_a_clock_that_was_set_back_does_not_keep_it_open() -> None:
    assert allowed(opened(NOW), NOW - 3_600, CONFIG) == Permit(trial=True)
    assert isinstance(allowed(opened(NOW), NOW - 1, CONFIG), Refusal)
    state, _ = trial(opened(), "a", NOW + 60)
    state, _ = trial(state, "b", NOW + 60)
    assert allowed(state, NOW - 3_600, CONFIG) == Permit(trial=True)


class NaiveCircuit:
    """The same rules told as a story, mutable and without leases as records."""

    def __init__(self) -> None:
        self.word = "closed"
        self.row = 0
        self.wakes = 0.0
        self.trials: dict[str, float] = {}

    def ask(self, token: str, now: float) -> bool | None:
        """True = a trial, False = an ordinary call, None = refused."""
        if self.word == "closed":
            return False
        if self.word == "open":
            if now < self.wakes:
                return None
            self.word, self.trials = "half_open", {}
        self.trials = {held: until for held, until in self.trials.items() if now < until}
        if len(self.trials) >= CONFIG.half_open_max_calls:
            return None
        self.trials[token] = now + LEASE_S
        return True

    def end(self, token: str, was_trial: bool, how: str, now: float) -> None:
        self.trials.pop(token, None)
        if how in NOT_ITS_FAULT or self.word == "open" or (self.word == "half_open" and not was_trial):
            return
        if how == "good":
            self.word, self.row, self.trials = "closed", 0, {}
            return
        self.row += 1
        if self.word == "half_open" or self.row >= CONFIG.failure_threshold or how in OPENS_AT_ONCE:
            self.word, self.wakes, self.trials = "open", now + CONFIG.recovery_timeout, {}


ENDINGS = ("good", "refused", "timeout", "wrong_shape", "auth", "not_local", "died")


@given(
    st.lists(st.tuples(st.sampled_from(("ask", "end")), st.integers(0, 5), st.sampled_from(ENDINGS), st.floats(0, 40)))
)
def test_it_does_what_a_naive_model_does(steps: list[tuple[str, int, str, float]]) -> None:
    state, naive, now = CircuitState(), NaiveCircuit(), NOW
    running: list[Permit] = []
    for number, (step, index, how, later_s) in enumerate(steps):
        now += later_s
        if step == "ask":
            token = str(number)
            answer = allowed(state, now, CONFIG)
            expected = naive.ask(token, now)
            assert (answer.trial if isinstance(answer, Permit) else None) == expected
            if isinstance(answer, Permit):
                permit = Permit(answer.trial, token=token)
                state = entered(state, permit, now, LEASE_S)
                running.append(permit)
            else:
                assert answer.retry_at > now
        elif running:
            permit = running.pop(index % len(running))
            if how == "died":
                continue
            naive.end(permit.token, permit.trial, how, now)
            state = succeeded(state, permit) if how == "good" else failed(state, permit, how, now, CONFIG)  # type: ignore[arg-type]
        assert state.circuit == naive.word
        assert sum(lease.holds(now) for lease in state.leases) <= CONFIG.half_open_max_calls
        if state.circuit == "closed":
            assert state.consecutive_failures == naive.row < CONFIG.failure_threshold
