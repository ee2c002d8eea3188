"""When no model decides, the rules tell what is known to be wrong, and nothing that is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.heartbeat.rules import decide_by_rules
from timmy_tui.text import Json, clean

CALM: Json = {
    "gitea_alive": True,
    "model_health": {"ollama_running": True, "models_loaded": ["m"], "inference_ok": True},
    "hermes": {"found": True, "failed_since": 0, "gateway_alive": True, "cron_stale": False},
    "queue": {"pending": 1},
    "disk_used_pct": 71,
    "load": [0.5, 0.4, 0.3],
}


def with_values(**values: Json) -> Json:
    assert isinstance(CALM, dict)
    return {**CALM, **values}


def test_a_calm_machine_raises_nothing() -> None:
    decision = decide_by_rules(CALM)
    assert decision.severity == "fallback"
    assert decision.actions == ()
    assert decision.reasoning == "No model decided; the rules looked at the state: nothing that they know is wrong."


@pytest.mark.parametrize(
    ("values", "alert"),
    [
        ({"gitea_alive": False}, "ALERT: Gitea unreachable"),
        ({"build_host_alive": False}, "ALERT: Build host unreachable"),
        ({"model_health": {"ollama_running": False, "inference_ok": False}}, "ALERT: Ollama not running"),
        ({"model_health": {"ollama_running": True, "inference_ok": False}}, "ALERT: no model answers"),
        ({"disk_used_pct": 90}, "ALERT: disk is 90 % full"),
        ({"disk_used_pct": 97, "disks": {"~": 50, "/data": 97}}, "ALERT: disk /data is 97 % full"),
        (
            {"hermes": {"gateway_alive": False, "gateway_stale": True}},
            "ALERT: Hermes gateway is gone but did not end by itself",
        ),
        ({"hermes": {"cron_stale": True}}, "ALERT: Hermes cron is stuck"),
        ({"queue": {"pending": 20}}, "ALERT: queue is stuck: 20 tasks wait"),
    ],
)
def test_each_thing_that_is_wrong_is_one_alert(values: dict[str, Json], alert: str) -> None:
    decision = decide_by_rules(with_values(**values))
    assert decision.actions == (alert,)
    assert decision.severity == "fallback"
    assert alert.removeprefix("ALERT: ") in decision.reasoning


def test_everything_at_once_is_told_in_the_order_of_weight() -> None:
    decision = decide_by_rules(
        {"disk_used_pct": 99, "model_health": {"ollama_running": False}, "gitea_alive": False, "queue": {"pending": 99}}
    )
    assert [action.split()[1] for action in decision.actions] == ["Gitea", "Ollama", "disk", "queue"]


@pytest.mark.parametrize(
    "perception",
    [
        with_values(gitea_alive=None, model_health=None, queue={"pending": None, "error": "locked"}),
        with_values(
            gitea_alive="false", disk_used_pct="99", model_health={"ollama_running": None, "inference_ok": None}
        ),
        with_values(_alive=False, disk_used_pct=True, disks=[], hermes="gone"),
        with_values(disk_used_pct=float("inf"), queue={"pending": float("nan")}),
    ],
)
def test_what_is_unknown_is_no_alarm(perception: Json) -> None:
    assert decide_by_rules(perception).actions == ()


@pytest.mark.parametrize("perception", [None, [], {}, "down", 0])
def test_nothing_seen_is_told_as_such(perception: Json) -> None:
    decision = decide_by_rules(perception)
    assert decision.actions == ()
    assert "nothing to look at" in decision.reasoning


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
NAMES = st.sampled_from(
    [
        "gitea_alive",
        "\x1b_alive",
        "model_health",
        "ollama_running",
        "disk_used_pct",
        "disks",
        "queue",
        "pending",
        "hermes",
    ]
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6))


@given(TREES)
def test_any_perception_gives_a_clean_fallback(perception: Json) -> None:
    decision = decide_by_rules(perception)
    assert decision.severity == "fallback"
    assert all(action.startswith("ALERT: ") and action == clean(action) for action in decision.actions)
