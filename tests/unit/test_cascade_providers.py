"""Completions over HTTP: what is asked, what is understood, and what every kind of trouble is called."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
from faulty_server import Answer, FaultyServer, Trouble

from timmy_tui.config import ProviderConfig, ProviderModelConfig
from timmy_tui.services.cascade.providers.anthropic import AnthropicProvider
from timmy_tui.services.cascade.providers.ollama import OllamaProvider
from timmy_tui.services.cascade.providers.openai import OpenAIProvider
from timmy_tui.services.cascade.records import CallError, CallProblem, Completion, CompletionRequest, Provider
from timmy_tui.services.providers.found import Target
from timmy_tui.text import Json

KEY = "unusual-key-42-of-no-known-form"
SCHEMA: Json = {"type": "object", "properties": {"severity": {"type": "string"}}}
REQUEST = CompletionRequest("How are you?", "test", timeout_s=10)
DECISION = '{"severity": "ok"}'

CHAT = {
    "model": "qwen3:8b",
    "message": {"role": "assistant", "content": DECISION, "thinking": "Hm."},
    "done": True,
    "done_reason": "stop",
    "total_duration": 3_000_000_000,
    "load_duration": 12_000_000,
    "prompt_eval_count": 700,
    "eval_count": 30,
    "eval_duration": 1_500_000_000,
}
COMPLETIONS = {
    "model": "hermes4",
    "choices": [{"message": {"role": "assistant", "content": DECISION}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 700, "completion_tokens": 30},
}
MESSAGES = {
    "model": "claude",
    "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": DECISION}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 600, "cache_read_input_tokens": 100, "output_tokens": 30},
}


def installed(name: str, **fields: object) -> dict[str, object]:
    return {"name": name, "model": name, "digest": name.ljust(64, "0"), "size": 1, **fields}


def tags(*models: dict[str, object]) -> str:
    return json.dumps({"models": models})


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    bodies = {
        "/api/chat": json.dumps(CHAT),
        "/api/tags": tags(installed("qwen3:8b")),
        "/api/ps": tags(),
        "/v1/models": json.dumps({"data": [{"id": "hermes4"}]}),
        "/v1/chat/completions": json.dumps(COMPLETIONS),
        "/v1/messages": json.dumps(MESSAGES),
    }
    with FaultyServer(bodies) as server:
        yield server


def provider(kind: str, url: str, model: str | None = None, **target: object) -> Provider:
    """A provider named ``there`` of this kind at ``url``."""
    models = (ProviderModelConfig(model),) if model else ()
    config = ProviderConfig("there", kind, models=models, api_key="${KEY}" if target.get("key") else "")  # type: ignore[arg-type]
    found = Target("there", kind, 1, model, url, url=url, **target)  # type: ignore[arg-type]
    if kind == "ollama":
        return OllamaProvider(found, config)
    return OpenAIProvider(found, config) if kind == "openai" else AnthropicProvider(found, config)


async def asked(provider: Provider, request: CompletionRequest = REQUEST) -> Completion:
    try:
        return await provider.complete(request)
    finally:
        await provider.aclose()


async def trouble_of(provider: Provider, request: CompletionRequest = REQUEST) -> CallError:
    with pytest.raises(CallError) as caught:
        await asked(provider, request)
    error = caught.value
    assert error.message.isprintable()
    assert KEY not in error.message + error.hint
    return error


def sent(server: FaultyServer, path: str) -> Mapping[str, object]:
    return cast(Mapping[str, object], json.loads(next(r.body for r in server.requests if r.path == path)))


PATHS = {"ollama": "/api/chat", "openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
KINDS = tuple(PATHS)


async def test_ollama_is_asked_for_the_schema_and_with_nothing_that_would_reload_it(server: FaultyServer) -> None:
    request = CompletionRequest("How are you?", "test", timeout_s=10, schema=SCHEMA)
    completion = await asked(provider("ollama", server.url, "qwen3:8b"), request)
    assert completion.text == DECISION
    assert (completion.provider, completion.model, completion.done_reason) == ("there", "qwen3:8b", "stop")
    assert (completion.tokens_in, completion.tokens_out) == (700, 30)
    assert (completion.load_ms, completion.eval_ms) == (12.0, 1_500.0)
    assert completion.duration_ms > 0
    assert sent(server, "/api/chat") == {
        "model": "qwen3:8b",
        "messages": [{"role": "user", "content": "How are you?"}],
        "stream": False,
        "truncate": False,
        "format": SCHEMA,
    }


async def test_a_seed_goes_along(server: FaultyServer) -> None:
    request = CompletionRequest("?", "test", timeout_s=10, seed=7)
    await asked(provider("ollama", server.url, "qwen3:8b"), request)
    await asked(provider("openai", f"{server.url}/v1", "hermes4"), request)
    assert sent(server, "/api/chat")["options"] == {"seed": 7}
    assert sent(server, "/v1/chat/completions")["seed"] == 7


async def test_ollama_asks_the_loaded_model_before_the_first_installed_one(server: FaultyServer) -> None:
    server.bodies["/api/tags"] = tags(installed("new:1b"), installed("loaded:8b"))
    server.bodies["/api/ps"] = tags(installed("loaded:8b"))
    await asked(provider("ollama", server.url))
    assert sent(server, "/api/chat")["model"] == "loaded:8b"


async def test_ollamas_default_is_a_local_model_that_completes(server: FaultyServer) -> None:
    server.bodies["/api/tags"] = tags(
        installed("big:cloud"),
        installed("copy", remote_model="big", remote_host="https://ollama.com:443"),
        installed("finder", capabilities=["embedding"]),
        installed("nomic-embed-text"),
        installed("minilm", details={"family": "bert"}),
        installed("talker:8b", capabilities=["completion", "tools"]),
    )
    server.bodies["/api/ps"] = tags(installed("nomic-embed-text"))
    await asked(provider("ollama", server.url))
    assert sent(server, "/api/chat")["model"] == "talker:8b"


async def test_ollama_without_a_usable_model_says_so(server: FaultyServer) -> None:
    server.bodies["/api/tags"] = tags(installed("big:cloud"), installed("nomic-embed-text"))
    error = await trouble_of(provider("ollama", server.url))
    assert error.problem == "not_configured"
    assert error.hint.startswith("ollama pull")


@pytest.mark.parametrize("name", ["big:cloud", "big:480b-cloud", "BIG:Cloud", "copy", "Copy:latest"])
async def test_a_local_only_call_never_goes_to_a_cloud_stub(server: FaultyServer, name: str) -> None:
    server.bodies["/api/tags"] = tags(
        installed("big:cloud", remote_model="big", remote_host="https://ollama.com:443"),
        installed("copy:latest", remote_model="big", remote_host="https://ollama.com:443"),
    )
    assert (await trouble_of(provider("ollama", server.url, name))).problem == "not_local"
    assert server.count("/api/chat") == 0
    free = CompletionRequest("?", "test", timeout_s=10, local_only=False)
    assert (await asked(provider("ollama", server.url, name), free)).text == DECISION


async def test_an_unknown_name_is_not_tried_out_by_a_local_only_call(server: FaultyServer) -> None:
    error = await trouble_of(provider("ollama", server.url, "registry.ollama.ai/library/copy"))
    assert error.problem == "not_found"
    assert server.count("/api/chat") == 0


async def test_an_answer_that_came_from_a_cloud_all_the_same_is_none(server: FaultyServer) -> None:
    server.bodies["/api/chat"] = json.dumps({**CHAT, "remote_host": "https://ollama.com:443"})
    assert (await trouble_of(provider("ollama", server.url, "qwen3:8b"))).problem == "not_local"


async def test_a_cut_text_is_kept_and_told(server: FaultyServer) -> None:
    server.bodies["/api/chat"] = json.dumps({**CHAT, "done_reason": "length"})
    completion = await asked(provider("ollama", server.url))
    assert (completion.text, completion.done_reason) == (DECISION, "length")
    server.bodies["/v1/messages"] = json.dumps({**MESSAGES, "stop_reason": "max_tokens"})
    assert (await asked(provider("anthropic", server.url, "claude"))).done_reason == "length"


async def test_only_reasoning_is_no_answer(server: FaultyServer) -> None:
    message = {"role": "assistant", "content": " \n", "thinking": "Well…"}
    server.bodies["/api/chat"] = json.dumps({**CHAT, "message": message, "done_reason": "length"})
    error = await trouble_of(provider("ollama", server.url))
    assert (error.problem, error.message) == ("empty", "only reasoning, no answer; it was cut at its length limit")


async def test_a_model_that_only_embeds_is_a_mistake_of_the_configuration(server: FaultyServer) -> None:
    server.bodies["/api/chat"] = Answer('{"error": "\\"qwen3:8b\\" does not support chat"}', 400)
    error = await trouble_of(provider("ollama", server.url, "qwen3:8b"))
    assert error.problem == "not_configured"


async def test_ollama_answers_although_its_list_of_loaded_models_does_not(server: FaultyServer) -> None:
    server.bodies["/api/ps"] = Answer("{}", 500)
    assert (await asked(provider("ollama", server.url))).text == DECISION


async def test_an_openai_server_is_asked_for_its_first_model_and_without_extras(server: FaultyServer) -> None:
    completion = await asked(provider("openai", f"{server.url}/v1", key=KEY))
    assert (completion.text, completion.model, completion.done_reason) == (DECISION, "hermes4", "stop")
    assert (completion.tokens_in, completion.tokens_out) == (700, 30)
    assert sent(server, "/v1/chat/completions") == {
        "model": "hermes4",
        "messages": [{"role": "user", "content": "How are you?"}],
        "stream": False,
    }
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}


async def test_a_base_url_without_a_version_finds_either_path_once(server: FaultyServer) -> None:
    there = provider("openai", server.url, "hermes4")
    assert (await there.complete(REQUEST)).text == DECISION
    await there.aclose()
    server.bodies["/chat/completions"] = server.bodies.pop("/v1/chat/completions")
    bare = provider("openai", server.url, "hermes4")
    server.requests.clear()
    for _ in range(2):
        assert (await bare.complete(REQUEST)).text == DECISION
    await bare.aclose()
    assert [request.path for request in server.requests] == ["/v1/chat/completions"] + ["/chat/completions"] * 2


@pytest.mark.parametrize("listed", [{"data": None}, {"data": []}, {"object": "list"}, {"data": [3, {"id": ""}]}])
async def test_an_openai_server_without_models_wants_one_named(server: FaultyServer, listed: object) -> None:
    server.bodies["/v1/models"] = json.dumps(listed)
    assert (await trouble_of(provider("openai", server.url))).problem == "not_configured"


async def test_text_parts_are_joined_and_a_refusal_is_told(server: FaultyServer) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    server.bodies["/v1/chat/completions"] = json.dumps({"choices": [{"message": {"content": parts}}]})
    assert (await asked(provider("openai", server.url))).text == "ab"
    refusal = {"choices": [{"message": {"content": None, "refusal": "I\x1b[2J won't"}}]}
    server.bodies["/v1/chat/completions"] = json.dumps(refusal)
    error = await trouble_of(provider("openai", server.url))
    assert error.problem == "empty"
    assert "won't" in error.message


async def test_anthropic_gets_its_headers_and_a_limit(server: FaultyServer) -> None:
    completion = await asked(provider("anthropic", server.url, "claude", key=KEY))
    assert (completion.text, completion.model, completion.done_reason) == (DECISION, "claude", "end_turn")
    assert (completion.tokens_in, completion.tokens_out) == (700, 30)
    headers = server.requests[0].headers
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in headers
    assert sent(server, "/v1/messages")["max_tokens"] == 4096


async def test_anthropic_without_a_named_model_is_not_asked(server: FaultyServer) -> None:
    assert (await trouble_of(provider("anthropic", server.url))).problem == "not_configured"
    assert server.requests == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (400, "server"),
        (401, "auth"),
        (403, "auth"),
        (404, "not_found"),
        (413, "too_long"),
        (429, "busy"),
        (500, "server"),
        (502, "server"),
        (503, "busy"),
    ],
)
async def test_a_status_has_its_problem_and_no_key_in_its_text(
    server: FaultyServer, kind: str, status: int, problem: CallProblem
) -> None:
    body = json.dumps({"error": {"message": f"no good\x1b[2J: {KEY}\nBearer abcdefgh1234"}})
    server.bodies[PATHS[kind]] = Answer(body, status)
    server.bodies["/chat/completions"] = Answer(body, status)
    error = await trouble_of(provider(kind, server.url, "qwen3:8b", key=KEY))
    assert error.problem == problem
    assert "abcdefgh" not in error.message
    assert str(status) in error.message or "no good" in error.message


@pytest.mark.parametrize("said", ["This model's maximum context length is 8192 tokens", "prompt is too long: 9 > 8"])
async def test_a_prompt_that_does_not_fit_is_told_apart(server: FaultyServer, said: str) -> None:
    server.bodies["/v1/messages"] = Answer(json.dumps({"error": {"message": said}}), 400)
    assert (await trouble_of(provider("anthropic", server.url, "claude"))).problem == "too_long"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("trouble", "problem"),
    [
        ("refuse", "refused"),
        ("drop", "refused"),
        ("half", "refused"),
        ("error", "server"),
        ("html", "server"),
        ("flood", "server"),
        ("redirect", "not_configured"),
    ],
)
async def test_an_ill_server_has_its_name(
    server: FaultyServer, kind: str, trouble: Trouble, problem: CallProblem
) -> None:
    server.trouble = trouble
    assert (await trouble_of(provider(kind, server.url, "qwen3:8b"))).problem == problem
    assert server.sent_bytes < 40 * 10**6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", ["hang", "drip"])
async def test_the_deadline_is_over_everything(server: FaultyServer, kind: str, trouble: Trouble) -> None:
    server.trouble = trouble
    request = CompletionRequest("?", "test", timeout_s=0.3)
    begun = time.monotonic()
    error = await trouble_of(provider(kind, server.url, "qwen3:8b"), request)
    assert error.problem == "timeout"
    assert time.monotonic() - begun < 5
    server.trouble = "healthy"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body",
    ["", "nothing", "[]", "null", "{}", '{"error": "it died"}', '{"message": 3}', '{"choices": [null]}', "[" * 9_999],
)
async def test_a_nonsensical_answer_is_the_servers_problem(server: FaultyServer, kind: str, body: str) -> None:
    server.bodies[PATHS[kind]] = body
    assert (await trouble_of(provider(kind, server.url, "qwen3:8b"))).problem in ("server", "empty")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1", "http://8.8.8.8:11434", "http://", "http://2130706434x.com"]
)
async def test_a_local_only_call_never_leaves(kind: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: pytest.fail("looked a name up"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("connected"))
    assert (await trouble_of(provider(kind, url, "m", key=KEY))).problem == "not_local"


async def test_no_proxy_of_the_environment_carries_a_local_call_away(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert (await asked(provider("openai", server.url))).text == DECISION
        assert proxy.connections == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_configuration_lacks_is_told_before_any_connection(server: FaultyServer, kind: str) -> None:
    error = await trouble_of(provider(kind, server.url, "m", off="no key in CLOUD_KEY"))
    assert (error.problem, error.message) == ("not_configured", "no key in CLOUD_KEY")
    error = await trouble_of(provider(kind, server.url, "m", wrong="its base_url is no address"))
    assert error.problem == "not_configured"
    assert (await trouble_of(provider(kind, server.url, "m", key="k\n" + KEY))).problem == "not_configured"
    assert server.requests == []


async def test_a_key_that_stands_in_the_file_is_not_sent_away() -> None:
    config = ProviderConfig("there", "openai", api_key=KEY)
    target = Target("there", "openai", 1, None, None, url="https://api.example.com/v1", key=KEY)
    request = CompletionRequest("?", "test", timeout_s=1, local_only=False)
    error = await trouble_of(OpenAIProvider(target, config), request)
    assert error.problem == "not_configured"
    assert "${NAME}" in error.hint


async def test_connections_are_kept_and_a_text_is_verbatim(server: FaultyServer) -> None:
    said = "raw \x1b[31m text\r\n\u202e"
    server.bodies["/v1/chat/completions"] = json.dumps({"choices": [{"message": {"content": said}}]})
    there = provider("openai", f"{server.url}/v1", "m")
    for _ in range(3):
        assert (await there.complete(REQUEST)).text == said
    await there.aclose()
    assert server.connections == 1


async def test_a_prompt_with_half_a_character_is_sent_all_the_same(server: FaultyServer) -> None:
    request = CompletionRequest("half \ud800 of it", "test", timeout_s=10)
    assert (await asked(provider("openai", server.url, "m"), request)).text == DECISION


OLLAMA_BODIES = Path(__file__).parents[1] / "fixtures" / "ollama"


async def test_a_prompt_that_does_not_fit_is_told_with_both_numbers(server: FaultyServer) -> None:
    """The real server's answer: an error within a string within an error; and llama.cpp's, which is the inner one."""
    wrapped = (OLLAMA_BODIES / "chat_truncate_false_400.json").read_text()
    for kind, path, body in (
        ("ollama", "/api/chat", wrapped),
        ("openai", "/v1/chat/completions", json.loads(wrapped)["error"]),
    ):
        server.bodies[path] = Answer(body.encode(), status=400)
        url = server.url if kind == "ollama" else f"{server.url}/v1"
        with pytest.raises(CallError) as caught:
            await asked(provider(kind, url, "qwen3:8b"))
        assert caught.value.problem == "too_long"
        assert caught.value.message == "the prompt has 9,019 tokens; the context has 4,096"


async def test_the_longest_answer_goes_along(server: FaultyServer) -> None:
    request = CompletionRequest("?", "test", timeout_s=10, max_tokens=64)
    await asked(provider("ollama", server.url, "qwen3:8b"), request)
    await asked(provider("openai", f"{server.url}/v1", "hermes4"), request)
    assert sent(server, "/api/chat")["options"] == {"num_predict": 64}
    assert sent(server, "/v1/chat/completions")["max_tokens"] == 64
