"""Nothing that a model says is ever run: a text is an alert, a name of the operator's list is a proposal."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.config import ActionConfig, Config, HeartbeatConfig, NotifyConfig, Settings
from timmy_tui.services.events import recent_events
from timmy_tui.services.heartbeat.act import ActionOutcome, act
from timmy_tui.services.heartbeat.approvals import Approvals
from timmy_tui.services.ticks.records import Decision

NOW = 1_795_144_500.0
TICK = "20261120_031500"
ENV = {"PATH": os.defpath}


def settings(home: Path, *, notify: tuple[str, ...] = (), **actions: ActionConfig) -> Settings:
    return Settings(
        config=Config(actions=actions, heartbeat=HeartbeatConfig(notify=NotifyConfig(run=notify))),
        timmy_home=home,
        hermes_home=home,
        config_path=home / "tui.yaml",
        ollama_host="",
    )


def marking(home: Path, approve: str = "never", script: str = "") -> ActionConfig:
    """Leaves its arguments behind, a line for each time it ran."""
    run = ("sh", "-c", f'echo "$0 $#" >> ran; {script}'.replace("ran", str(home / "ran")), "restart")
    return ActionConfig(run=run, approve="always" if approve == "always" else "never")


def marks(home: Path) -> list[str]:
    path = home / "ran"
    return path.read_text().splitlines() if path.exists() else []


async def carried_out(settings: Settings, *actions: str, timeout_s: float = 30.0) -> tuple[ActionOutcome, ...]:
    decision = Decision("critical", "Ollama does not answer.", actions)
    return await act(decision, settings, TICK, ENV, clock=lambda: NOW, timeout_s=timeout_s)


def events(home: Path) -> list[tuple[str, object]]:
    return [(event.event_type, event.data) for event in reversed(recent_events(home / "timmy.db", 50))]


async def test_nothing_to_do_does_nothing(tmp_path: Path) -> None:
    assert await carried_out(settings(tmp_path)) == ()
    assert events(tmp_path) == []


async def test_an_alert_is_an_event(tmp_path: Path) -> None:
    (outcome,) = await carried_out(settings(tmp_path), "ALERT: Gitea unreachable")
    assert outcome == ActionOutcome("ALERT: Gitea unreachable", "alert")
    assert events(tmp_path) == [("alert", {"text": "ALERT: Gitea unreachable", "severity": "critical"})]


@pytest.mark.parametrize(
    "said",
    [
        "restart_ollama; rm -rf /",
        "restart_ollama && touch ran",
        "$(restart_ollama)",
        "`restart_ollama`",
        "restart_ollama\ntouch ran",
        "Restart_Ollama",
        "restart_ollama restart_ollama",
        "restart",
        "ALERT: restart_ollama",
        "../restart_ollama",
        "restart_ollama\x00",
        "restart_ollama\u200b",
    ],
)
async def test_a_text_that_is_not_exactly_a_name_runs_nothing(tmp_path: Path, said: str) -> None:
    (outcome,) = await carried_out(settings(tmp_path, restart_ollama=marking(tmp_path)), said)
    assert outcome.outcome == "alert"
    assert marks(tmp_path) == []
    assert Approvals(tmp_path / "timmy.db").recent() == ()


@given(said=st.text(max_size=40))
def test_no_text_but_the_name_itself_runs_anything(tmp_path_factory: pytest.TempPathFactory, said: str) -> None:
    home = tmp_path_factory.mktemp("home")
    if said.strip() != "restart_ollama":
        outcomes = asyncio.run(carried_out(settings(home, restart_ollama=marking(home)), said))
        assert {outcome.outcome for outcome in outcomes} <= {"alert"}
        assert marks(home) == []


async def test_a_name_of_the_list_waits_for_approval(tmp_path: Path) -> None:
    configured = settings(tmp_path, restart_ollama=marking(tmp_path, "always"))
    (outcome,) = await carried_out(configured, "  restart_ollama ")
    (approval,) = Approvals(tmp_path / "timmy.db", lambda: NOW).open()
    assert (outcome.outcome, outcome.approval_id) == ("proposed", approval.id)
    assert (approval.action, approval.said, approval.tick_id) == ("restart_ollama", "Ollama does not answer.", TICK)
    assert marks(tmp_path) == []
    (again,) = await carried_out(configured, "restart_ollama")
    assert (again.outcome, again.approval_id) == ("waiting", approval.id)


async def test_an_entry_without_approval_runs_at_once_without_a_word_of_the_models(tmp_path: Path) -> None:
    (outcome,) = await carried_out(settings(tmp_path, restart_ollama=marking(tmp_path)), "restart_ollama")
    assert (outcome.outcome, outcome.exit_code, outcome.error) == ("done", 0, None)
    assert marks(tmp_path) == ["restart 0"]
    types = [event_type for event_type, _ in events(tmp_path)]
    assert types == ["action_approved", "action_started", "action_done"]
    assert Approvals(tmp_path / "timmy.db").recent()[0].decided_by == "approve: never"


async def test_the_same_action_twice_in_a_decision_is_one(tmp_path: Path) -> None:
    configured = settings(tmp_path, restart_ollama=marking(tmp_path))
    outcomes = await carried_out(configured, "restart_ollama", "ALERT: x", "restart_ollama", " ", "ALERT: x")
    assert [outcome.action for outcome in outcomes] == ["restart_ollama", "ALERT: x"]
    assert marks(tmp_path) == ["restart 0"]


async def test_a_failing_action_tells_why(tmp_path: Path) -> None:
    configured = settings(tmp_path, restart_ollama=marking(tmp_path, script="echo no such unit; exit 5"))
    (outcome,) = await carried_out(configured, "restart_ollama")
    assert (outcome.outcome, outcome.exit_code, outcome.error) == ("failed", 5, "exit code 5: no such unit")
    assert outcome.document() == {
        "action": "restart_ollama",
        "outcome": "failed",
        "error": "exit code 5: no such unit",
        "approval": outcome.approval_id,
        "exit_code": 5,
    }


async def test_an_action_gets_no_more_time_than_its_tick_has(tmp_path: Path) -> None:
    slow = ActionConfig(run=("sleep", "600"), approve="never", timeout_s=600)
    configured = settings(tmp_path, slow=slow, late=marking(tmp_path))
    first, second, third = await carried_out(configured, "slow", "late", "ALERT: after", timeout_s=0.6)
    assert (first.outcome, first.exit_code) == ("failed", None)
    assert (second.outcome, second.error) == ("failed", "the tick had no time left for it")
    assert third.outcome == "alert"
    assert marks(tmp_path) == []


async def test_the_notify_command_gets_the_text_on_its_input_and_nowhere_else(tmp_path: Path) -> None:
    notify = ("sh", "-c", f'cat > {tmp_path}/told; echo "$#" > {tmp_path}/arguments')
    said = 'ALERT: "; touch ran; $(touch ran) \x1b]0;x\x07'
    (outcome,) = await carried_out(settings(tmp_path, notify=notify), said)
    assert outcome.outcome == "alert"
    assert (tmp_path / "told").read_text() == 'ALERT: "; touch ran; $(touch ran) ^[]0;x^G\n'
    assert (tmp_path / "arguments").read_text() == "0\n"
    assert [event_type for event_type, _ in events(tmp_path)] == ["alert", "notification"]


@pytest.mark.parametrize(
    ("notify", "error"),
    [
        (("no-such-command-anywhere",), "No such file or directory"),
        (("sh", "-c", "echo token=abcdefgh12345678 >&2; exit 2"), "exit code 2: token=***"),
        (("sleep", "600"), "no end within"),
    ],
)
async def test_a_notify_command_that_fails_is_told_and_loses_no_alert(
    tmp_path: Path, notify: tuple[str, ...], error: str
) -> None:
    (outcome,) = await carried_out(settings(tmp_path, notify=notify), "ALERT: disk", timeout_s=0.6)
    assert outcome.outcome == "alert"
    assert error in (outcome.error or "")
    event_type, told = events(tmp_path)[-1]
    assert event_type == "notification"
    assert isinstance(told, dict)
    assert error in str(told["error"])


async def test_a_database_that_is_out_of_order_is_told_in_the_outcomes(tmp_path: Path) -> None:
    (tmp_path / "timmy.db").write_bytes(b"no database" * 1_000)
    configured = settings(tmp_path, restart_ollama=marking(tmp_path))
    alert, named = await carried_out(configured, "ALERT: disk", "restart_ollama")
    assert (alert.outcome, named.outcome) == ("alert", "failed")
    assert "timmy.db" in (alert.error or "")
    assert "timmy.db" in (named.error or "")
    assert marks(tmp_path) == []
