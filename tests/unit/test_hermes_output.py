"""What the real Hermes 0.19 printed in each situation, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from timmy_tui.services.cascade.providers.hermes_output import CONTEXT_MEND, answer_text, failure, session_of
from timmy_tui.services.heartbeat.decision import parse_decision

CAPTURES = Path(__file__).parents[1] / "fixtures" / "hermes-captures"


def printed(name: str) -> tuple[str, str]:
    out, err = (CAPTURES / f"chat_{name}.{stream}.txt" for stream in ("stdout", "stderr"))
    return out.read_bytes().decode(), err.read_bytes().decode()


@pytest.mark.parametrize(
    ("name", "code", "problem", "told"),
    [
        ("server_down", 1, "refused", "can't reach the model server"),
        ("http500", 1, "server", "HTTP 500: llama runner process has terminated: exit status 2"),
        ("model_missing_404", 1, "not_found", 'HTTP 404: model "hermes4:14b" not found, try pulling it first'),
        ("http429", 1, "busy", "HTTP 429: rate limited"),
        ("http401", 1, "auth", "HTTP 401: unauthorized"),
        ("garbage_body", 1, "server", "empty stream"),
        ("hang_api_timeout_6s", 1, "timeout", "did not answer Hermes in time"),
        ("small_context", 1, "small_context", "8,192 tokens and wants 64,000"),
        ("num_ctx_8192_call2", 1, "small_context", "8,192 tokens and wants 64,000"),
        ("ollama_num_ctx_small_with_tools", 1, "small_context", "8,192 tokens and wants 64,000"),
        ("not_configured", 1, "not_configured", "no provider configured"),
        ("no_provider", 1, "not_configured", "no provider configured"),
        ("openai_base_url", 1, "not_configured", "no provider configured"),
        ("empty_answer", 0, "empty", "empty reply"),
    ],
)
def test_each_failure_has_its_name(name: str, code: int, problem: str, told: str) -> None:
    error = failure(code, *printed(name))
    assert error is not None
    assert error.problem == problem
    assert told in error.message
    assert "\n" not in error.message


def test_the_small_context_comes_with_the_line_that_mends_it() -> None:
    error = failure(1, *printed("small_context"))
    assert error is not None
    assert error.hint == CONTEXT_MEND
    assert "model.context_length: 65536" in error.hint


def test_a_failure_text_is_one_even_when_the_exit_code_says_otherwise() -> None:
    """Other versions and modes of Hermes print it with exit code 0 (facts/hermes.md §1.5)."""
    error = failure(0, *printed("server_down"))
    assert error is not None
    assert error.problem == "refused"


@pytest.mark.parametrize("name", ["t_none", "t_file_bogus"])
def test_warnings_before_an_answer_are_no_part_of_it(name: str) -> None:
    out, err = printed(name)
    assert failure(0, out, err) is None
    assert json.loads(answer_text(out)) == {"actions": [], "severity": "ok", "reasoning": "all good"}
    assert parse_decision(answer_text(out)).severity == "ok"


@pytest.mark.parametrize(
    ("name", "answer"),
    [("reasoning_field", '```json\n{"severity": "ok"}\n```'), ("think_tags", '{"severity": "ok"}')],
)
def test_a_reasoning_box_is_no_part_of_the_answer(name: str, answer: str) -> None:
    out, err = printed(name)
    assert failure(0, out, err) is None
    assert answer_text(out) == answer


def test_an_answer_that_speaks_of_failures_is_an_answer() -> None:
    out = (
        '{"actions": [], "severity": "warning", "reasoning": "HTTP 500: Connection error. It isn\'t configured yet"}\n'
    )
    assert failure(0, out, "") is None


@pytest.mark.parametrize(
    ("code", "out", "problem", "told"),
    [
        (1, "", "server", "exit 1): no output"),
        (2, "", "server", "exit 2)"),
        (-9, "", "server", "signal 9"),
        (130, "", "server", "exit 130"),
        (1, "Traceback (most recent call last):\n  boom\nValueError: token=abcdef123456", "server", "***"),
        (1, "API call failed after 3 retries: HTTP 413: payload", "too_long", "413"),
        (1, "API call failed after 3 retries: HTTP 400: prompt is too long for the context", "too_long", "400"),
        (1, "API call failed after 3 retries: HTTP 400: bad request", "server", "400"),
        (1, "API call failed after 3 retries: HTTP 403: no", "auth", "403"),
        (1, "API call failed after 3 retries: HTTP 503: loading", "busy", "503"),
        (1, "API call failed after 3 retries: HTTP 404: \x1b[2J", "not_found", "^[[2J"),
    ],
)
def test_what_was_never_seen_is_named_as_well(code: int, out: str, problem: str, told: str) -> None:
    error = failure(code, out, "")
    assert error is not None
    assert error.problem == problem
    assert told in error.message
    assert error.message.isprintable()


def test_the_session_is_told_on_stderr_and_without_quiet_on_stdout() -> None:
    assert session_of(*reversed(printed("t_none"))) == "20261120_034114_7eccdb"
    assert (
        session_of("", "Resume this session with:\n\nSession:        20261120_034141_f20ab6\n")
        == "20261120_034141_f20ab6"
    )
    assert session_of("", "") is None
    assert session_of("session_id: ../../etc passwd\n", "") is None
