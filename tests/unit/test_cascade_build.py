"""The cascade in force: as configured, else what is found; keys from the environment only, nothing opened early."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from faulty_server import Answer, FaultyServer

from timmy_tui.config import Settings, load_settings
from timmy_tui.services.cascade.build import build_cascade
from timmy_tui.services.cascade.cascade import Cascade
from timmy_tui.services.cascade.records import CompletionRequest
from timmy_tui.services.providers.errors import ProvidersError
from timmy_tui.services.providers.metrics import read_provider_metrics

REQUEST = CompletionRequest("?", "test", timeout_s=10)
ANSWER = '{"choices": [{"message": {"content": "fine"}}]}'


class Home:
    """A home with a ``providers.yaml``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"HOME": str(folder), "TIMMY_HOME": str(folder), "HERMES_HOME": str(folder), "PATH": str(folder)}

    def settings(self, yaml: str | None = None) -> Settings:
        if yaml is not None:
            (self.folder / "providers.yaml").write_text(yaml)
        return load_settings(self.env)

    def cascade(self, yaml: str | None = None, **env: str) -> Cascade:
        return build_cascade(self.settings(yaml), {**self.env, **env})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def names(cascade: Cascade) -> list[str]:
    return [provider.name for provider in cascade.providers]


def test_with_nothing_configured_it_is_ollama(home: Home) -> None:
    assert names(home.cascade()) == ["ollama"]


def test_and_hermes_before_it_when_its_command_is_there(home: Home) -> None:
    command = home.folder / "hermes"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    assert names(home.cascade()) == ["hermes", "ollama"]


def test_a_cascade_without_providers_changes_only_the_timings(home: Home) -> None:
    assert names(home.cascade("cascade: {timeout_seconds: 7}")) == ["ollama"]


def test_the_configured_ones_are_asked_by_priority_and_not_when_turned_off(home: Home) -> None:
    cascade = home.cascade(
        "providers:\n"
        "  - {name: cloud, type: anthropic, priority: 9, api_key: '${CLOUD_KEY}'}\n"
        "  - {name: spare, type: ollama, priority: 1, enabled: false}\n"
        "  - {name: vllm, type: openai, priority: 2, base_url: 'http://127.0.0.1:8000/v1'}\n"
        "  - {name: near, type: ollama, priority: 2}\n"
    )
    assert names(cascade) == ["vllm", "near", "cloud"]


def test_building_and_importing_open_nothing_and_load_no_http(home: Home) -> None:
    home.cascade()
    assert not (home.folder / "timmy.db").exists()
    code = (
        "import sys, timmy_tui.services.cascade.build, timmy_tui.services.cascade.providers.openai;"
        "print(sorted({'httpx', 'textual', 'rich', 'huey', 'yaml'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_broken_file_is_one_documented_error(home: Home) -> None:
    with pytest.raises(ProvidersError, match=r"providers\.yaml"):
        home.cascade("providers: [{name: x, type: telepathy}]")


async def run(cascade: Cascade) -> list[tuple[str, str | None]]:
    try:
        outcome = await cascade.run(REQUEST, lambda completion: completion.text)
    finally:
        await cascade.aclose()
    return [(attempt.provider, attempt.error) for attempt in outcome.attempts]


async def test_a_missing_key_is_named_and_the_next_provider_answers(home: Home) -> None:
    with FaultyServer({"/v1/chat/completions": ANSWER}) as server:
        yaml = (
            "providers:\n"
            f"  - {{name: keyed, type: openai, priority: 1, url: '{server.url}/v1', api_key: '${{SOME_KEY}}',"
            " models: [{name: m}]}\n"
            f"  - {{name: free, type: openai, priority: 2, url: '{server.url}/v1', models: [{{name: m}}]}}\n"
        )
        assert await run(home.cascade(yaml)) == [("keyed", "no key in SOME_KEY"), ("free", None)]
        assert read_provider_metrics(home.folder / "timmy.db").of("keyed").circuit == "open"


async def test_a_key_of_the_environment_is_sent_and_told_nowhere(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    key = "unusual-key-42-of-no-known-form"
    with FaultyServer({"/v1/chat/completions": Answer(f'{{"error": "{key} is wrong"}}', 400)}) as server:
        yaml = (
            "cascade: {max_retries_per_provider: 0}\n"
            f"providers: [{{name: keyed, type: openai, url: '{server.url}/v1', api_key: '${{SOME_KEY}}',"
            " models: [{name: m}]}]"
        )
        attempts = await run(home.cascade(yaml, SOME_KEY=key))
        assert server.requests[0].headers["authorization"] == f"Bearer {key}"
    assert attempts == [("keyed", "*** is wrong (400)")]
    stored = b"".join(file.read_bytes() for file in home.folder.glob("timmy.db*"))
    assert key.encode() not in stored
    assert key not in caplog.text


async def test_stopping_a_server_opens_its_circuit_and_starting_it_closes_it(home: Home) -> None:
    now = [1_795_144_500.0]
    chat = '{"model": "m", "message": {"content": "fine"}, "done": true}'
    with FaultyServer(
        {"/api/tags": '{"models": [{"name": "m"}]}', "/api/ps": '{"models": []}', "/api/chat": chat}
    ) as server:
        settings = home.settings(
            "cascade: {retry_delay_seconds: 0, circuit_breaker: {failure_threshold: 2, recovery_timeout: 60}}\n"
            f"providers: [{{name: near, type: ollama, url: '{server.url}'}}]"
        )

        async def attempt() -> list[tuple[str, str | None]]:
            env: Mapping[str, str] = home.env
            return await run(build_cascade(settings, env, lambda: now[0]))

        assert await attempt() == [("near", None)]
        server.trouble = "refuse"
        assert await attempt() == [("near", "nothing listens there (connection refused)")] * 2
        server.trouble = "healthy"
        assert await attempt() == [("near", "circuit open, next try in 60 s")]
        now[0] += 60
        assert await attempt() == [("near", None)]
        assert read_provider_metrics(settings.database_path).of("near").circuit == "closed"
