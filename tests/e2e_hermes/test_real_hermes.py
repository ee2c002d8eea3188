"""The real Hermes against a model server that misbehaves: what comes back is an answer or a named problem.

``TIMMY_TEST_HERMES`` names the ``hermes`` to run; ``make test-hermes`` makes one and does.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fake_openai import ANSWER, MODEL, FakeOpenAI, Mode, fake_openai

from timmy_tui.config import Settings, load_settings
from timmy_tui.services.cascade.providers.hermes import HermesProvider
from timmy_tui.services.cascade.records import CallError, Completion, CompletionRequest
from timmy_tui.services.heartbeat.decision import parse_decision

HERMES = os.environ.get("TIMMY_TEST_HERMES", "")

pytestmark = pytest.mark.skipif(not HERMES, reason="TIMMY_TEST_HERMES names no hermes; run: make test-hermes")

REQUEST = CompletionRequest(prompt="Is all well?", caller="heartbeat_tick", timeout_s=60)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One HERMES_HOME for all: Hermes takes seconds to furnish a new one."""
    return tmp_path_factory.mktemp("hermes")


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


@pytest.fixture(autouse=True)
def unset(home: Path) -> Iterator[None]:
    yield
    for name in ("config.yaml", ".env", "active_profile", "context_length_cache.yaml"):
        (home / name).unlink(missing_ok=True)


def environment(home: Path, url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home.parent),
        "TIMMY_HOME": str(home.parent / "timmy"),
        "HERMES_HOME": str(home),
        "OLLAMA_HOST": url,
        "OPENAI_API_KEY": "sk-of-the-operator-0123456789",
        "OPENROUTER_API_KEY": "sk-or-of-the-operator-0123456789",
    }


def settings_of(env: dict[str, str], profile: str = "") -> Settings:
    return load_settings(env, overrides={"hermes": {"command": HERMES, "profile": profile}})


async def ask(home: Path, url: str, request: CompletionRequest = REQUEST, profile: str = "") -> Completion:
    env = environment(home, url)
    return await HermesProvider(settings_of(env, profile), env).complete(request)


async def problem(home: Path, url: str, request: CompletionRequest = REQUEST) -> CallError:
    with pytest.raises(CallError) as caught:
        await ask(home, url, request)
    return caught.value


def rows(home: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{home / 'state.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def listed_sessions(home: Path) -> str:
    command, env = [HERMES, "sessions", "list"], environment(home, "")
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


async def test_a_decision_is_a_session_that_hermes_lists(home: Path, server: FakeOpenAI) -> None:
    completion = await ask(home, server.url)
    assert completion.text == ANSWER
    assert (completion.provider, completion.model) == ("hermes", MODEL)
    assert (completion.tokens_in, completion.tokens_out) == (700, 30)
    [row] = rows(home, f"SELECT source, model FROM sessions WHERE id = '{completion.session_id}'")
    assert row == ("heartbeat", MODEL)
    assert completion.session_id is not None
    assert completion.session_id in await asyncio.to_thread(listed_sessions, home)


async def test_the_prompt_is_tagged_and_there_are_no_tools_and_no_key(home: Path, server: FakeOpenAI) -> None:
    (home / "SOUL.md").write_text("SOUL-OF-THE-OPERATOR")
    await ask(home, server.url)
    [body] = server.asked
    messages = body["messages"]
    assert isinstance(messages, list)
    assert messages[-1]["role"] == "user"
    assert "[heartbeat_tick] Is all well?" in str(messages[-1]["content"])
    assert "SOUL-OF-THE-OPERATOR" not in str(messages)
    assert not body.get("tools")
    assert all("operator" not in key for key in server.keys)


@pytest.mark.parametrize("mode", ["prose", "reasoning", "thinking"])
async def test_the_decision_is_found_whatever_stands_around_it(home: Path, server: FakeOpenAI, mode: Mode) -> None:
    server.mode = mode
    completion = await ask(home, server.url)
    assert parse_decision(completion.text).severity == "ok"


@pytest.mark.parametrize(
    ("mode", "named", "told"),
    [
        ("nothing", "empty", "empty reply"),
        ("401", "auth", "HTTP 401"),
        ("404", "not_found", "HTTP 404"),
        ("429", "busy", "HTTP 429"),
        ("500", "server", "HTTP 500"),
        ("html", "server", "empty stream"),
    ],
)
async def test_a_failing_server_is_a_named_problem(
    home: Path, server: FakeOpenAI, mode: Mode, named: str, told: str
) -> None:
    server.mode = mode
    error = await problem(home, server.url)
    assert error.problem == named
    assert told in error.message


async def test_a_server_that_never_answers_ends_at_the_deadline(home: Path, server: FakeOpenAI) -> None:
    server.mode = "slow"
    error = await problem(home, server.url, CompletionRequest(prompt="?", caller="heartbeat_tick", timeout_s=8))
    assert error.problem == "timeout"
    assert server.asked, "hermes did ask"


async def test_a_model_that_is_still_being_loaded_is_waited_for_within_the_deadline(
    home: Path, server: FakeOpenAI
) -> None:
    server.delay_s = 8
    completion = await ask(home, server.url, CompletionRequest(prompt="?", caller="heartbeat_tick", timeout_s=24))
    assert completion.text == ANSWER
    assert len(server.asked) == 1, "an impatient second request would start the prompt anew"


async def test_a_server_that_is_down_is_refused_without_a_session(home: Path) -> None:
    with closing(socket.socket()) as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{placeholder.getsockname()[1]}"
        assert (await problem(home, url)).problem == "refused"


async def test_a_small_context_is_named_with_what_mends_it_and_that_mends_it(home: Path, server: FakeOpenAI) -> None:
    server.context = 8_192
    error = await problem(home, server.url)
    assert error.problem == "small_context"
    assert "8,192" in error.message
    assert "64,000" in error.message
    assert "model.context_length: 65536" in error.hint
    (home / "config.yaml").write_text("model:\n  context_length: 65536\n")
    assert (await ask(home, server.url)).text == ANSWER


async def test_a_url_in_hermes_own_env_file_does_not_lead_a_call_elsewhere(home: Path, server: FakeOpenAI) -> None:
    with fake_openai() as elsewhere:
        (home / ".env").write_text(f"CUSTOM_BASE_URL={elsewhere.url}/v1\nOPENAI_API_KEY=sk-in-the-file-0123456789\n")
        completion = await ask(home, server.url)
        assert completion.text == ANSWER
        assert not elsewhere.asked
    assert len(server.asked) == 1


async def test_a_failing_local_model_is_not_answered_by_the_fallback(home: Path, server: FakeOpenAI) -> None:
    server.mode = "500"
    with fake_openai() as cloud:
        route = f"{{provider: custom, model: big-cloud, base_url: {cloud.url}/v1, api_key: x}}"
        (home / "config.yaml").write_text(f"fallback_providers: [{route}]\n")
        assert (await problem(home, server.url)).problem == "server"
        assert not cloud.asked


async def test_an_active_profile_gets_the_session_unless_the_root_is_meant(home: Path, server: FakeOpenAI) -> None:
    profile = home / "profiles" / "coder"
    profile.mkdir(parents=True, exist_ok=True)
    (home / "active_profile").write_text("coder\n")
    completion = await ask(home, server.url)
    assert completion.text == ANSWER
    assert rows(profile, f"SELECT source FROM sessions WHERE id = '{completion.session_id}'") == [("heartbeat",)]
    completion = await ask(home, server.url, profile="default")
    assert rows(home, f"SELECT source FROM sessions WHERE id = '{completion.session_id}'") == [("heartbeat",)]
