"""Another answer comes from the very same prompt, through the heartbeat's own cascade, and from nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faulty_server import Answer, FaultyServer
from msgspec.structs import replace

from timmy_tui.config import CascadeConfig, CircuitConfig, Config, HeartbeatConfig, Settings
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.cascade.providers.hermes_command import tagged_prompt
from timmy_tui.services.cascade.records import CompletionRequest
from timmy_tui.services.review.alternative import AlternativeError, sample_alternative
from timmy_tui.services.review.records import Card, Entry
from timmy_tui.services.ticks.records import Decision

CALM = '{"actions": [], "severity": "ok", "reasoning": "All services answer."}'
GRAVE = '{"actions": ["ALERT: disk"], "severity": "critical", "reasoning": "The disk is full."}'
PROMPT = "System state at …:\n{}\n\x1b[2J"
MODELS = json.dumps({"models": [{"name": name, "model": name, "digest": name, "size": 9} for name in ("m:1b", "n:2b")]})


def ollama(answer: str | Answer) -> FaultyServer:
    loaded = {"name": "m:1b", "model": "m:1b", "digest": "m", "size": 9, "size_vram": 9}
    loaded["expires_at"] = "2318-01-01T00:00:00Z"
    return FaultyServer({"/api/ps": json.dumps({"models": [loaded]}), "/api/tags": MODELS, "/api/chat": answer})


def chat(text: str) -> str:
    return json.dumps({"model": "m:1b", "message": {"role": "assistant", "content": text}, "done": True})


def settings(home: Path, address: str) -> Settings:
    return Settings(
        config=Config(
            heartbeat=HeartbeatConfig(timeout_s=20),
            cascade=CascadeConfig(max_retries_per_provider=0, retry_delay_seconds=0),
        ),
        timmy_home=home / ".timmy",
        hermes_home=home / ".hermes",
        config_path=home / ".timmy" / "tui.yaml",
        ollama_host=address,
    )


DECISION = Decision("ok", "All services answer.", ())


def card(*, decision: Decision | None = DECISION) -> Card:
    entry = Entry("0" * 64, 0.0, "ok", "m:1b", "heartbeat", True, None, "", "20261120_031500")
    return Card(
        entry=entry,
        prompt=PROMPT,
        completion=CALM,
        prompt_source="as sent",
        completion_source="raw text",
        decision=decision,
        perception={},
        previous_perception=None,
        previous_at=None,
        host=None,
        provider="ollama",
        duration_ms=None,
        caller="heartbeat_tick",
    )


async def test_the_prompt_is_sent_again_to_the_byte_with_a_seed_of_its_own(tmp_path: Path) -> None:
    with ollama(chat(GRAVE)) as server:
        found = await sample_alternative(
            settings(tmp_path, server.url), {"PATH": ""}, card(), seed=7, clock=lambda: 1_795_147_500.0
        )
        (asked,) = [json.loads(request.body) for request in server.requests if request.path == "/api/chat"]
    assert asked["messages"] == [{"role": "user", "content": PROMPT}]
    assert asked["options"] == {"seed": 7}
    assert asked["format"]["required"] == ["actions", "severity", "reasoning"]
    assert (found.alternative.response, found.alternative.model, found.alternative.seed) == (GRAVE, "m:1b", 7)
    assert found.alternative.sampled_at == "2026-11-20T04:05:00.000+00:00"
    assert found.decision == Decision("critical", "The disk is full.", ("ALERT: disk",))
    assert not found.same


async def test_a_model_that_is_named_is_the_one_that_is_asked_and_no_other_may_answer(tmp_path: Path) -> None:
    with ollama(chat(GRAVE)) as server:
        with pytest.raises(AlternativeError, match="m:1b answered, not n:2b"):
            await sample_alternative(settings(tmp_path, server.url), {"PATH": ""}, card(), model="n:2b")
        (asked,) = [json.loads(request.body) for request in server.requests if request.path == "/api/chat"]
        found = await sample_alternative(settings(tmp_path, server.url), {"PATH": ""}, card(), model="m:1b")
    assert asked["model"] == "n:2b"
    assert found.alternative.model == "m:1b"


@pytest.mark.parametrize("model", ["lama", None])
async def test_an_operators_trial_opens_no_circuit(tmp_path: Path, model: str | None) -> None:
    where = settings(tmp_path, "http://127.0.0.1:9")
    with ollama(Answer(500, b"broken")) as server:
        for home in (where, settings(tmp_path, server.url)):
            for _ in range(6):
                with pytest.raises(AlternativeError):
                    await sample_alternative(home, {"PATH": ""}, card(), model=model)
    state = MetricsStore(where.database_path, CircuitConfig()).circuit_of("ollama")
    assert (state.circuit, state.consecutive_failures) == ("closed", 0)


async def test_the_same_words_again_are_nothing_to_prefer(tmp_path: Path) -> None:
    with ollama(chat(CALM)) as server:
        assert (await sample_alternative(settings(tmp_path, server.url), {"PATH": ""}, card())).same


async def test_an_answer_to_a_question_that_is_no_decision_may_be_anything(tmp_path: Path) -> None:
    with ollama(chat("The crash first.")) as server:
        found = await sample_alternative(settings(tmp_path, server.url), {"PATH": ""}, card(decision=None))
    assert (found.alternative.response, found.decision) == ("The crash first.", None)


@pytest.mark.parametrize("said", ["I am not sure.", '{"severity": "ok"}'])
async def test_an_answer_that_is_no_decision_is_no_alternative(tmp_path: Path, said: str) -> None:
    with ollama(chat(said)) as server, pytest.raises(AlternativeError, match="ollama"):
        await sample_alternative(settings(tmp_path, server.url), {"PATH": ""}, card())


async def test_a_model_that_is_down_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(AlternativeError, match=r"No alternative: ollama: .*refused") as failed:
        await sample_alternative(settings(tmp_path, "http://127.0.0.1:9"), {"PATH": ""}, card())
    assert "\n" not in failed.value.message
    assert failed.value.hint


def test_hermes_gets_the_prompt_behind_the_tag_that_the_original_had() -> None:
    """The session is the review's, and not a byte of what the model reads differs."""
    original = CompletionRequest(prompt=PROMPT, caller="heartbeat_tick", timeout_s=1)
    again = CompletionRequest(prompt=PROMPT, caller="review", timeout_s=1, tag=card().caller)
    assert tagged_prompt(again) == tagged_prompt(original)
    tagged = replace(again, prompt="[triage_issues] first?", tag="")
    assert tagged_prompt(tagged) == "[triage_issues] first?"
