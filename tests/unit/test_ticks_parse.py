"""Any JSON object with a tick_id is a tick; nothing that a line holds can hurt the reader or the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tick_maker import tick_line, tick_tree

from timmy_tui.services.ticks.parse import BadLine, parse_head, parse_tick
from timmy_tui.services.ticks.records import Attempt, Tick, TickHead, TickPlace

PLACE = TickPlace("ticks_20261120.jsonl", 0, 10)
KATHMANDU = timezone(timedelta(hours=5, minutes=45))


def tick(tree: object) -> Tick:
    parsed = parse_tick(json.dumps(tree).encode(), PLACE, UTC)
    assert isinstance(parsed, Tick), parsed
    return parsed


def test_a_whole_tick_keeps_everything() -> None:
    parsed = parse_tick(tick_line(5).strip(), PLACE, UTC)

    assert isinstance(parsed, Tick)
    assert parsed.head == TickHead(
        tick_id="20261120_005000",
        at=datetime(2026, 11, 20, 0, 50, tzinfo=UTC).timestamp(),
        severity="warning",
        model="hermes4:14b",
        by_model=True,
        label=None,
        summary="The disk of the build host fills slowly; everything else answers.",
        place=PLACE,
        session_id="20261120_005000_000005",
    )
    assert parsed.decision is not None
    assert parsed.decision.reasoning.endswith("\nWorth a look this week.")
    assert parsed.actions == ("ALERT: look at the build host",)
    assert parsed.attempts == (Attempt("hermes", None, 900.0),)
    assert isinstance(parsed.perception, dict)
    assert parsed.perception["model_health"] == {"ollama_running": True, "models_loaded": ["hermes4:14b"]}
    assert (parsed.trigger, parsed.provider, parsed.host, parsed.duration_ms) == ("schedule", "hermes", "mbp", 1085.0)


def test_an_old_tick_has_unknowns_instead_of_what_it_lacks() -> None:
    parsed = tick(
        {
            "tick_id": "20250102_030405",
            "timestamp": "2025-01-02T03:04:05",
            "perception": {"gitea_alive": False},
            "decision": {"actions": [], "severity": "WARN", "reasoning": "x"},
            "dpo_label": "Rejected",
        }
    )

    assert (parsed.head.severity, parsed.head.label, parsed.head.by_model) == ("warning", "rejected", True)
    assert parsed.head.at == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    unknown = (parsed.trigger, parsed.prompt, parsed.response, parsed.provider, parsed.duration_ms, parsed.host)
    assert unknown == (None,) * 6
    assert parsed.attempts == ()


@pytest.mark.parametrize(
    ("written", "severity"),
    [
        ("ok", "ok"),
        ("OK", "ok"),
        ("Warning", "warning"),
        ("WARN", "warning"),
        ("CRIT", "critical"),
        (" Critical ", "critical"),
        ("fallback", "fallback"),
        ("serene", "unknown"),
        ("", "unknown"),
        (3, "unknown"),
        (None, "unknown"),
    ],
)
def test_severity_is_one_of_five_words(written: object, severity: str) -> None:
    assert tick({"tick_id": "a", "decision": {"severity": written}}).head.severity == severity


@pytest.mark.parametrize(
    ("tree", "by_model"),
    [
        ({"decision": {"severity": "ok"}}, True),
        ({"decision": {"severity": "fallback"}, "provider": "hermes"}, False),
        ({"provider": "ollama"}, True),
        ({"model": "hermes4:14b", "decision": "what"}, True),
        ({}, False),
        ({"decision": None, "provider": None}, False),
    ],
)
def test_a_model_decided_unless_the_rules_did(tree: dict[str, object], by_model: bool) -> None:
    assert tick({"tick_id": "a", **tree}).head.by_model is by_model


@pytest.mark.parametrize(
    ("timestamp", "tick_id", "at"),
    [
        ("2026-11-20T03:15:00.5+00:00", "a", datetime(2026, 11, 20, 3, 15, 0, 500_000, tzinfo=UTC)),
        ("2026-11-20T03:15:00Z", "a", datetime(2026, 11, 20, 3, 15, tzinfo=UTC)),
        ("2026-11-20T03:15:00", "a", datetime(2026, 11, 20, 3, 15, tzinfo=KATHMANDU)),
        ("yesterday", "20261120_031500", datetime(2026, 11, 20, 3, 15, tzinfo=KATHMANDU)),
        (17, "20261120_031500_2", datetime(2026, 11, 20, 3, 15, tzinfo=KATHMANDU)),
        (None, "20261120_031500", datetime(2026, 11, 20, 3, 15, tzinfo=KATHMANDU)),
        ("", "tick-17", None),
        ("9999-12-31T23:59:59-23:59", "20269999_000000", None),
    ],
)
def test_the_time_comes_from_the_timestamp_else_from_the_id(
    timestamp: object, tick_id: str, at: datetime | None
) -> None:
    head = parse_head(json.dumps({"tick_id": tick_id, "timestamp": timestamp}).encode(), PLACE, KATHMANDU)

    assert isinstance(head, TickHead)
    if at is None and head.at is not None:  # a time that this platform can express all the same
        assert head.at > 2**37
    else:
        assert head.at == (at.timestamp() if at else None)


def test_a_number_is_an_id_and_its_text_is_shown() -> None:
    assert tick({"tick_id": 20261120}).head.tick_id == "20261120"


def test_objects_among_the_actions_name_themselves() -> None:
    parsed = tick(
        {
            "tick_id": "a",
            "actions": ["ALERT: x", {"action": "restart", "service": "ollama", "n": 2}, {"why": [1]}, 7, None],
        }
    )

    assert parsed.actions == ("ALERT: x", "restart service=ollama n=2", '{"why":[1]}', "7", "null")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[]", "not a JSON object"),
        (b'"tick_id"', "not a JSON object"),
        (b"{}", "no tick_id"),
        (b'{"tick_id": null}', "no tick_id"),
        (b'{"tick_id": true}', "no tick_id"),
        (b'{"tick_id": ""}', "no tick_id"),
        (b'{"tick_id": ["a"]}', "no tick_id"),
        (b'{"tick_id": "a"', "not JSON"),
        (b'{"tick_id": "a"}{"tick_id": "b"}', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        pytest.param(
            b'{"tick_id": "a", "perception": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply", id="deep"
        ),
    ],
)
def test_a_bad_line_is_a_value_with_its_reason(line: bytes, reason: str) -> None:
    assert parse_head(line, PLACE, UTC) == BadLine(reason)
    assert parse_tick(line, PLACE, UTC) == BadLine(reason)


@pytest.mark.parametrize(
    "line",
    [
        b'{"tick_id": "a", "perception": {"load": NaN, "free": -Infinity}}',
        b'{"tick_id": "a", "response": "\\ud800"}',
        b'\xef\xbb\xbf{"tick_id": "a"}',
        b'{"tick_id": "a", "response": "\xff\xfe"}',
        pytest.param(b'{"tick_id": "a", "perception": {"n": ' + b"9" * 100_000 + b"}}", id="a huge number"),
        b'{"tick_id": "a", "duration_ms": 1e999}',
    ],
)
def test_what_the_strict_decoder_refuses_is_still_a_tick(line: bytes) -> None:
    head, whole = parse_head(line, PLACE, UTC), parse_tick(line, PLACE, UTC)

    assert isinstance(head, TickHead)
    assert isinstance(whole, Tick)
    assert head == whole.head
    assert whole.head.tick_id == "a"
    assert whole.duration_ms is None


HOSTILE = "\x1b]52;c;SEk=\x07\x9b2J\u202e\u200b\ud800\r"


def test_no_string_of_a_tick_reaches_a_view_raw() -> None:
    tree = dict.fromkeys(tick_tree(1), HOSTILE) | {
        "perception": {HOSTILE: [HOSTILE]},
        "decision": {"severity": HOSTILE, "reasoning": HOSTILE, "actions": [HOSTILE, {HOSTILE: HOSTILE}]},
        "actions": [{"name": HOSTILE}],
        "attempts": [{"provider": HOSTILE, "error": HOSTILE + "Bearer abcdefghijkl"}, {"error": {HOSTILE: 1}}, 3],
    }
    parsed = tick(tree)

    shown = repr(parsed.head) + repr(parsed)
    assert not set("\x1b\x07\x9b\u202e\u200b\ud800\r") & set(
        "".join(_strings((parsed.head.tick_id, parsed.head.summary, parsed.head.model, parsed.timestamp)))
        + "".join(_strings((parsed.perception, parsed.prompt, parsed.response, parsed.actions, parsed.provider)))
        + "".join(_strings((parsed.host, parsed.writer, parsed.session_id, parsed.trigger, parsed.previous_tick)))
        + "".join(_strings(tuple((a.provider, a.error) for a in parsed.attempts)))
        + "".join(_strings((parsed.decision.actions, parsed.decision.reasoning) if parsed.decision else ()))
    )
    assert "abcdefghijkl" not in shown


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _strings(part)]
    return [text for item in value for text in _strings(item)] if isinstance(value, list | tuple) else []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = [*tick_tree(1), "dpo_label"]


@given(st.dictionaries(st.sampled_from(KEYS), json_values), st.text(min_size=1))
def test_a_tick_id_is_enough_whatever_the_other_keys_hold(tree: dict[str, object], tick_id: str) -> None:
    line = json.dumps({**tree, "tick_id": tick_id}).encode()

    head, whole = parse_head(line, PLACE, UTC), parse_tick(line, PLACE, UTC)

    assert isinstance(head, TickHead)
    assert isinstance(whole, Tick)
    assert whole.head == head


@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_fail(line: bytes) -> None:
    assert isinstance(parse_tick(line, PLACE, UTC), Tick | BadLine)
