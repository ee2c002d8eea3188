"""The demo's Ollama answers like a real one of 0.32, and what is asked of it really changes it."""

from __future__ import annotations

import json
import math
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from timmy_tui.services.demo.ollama_server import OllamaServer
from timmy_tui.services.demo.ollama_world import LINGER_S, OllamaWorld, keep_alive_s, world_at
from timmy_tui.services.ollama.decode import installed_models, loaded_models, model_details

NOW = 1_795_144_500.0
TAG_KEYS = {"name", "model", "modified_at", "size", "digest", "details", "capabilities"}
PROCESS_KEYS = {"name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length"}


class Clock:
    """Time that only the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[OllamaServer]:
    server = OllamaServer(world_at(NOW), speed=10_000, clock=clock)
    server.start("test-ollama")
    yield server
    server.stop()


@pytest.fixture
def client(server: OllamaServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=10) as client:
        yield client


def loaded_names(client: httpx.Client) -> set[str]:
    return {model["name"] for model in client.get("/api/ps").json()["models"]}


def test_eight_models_are_installed_one_of_them_a_cloud_stub() -> None:
    models = installed_models(json.dumps(world_at(NOW).tags()).encode())

    assert len(models) == 8
    assert [model.name for model in models if model.remote] == ["gpt-oss:120b-cloud"]
    assert all(model.capabilities and model.context_length and len(model.digest) == 64 for model in models)
    times = [model.modified_at or 0 for model in models]
    assert times == sorted(times, reverse=True)
    assert max(times) < NOW


def test_documents_have_the_keys_of_a_real_server() -> None:
    world = world_at(NOW)
    tags, processes = world.tags()["models"], world.ps(NOW)["models"]

    assert isinstance(tags, list)
    assert isinstance(processes, list)
    for entry in tags:
        assert isinstance(entry, dict)
        assert set(entry) - {"remote_model", "remote_host"} == TAG_KEYS
    for entry in processes:
        assert isinstance(entry, dict)
        assert set(entry) == PROCESS_KEYS


def test_one_model_is_pinned_and_partly_on_the_cpu_the_other_counts_down() -> None:
    pinned, counting = loaded_models(json.dumps(world_at(NOW).ps(NOW)).encode(), NOW)

    assert (pinned.name, pinned.expires_at) == ("qwen2.5-coder:7b", math.inf)
    assert pinned.size_vram_bytes / pinned.size_bytes == pytest.approx(0.69, abs=1e-6)
    assert (counting.name, counting.size_vram_bytes) == ("hermes4:14b", counting.size_bytes)
    assert counting.expires_at is not None
    assert 240 < counting.expires_at - NOW < 270


def test_the_world_is_the_same_for_the_same_moment_and_seed() -> None:
    first, again, other = world_at(NOW, 7), world_at(NOW, 7), world_at(NOW, 8)

    assert first.ps(NOW) == again.ps(NOW)
    assert first.tags() == again.tags()
    assert first.ps(NOW) != other.ps(NOW)


def test_a_model_lingers_for_a_moment_past_its_expiry_and_is_gone() -> None:
    world = OllamaWorld(NOW)
    world.load("llama3.2:3b", NOW, 60)

    assert world.is_loaded("llama3.2:3b", NOW + 60)
    assert not world.is_loaded("llama3.2:3b", NOW + 60 + LINGER_S)


def test_a_keep_alive_is_sticky() -> None:
    world = OllamaWorld(NOW)
    world.load("llama3.2:3b", NOW, math.inf)
    world.load("llama3.2:3b", NOW + 10)

    (model,) = loaded_models(json.dumps(world.ps(NOW + 10)).encode(), NOW + 10)
    assert model.expires_at == math.inf


def test_what_does_not_fit_the_gpu_spills_to_the_cpu() -> None:
    world = world_at(NOW)
    world.load("gemma3:12b", NOW)

    models = loaded_models(json.dumps(world.ps(NOW)).encode(), NOW)
    spilled = next(model for model in models if model.name == "gemma3:12b")
    assert 0 < spilled.size_vram_bytes < spilled.size_bytes
    assert sum(model.size_vram_bytes for model in models) == 24_000_000_000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 300), (0, 0), ("0", 0), (90, 90), ("5m", 300), ("1h30m", 5400), (-1, math.inf), ("-1m", math.inf)],
)
def test_keep_alive_forms(value: object, seconds: float) -> None:
    assert keep_alive_s(value) == seconds


@pytest.mark.parametrize("value", ["-1", "300", "1d", "", True, [5]])
def test_keep_alive_forms_that_go_refuses(value: object) -> None:
    with pytest.raises(ValueError):
        keep_alive_s(value)


def test_liveness_and_version(client: httpx.Client) -> None:
    assert client.get("/").text == "Ollama is running"
    assert client.head("/").status_code == 200
    assert client.get("/api/version").json() == {"version": "0.32.15"}


def test_an_unknown_path_is_plain_text_and_a_wrong_method_too(client: httpx.Client) -> None:
    assert (client.get("/api/nope").status_code, client.get("/api/nope").text) == (404, "404 page not found")
    assert client.post("/api/tags", json={}).status_code == 405


def test_load_keep_and_unload_change_what_is_loaded(client: httpx.Client, clock: Clock) -> None:
    answer = client.post("/api/generate", json={"model": "llama3.2:3b", "keep_alive": "10m"}).json()
    assert (answer["done"], answer["done_reason"], answer["response"]) == (True, "load", "")
    assert "llama3.2:3b" in loaded_names(client)

    client.post("/api/generate", json={"model": "llama3.2:3b", "keep_alive": -1})
    clock.now += 86_400
    assert "llama3.2:3b" in loaded_names(client)

    answer = client.post("/api/generate", json={"model": "llama3.2:3b", "keep_alive": 0}).json()
    assert answer["done_reason"] == "unload"
    clock.now += LINGER_S
    assert "llama3.2:3b" not in loaded_names(client)


def test_an_embedding_model_loads_by_embed_and_refuses_to_generate(client: httpx.Client) -> None:
    refused = client.post("/api/generate", json={"model": "nomic-embed-text", "keep_alive": "5m"})
    assert refused.status_code == 400
    assert refused.json() == {"error": '"nomic-embed-text" does not support generate'}

    assert client.post("/api/embed", json={"model": "nomic-embed-text", "input": ""}).json()["embeddings"] == []
    assert "nomic-embed-text:latest" in loaded_names(client)
    vectors = client.post("/api/embed", json={"model": "nomic-embed-text", "input": ["a", "b"]}).json()["embeddings"]
    assert [len(vector) for vector in vectors] == [768, 768]


@pytest.mark.parametrize(
    ("path", "request_body", "status", "error"),
    [
        ("/api/show", {"model": "nope"}, 404, "model 'nope' not found"),
        ("/api/generate", {"model": "nope", "keep_alive": 0}, 404, "model 'nope' not found"),
        ("/api/generate", {"model": "llama3.2:3b", "keep_alive": "-1"}, 400, 'time: missing unit in duration "-1"'),
        ("/api/chat", {}, 400, "model is required"),
        ("/api/chat", {"model": "gpt-oss:120b-cloud"}, 401, "unauthorized"),
    ],
)
def test_errors_are_those_of_a_real_server(
    client: httpx.Client, path: str, request_body: dict[str, object], status: int, error: str
) -> None:
    response = client.post(path, json=request_body)

    assert (response.status_code, response.json()["error"]) == (status, error)


def test_show_tells_the_trained_context(client: httpx.Client) -> None:
    details = model_details(client.post("/api/show", json={"model": "hermes4:14b"}).content, "hermes4:14b")

    assert details.trained_context_length == 131_072
    assert "tools" in details.capabilities
    assert ("num_ctx", "65536") in details.parameters


@pytest.mark.parametrize(("disk", "severity"), [(41, "ok"), (93, "warning")])
def test_a_chat_decides_about_what_the_prompt_says(client: httpx.Client, disk: int, severity: str) -> None:
    prompt = f'{{"gitea_alive": true, "disk_used_pct": {disk}}} Answer with actions, severity, reasoning.'
    body = {"model": "hermes4:14b", "messages": [{"role": "user", "content": prompt}], "stream": False}
    answer = client.post("/api/chat", json=body).json()

    decision = json.loads(answer["message"]["content"])
    assert set(decision) == {"actions", "severity", "reasoning"}
    assert decision["severity"] == severity
    assert answer["done_reason"] == "stop"
    parts_ns = answer["load_duration"] + answer["prompt_eval_duration"] + answer["eval_duration"]
    assert answer["total_duration"] >= parts_ns
    assert 20 < answer["eval_count"] / answer["eval_duration"] * 1e9 < 200


def test_a_streamed_chat_says_the_same_in_pieces_and_ends_with_the_figures(client: httpx.Client) -> None:
    body = {"model": "hermes4:14b", "messages": [{"role": "user", "content": "severity of disk_used_pct: 95?"}]}
    lines = [json.loads(line) for line in client.post("/api/chat", json=body).text.splitlines()]

    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert len(lines) > 5
    assert json.loads("".join(line["message"]["content"] for line in lines))["severity"] == "warning"
    assert lines[-1]["eval_count"] > 0


def test_a_generation_of_prose_has_no_json(client: httpx.Client) -> None:
    body = {"model": "qwen2.5-coder:7b", "prompt": "Review this change.", "stream": False}

    assert client.post("/api/generate", json=body).json()["response"].startswith("The change reads well.")


def test_a_pull_tells_its_progress_and_installs_the_model(client: httpx.Client) -> None:
    text = client.post("/api/pull", json={"model": "mistral:7b"}).text
    lines = [json.loads(line) for line in text.splitlines()]

    assert (lines[0]["status"], lines[-1]["status"]) == ("pulling manifest", "success")
    layer = [line for line in lines if line.get("digest") == lines[1]["digest"]]
    assert "completed" not in layer[0]
    done = [line["completed"] for line in layer[1:]]
    assert done == sorted(done)
    assert done[-1] == layer[0]["total"]
    assert "mistral:7b" in {model["name"] for model in client.get("/api/tags").json()["models"]}


def test_a_pull_of_a_missing_model_fails_inside_the_stream(client: httpx.Client) -> None:
    response = client.post("/api/pull", json={"model": "missing:1b"})

    assert response.status_code == 200
    last = json.loads(response.text.splitlines()[-1])
    assert last == {"error": "pull model manifest: file does not exist"}


def test_a_stop_ends_a_pull_under_way_and_frees_the_port(clock: Clock) -> None:
    server = OllamaServer(world_at(NOW), speed=0.01, clock=clock)  # the pull would take ten minutes
    server.start("test-ollama")
    try:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        body = b'{"model": "mistral:7b"}'
        connection.sendall(b"POST /api/pull HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert connection.recv(1)
    finally:
        server.stop()
    connection.close()

    assert not [thread for thread in threading.enumerate() if "ollama" in thread.name and "pytest" not in thread.name]
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", server.port))
    assert "mistral:7b" not in json.dumps(server.world.tags())
