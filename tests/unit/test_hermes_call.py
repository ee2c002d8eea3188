"""The hermes provider: what it runs, with what environment, and what it makes of the end of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_openai import MODEL, FakeOpenAI, fake_openai
from hermes_store_maker import CLOUD_URL, LOCAL_URL, StoreWriter, make_empty_store
from msgspec.structs import replace

from timmy_tui.config import OllamaConfig, ProviderConfig, ProviderModelConfig, Settings, load_settings
from timmy_tui.services.cascade.providers import hermes_flags
from timmy_tui.services.cascade.providers.hermes import HermesProvider, foresee
from timmy_tui.services.cascade.providers.hermes_command import PROMPT_MAX_BYTES
from timmy_tui.services.cascade.providers.hermes_server import base_url
from timmy_tui.services.cascade.records import CallError, Completion, CompletionRequest, Provider

ANSWER = '{"actions": [], "severity": "ok", "reasoning": "stored"}'
SESSION = "20261120_031502_ab12cd"
FLAGS_019 = "-q -Q -t -m --provider --safe-mode --ignore-user-config --ignore-rules --source --max-turns"
SECRETS = {
    "OPENAI_API_KEY": "sk-cloud",
    "OPENROUTER_API_KEY": "sk-or",
    "ANTHROPIC_TOKEN": "t",
    "AWS_SECRET_ACCESS_KEY": "aws",
    "GITHUB_TOKEN": "gh",
}
REQUEST = CompletionRequest(prompt="Is all well?", caller="heartbeat_tick", timeout_s=30)

FAKE = """#!{python}
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
play = json.load(open(here + "/play.json"))
if sys.argv[1:] == ["chat", "--help"]:
    open(here + "/helped", "a").write(os.environ["HERMES_HOME"] + "\\n")
    print("usage: hermes chat [-h]", play["flags"])
    sys.exit(0)
managed = os.environ.get("HERMES_MANAGED_DIR")
seen = {{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.listdir(".")}}
seen["pins"] = open(managed + "/.env").read() if managed else None
json.dump(seen, open(here + "/seen.json", "w"))
sys.stdout.write(play["stdout"])
sys.stderr.write(play["stderr"])
sys.stdout.flush()
if play.get("hang"):
    import time
    time.sleep(600)
sys.exit(play["code"])
"""


class Stage:
    """A hermes that does as it is told, its home, and a model server that is never asked for a completion."""

    def __init__(self, folder: Path, server: FakeOpenAI) -> None:
        self.bin = folder / "bin"
        self.home = folder / "hermes"
        self.server = server
        self.bin.mkdir()
        command = self.bin / "hermes"
        command.write_text(FAKE.format(python=sys.executable))
        command.chmod(0o755)
        self.env = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "TIMMY_HOME": str(folder / "timmy"),
            "HERMES_HOME": str(self.home),
            "OLLAMA_HOST": server.url,
            **SECRETS,
        }
        self.plays()

    def plays(self, *, code: int = 0, stdout: str = f"{ANSWER}\n", flags: str = FLAGS_019, hang: bool = False) -> None:
        play = {"code": code, "stdout": stdout, "stderr": f"\nsession_id: {SESSION}\n", "flags": flags, "hang": hang}
        (self.bin / "play.json").write_text(json.dumps(play))

    def store(self) -> StoreWriter:
        return make_empty_store(self.home / "state.db")

    def settings(self, **overrides: object) -> Settings:
        return load_settings(self.env, overrides=overrides)

    async def ask(
        self, request: CompletionRequest = REQUEST, config: ProviderConfig | None = None, **overrides: object
    ) -> Completion:
        provider: Provider = HermesProvider(self.settings(**overrides), self.env, config=config)
        try:
            return await provider.complete(request)
        finally:
            await provider.aclose()

    async def problem(
        self, request: CompletionRequest = REQUEST, config: ProviderConfig | None = None, **overrides: object
    ) -> CallError:
        with pytest.raises(CallError) as caught:
            await self.ask(request, config, **overrides)
        return caught.value

    def seen(self) -> dict[str, object]:
        tree = json.loads((self.bin / "seen.json").read_text())
        assert isinstance(tree, dict)
        return tree

    def argv(self) -> list[str]:
        argv = self.seen()["argv"]
        assert isinstance(argv, list)
        return argv

    def child_env(self) -> dict[str, str]:
        env = self.seen()["env"]
        assert isinstance(env, dict)
        return env

    def was_run(self) -> bool:
        return (self.bin / "seen.json").exists()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with fake_openai() as server:
        yield Stage(tmp_path, server)
    hermes_flags._asked_flags.cache_clear()


def is_gone(path: str) -> bool:
    return not Path(path).exists()


def provider_config(**values: object) -> ProviderConfig:
    return ProviderConfig(name="hermes", type="hermes", **values)  # type: ignore[arg-type]


async def test_the_command_line_is_the_one_that_was_measured(stage: Stage) -> None:
    await stage.ask()
    assert stage.argv() == [
        *("chat", "-q", "[heartbeat_tick] Is all well?", "-Q", "-t", "context_engine", "--safe-mode"),
        *("--source", "heartbeat", "--max-turns", "1", "-m", MODEL, "--provider", "custom"),
    ]
    assert stage.seen()["cwd"] == []


async def test_the_url_is_always_set_and_no_key_of_the_operators_goes_along(stage: Stage) -> None:
    stage.env |= {"CUSTOM_BASE_URL": "https://cloud.example.com/v1", "HERMES_YOLO_MODE": "1"}
    await stage.ask()
    env = stage.child_env()
    assert env["CUSTOM_BASE_URL"] == f"{stage.server.url}/v1"
    assert env["HERMES_HOME"] == str(stage.home)
    assert env["NO_PROXY"] == "127.0.0.1"
    assert 20 <= int(env["HERMES_API_TIMEOUT"]) <= 28, "one silence may last as long as the call"
    assert not set(SECRETS) & (set(env) - {"OPENAI_API_KEY"})
    assert not set(SECRETS.values()) & set(env.values())
    assert "HERMES_YOLO_MODE" not in env
    pins = str(stage.seen()["pins"])
    assert f"CUSTOM_BASE_URL='{stage.server.url}/v1'\n" in pins
    assert "OPENAI_API_KEY='no-key-required'\n" in pins
    assert is_gone(env["HERMES_MANAGED_DIR"]), "the pins are gone with the call"


async def test_an_administrators_own_settings_are_left_in_force(stage: Stage, tmp_path: Path) -> None:
    managed = tmp_path / "managed"
    managed.mkdir()
    (managed / ".env").write_text("X=1\n")
    stage.env["HERMES_MANAGED_DIR"] = str(managed)
    await stage.ask()
    assert stage.seen()["pins"] == "X=1\n"


ADDED = ("HERMES_PREFILL_MESSAGES_FILE", "HERMES_EPHEMERAL_SYSTEM_PROMPT")


async def test_nothing_of_the_operators_own_is_told_to_the_model_besides_the_prompt(stage: Stage) -> None:
    stage.env |= dict.fromkeys(ADDED, "/home/x/prefill.json")
    stage.home.mkdir(exist_ok=True)
    (stage.home / ".env").write_text("".join(f"{name}=/home/x/prefill.json\n" for name in ADDED))
    completion = await stage.ask()
    assert completion.prompt_note is None
    for name in ADDED:
        assert f"{name}=''\n" in str(stage.seen()["pins"]), "the managed scope wins over HERMES_HOME/.env"
        assert stage.child_env()[name] == ""


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize("line", ["{}=x", " export {} = 'be kind'", '{}="/a b"'])
async def test_where_nothing_can_be_pinned_the_answer_says_so(
    stage: Stage, tmp_path: Path, name: str, line: str
) -> None:
    managed = tmp_path / "managed"
    managed.mkdir()
    stage.home.mkdir(exist_ok=True)
    (managed / ".env").write_text("A=1\n")
    stage.env["HERMES_MANAGED_DIR"] = str(managed)
    for text, noted in ((f"A=1\n{line.format(name)}\n", True), (f"{name}=\n#{name}=x\nMY_{name}=x\n", False)):
        for folder in (managed, stage.home):
            (folder / ".env").write_text(text)
            assert ((await stage.ask()).prompt_note is not None) is noted
            (folder / ".env").write_text("A=1\n")


async def test_hermes_asks_the_server_that_the_console_watches(stage: Stage) -> None:
    """One resolution: the environment stands above the file where there is one server."""
    elsewhere = OllamaConfig(url="http://127.0.0.1:9")
    settings = stage.settings(ollama=(elsewhere,))
    settings = replace(settings, ollama_host=stage.server.url)
    assert base_url(settings, None, {}) == f"{stage.server.url}/v1"
    assert base_url(replace(settings, ollama_host=""), None, {}) == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("address", "dialled"),
    [("{url}", "{url}/v1"), ("{url}/v1", "{url}/v1"), ("{url}/v1/", "{url}/v1"), ("${{MODEL_URL}}", "{url}/v1")],
)
async def test_the_providers_own_address_wins_and_ends_in_v1(stage: Stage, address: str, dialled: str) -> None:
    url = stage.server.url
    stage.env |= {"OLLAMA_HOST": "127.0.0.1:9", "MODEL_URL": url}
    await stage.ask(config=provider_config(base_url=address.format(url=url)))
    assert stage.child_env()["CUSTOM_BASE_URL"] == dialled.format(url=url)


async def test_a_local_call_to_a_server_elsewhere_is_never_made(stage: Stage) -> None:
    error = await stage.problem(config=provider_config(url="https://api.example.com/v1"))
    assert error.problem == "not_local"
    assert not stage.was_run()


@pytest.mark.parametrize("model", ["gpt-oss:120b-cloud", "glm-4.6:cloud"])
async def test_a_model_that_ollama_hands_on_to_a_cloud_is_not_local(stage: Stage, model: str) -> None:
    request = CompletionRequest(prompt="?", caller="heartbeat_tick", timeout_s=30, model=model)
    assert (await stage.problem(request)).problem == "not_local"
    assert not stage.was_run()


async def test_the_answer_is_the_stored_one_word_for_word(stage: Stage) -> None:
    text = f"\x1b[1m```json\n{ANSWER}\n```\n"
    store = stage.store()
    store.session(SESSION, billing_base_url=LOCAL_URL, input_tokens=700, cache_read_tokens=5, output_tokens=30)
    store.message(SESSION, "user", "[heartbeat_tick] Is all well?")
    store.message(SESSION, "assistant", "an earlier one", finish_reason="stop")
    store.message(SESSION, "assistant", text, finish_reason="stop")
    store.message(SESSION, "assistant", "rewound", active=0)
    store.close()
    stage.plays(stdout='┌─ Reasoning ─┐\r\n{"severity": "bad"}\r\nnot this\n')
    completion = await stage.ask()
    assert completion.text == text
    assert (completion.session_id, completion.model, completion.done_reason) == (SESSION, MODEL, "stop")
    assert (completion.tokens_in, completion.tokens_out) == (705, 30)


async def test_without_a_store_or_a_session_the_printed_answer_has_to_do(stage: Stage) -> None:
    stage.plays(stdout=f"Warning: Unknown toolsets: context_engine\n{ANSWER}\n")
    completion = await stage.ask()
    assert completion.text == ANSWER
    assert completion.tokens_in is None
    stage.store().close()
    assert (await stage.ask()).text == ANSWER


async def test_an_answer_of_another_model_is_told(stage: Stage) -> None:
    store = stage.store()
    store.session(SESSION, model="other:7b", billing_base_url=LOCAL_URL)
    store.message(SESSION, "assistant", ANSWER)
    store.close()
    assert (await stage.ask()).model == "other:7b"


async def test_an_answer_from_a_cloud_is_refused_where_it_had_to_be_local(stage: Stage) -> None:
    store = stage.store()
    store.session(SESSION, model="big/cloud", billing_base_url=CLOUD_URL)
    store.message(SESSION, "assistant", ANSWER)
    store.close()
    error = await stage.problem()
    assert error.problem == "not_local"
    assert "big/cloud" in error.message


@pytest.mark.parametrize("content", ["(empty)", "", "  \n"])
async def test_an_empty_reply_is_no_answer(stage: Stage, content: str) -> None:
    store = stage.store()
    store.session(SESSION)
    store.message(SESSION, "assistant", content)
    store.close()
    assert (await stage.problem()).problem == "empty"


async def test_an_answer_with_a_bad_exit_code_is_none(stage: Stage) -> None:
    stage.plays(code=1)
    assert (await stage.problem()).problem == "server"


async def test_a_hang_ends_within_the_requests_time(stage: Stage) -> None:
    stage.plays(hang=True)
    error = await stage.problem(CompletionRequest(prompt="?", caller="heartbeat_tick", timeout_s=3))
    assert error.problem == "timeout"


async def test_a_cancelled_call_leaves_no_folder_behind(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tmp_path / "places"
    places.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(places))
    stage.plays(hang=True)
    call = asyncio.create_task(stage.ask())
    async with asyncio.timeout(20):
        while not stage.was_run():  # noqa: ASYNC110  # another process writes the file
            await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert list(places.iterdir()) == []


async def test_a_server_that_is_down_is_found_without_hermes(stage: Stage) -> None:
    stage.env["OLLAMA_HOST"] = "127.0.0.1:9"
    assert (await stage.problem()).problem == "refused"
    assert not stage.was_run()


async def test_a_prompt_that_no_argument_can_hold_is_refused(stage: Stage) -> None:
    long = CompletionRequest(prompt="é" * (PROMPT_MAX_BYTES // 2), caller="heartbeat_tick", timeout_s=30)
    assert (await stage.problem(long)).problem == "too_long"
    fits = CompletionRequest(prompt="x" * (PROMPT_MAX_BYTES - 20), caller="review", timeout_s=30)
    assert await stage.ask(fits)
    assert stage.argv()[2].startswith("[review] xxx")
    assert stage.child_env()["HERMES_SESSION_SOURCE"] == "review"


async def test_a_prompt_with_nul_bytes_and_lone_surrogates_is_still_asked(stage: Stage) -> None:
    assert await stage.ask(CompletionRequest(prompt="a\0b\ud800c", caller="heartbeat_tick", timeout_s=30))
    assert stage.argv()[2] == "[heartbeat_tick] a\ufffdb?c"


async def test_the_model_is_the_requests_then_the_providers_then_hermes_own_then_the_servers(stage: Stage) -> None:
    def asked() -> str:
        argv = stage.argv()
        return argv[argv.index("-m") + 1]

    named = provider_config(models=(ProviderModelConfig("other:7b"),))
    await stage.ask(CompletionRequest(prompt="?", caller="x", timeout_s=30, model="mine:1b"), config=named)
    assert asked() == "mine:1b"
    await stage.ask(config=named)
    assert asked() == "other:7b"
    stage.home.mkdir()
    (stage.home / "config.yaml").write_text("model: anthropic/claude-of-a-cloud\n")
    await stage.ask()
    assert asked() == MODEL, "this server does not have the configured one"
    (stage.home / "config.yaml").write_text("model: [broken\n")
    await stage.ask()
    assert asked() == MODEL


async def test_an_older_hermes_gets_only_the_flags_it_knows(stage: Stage) -> None:
    stage.plays(flags="-q -Q -m --provider --ignore-user-config --ignore-rules")
    await stage.ask()
    assert stage.argv()[3:] == ["-Q", "--ignore-user-config", "--ignore-rules", "-m", MODEL, "--provider", "custom"]
    assert stage.child_env()["HERMES_SESSION_SOURCE"] == "heartbeat"


async def test_an_older_hermes_that_would_fall_back_to_a_cloud_is_not_asked(stage: Stage) -> None:
    stage.plays(flags="-q -Q -m --provider")
    assert await stage.ask()
    (stage.home).mkdir(exist_ok=True)
    (stage.home / "config.yaml").write_text("fallback_providers: [{provider: openrouter, model: big/cloud}]\n")
    error = await stage.problem()
    assert error.problem == "not_local"
    assert "big/cloud" in error.message


async def test_the_flags_are_asked_once_per_launcher_in_a_home_that_is_thrown_away(stage: Stage) -> None:
    await stage.ask()
    await stage.ask()
    [home] = (stage.bin / "helped").read_text().splitlines()
    assert home != str(stage.home)
    assert is_gone(home)
    os.utime(stage.bin / "hermes", (1, 1))
    await stage.ask()
    assert len((stage.bin / "helped").read_text().splitlines()) == 2


async def test_a_command_that_is_missing_or_no_hermes_is_not_configured(stage: Stage) -> None:
    assert (await stage.problem(hermes={"command": "no-such-hermes"})).problem == "not_configured"
    (stage.bin / "other").write_text("#!/bin/sh\necho 'unknown command chat' >&2; exit 2\n")
    (stage.bin / "other").chmod(0o755)
    error = await stage.problem(hermes={"command": "other"})
    assert error.problem == "not_configured"
    assert "unknown command chat" in error.message
    (stage.bin / "noexec").write_text("#!/no/such/python\n")
    (stage.bin / "noexec").chmod(0o755)
    assert (await stage.problem(hermes={"command": "noexec"})).problem == "not_configured"


async def test_a_profile_is_the_home_and_the_root_is_named(stage: Stage) -> None:
    (stage.home / "profiles" / "coder").mkdir(parents=True)
    (stage.home / "active_profile").write_text("coder\n")
    await stage.ask()
    assert stage.child_env()["HERMES_HOME"] == str(stage.home / "profiles" / "coder")
    await stage.ask(hermes={"profile": "default"})
    assert stage.argv()[:3] == ["-p", "default", "chat"]
    assert (await stage.problem(hermes={"profile": "gone"})).problem == "not_configured"


def test_doctor_foresees_what_a_call_would_meet(stage: Stage) -> None:
    assert foresee(stage.settings(), stage.env) == ()
    stage.home.mkdir()
    config = stage.home / "config.yaml"
    config.write_text("model: {default: m, context_length: 8192}\nfallback_providers: [{model: big/cloud}]\n")
    small, fallback = foresee(stage.settings(), stage.env)
    assert (small.problem, fallback.problem) == ("small_context", None)
    assert "model.context_length: 65536" in small.mend
    assert "--safe-mode" in fallback.text
    config.write_text("model: {default: m, ollama_num_ctx: 8192}\n")
    assert [entry.problem for entry in foresee(stage.settings(), stage.env)] == ["small_context"]
    config.write_text("model: [broken\n")
    assert [entry.problem for entry in foresee(stage.settings(), stage.env)] == [None]
    [missing] = foresee(stage.settings(hermes={"command": "no-such-hermes"}), stage.env)
    assert missing.problem == "not_configured"
    config.unlink()
    [elsewhere] = foresee(stage.settings(), stage.env, config=provider_config(url="https://api.example.com"))
    assert elsewhere.problem == "not_local"
