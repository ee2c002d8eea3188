"""One verdict for the header, the status and the exit code."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshot_maker import (
    NOW,
    URL,
    fresh,
    heartbeat,
    lost,
    provider,
    providers,
    server,
    snapshot,
    tick,
    worker,
)

from timmy_tui.services.reading import Reading
from timmy_tui.services.severity import DOWN_AFTER_S, overall, source_state
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.ticks.records import Tick
from timmy_tui.services.worker.records import WorkerReading


def told(tick_id: str, severity: str, summary: str) -> Tick:
    whole = tick(tick_id, severity)  # type: ignore[arg-type]
    return msgspec.structs.replace(whole, head=msgspec.structs.replace(whole.head, summary=summary))


def test_a_working_day_is_ok_and_has_nothing_to_say() -> None:
    verdict = overall(snapshot(), NOW)
    assert (verdict.severity, verdict.problems, verdict.exit_code) == ("ok", (), 0)


def test_what_has_not_answered_yet_is_no_problem() -> None:
    waiting = Snapshot(host="mbp", ollama=(OllamaServer("local", URL),))
    assert overall(waiting, NOW).problems == ()


def test_a_dead_ollama_is_critical_in_few_words() -> None:
    dead = server(reading=lost(f"Ollama does not answer at {URL}: connection refused"))
    verdict = overall(snapshot(ollama=(dead,)), NOW)
    assert verdict.problems == ("Ollama local does not answer: connection refused",)
    assert (verdict.severity, verdict.exit_code) == ("critical", 2)


def test_an_ollama_that_answers_nonsense_is_named_by_its_name() -> None:
    lying = server(reading=lost(f"Ollama at {URL} answers /api/ps with a web page"))
    assert overall(snapshot(ollama=(lying,)), NOW).problems == ("Ollama local answers /api/ps with a web page",)


def test_one_failed_poll_is_a_warning_and_a_lasting_failure_is_critical() -> None:
    old = server().reading.value
    for lasted_s, severity in ((0.0, "warning"), (DOWN_AFTER_S - 1, "warning"), (DOWN_AFTER_S, "critical")):
        entry = server(reading=lost("connection refused", since=NOW - lasted_s, value=old))
        assert overall(snapshot(ollama=(entry,)), NOW).severity == severity, lasted_s


def test_a_value_that_grew_old_without_an_error_is_stale() -> None:
    sleeping = server(reading=fresh(server().reading.value, at=NOW - 3600))
    verdict = overall(snapshot(ollama=(sleeping,)), NOW)
    assert (verdict.severity, verdict.problems) == ("warning", ("Ollama local last seen 1 h ago",))


@pytest.mark.parametrize(
    ("severity", "expected", "problem"),
    [
        ("ok", "ok", ()),
        ("unknown", "ok", ()),
        ("warning", "warning", ("last tick: Disk at 91 %",)),
        ("fallback", "warning", ("last tick: the rules decided, no model answered",)),
        ("critical", "critical", ("last tick: Disk at 91 %",)),
    ],
)
def test_the_last_tick_counts(severity: str, expected: str, problem: tuple[str, ...]) -> None:
    day = snapshot(heartbeat=fresh(heartbeat(told("a", severity, "Disk at 91 %"))))
    verdict = overall(day, NOW)
    assert (verdict.severity, verdict.problems) == (expected, problem)


@pytest.mark.parametrize(
    ("age_s", "expected", "problem"),
    [
        (600 * 2.4, "ok", ()),
        (600 * 3.3, "warning", ("heartbeat overdue by 23 m",)),
        (600 * 6.9, "warning", ("heartbeat overdue by 59 m",)),
        (600 * 7.1, "critical", ("heartbeat overdue by 1 h",)),
    ],
)
def test_a_late_heartbeat_warns_and_a_silent_one_is_critical(
    age_s: float, expected: str, problem: tuple[str, ...]
) -> None:
    verdict = overall(snapshot(heartbeat=fresh(heartbeat(tick("a", at=NOW - age_s)))), NOW)
    assert (verdict.severity, verdict.problems) == (expected, problem)


def test_a_heartbeat_that_is_switched_off_is_not_missed() -> None:
    off = snapshot(
        heartbeat=fresh(heartbeat(tick("a", "critical", at=NOW - 86_400))),
        worker=fresh(worker("down")),
        heartbeat_enabled=False,
    )
    assert overall(off, NOW).problems == ()


@pytest.mark.parametrize(
    ("reading", "problems"),
    [
        (worker("elsewhere"), ()),
        (worker("down"), ("worker down",)),
        (worker("stuck", beat_at=NOW - 120), ("worker stuck: no beat for 2 m",)),
        (worker("up", queue_error="database is locked"), ("queue can't be read: database is locked",)),
    ],
)
def test_the_worker_never_does_more_than_warn(reading: WorkerReading, problems: tuple[str, ...]) -> None:
    verdict = overall(snapshot(worker=fresh(reading)), NOW)
    assert verdict.problems == problems
    assert verdict.severity == ("warning" if problems else "ok")


def test_no_worker_before_the_first_tick_is_no_problem() -> None:
    day = snapshot(heartbeat=fresh(heartbeat()), worker=fresh(worker("down")))
    assert overall(day, NOW).problems == ()


def test_an_open_circuit_warns_and_a_disabled_provider_does_not() -> None:
    cascade = providers(
        provider("hermes"),
        provider("airllm", circuit="open", last_error="connection refused"),
        provider("llama.cpp", state="down"),
        provider("openai", state="disabled", circuit="open"),
    )
    verdict = overall(snapshot(providers=fresh(cascade)), NOW)
    assert verdict.severity == "warning"
    assert verdict.problems == ("airllm circuit open: connection refused", "llama.cpp down")


def test_no_provider_left_is_critical_and_said_once() -> None:
    cascade = providers(provider("a", state="down"), provider("b", circuit="open"), provider("c", state="disabled"))
    verdict = overall(snapshot(providers=fresh(cascade)), NOW)
    assert (verdict.severity, verdict.problems) == ("critical", ("no provider answers: a, b",))


def test_a_missing_store_warns_in_its_own_words() -> None:
    verdict = overall(snapshot(hermes=lost("No Hermes store at /home/alex/.hermes")), NOW)
    assert (verdict.severity, verdict.problems) == ("warning", ("No Hermes store at /home/alex/.hermes",))


def test_an_error_without_a_subject_gets_one() -> None:
    verdict = overall(snapshot(hermes=lost("no answer within 12 s")), NOW)
    assert verdict.problems == ("Hermes store: no answer within 12 s",)


def test_the_worst_stands_first() -> None:
    bad = snapshot(
        ollama=(server(reading=lost("gone"), name="mac"),),
        hermes=lost("No Hermes store"),
        heartbeat=fresh(heartbeat(told("a", "critical", "Disk full"))),
        worker=fresh(worker("down")),
    )
    assert overall(bad, NOW).problems == (
        "Ollama mac: gone",
        "last tick: Disk full",
        "worker down",
        "No Hermes store",
    )


@given(st.text(max_size=400), st.text(max_size=400))
def test_every_problem_is_one_short_printable_line(error: str, summary: str) -> None:
    bad = snapshot(
        ollama=(server(reading=lost(error or "x")),), heartbeat=fresh(heartbeat(told("a", "warning", summary)))
    )
    for problem in overall(bad, NOW).problems:
        assert problem.isprintable()


def test_the_states_of_a_source() -> None:
    assert source_state(Reading(), NOW) is None
    assert source_state(fresh(1), NOW) == "up"
    assert source_state(lost("x", value=1), NOW) == "stale"
    assert source_state(lost("x"), NOW) == "down"
    assert source_state(lost("x", value=1, since=NOW - 3600), NOW) == "down"
