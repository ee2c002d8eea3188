"""Which providers there are, and which of them can be asked at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from timmy_tui.config import Settings, load_settings
from timmy_tui.services.providers.errors import ProvidersError
from timmy_tui.services.providers.found import Target, find_providers

CLOUD = "\nproviders:\n  - {name: cloud, type: openai, api_key: '%s'}\n"


def settings(home: Path, providers: str = "", tui: str = "", **env: str) -> Settings:
    if providers:
        (home / "providers.yaml").write_text(providers)
    if tui:
        (home / "tui.yaml").write_text(tui)
    return load_settings({"TIMMY_HOME": str(home), "HOME": str(home), **env})


def only(home: Path, entry: str, env: dict[str, str] | None = None, **settings_env: str) -> Target:
    found = find_providers(settings(home, f"providers:\n  - {entry}\n", **settings_env), env or {"PATH": ""})
    return found.targets[0]


def test_with_nothing_configured_ollama_is_there(tmp_path: Path) -> None:
    found = find_providers(settings(tmp_path), {"PATH": ""})
    assert not found.configured
    assert [(target.name, target.url) for target in found.targets] == [("ollama", "http://127.0.0.1:11434")]


def test_with_nothing_configured_hermes_comes_first_when_its_command_is_found(tmp_path: Path) -> None:
    command = tmp_path / "bin/hermes"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    found = find_providers(settings(tmp_path), {"PATH": str(tmp_path / "bin")})
    assert [target.name for target in found.targets] == ["hermes", "ollama"]
    assert found.targets[0].shown == str(command)


def test_an_empty_list_counts_as_none_configured(tmp_path: Path) -> None:
    found = find_providers(settings(tmp_path, "cascade: {timeout_seconds: 7}\nproviders: []\n"), {"PATH": ""})
    assert not found.configured
    assert found.cascade.timeout_seconds == 7


def test_configured_providers_stand_by_priority(tmp_path: Path) -> None:
    file = (
        "providers:\n  - {name: b, type: ollama, priority: 2}\n"
        "  - {name: a, type: ollama, priority: 1}\n  - {name: c, type: ollama, priority: 2}\n"
    )
    found = find_providers(settings(tmp_path, file), {"PATH": ""})
    assert found.configured
    assert [target.name for target in found.targets] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("{name: x, type: ollama, url: '192.168.1.5'}", "http://192.168.1.5:11434"),
        ("{name: x, type: ollama, base_url: 'http://box.local:11434/v1/'}", "http://box.local:11434"),
        ("{name: x, type: openai, base_url: 'localhost:8080/'}", "http://localhost:8080"),
        ("{name: x, type: openai, base_url: 'http://10.0.0.2:8000/v1/'}", "http://10.0.0.2:8000/v1"),
        ("{name: x, type: openai, base_url: 'api.example.com/v1', api_key: k}", "https://api.example.com/v1"),
        ("{name: x, type: openai, api_key: k}", "https://api.openai.com/v1"),
        ("{name: x, type: anthropic, api_key: k}", "https://api.anthropic.com"),
    ],
)
def test_an_address_is_what_gets_dialled(tmp_path: Path, entry: str, url: str) -> None:
    assert only(tmp_path, entry).url == url


@pytest.mark.parametrize(
    "entry",
    [
        "{name: x, type: openai, base_url: 'ftp://h/'}",
        "{name: x, type: openai, base_url: 'http://'}",
        "{name: x, type: openai, base_url: 'http://h:99999'}",
        "{name: x, type: openai, base_url: 'http://[::1'}",
        '{name: x, type: openai, base_url: "http://h/\\e[2J"}',
        "{name: x, type: ollama, url: 'ftp://h'}",
        "{name: x, type: openai, base_url: '${NOWHERE}'}",
    ],
)
def test_a_senseless_address_is_told_and_never_dialled(tmp_path: Path, entry: str) -> None:
    target = only(tmp_path, entry)
    assert target.url is None
    assert target.wrong
    assert "\x1b" not in target.wrong


def test_an_address_and_a_key_come_from_the_environment(tmp_path: Path) -> None:
    env = {"PATH": "", "BASE": "http://127.0.0.1:9", "KEY": " sk-12345678 \n"}
    target = only(tmp_path, "{name: x, type: openai, base_url: '${BASE}', api_key: '${KEY}'}", env)
    assert (target.url, target.key, target.off) == ("http://127.0.0.1:9", "sk-12345678", None)


def test_a_key_that_is_not_in_the_environment_disables_and_is_named(tmp_path: Path) -> None:
    target = only(tmp_path, "{name: x, type: openai, api_key: '${OPENAI_API_KEY}'}")
    assert target.off == "no key in OPENAI_API_KEY"
    target = only(tmp_path, "{name: x, type: openai, api_key: '${OPENAI_API_KEY}'}", {"OPENAI_API_KEY": ""})
    assert target.off == "no key in OPENAI_API_KEY"


def test_a_cloud_without_a_key_is_not_asked_but_a_near_server_is(tmp_path: Path) -> None:
    assert only(tmp_path, "{name: x, type: anthropic}").off == "no api_key in the configuration"
    assert only(tmp_path, "{name: x, type: openai, base_url: 'http://8.8.8.8/v1'}").off is not None
    assert only(tmp_path, "{name: x, type: openai, base_url: 'http://127.0.0.1:8080'}").off is None


def test_what_is_switched_off_says_so(tmp_path: Path) -> None:
    assert only(tmp_path, "{name: x, type: ollama, enabled: false}").off == "turned off in the configuration"


def test_secrets_show_neither_in_the_address_nor_in_the_text_of_a_target(tmp_path: Path) -> None:
    target = only(
        tmp_path, "{name: x, type: openai, base_url: 'http://me:hunter2@127.0.0.1:1/v1?k=q', api_key: sk-123}"
    )
    assert target.shown == "http://127.0.0.1:1/v1"
    assert target.url == "http://me:hunter2@127.0.0.1:1/v1"
    assert "hunter2" not in repr(target)
    assert "sk-123" not in repr(target)


def test_ollama_takes_the_first_configured_server_with_its_headers(tmp_path: Path) -> None:
    tui = "ollama:\n  - {name: far, url: 'http://10.1.1.1:80', headers: {X-Key: '${K}', X-None: '${NONE}'}}\n"
    found = find_providers(settings(tmp_path, tui=tui), {"PATH": "", "K": "v"})
    assert found.targets[0].url == "http://10.1.1.1:80"
    assert found.targets[0].headers == (("X-Key", "v"),)


def test_ollama_host_of_the_environment_counts(tmp_path: Path) -> None:
    found = find_providers(settings(tmp_path, OLLAMA_HOST="0.0.0.0:4321"), {"PATH": ""})
    assert found.targets[0].url == "http://127.0.0.1:4321"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("providers: [\n", "not valid YAML"),
        ("providers:\n  - {name: a, type: ollama, prio: 1}\n", "priority"),
        ("providers:\n  - {name: a, type: gemini}\n", "gemini"),
        ("providers:\n  - {name: a, type: ollama}\n  - {name: a, type: hermes}\n", "two providers are named"),
    ],
)
def test_a_broken_file_is_one_line_that_says_what_to_mend(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(ProvidersError) as caught:
        find_providers(settings(tmp_path, text), {"PATH": ""})
    assert part in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint
