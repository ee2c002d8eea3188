"""What the activity strip tells: each change once, in order, and nothing that did not happen."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from snapshot_maker import (
    NOW,
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

from timmy_tui.services.activity import CHANGES_LIMIT, changes
from timmy_tui.services.hermes.records import RUNNING_WINDOW_S
from timmy_tui.services.snapshot import OllamaServer, Snapshot


def texts(before: Snapshot, after: Snapshot, now: float = NOW) -> list[str]:
    return [f"{entry.severity}: {entry.text}" for entry in changes(before, after, now)]


def test_nothing_is_told_of_the_first_snapshot() -> None:
    blank = Snapshot(host="mbp", ollama=(OllamaServer("local", ""),))
    assert changes(blank, snapshot(), NOW) == ()


def test_nothing_is_told_when_nothing_changed() -> None:
    assert changes(snapshot(), snapshot(), NOW) == ()


def test_models_come_and_go() -> None:
    before = snapshot(ollama=(server(ollama((loaded("a"), loaded("b", expires_at=NOW - 1)), (installed("a"),))),))
    after = snapshot(ollama=(server(ollama((loaded("c"),), (installed("c"),))),))
    assert texts(before, after) == [
        "info: c loaded",
        "info: a unloaded",
        "info: b expired",
        "info: c installed",
        "info: a removed",
    ]


def test_the_server_is_named_where_there_are_several() -> None:
    before = snapshot(ollama=(server(ollama(())), server(ollama(()), name="mac")))
    after = snapshot(ollama=(server(ollama(())), server(ollama((loaded("a"),)), name="mac")))
    assert texts(before, after) == ["info: a loaded on mac"]


def test_a_source_is_lost_once_and_comes_back_once() -> None:
    up = snapshot()
    down = snapshot(ollama=(server(reading=lost("connection refused", value=ollama())),))
    worse = snapshot(ollama=(server(reading=lost("no route", value=ollama())),))
    assert texts(up, down) == ["warning: Ollama local lost: connection refused"]
    assert texts(down, worse) == []
    assert texts(worse, up) == ["ok: Ollama local is back"]


def test_a_session_starts_and_finishes() -> None:
    before = snapshot(hermes=fresh(hermes(session("old"))))
    running = session("new", open_turn=True, answered=False, started_at=NOW - 3, last_activity_at=NOW - 2)
    during = snapshot(hermes=fresh(hermes(running, session("old"))))
    done = msgspec.structs.replace(running, open_turn=False, answered=True)
    after = snapshot(hermes=fresh(hermes(done, session("old"))))
    assert texts(before, during) == ["info: heartbeat session started"]
    assert texts(during, after) == ["ok: heartbeat session finished"]
    assert texts(before, after) == ["info: heartbeat session started", "ok: heartbeat session finished"]


def test_a_session_is_told_with_its_title() -> None:
    titled = session("new", source="cli", title="Nightly report", open_turn=True, last_activity_at=NOW - 2)
    after = snapshot(hermes=fresh(hermes(titled, session())))
    assert texts(snapshot(), after) == ["info: cli session started: Nightly report"]


def test_a_session_that_only_time_lets_fail_is_told_once() -> None:
    owed = session("s", open_turn=True, answered=False, last_activity_at=NOW - 10)
    later = NOW + RUNNING_WINDOW_S
    steps = [
        snapshot(hermes=fresh(hermes(owed), at=at, max_age_s=1e9)) for at in (NOW, later - 30, later + 30, later + 60)
    ]
    told = [texts(before, after, later + 90) for before, after in pairwise(steps)]
    assert told == [[], ["warning: heartbeat session failed"], []]


def test_sessions_of_a_window_that_grew_are_not_new() -> None:
    before = snapshot(hermes=fresh(hermes(hours=1.0)))
    after = snapshot(hermes=fresh(hermes(session(started_at=NOW - 7200), hours=24.0)))
    assert texts(before, after) == []


def test_another_store_is_no_news() -> None:
    after = snapshot(hermes=fresh(hermes(session("other"), path="/elsewhere/state.db")))
    assert texts(snapshot(), after) == []


def test_a_tick_arrives_with_its_severity_and_model() -> None:
    first = tick("a", at=NOW - 600)
    before = snapshot(heartbeat=fresh(heartbeat(first)))
    for severity, told in (
        ("ok", "ok: tick ok by hermes4:14b"),
        ("critical", "critical: tick critical by hermes4:14b"),
        ("fallback", "warning: tick fallback"),
        ("unknown", "info: tick unknown by hermes4:14b"),
    ):
        after = snapshot(heartbeat=fresh(heartbeat(first, tick("b", severity))))  # type: ignore[arg-type]
        assert texts(before, after) == [told]


def test_the_first_tick_of_an_empty_log_is_told() -> None:
    assert len(texts(snapshot(heartbeat=fresh(heartbeat())), snapshot(heartbeat=fresh(heartbeat(tick("a")))))) == 1


def test_circuits_and_providers() -> None:
    def with_provider(**changes: object) -> Snapshot:
        return snapshot(providers=fresh(providers(provider("airllm", **changes))))

    up, opened = with_provider(), with_provider(circuit="open", last_error="connection refused")
    half = with_provider(circuit="half_open")
    assert texts(up, opened) == ["warning: airllm circuit opened: connection refused"]
    assert texts(opened, half) == ["info: airllm circuit half-open"]
    assert texts(half, up) == ["ok: airllm circuit closed"]
    assert texts(up, with_provider(state="down")) == ["warning: airllm down"]
    assert texts(with_provider(state="down"), up) == ["ok: airllm up"]


def test_the_worker() -> None:
    up, down = snapshot(), snapshot(worker=fresh(worker("down")))
    assert texts(up, down) == ["warning: worker down"]
    assert texts(down, up) == ["ok: worker up"]
    assert texts(down, snapshot(worker=fresh(worker("elsewhere", host="mac")))) == ["ok: worker up on mac"]


def test_a_flood_is_bounded_and_the_newest_stay() -> None:
    ticks = [tick(f"t{number}", at=NOW - 10_000 + number) for number in range(3 * CHANGES_LIMIT)]
    told = changes(snapshot(heartbeat=fresh(heartbeat())), snapshot(heartbeat=fresh(heartbeat(*ticks))), NOW)
    assert len(told) == CHANGES_LIMIT
    assert told[-1].at == ticks[-1].head.at
