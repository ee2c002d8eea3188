"""A call goes down the providers: the first answer of the right shape wins, and every attempt is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from timmy_tui.config import CascadeConfig, CircuitConfig
from timmy_tui.services.cascade.cascade import Cascade
from timmy_tui.services.cascade.circuit import Permit, Refusal
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.cascade.records import CallError, CallProblem, Completion, CompletionRequest
from timmy_tui.services.events import recent_events
from timmy_tui.services.providers.metrics import read_provider_metrics

NOW = 1_795_144_500.0
REQUEST = CompletionRequest("How are you?", "test", timeout_s=100)


class Time:
    """Both clocks; sleeping and slow providers move them."""

    def __init__(self) -> None:
        self.passed_s = 0.0
        self.slept: list[float] = []

    def wall(self) -> float:
        return NOW + self.passed_s

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed_s += seconds


class Scripted:
    """A provider that answers by a script: a text, or a problem; the last entry goes on for ever."""

    def __init__(self, name: str, *script: str, time: Time, takes_s: float = 0.0) -> None:
        self.name = name
        self.script = list(script)
        self.time = time
        self.takes_s = takes_s
        self.asked: list[CompletionRequest] = []
        self.closed = False

    async def complete(self, request: CompletionRequest) -> Completion:
        self.asked.append(request)
        self.time.passed_s += min(self.takes_s, request.timeout_s)
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if self.takes_s > request.timeout_s:
            raise CallError("timeout", f"no answer within {request.timeout_s:g} s")
        if said.startswith("!"):
            problem: CallProblem = said[1:]  # type: ignore[assignment]
            raise CallError(problem, f"{problem} it was")
        return Completion(said, self.name, "m", 1.0)

    async def aclose(self) -> None:
        self.closed = True


class Scene:
    """A cascade in a home of its own."""

    def __init__(self, tmp_path: Path, **config: object) -> None:
        self.time = Time()
        self.path = tmp_path / "timmy.db"
        self.config = CascadeConfig(**config)  # type: ignore[arg-type]
        self.metrics = MetricsStore(self.path, self.config.circuit_breaker, self.time.wall)

    def provider(self, name: str, *script: str, takes_s: float = 0.0) -> Scripted:
        return Scripted(name, *script, time=self.time, takes_s=takes_s)

    def cascade(self, *providers: Scripted) -> Cascade:
        return Cascade(
            providers, self.metrics, self.config, self.time.wall, self.time.sleep, monotonic=self.time.monotonic
        )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def accept(completion: Completion) -> str:
    if not completion.text.startswith("good"):
        raise CallError("wrong_shape", "no decision in the answer")
    return completion.text.upper()


def told(attempts: Sequence[object]) -> list[tuple[str, str | None]]:
    return [(attempt.provider, attempt.error) for attempt in attempts]  # type: ignore[attr-defined]


async def test_the_first_provider_that_answers_right_wins(scene: Scene) -> None:
    first, second = scene.provider("a", "good one", takes_s=1.5), scene.provider("b", "good two")
    outcome = await scene.cascade(first, second).run(REQUEST, accept)
    assert outcome.value == "GOOD ONE"
    assert outcome.completion is not None
    assert outcome.completion.provider == "a"
    assert told(outcome.attempts) == [("a", None)]
    assert outcome.attempts[0].duration_ms == 1_500.0
    assert second.asked == []
    metrics = read_provider_metrics(scene.path).of("a")
    assert (metrics.successes, metrics.avg_latency_ms) == (1, 1_500.0)


async def test_an_accepted_nothing_is_an_answer(scene: Scene) -> None:
    outcome = await scene.cascade(scene.provider("a", "x"), scene.provider("b", "y")).run(REQUEST, lambda _: None)
    assert outcome.completion is not None
    assert outcome.completion.provider == "a"


async def test_a_provider_is_tried_again_with_a_pause_and_then_the_next(scene: Scene) -> None:
    first, second = scene.provider("a", "!refused", "!busy", "!server"), scene.provider("b", "good")
    outcome = await scene.cascade(first, second).run(REQUEST, accept)
    assert told(outcome.attempts) == [
        ("a", "refused it was"),
        ("a", "busy it was"),
        ("a", "server it was"),
        ("b", None),
    ]
    assert scene.time.slept == [1, 1]
    assert read_provider_metrics(scene.path).of("a").failures == 3


@pytest.mark.parametrize("problem", ["auth", "not_found", "not_configured", "small_context", "not_local", "too_long"])
async def test_what_no_retry_mends_is_not_tried_again(scene: Scene, problem: str) -> None:
    first = scene.provider("a", f"!{problem}")
    outcome = await scene.cascade(first, scene.provider("b", "good")).run(REQUEST, accept)
    assert len(first.asked) == 1
    assert scene.time.slept == []
    assert outcome.value == "GOOD"


async def test_an_answer_of_the_wrong_shape_is_a_failure_and_the_last_one_is_kept(scene: Scene) -> None:
    outcome = await scene.cascade(scene.provider("a", "prose", "more prose", "end")).run(REQUEST, accept)
    assert outcome.value is None
    assert outcome.completion is None
    assert outcome.last_completion is not None
    assert outcome.last_completion.text == "end"
    assert told(outcome.attempts) == [("a", "no decision in the answer")] * 3
    assert read_provider_metrics(scene.path).of("a").consecutive_failures == 3


async def test_an_open_circuit_is_an_attempt_without_a_call_and_closes_by_itself(scene: Scene) -> None:
    first, second = scene.provider("a", *["!refused"] * 5, "good again"), scene.provider("b", "good")
    cascade = scene.cascade(first, second)
    await cascade.run(REQUEST, accept)
    outcome = await cascade.run(REQUEST, accept)
    # The fifth failure opens it: neither a pause nor another attempt follows.
    assert told(outcome.attempts) == [("a", "refused it was")] * 2 + [("b", None)]
    scene.time.passed_s += 20
    outcome = await cascade.run(REQUEST, accept)
    assert told(outcome.attempts) == [("a", "circuit open, next try in 40 s"), ("b", None)]
    assert outcome.attempts[0].duration_ms is None
    assert len(first.asked) == 5
    scene.time.passed_s += 40
    outcome = await cascade.run(REQUEST, accept)
    assert told(outcome.attempts) == [("a", None)]
    kinds = [event.event_type for event in recent_events(scene.path, 100) if event.event_type.startswith("circuit")]
    assert kinds == ["circuit.closed", "circuit.half_opened", "circuit.opened"]


async def test_the_whole_budget_is_shared_and_each_provider_has_its_deadline(scene: Scene) -> None:
    slow = [scene.provider(name, "good", takes_s=1_000) for name in "abcd"]
    outcome = await scene.cascade(*slow).run(REQUEST, accept)
    assert [[round(request.timeout_s) for request in provider.asked] for provider in slow] == [[30], [30], [30], [10]]
    assert scene.time.passed_s == pytest.approx(100)
    assert outcome.completion is None
    assert len(outcome.attempts) == 4


async def test_providers_beyond_the_budget_are_told_and_not_asked(scene: Scene) -> None:
    slow, late = scene.provider("a", "good", takes_s=1_000), scene.provider("b", "good")
    request = CompletionRequest("?", "test", timeout_s=20)
    outcome = await scene.cascade(slow, late).run(request, accept)
    assert told(outcome.attempts) == [("a", "no answer within 20 s"), ("b", "no time left")]
    assert late.asked == []


async def test_time_that_the_database_takes_is_not_the_providers_failure(scene: Scene) -> None:
    class Slow(MetricsStore):
        def acquire(self, provider: str, *, lease_s: float = 1.0) -> Permit | Refusal:
            scene.time.passed_s += 100
            return super().acquire(provider, lease_s=lease_s)

    scene.metrics = Slow(scene.path, scene.config.circuit_breaker, scene.time.wall)
    provider = scene.provider("a", "good")
    outcome = await scene.cascade(provider).run(REQUEST, accept)
    assert told(outcome.attempts) == [("a", "no time left")]
    assert provider.asked == []
    assert read_provider_metrics(scene.path).of("a").failures == 0


async def test_a_provider_that_ignores_its_deadline_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timmy_tui.services.cascade.cascade.OVERRUN_S", 0.05)
    scene = Scene(tmp_path, max_retries_per_provider=0)

    class Deaf(Scripted):
        async def complete(self, request: CompletionRequest) -> Completion:
            await asyncio.Event().wait()
            raise AssertionError

    deaf = Deaf("a", "good", time=scene.time)
    cascade = Cascade((deaf,), scene.metrics, scene.config)
    outcome = await cascade.run(CompletionRequest("?", "test", timeout_s=0.1), accept)
    (attempt,) = outcome.attempts
    assert attempt.error is not None
    assert attempt.error.startswith("no answer within")


async def test_a_cancelled_trial_gives_its_slot_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path, circuit_breaker=CircuitConfig(failure_threshold=1, half_open_max_calls=1))
    await scene.cascade(scene.provider("a", "!refused")).run(REQUEST, accept)
    scene.time.passed_s += 61
    asked = asyncio.Event()

    class Hanging(Scripted):
        async def complete(self, request: CompletionRequest) -> Completion:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    task = asyncio.create_task(scene.cascade(Hanging("a", "x", time=scene.time)).run(REQUEST, accept))
    await asked.wait()
    other = await scene.cascade(scene.provider("a", "good")).run(REQUEST, accept)
    assert told(other.attempts) == [("a", "circuit half-open, its trial calls are under way")]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    outcome = await scene.cascade(scene.provider("a", "good")).run(REQUEST, accept)
    assert outcome.value == "GOOD"


async def test_without_its_database_the_cascade_calls_all_the_same(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.path.write_bytes(b"rubbish" * 1_000)
    outcome = await scene.cascade(scene.provider("a", "!refused"), scene.provider("b", "good")).run(REQUEST, accept)
    assert told(outcome.attempts) == [("a", "refused it was")] * 3 + [("b", None)]
    assert "without its circuit" in caplog.text


async def test_no_provider_is_no_answer(scene: Scene) -> None:
    outcome = await scene.cascade().run(REQUEST, accept)
    assert (outcome.value, outcome.completion, outcome.attempts) == (None, None, ())


async def test_errors_are_safe_to_show_and_closing_closes_every_provider(scene: Scene) -> None:
    class Loud(Scripted):
        async def complete(self, request: CompletionRequest) -> Completion:
            raise CallError("auth", "\x1b[2Jrefused sk-abcdefgh12345678")

    provider = Loud("a", "x", time=scene.time)
    cascade = scene.cascade(provider)
    (attempt,) = (await cascade.run(REQUEST, accept)).attempts
    assert attempt.error is not None
    assert "\x1b" not in attempt.error
    assert "abcdefgh" not in attempt.error
    await cascade.aclose()
    assert provider.closed
