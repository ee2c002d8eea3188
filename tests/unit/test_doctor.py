"""The doctor names what is broken and the command that mends it, and shows no secret."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
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

from timmy_tui.config import Settings, load_settings
from timmy_tui.glyphs import ASCII, UNICODE
from timmy_tui.services.doctor.examine import doctor_json, doctor_text, examine
from timmy_tui.services.doctor.findings import Finding, finding, healthy
from timmy_tui.services.doctor.machine import file_findings, python_findings, terminal_findings
from timmy_tui.services.gpu import GpuDevice, GpuReading
from timmy_tui.services.hermes.config import HermesConfigError, read_hermes_model
from timmy_tui.services.hermes.context import check_context
from timmy_tui.services.snapshot import Snapshot

UTF8 = {"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "timmy").mkdir(mode=0o700)
    (tmp_path / "hermes").mkdir()
    return tmp_path


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "TIMMY_HOME": str(home / "timmy"),
        "HERMES_HOME": str(home / "hermes"),
        "PATH": str(home / "bin"),
        **UTF8,
    }


@pytest.fixture
def settings(env: dict[str, str]) -> Settings:
    return load_settings(env)


async def examined(settings: Settings, env: dict[str, str], day: Snapshot) -> dict[str, Finding]:
    return {entry.topic: entry for entry in await examine(settings, env, day, NOW)}


def states(entries: dict[str, Finding], *topics: str) -> list[str]:
    return [entries[topic].state for topic in topics]


async def test_a_working_day_is_healthy(settings: Settings, env: dict[str, str]) -> None:
    gpu = GpuReading((GpuDevice("RTX 4090", "nvidia", 24_000_000_000, 20_200_000_000),))
    entries = await examined(settings, env, snapshot(gpu=fresh(gpu)))
    assert healthy(entries.values())
    assert entries["ollama local"].text == "0.32.15 at http://127.0.0.1:11434, 3 ms; 3 installed, 2 loaded"
    assert entries["gpu"].text == "RTX 4090 24.0 GB"
    assert (
        states(entries, "home", "locale", "terminal", "hermes store", "heartbeat", "queue", "worker", "provider hermes")
        == ["ok"] * 8
    )


async def test_an_empty_machine_is_told_what_to_do(settings: Settings, env: dict[str, str]) -> None:
    nothing = snapshot(
        ollama=(server(reading=lost("connection refused", hint="Start it with:  ollama serve")),),
        hermes=lost("No Hermes store", hint="run hermes once"),
        heartbeat=lost("No tick log yet"),
        worker=fresh(worker("down")),
        providers=fresh(providers()),
    )
    entries = await examined(settings, env, nothing)
    assert not healthy(entries.values())
    assert (entries["ollama local"].state, entries["ollama local"].mend) == ("broken", "Start it with:  ollama serve")
    assert states(entries, "hermes", "hermes store", "heartbeat", "worker", "providers") == ["missing"] * 5
    assert entries["config"].mend == "timmy-tui config init"


async def test_no_model_loaded_is_fine_and_none_installed_is_not(settings: Settings, env: dict[str, str]) -> None:
    idle = await examined(settings, env, snapshot(ollama=(server(ollama(())),)))
    assert states(idle, "ollama local") == ["ok"]
    bare = await examined(settings, env, snapshot(ollama=(server(ollama((), ())),)))
    assert (bare["ollama local"].state, bare["ollama local"].mend) == ("missing", "ollama pull llama3.2:3b")


async def test_what_is_broken_in_the_stack(settings: Settings, env: dict[str, str]) -> None:
    bad = snapshot(
        heartbeat=fresh(heartbeat(tick("a", at=NOW - 86_400))),
        worker=fresh(worker("stuck", pid=4711, queue_error="database is locked")),
        providers=fresh(
            providers(
                provider("a", circuit="open", last_error="refused"),
                provider("b", state="down", last_error="timeout"),
                provider("c", state="disabled", note="no key in OPENAI_API_KEY"),
                provider("d", state="unknown"),
            )
        ),
    )
    entries = await examined(settings, env, bad)
    assert states(entries, "heartbeat", "worker", "queue", "provider a", "provider b") == ["broken"] * 5
    assert states(entries, "provider c", "provider d") == ["note"] * 2
    assert entries["worker"].mend == "kill 4711"
    assert "no key in OPENAI_API_KEY" in entries["provider c"].text


async def test_a_broken_cascade_file_is_named(settings: Settings, env: dict[str, str]) -> None:
    settings.providers_path.write_text("providers: [{name: a}]")
    entry = (await examined(settings, env, snapshot()))["providers"]
    assert entry.state == "broken"
    assert "the key 'type' is missing" in entry.text


async def test_the_hermes_binary_is_found_without_running_it(
    home: Path, settings: Settings, env: dict[str, str]
) -> None:
    venv = home / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "lib/python3.11/site-packages/hermes_agent-0.19.0.dist-info").mkdir(parents=True)
    (venv / "bin/python").touch(mode=0o755)
    launcher = venv / "bin/hermes"
    launcher.write_text(f"#!{venv}/bin/python\nraise SystemExit('it ran')\n")
    launcher.chmod(0o755)
    entry = (await examined(settings, {**env, "PATH": str(venv / "bin")}, snapshot()))["hermes"]
    assert entry == Finding("hermes", "ok", f"0.19.0 at {launcher}")


async def test_the_active_profile_decides_which_config_is_read(
    home: Path, settings: Settings, env: dict[str, str]
) -> None:
    folder = home / "hermes" / "profiles" / "night"
    folder.mkdir(parents=True)
    (home / "hermes" / "active_profile").write_text("night\n")
    (folder / "config.yaml").write_text("model: {default: small, context_length: 8192, api_key: sk-abcdef123456}\n")
    entries = await examined(settings, env, snapshot())
    assert entries["hermes home"].text == str(folder)
    assert entries["hermes context"].state == "broken"
    assert entries["hermes context"].mend == f"set model.context_length: 65536  in {folder}/config.yaml".replace(
        "set ", "set  "
    )
    assert "123456" not in doctor_json(entries.values())
    (home / "hermes" / "active_profile").write_text("gone\n")
    assert (await examined(settings, env, snapshot()))["hermes home"].state == "broken"


async def test_a_hermes_config_that_is_no_yaml_is_broken(home: Path, settings: Settings, env: dict[str, str]) -> None:
    (home / "hermes" / "config.yaml").write_text("model: [")
    entry = (await examined(settings, env, snapshot()))["hermes config"]
    assert (entry.state, "line 1: not valid YAML" in entry.text) == ("broken", True)


@pytest.mark.parametrize(
    ("config", "state", "told"),
    [
        ("model: hermes4:14b", "unknown", "model.context_length is not set"),
        ("model: {default: hermes4:14b, context_length: 65536}", "ok", "hermes4:14b: 65,536 tokens"),
        ("model: {default: hermes4:14b, context_length: 63999}", "refused", "is 63,999: Hermes wants 64,000 or more"),
        ("model: {default: hermes4:14b, context_length: '8192'}", "refused", "is 8,192"),
        ("model: small", "refused", "small was made for 8,192 tokens"),
        ("model: {default: small, context_length: 65536}", "ok", "65,536"),
        ("model: tight", "refused", "tight is loaded with 8,192 tokens"),
        (
            "model: {default: m, provider: p}\nproviders: {p: {models: {m: {context_length: 4096}}}}",
            "refused",
            "providers.p.models.m.context_length is 4,096",
        ),
        ("model: {default: unheard-of}", "unknown", "not set"),
    ],
)
def test_a_context_that_hermes_refuses_is_foreseen(tmp_path: Path, config: str, state: str, told: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(config)
    model = read_hermes_model(path)
    assert model is not None
    reading = ollama(
        (loaded("tight:latest", context_length=8192),),
        (installed("small", context_length=8192), installed("hermes4:14b"), installed("tight:latest")),
    )
    checked = check_context(model, path, (reading,))
    assert checked.state == state
    assert told in checked.text
    assert (str(path) in checked.mend) == (state != "ok")


HERMES_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["model", "default", "provider", "providers", "models", "context_length", "p"]), inner
        )
    ),
    max_leaves=10,
)


@given(HERMES_TREES)
def test_any_hermes_config_is_read(tmp_path_factory: pytest.TempPathFactory, tree: object) -> None:
    path = tmp_path_factory.mktemp("hermes") / "config.yaml"
    path.write_bytes(msgspec.yaml.encode(tree))
    model = read_hermes_model(path)
    assert model is not None
    assert check_context(model, path, ()).text.isprintable()


def test_a_hermes_config_that_is_no_file(tmp_path: Path) -> None:
    assert read_hermes_model(tmp_path / "gone.yaml") is None
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(HermesConfigError, match="can't be read: Is a directory"):
        read_hermes_model(tmp_path / "config.yaml")


def test_pythons() -> None:
    assert [entry.state for version in ((3, 10), (3, 11), (3, 13), (3, 14)) for entry in python_findings(version)] == [
        "broken",
        "ok",
        "ok",
        "ok",
    ]


@pytest.mark.parametrize(
    ("env", "size", "expected"),
    [
        (UTF8, (120, 40), {"terminal": "ok", "terminal size": "ok", "locale": "ok"}),
        ({**UTF8, "TERM": "dumb"}, (80, 24), {"terminal": "broken", "terminal size": "ok", "locale": "ok"}),
        ({"LANG": "C.UTF-8"}, None, {"terminal": "note", "locale": "ok"}),
        (
            {"TERM": "xterm", "LANG": "de_DE.ISO-8859-1"},
            (39, 40),
            {"terminal": "ok", "terminal size": "note", "locale": "broken"},
        ),
        (
            {"TERM": "xterm", "LC_ALL": "C", "LANG": "en_US.UTF-8"},
            (0, 0),
            {"terminal": "ok", "terminal size": "note", "locale": "note"},
        ),
    ],
)
def test_terminals(env: dict[str, str], size: tuple[int, int] | None, expected: dict[str, str]) -> None:
    assert {entry.topic: entry.state for entry in terminal_findings(env, size)} == expected


def test_colours_are_told() -> None:
    def colours(**env: str) -> str:
        return next(terminal_findings({**UTF8, **env}, None)).text

    assert colours() == "xterm-256color, 256 colours"
    assert colours(COLORTERM="truecolor") == "xterm-256color, true colour"
    assert colours(NO_COLOR="1") == "xterm-256color, colours off by NO_COLOR"
    assert colours(TERM="linux") == "linux, 16 colours"


def test_a_home_that_cannot_be_used(tmp_path: Path) -> None:
    def state(path: Path) -> tuple[str, str]:
        settings = load_settings({"HOME": str(tmp_path), "TIMMY_HOME": str(path), "TIMMY_TUI_CONFIG": ""})
        _, entry = file_findings(settings)
        return entry.state, entry.mend

    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "private").mkdir(mode=0o700)
    assert state(tmp_path / "private") == ("ok", "")
    assert state(tmp_path / "fresh" / "deep") == ("note", "")
    assert state(tmp_path / "open") == ("note", f"chmod 700 {tmp_path}/open")


def test_the_text_puts_what_to_do_below_what_is_wrong() -> None:
    entries = [finding("home", "ok", "/h"), finding("ollama", "broken", "down", "ollama serve")]
    assert doctor_text(entries, UNICODE, colour=False) == (
        "● ok      home    /h\n✖ broken  ollama  down\n                  → ollama serve"
    )
    assert doctor_text(entries, ASCII, colour=False).isascii()
    assert "\x1b[31m✖ broken" in doctor_text(entries, UNICODE, colour=True)


def test_the_json_is_one_document() -> None:
    document = json.loads(doctor_json([finding("a", "note", "x\x1b[2J"), finding("b", "broken", "y", "z")]))
    assert document == {
        "healthy": False,
        "findings": [
            {"topic": "a", "state": "note", "text": "x^[[2J", "mend": ""},
            {"topic": "b", "state": "broken", "text": "y", "mend": "z"},
        ],
    }


async def test_hermes_sessions_are_counted(settings: Settings, env: dict[str, str]) -> None:
    entry = (await examined(settings, env, snapshot(hermes=fresh(hermes(session(), profile="night")))))["hermes store"]
    assert entry.text == "/home/alex/.hermes/state.db, profile night: 1 session in 24 h"
