"""The configuration: what stands above what, and errors that name the key in a person's words."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.config import Config, ConfigError, expand_env, load_cascade, load_settings


def write(home: Path, text: str, name: str = "tui.yaml") -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / name
    path.write_text(text, encoding="utf-8")
    return path


def env_of(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "TIMMY_HOME": str(home), **more}


def error_of(home: Path, text: str) -> str:
    path = write(home, text)
    with pytest.raises(ConfigError) as raised:
        load_settings(env_of(home))
    message = str(raised.value)
    assert message.startswith(f"{path}:")
    assert "\n" not in message
    return message.removeprefix(f"{path}:").strip()


def test_without_a_file_the_defaults_are_in_force(tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(tmp_path)})
    assert settings.config == Config()
    assert settings.timmy_home == tmp_path / ".timmy"
    assert settings.hermes_home == tmp_path / ".hermes"
    assert settings.config_path == tmp_path / ".timmy" / "tui.yaml"
    assert settings.log_path == tmp_path / ".timmy" / "logs" / "timmy-tui.log"
    assert settings.worker_log_path == tmp_path / ".timmy" / "logs" / "worker.log"
    assert settings.queue_path == tmp_path / ".timmy" / "queue.db"
    assert not settings.demo


def test_a_flag_stands_above_the_file_and_the_file_above_the_default(tmp_path: Path) -> None:
    write(tmp_path, "theme: from-file\nascii: true\nhermes: {hours: 12}\n")
    settings = load_settings(env_of(tmp_path), overrides={"theme": "from-flag"})
    assert (settings.config.theme, settings.config.ascii, settings.config.hermes.hours) == ("from-flag", True, 12)
    assert settings.config.mouse


def test_another_file_by_flag_then_by_environment(tmp_path: Path) -> None:
    write(tmp_path, "theme: home\n")
    by_env = write(tmp_path, "theme: env\n", "env.yaml")
    by_flag = write(tmp_path, "theme: flag\n", "flag.yaml")
    env = env_of(tmp_path, TIMMY_TUI_CONFIG=str(by_env))
    assert load_settings(env).config.theme == "env"
    assert load_settings(env, config_file=str(by_flag)).config.theme == "flag"


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; write one with: timmy-tui config init"):
        load_settings(env_of(tmp_path), config_file=str(tmp_path / "gone.yaml"))


def test_a_tilde_is_the_home_of_the_environment(tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(tmp_path), "TIMMY_HOME": "~/t", "HERMES_HOME": "~"})
    assert (settings.timmy_home, settings.hermes_home) == (tmp_path / "t", tmp_path)


def test_a_section_that_is_commented_out_keeps_its_defaults(tmp_path: Path) -> None:
    write(tmp_path, "hermes:\n#  hours: 12\nproviders:\ntheme: x\n")
    settings = load_settings(env_of(tmp_path))
    assert settings.config.hermes == Config().hermes
    assert settings.config.theme == "x"


@pytest.mark.parametrize("text", ["", "   \n", "# nothing\n", "---\n", "{}\n", "null\n"])
def test_an_empty_file_is_no_mistake(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    assert load_settings(env_of(tmp_path)).config == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tehme: x", "unknown key 'tehme'; did you mean 'theme'?"),
        ("ollama: [{nme: x}]", "unknown key 'ollama[0].nme'; did you mean 'name'?"),
        ("heartbeat: {zzz: 1}", "unknown key 'heartbeat.zzz'; known here: enabled, every_minutes"),
        (
            "cascade: {circuit_breaker: {treshold: 1}}",
            "unknown key 'cascade.circuit_breaker.treshold'; did you mean 'failure_threshold'?",
        ),
        ("intervals: {ollama_s: often}", "intervals.ollama_s: expected a number, found text"),
        ("intervals: {ollama_s: 0}", "intervals.ollama_s: expected a number more than 0"),
        ("intervals: {ollama_s: 100000}", "intervals.ollama_s: expected a number of at most 86400"),
        ("heartbeat: {every_minutes: 1.5}", "heartbeat.every_minutes: expected a whole number, found a number"),
        ("heartbeat: {every_minutes: 0}", "heartbeat.every_minutes: expected a whole number of at least 1"),
        ("heartbeat: {enabled: maybe}", "heartbeat.enabled: expected true or false, found text"),
        ("theme: 5", "theme: expected text, found a whole number; put it in quotes"),
        ("ollama: http://x", "ollama: expected a list, found text"),
        ("hermes: [1]", "hermes: expected keys and values, found a list"),
        ("cascade: 5", "cascade: expected keys and values, found a whole number"),
        ("keys: {tick: 5}", "keys[...]: expected text, found a whole number; put it in quotes"),
        ("ollama: [{headers: {1: x}}]", "ollama[0].headers: expected text, found a whole number; put it in quotes"),
        ("providers: [{type: ollama}]", "providers[0]: the key 'name' is missing"),
        (
            "providers: [{name: a, type: gemini}]",
            "providers[0].type: 'gemini' is none of hermes, ollama, openai, anthropic",
        ),
        ("ollama: [{vram_total_gb: lots}]", "ollama[0].vram_total_gb: expected a number, found text"),
        ("ollama: [{name: a}, {name: a}]", "ollama: two servers are named 'a'; give each its own name"),
        (
            "providers: [{name: a, type: ollama}, {name: a, type: hermes}]",
            "providers: two are named 'a'; give each its own name",
        ),
        ("usage: {prices: {date: '2026-13-01'}}", "usage.prices.date: expected a date such as 2026-11-01"),
        ("usage: {prices: {date: 5}}", "usage.prices.date: expected a date, found a whole number"),
        ("usage: {price: 1}", "unknown key 'usage.price'; did you mean 'prices'?"),
        (
            "usage: {prices: {models: {a: {input: -1, output: 1}}}}",
            "usage.prices.models[...].input: expected a number of at least 0",
        ),
        ("usage: {prices: {models: {a: {input: 1}}}}", "usage.prices.models[...]: the key 'output' is missing"),
        (
            "usage: {prices: {models: {a: {input: .inf, output: 1}}}}",
            "usage.prices.models.a.input: expected a number",
        ),
        ("usage: {power_watts: 0}", "usage.power_watts: expected a number more than 0"),
        ("usage: {power_watts: .inf}", "usage.power_watts: expected a number"),
        ("[1, 2]", "expected keys and values, found a list"),
        ("a: [", "line 1 not valid YAML: expected the node content, but found '<stream end>'"),
        ("a: !!python/object:os.system {}", "line 1 not valid YAML:"),
    ],
)
def test_a_mistake_is_told_by_its_key(tmp_path: Path, text: str, message: str) -> None:
    assert error_of(tmp_path, text).startswith(message)


def test_a_price_list_is_dated_with_or_without_quotes(tmp_path: Path) -> None:
    for written in ("2026-11-01", "'2026-11-01'"):
        write(tmp_path, f'usage: {{prices: {{date: {written}, models: {{"*": {{input: 3, output: 15.0}}}}}}}}')
        prices = load_settings(env_of(tmp_path)).config.usage.prices
        assert (prices.date, prices.models["*"].input) == (date(2026, 11, 1), 3.0)


def test_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / "tui.yaml").mkdir()
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load_settings(env_of(tmp_path))
    (tmp_path / "tui.yaml").rmdir()
    assert "larger than" in error_of(tmp_path, "#" * 1_000_001)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["ollama", "name", "url", "hermes", "hours", "theme", "keys", "providers", "type", "x"]
                ),
                inner,
            )
        ),
        max_leaves=8,
    )
)
def test_no_content_does_more_than_raise_its_error(tmp_path_factory: pytest.TempPathFactory, tree: object) -> None:
    home = tmp_path_factory.mktemp("home")
    write(home, yaml.safe_dump(tree))
    message = ""
    try:
        load_settings(env_of(home))
    except ConfigError as error:
        message = str(error)
    assert "Expected `" not in message
    assert "\n" not in message


def test_the_cascade_comes_from_one_place(tmp_path: Path) -> None:
    assert load_cascade(load_settings(env_of(tmp_path))) is None
    write(tmp_path, "cascade: {timeout_seconds: 5}\nproviders: [{name: a, type: ollama}]\n", "providers.yaml")
    cascade = load_cascade(load_settings(env_of(tmp_path)))
    assert cascade is not None
    assert (cascade.cascade.timeout_seconds, cascade.providers[0].name) == (5, "a")
    write(tmp_path, "providers: [{name: b, type: openai, url: 'http://u', base_url: 'http://b'}]\n")
    cascade = load_cascade(load_settings(env_of(tmp_path)))
    assert cascade is not None
    assert [entry.address for entry in cascade.providers] == ["http://b"]


def test_a_mistake_in_the_cascade_file_names_that_file(tmp_path: Path) -> None:
    path = write(tmp_path, "providers: [{name: a, type: ollama, prio: 1}]", "providers.yaml")
    with pytest.raises(ConfigError) as raised:
        load_cascade(load_settings(env_of(tmp_path)))
    assert str(raised.value) == f"{path}: unknown key 'providers[0].prio'; did you mean 'priority'?"


def test_the_default_model_is_the_marked_one_else_the_first(tmp_path: Path) -> None:
    models = "models: [{name: first}, {name: marked, default: true}]"
    write(tmp_path, f"providers: [{{name: a, type: ollama, {models}}}, {{name: b, type: ollama}}]")
    providers = load_settings(env_of(tmp_path)).config.providers
    assert providers is not None
    assert [entry.default_model for entry in providers] == ["marked", None]


def test_values_from_the_environment() -> None:
    assert expand_env("Bearer ${KEY}", {"KEY": "x"}) == "Bearer x"
    assert expand_env("plain $KEY", {}) == "plain $KEY"
    assert expand_env("${KEY}", {}) is None
    assert expand_env("${KEY}", {"KEY": ""}) is None
