"""Who is asked about is named by what was sent and answered: the same on any machine, whatever the log left out."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.heartbeat.prompt import build_prompt
from timmy_tui.services.labels.records import candidate_key
from timmy_tui.services.review.exchange import Exchange, exchange_of

HOSTILE = "\x1b]52;c;SEk=\x07\x9b2J\u202e\u200b\ud800\r"
PERCEPTION = {"gitea_alive": True, "disk_used_pct": 91, "load": [0.5, 1.0]}
DECISION = {"severity": "ok", "actions": [], "reasoning": "é"}


def exchange(**tick: object) -> Exchange:
    found = exchange_of(json.dumps({"tick_id": "20261120_031500", **tick}).encode())
    assert found is not None
    return found


def test_the_exchange_is_verbatim() -> None:
    found = exchange(prompt=HOSTILE, response=" \x00raw\n")
    assert (found.prompt, found.completion) == (HOSTILE, " \x00raw\n")
    assert (found.prompt_source, found.completion_source) == ("as sent", "raw text")


def test_an_old_ticks_completion_is_its_decision_in_the_files_order() -> None:
    found = exchange(prompt="p", decision=DECISION)
    assert found.completion == '{"severity": "ok", "actions": [], "reasoning": "\\u00e9"}'
    assert found.completion_source == "re-serialised JSON"


def test_a_prompt_that_the_log_lacks_is_made_from_the_perception_by_the_same_template() -> None:
    found = exchange(timestamp="2026-11-20T03:15:00+01:00", perception=PERCEPTION, decision=DECISION)
    assert found.prompt_source == "reconstructed"
    assert found.prompt.startswith("System state at 2026-11-20T03:15:00+01:00:\n{")
    assert '"disk_used_pct": 91' in found.prompt
    again = exchange(
        timestamp="2026-11-20T03:15:00+01:00", perception=PERCEPTION, decision=DECISION, previous_tick="20261120_030500"
    )
    assert "Previous tick: 20261120_030500" in again.prompt


def test_old_ticks_that_say_the_same_of_different_states_are_different_candidates() -> None:
    keys = {
        candidate_key(found.prompt, found.completion)
        for found in (exchange(perception={"disk": n}, decision=DECISION) for n in range(3))
    }
    assert len(keys) == 3


@pytest.mark.parametrize("tick", [{"timestamp": "2026-11-20T03:15:00"}, {}, {"timestamp": "yesterday"}])
def test_a_reconstructed_prompt_is_the_same_in_every_zone(
    tick: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = set()
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        made.add(exchange(perception=PERCEPTION, decision=DECISION, **tick).prompt)
    monkeypatch.undo()
    time.tzset()
    assert len(made) == 1


def test_a_tick_without_any_decision_is_no_candidate() -> None:
    assert exchange_of(b'{"tick_id": "a", "prompt": "p"}') is None
    assert exchange_of(b'{"prompt": "p", "response": "r"}') is None
    assert exchange_of(b'{"tick_id": "a", "decision": "ok"}') is None


@given(st.text(), st.text())
def test_any_texts_come_back_as_they_were(prompt: str, response: str) -> None:
    found = exchange(prompt=prompt, response=response)
    assert (found.prompt, found.completion) == (prompt, response)


@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail(line: bytes) -> None:
    exchange_of(line)


def test_the_templates_words_are_those_of_its_first_version() -> None:
    """They are hashed into the identity of every old tick: a label would not be found again."""
    prompt = build_prompt({"a": 1}, datetime(2026, 11, 20, tzinfo=UTC), None)
    assert candidate_key(prompt, "") == "9782b7444ea9cd71146be024340c2b850b75d905fb8c31c63ae4414a71c0ef89"
