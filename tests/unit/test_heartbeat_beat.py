"""A tick is recorded whatever fails on its way; a model's answer is a decision only when it has the shape of one."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path

import pytest
from faulty_server import Answer, FaultyServer

from timmy_tui.config import (
    ActionConfig,
    CascadeConfig,
    CommandProbeConfig,
    Config,
    HeartbeatConfig,
    ProbesConfig,
    Settings,
)
from timmy_tui.services.appending import AppendError
from timmy_tui.services.demo.ollama_server import OllamaServer
from timmy_tui.services.demo.ollama_world import OllamaWorld
from timmy_tui.services.events import recent_events
from timmy_tui.services.heartbeat.approvals import Approvals
from timmy_tui.services.heartbeat.beat import Beat, Phase, beat_once
from timmy_tui.services.review.exchange import exchange_of
from timmy_tui.services.ticks.parse import BadLine, parse_tick
from timmy_tui.services.ticks.records import Tick, TickPlace

NO_PROBES = ProbesConfig()

MODEL = {"name": "hermes4:14b", "model": "hermes4:14b", "digest": "d1", "size": 9, "details": {}}
CALM = '{"actions": [], "severity": "ok", "reasoning": "All services answer."}'
GRAVE = '{"actions": ["ALERT: disk filling"], "severity": "Critical", "reasoning": "The disk is at 97 %."}'


def chat(text: str, **message: str) -> str:
    said = {"role": "assistant", "content": text, **message}
    return json.dumps({"model": "hermes4:14b", "message": said, "done": True, "done_reason": "stop", "eval_count": 9})


def ollama(answer: str | Answer) -> FaultyServer:
    listed = json.dumps({"models": [MODEL | {"size_vram": 9, "expires_at": "2318-01-01T00:00:00Z"}]})
    return FaultyServer(
        {
            "/api/ps": listed,
            "/api/tags": listed,
            "/api/version": '{"version": "0.30.1"}',
            "/api/show": '{"capabilities": ["completion"], "model_info": {}, "details": {}}',
            "/api/chat": answer,
        }
    )


def settings(
    home: Path, address: str, *, timeout_s: float = 60, probes: ProbesConfig = NO_PROBES, **actions: ActionConfig
) -> Settings:
    return Settings(
        config=Config(
            heartbeat=HeartbeatConfig(timeout_s=timeout_s, probes=probes),
            cascade=CascadeConfig(max_retries_per_provider=0, retry_delay_seconds=0),
            actions=actions,
        ),
        timmy_home=home / ".timmy",
        hermes_home=home / ".hermes",
        config_path=home / ".timmy" / "tui.yaml",
        ollama_host=address,
    )


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which no ``hermes`` can be found."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("sh", "sleep", "touch"):
        path = next(f"{folder}/{name}" for folder in os.defpath.split(":") if os.path.exists(f"{folder}/{name}"))
        (commands / name).symlink_to(path)
    return {"PATH": str(commands), "HOME": str(tmp_path)}


def tick_of(beat: Beat) -> Tick:
    assert beat.path.read_bytes().splitlines()[-1] == beat.line
    tick = parse_tick(beat.line, TickPlace(str(beat.path), 0, 0))
    assert not isinstance(tick, BadLine)
    assert tick.head.tick_id == beat.tick_id
    return tick


async def test_a_model_decides(tmp_path: Path, env: dict[str, str]) -> None:
    phases: list[Phase] = []
    with ollama(chat(CALM)) as server:
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="manual", on_phase=phases.append)
        (request,) = [json.loads(request.body) for request in server.requests if request.path == "/api/chat"]
    tick = tick_of(beat)
    assert phases == ["perceive", "decide", "act", "record"]
    assert (beat.severity, beat.provider, beat.event_error) == ("ok", "ollama", None)
    assert (tick.head.severity, tick.head.by_model, tick.head.model) == ("ok", True, "hermes4:14b")
    assert (tick.trigger, tick.provider, tick.response) == ("manual", "ollama", CALM)
    assert [(attempt.provider, attempt.error) for attempt in tick.attempts] == [("ollama", None)]
    assert isinstance(tick.perception, dict)
    assert '"ollama_running": true' in json.dumps(tick.perception)
    exchange = exchange_of(beat.line)
    assert exchange is not None
    assert exchange.prompt in [message["content"] for message in request["messages"]]
    assert request["format"]["required"] == ["actions", "severity", "reasoning"]
    (used,) = [json.loads(line) for line in settings(tmp_path, "").usage_path.read_bytes().splitlines()]
    assert (used["task_type"], used["caller"], used["model"]) == ("heartbeat", "heartbeat_tick", "hermes4:14b")
    assert (used["success"], used["tokens_out"]) == (True, 9)


@pytest.mark.parametrize(
    "said",
    [
        f"Let me see. The state has {{braces}} and\n```json\n{CALM}\n```\nThat is all.",
        f"<think>Perhaps {GRAVE}? No.</think>{CALM}",
        f"{GRAVE}\nWait, the other one:\n{CALM}",
    ],
)
async def test_the_decision_is_found_in_what_a_model_writes_around_it(
    tmp_path: Path, env: dict[str, str], said: str
) -> None:
    with ollama(chat(said)) as server:
        tick = tick_of(await beat_once(settings(tmp_path, server.url), env, trigger="schedule"))
    assert tick.head.severity == "ok"
    assert tick.actions == ()
    exchange = exchange_of(tick_line(tmp_path))
    assert exchange is not None
    assert exchange.completion == said


def tick_line(home: Path) -> bytes:
    (path,) = (home / ".timmy" / "heartbeat").glob("ticks_*.jsonl")
    return path.read_bytes().splitlines()[-1]


@pytest.mark.parametrize(
    "said",
    [
        "I am afraid I can't decide that.",
        '{"severity": "ok"}',
        '{"actions": "none", "severity": "ok", "reasoning": ""}',
        '{"actions": [], "severity": "catastrophic", "reasoning": "!"}',
        f"<think>It could be {CALM}",
        "\x1b[2J\x00{{{{",
    ],
)
async def test_a_wrong_shape_is_kept_as_the_response_and_never_as_the_decision(
    tmp_path: Path, env: dict[str, str], said: str
) -> None:
    with ollama(chat(said)) as server:
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="schedule")
    tick = tick_of(beat)
    assert (beat.severity, beat.provider) == ("fallback", None)
    assert (tick.head.severity, tick.head.by_model) == ("fallback", False)
    exchange = exchange_of(beat.line)
    assert exchange is not None
    assert exchange.completion == said
    (attempt,) = tick.attempts
    assert attempt.error is not None


@pytest.mark.parametrize(
    "answer",
    [
        chat(""),
        chat("", thinking=CALM),
        "not json",
        Answer('{"error": "model not found"}', 404),
        Answer("<html>", 502),
    ],
)
async def test_without_an_answer_the_rules_decide(tmp_path: Path, env: dict[str, str], answer: str | Answer) -> None:
    with ollama(answer) as server:
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="schedule")
    assert beat.severity == "fallback"
    assert tick_of(beat).attempts[0].error is not None


async def test_without_ollama_the_rules_raise_the_alarm(tmp_path: Path, env: dict[str, str]) -> None:
    with ollama(chat(CALM)) as server:
        server.trouble = "refuse"
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="schedule")
    tick = tick_of(beat)
    assert tick.head.severity == "fallback"
    assert tick.decision is not None
    assert tick.decision.actions == ("ALERT: Ollama not running",)
    assert [outcome.outcome for outcome in beat.outcomes] == ["alert"]
    assert tick.response is None
    types = [event.event_type for event in recent_events(tmp_path / ".timmy" / "timmy.db", 20)]
    assert {"alert", "tick"} <= set(types)


async def test_a_slow_model_costs_its_deadline_and_not_the_tick(tmp_path: Path, env: dict[str, str]) -> None:
    with ollama(chat(CALM)) as server:
        server.trouble = "hang"
        beat = await beat_once(settings(tmp_path, server.url, timeout_s=0.8), env, trigger="schedule")
    tick = tick_of(beat)
    assert tick.head.severity == "fallback"
    (attempt,) = tick.attempts
    assert "within" in (attempt.error or "")
    assert (attempt.duration_ms or 0) < 1000 * CascadeConfig().timeout_seconds / 2  # the tick's deadline, not its own


async def test_an_action_that_tries_to_be_a_command_is_a_text(tmp_path: Path, env: dict[str, str]) -> None:
    mark = tmp_path / "mark"
    said = json.dumps(
        {
            "actions": ["restart_ollama; touch " + str(mark), f"$(touch {mark})", "restart_ollama", "log_top"],
            "severity": "warning",
            "reasoning": f"`touch {mark}`",
        }
    )
    actions = {
        "restart_ollama": ActionConfig(run=("touch", str(mark))),
        "log_top": ActionConfig(run=("touch", str(tmp_path / "logged")), approve="never"),
    }
    with ollama(chat(said)) as server:
        beat = await beat_once(settings(tmp_path, server.url, **actions), env, trigger="schedule")
    assert [outcome.outcome for outcome in beat.outcomes] == ["alert", "alert", "proposed", "done"]
    assert not mark.exists()
    assert (tmp_path / "logged").exists()
    (waiting,) = Approvals(tmp_path / ".timmy" / "timmy.db").open()
    assert (waiting.action, waiting.tick_id) == ("restart_ollama", beat.tick_id)
    assert tick_of(beat).actions[2].startswith("restart_ollama: proposed")


async def test_a_tick_names_the_one_before_it_in_record_and_prompt(tmp_path: Path, env: dict[str, str]) -> None:
    with ollama(chat(CALM)) as server:
        first = await beat_once(settings(tmp_path, server.url), env, trigger="schedule")
        second = tick_of(await beat_once(settings(tmp_path, server.url), env, trigger="schedule"))
    assert second.previous_tick == first.tick_id
    assert f"Previous tick: {first.tick_id}\n" in (second.prompt or "")


async def test_a_database_that_is_out_of_order_costs_no_tick(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / ".timmy").mkdir()
    (tmp_path / ".timmy" / "timmy.db").write_bytes(b"no database" * 1_000)
    with ollama(chat(GRAVE)) as server:
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="schedule")
    assert tick_of(beat).head.severity == "critical"
    assert "timmy.db" in (beat.event_error or "")
    assert "timmy.db" in (beat.outcomes[0].error or "")


async def test_a_database_that_is_locked_costs_no_tick(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timmy_tui.services.database.BUSY_TIMEOUT_S", 0.05)
    with ollama(chat(GRAVE)) as server:
        await beat_once(settings(tmp_path, server.url), env, trigger="schedule")
        holder = sqlite3.connect(tmp_path / ".timmy" / "timmy.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="schedule")
        holder.close()
    assert tick_of(beat).head.severity == "critical"
    assert "locked" in (beat.event_error or "")


async def test_a_cascade_that_is_badly_configured_costs_no_tick(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / ".timmy").mkdir()
    (tmp_path / ".timmy" / "providers.yaml").write_text("providers: [{name: x, typo: 1}]")
    with ollama(chat(CALM)) as server:
        bad = settings(tmp_path, server.url)
        beat = await beat_once(bad, env, trigger="schedule")
    (attempt,) = tick_of(beat).attempts
    assert beat.severity == "fallback"
    assert "providers.yaml" in (attempt.error or "")


async def test_whoever_watches_a_tick_cannot_break_it(tmp_path: Path, env: dict[str, str]) -> None:
    def broken(phase: Phase) -> None:
        raise KeyError(phase)

    with ollama(chat(CALM)) as server:
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="schedule", on_phase=broken)
    assert tick_of(beat).head.severity == "ok"


async def test_a_probe_that_hangs_leaves_the_model_its_time(tmp_path: Path, env: dict[str, str]) -> None:
    stuck = ProbesConfig(commands=(CommandProbeConfig("stuck", ("sleep", "600"), timeout_s=600),))
    with ollama(chat(CALM)) as server:
        beat = await beat_once(settings(tmp_path, server.url, timeout_s=2, probes=stuck), env, trigger="schedule")
    tick = tick_of(beat)
    assert tick.head.severity == "ok"
    assert isinstance(tick.perception, dict)
    assert "no end within" in str(tick.perception["stuck"])


async def test_a_tick_that_cannot_be_written_is_an_error(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / ".timmy").mkdir()
    (tmp_path / ".timmy" / "heartbeat").write_text("a file in the folder's place")
    with ollama(chat(CALM)) as server, pytest.raises(AppendError):
        await beat_once(settings(tmp_path, server.url), env, trigger="schedule")


async def test_the_demos_ollama_decides_too(tmp_path: Path, env: dict[str, str]) -> None:
    world = OllamaWorld(time.time())
    server = OllamaServer(world, speed=10_000)
    server.start("demo-ollama")
    try:
        beat = await beat_once(settings(tmp_path, f"127.0.0.1:{server.port}"), env, trigger="manual")
    finally:
        server.stop()
    assert beat.provider == "ollama"
    assert tick_of(beat).head.by_model


@pytest.mark.parametrize(
    "refused",
    [
        """{'actions': ['ALERT: gitea'], 'severity': 'critical', 'reasoning': 'Gitea is down.'}""",
        '{"actions": ["ALERT: gitea",], "severity": "critical", "reasoning": "Gitea is down.",}',
        '<think>{"actions": [], "severity": "critical", "reasoning": "Gitea is down."}</think>I can not decide.',
        "severity: WARNING - Gitea is down.",
    ],
)
async def test_a_refused_alarm_is_no_calm_fallback(tmp_path: Path, env: dict[str, str], refused: str) -> None:
    with ollama(chat(refused)) as server:
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="manual")
    tick = tick_of(beat)
    assert (tick.head.severity, tick.head.by_model, tick.head.by_rules) == ("warning", False, True)
    assert tick.decision is not None
    assert "Gitea is down" in tick.decision.reasoning
    assert json.loads(beat.line)["decided_by"] == "rules"


@pytest.mark.parametrize("refused", ["I can not say.", 'Use {"severity": "ok|warning|critical", "reasoning": "…"}'])
async def test_a_refused_answer_without_an_alarm_is_a_fallback(
    tmp_path: Path, env: dict[str, str], refused: str
) -> None:
    with ollama(chat(refused)) as server:
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="manual")
    assert tick_of(beat).head.severity == "fallback"


async def test_a_run_on_answer_is_its_first_turn(tmp_path: Path, env: dict[str, str]) -> None:
    with ollama(chat(f"{GRAVE}<|im_end|>\n<|im_start|>user\nNow?<|im_end|>\n<|im_start|>assistant\n{CALM}")) as server:
        beat = await beat_once(settings(tmp_path, server.url), env, trigger="manual")
    assert beat.severity == "critical"


async def test_a_newly_pulled_model_changes_nothing(tmp_path: Path, env: dict[str, str]) -> None:
    """Without a configured model the heartbeat stays with the one that decided last, as long as it is there."""
    other = {"name": "newest:70b", "model": "newest:70b", "digest": "d2", "size": 9, "details": {}}
    asked: list[str] = []
    with ollama(chat(CALM)) as server:
        server.bodies["/api/ps"] = json.dumps({"models": []})
        for listed in ([MODEL], [other, MODEL], [other]):
            server.bodies["/api/tags"] = json.dumps({"models": listed})
            model = "newest:70b" if listed == [other] else "hermes4:14b"
            server.bodies["/api/chat"] = chat(CALM).replace("hermes4:14b", model)
            await beat_once(settings(tmp_path, server.url), env, trigger="manual")
            asked = [json.loads(one.body)["model"] for one in server.requests if one.path == "/api/chat"]
    assert asked == ["hermes4:14b", "hermes4:14b", "newest:70b"]
    told = [event for event in recent_events(tmp_path / ".timmy" / "timmy.db", 50) if event.event_type == "model"]
    assert [event.data for event in told] == [{"before": "hermes4:14b", "now": "newest:70b"}]
