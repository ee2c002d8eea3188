"""``status --json`` is a promise: names, order, units, and null for what is unknown."""

from __future__ import annotations

import json
import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshot_maker import (
    NOW,
    URL,
    fresh,
    heartbeat,
    hermes,
    installed,
    loaded,
    lost,
    ollama,
    provider,
    providers,
    server,
    session,
    snapshot,
    tick,
    worker,
)

from timmy_tui import __version__
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.status.document import RECENT_SESSIONS, iso_time, status_document, status_json

ORDER: dict[str, list[str]] = {
    "": ["at", "version", "severity", "problems", "ollama", "hermes", "heartbeat", "worker", "providers"],
    "ollama": ["name", "url", "state", "error", "age_s", "version", "latency_ms", "models", "loaded"],
    "ollama.models": ["name", "size_bytes", "parameter_size", "quantization", "remote", "loaded"],
    "ollama.loaded": [
        "name",
        "size_bytes",
        "size_vram_bytes",
        "processor",
        "context_length",
        "expires_at",
        "expiry",
    ],
    "hermes": [
        "state",
        "error",
        "hours",
        "sessions",
        "by_source",
        "failed",
        "tokens",
        "local_tokens",
        "cloud_tokens",
        "cost_usd",
        "recent",
    ],
    "hermes.tokens": ["input", "output", "cache_read", "cache_write", "reasoning", "total"],
    "hermes.recent": ["id", "source", "model", "title", "started_at", "state", "total_tokens"],
    "heartbeat": [
        "ticks_today",
        "bad_lines",
        "by_severity",
        "model_decisions",
        "fallback_decisions",
        "labels",
        "last",
        "overdue",
    ],
    "heartbeat.labels": ["chosen", "rejected", "skipped"],
    "heartbeat.last": ["tick_id", "severity", "reasoning", "age_s"],
    "worker": ["state", "pid", "beat_age_s", "pending", "running"],
    "providers": [
        "name",
        "type",
        "priority",
        "state",
        "circuit",
        "next_probe_s",
        "requests",
        "failures",
        "avg_latency_ms",
        "last_error",
        "last_error_at",
    ],
}


def document(day: Snapshot) -> dict[str, object]:
    text = status_json(status_document(day, NOW, 24))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    parsed: dict[str, object] = json.loads(text, parse_constant=refuse)
    return parsed


def at(tree: object, path: str) -> object:
    for step in filter(None, path.split(".")):
        tree = tree[step]  # type: ignore[index]
        if isinstance(tree, list):
            tree = tree[0]
    return tree


@pytest.mark.parametrize("path", ORDER)
def test_every_key_stands_in_its_place(path: str) -> None:
    assert list(at(document(snapshot()), path)) == ORDER[path]  # type: ignore[call-overload]


def test_a_working_day() -> None:
    day = document(snapshot())
    assert day["version"] == __version__
    assert (day["severity"], day["problems"]) == ("ok", [])
    first = at(day, "ollama")
    assert isinstance(first, dict)
    assert {key: first[key] for key in ("name", "url", "state", "error", "age_s", "latency_ms")} == {
        "name": "local",
        "url": URL,
        "state": "up",
        "error": None,
        "age_s": 0.4,
        "latency_ms": 3.1,
    }
    assert [model["loaded"] for model in first["models"]] == [True, True, False]
    assert at(day, "heartbeat.by_severity") == {"ok": 2, "warning": 0, "critical": 0, "fallback": 0, "unknown": 0}
    assert at(day, "heartbeat.last") == {
        "tick_id": "20261119_121000",
        "severity": "ok",
        "reasoning": "All services answer.\nNothing to do.",
        "age_s": 240.0,
    }
    assert at(day, "hermes.hours") == 24
    assert '"hours": 24,' in status_json(status_document(snapshot(), NOW, 24))
    assert at(day, "hermes.tokens.total") == 1300
    assert at(day, "worker") == {"state": "up", "pid": 4711, "beat_age_s": 1.0, "pending": 0, "running": None}
    assert at(day, "providers.next_probe_s") == 41.0


def test_what_is_unknown_is_null_and_never_0() -> None:
    blank = document(Snapshot(host="mbp", ollama=(OllamaServer("local", URL),)))
    assert at(blank, "ollama") == dict.fromkeys(ORDER["ollama"]) | {"name": "local", "url": URL}
    assert blank["hermes"] == dict.fromkeys(ORDER["hermes"]) | {"hours": 24}
    assert blank["heartbeat"] == dict.fromkeys(ORDER["heartbeat"])
    assert blank["worker"] == dict.fromkeys(ORDER["worker"])
    assert blank["providers"] is None


def test_a_dead_server_has_no_models_instead_of_none_loaded() -> None:
    dead = at(document(snapshot(ollama=(server(reading=lost("connection refused")),))), "ollama")
    assert isinstance(dead, dict)
    assert (dead["state"], dead["error"], dead["models"], dead["loaded"]) == ("down", "connection refused", None, None)


def test_a_stale_server_keeps_its_numbers_and_says_so() -> None:
    stale = at(document(snapshot(ollama=(server(reading=lost("connection refused", value=ollama())),))), "ollama")
    assert isinstance(stale, dict)
    assert (stale["state"], stale["age_s"], len(stale["loaded"])) == ("stale", 6.0, 2)


def test_expiries_are_told_apart_where_the_time_is_null() -> None:
    models = (
        loaded("a"),
        loaded("b", expires_at=math.inf),
        loaded("c", expires_at=None),
        loaded("d", expires_at=NOW - 5),
    )
    day = document(snapshot(ollama=(server(ollama(models)),)))
    entries = day["ollama"][0]["loaded"]  # type: ignore[index]
    assert [entry["expiry"] for entry in entries] == ["in 4m", "forever", "unknown", "busy or stopping"]
    assert [entry["expires_at"] is None for entry in entries] == [False, True, True, False]
    assert entries[0]["processor"] == "100% GPU"


def test_an_alias_of_a_loaded_model_counts_as_loaded() -> None:
    alias = ollama((loaded("first", digest="same"),), (installed("second", digest="same"),))
    assert at(document(snapshot(ollama=(server(alias),))), "ollama.models.loaded") is True


def test_times_carry_their_zone() -> None:
    stamp = document(snapshot())["at"]
    assert isinstance(stamp, str)
    moment = datetime.fromisoformat(stamp)
    assert moment.utcoffset() is not None
    assert moment.timestamp() == NOW


@given(st.one_of(st.none(), st.floats()))
def test_no_time_is_too_strange(seconds: float | None) -> None:
    text = iso_time(seconds)
    assert text is None or abs(datetime.fromisoformat(text).timestamp() - (seconds or 0)) <= 1


def test_a_store_of_routing_rows_has_no_tokens() -> None:
    day = document(snapshot(hermes=fresh(hermes(session(), routing_only=True))))
    assert (at(day, "hermes.sessions"), at(day, "hermes.tokens"), at(day, "hermes.local_tokens")) == (1, None, None)
    assert at(day, "hermes.recent.total_tokens") is None


def test_recent_sessions_are_few_and_all_are_counted() -> None:
    many = hermes(*(session(f"s{number}") for number in range(40)))
    day = document(snapshot(hermes=fresh(many)))
    assert at(day, "hermes.sessions") == 40
    assert len(day["hermes"]["recent"]) == RECENT_SESSIONS  # type: ignore[index]


def test_overdue_is_only_said_of_a_heartbeat_that_should_beat() -> None:
    late = fresh(heartbeat(tick("a", at=NOW - 86_400)))
    assert at(document(snapshot(heartbeat=late)), "heartbeat.overdue") is True
    assert at(document(snapshot(heartbeat=late, heartbeat_enabled=False)), "heartbeat.overdue") is False


def test_a_number_that_is_none_becomes_null() -> None:
    odd = provider(avg_latency_ms=math.nan, next_probe_at=math.inf, last_error_at=math.inf)
    day = document(snapshot(providers=fresh(providers(odd)), worker=fresh(worker(beat_at=math.inf))))
    entry = at(day, "providers")
    assert isinstance(entry, dict)
    assert (entry["avg_latency_ms"], entry["next_probe_s"], entry["last_error_at"]) == (None, None, None)
