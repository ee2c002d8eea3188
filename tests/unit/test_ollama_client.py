"""One Ollama server over a real socket: every trouble is one line that says what to do, and nothing hangs."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from tests.faulty_server import Answer, FaultyServer, Trouble
from timmy_tui.services.ollama.client import OllamaClient, OllamaError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ollama"
LOADED = '{"model":"m","created_at":"2026-08-21T17:05:12Z","response":"","done":true,"done_reason":"load"}'


class Clock:
    """Unix seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_787_360_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    bodies = {
        "/api/ps": (FIXTURES / "ps.json").read_bytes(),
        "/api/tags": (FIXTURES / "tags.json").read_bytes(),
        "/api/version": '{"version":"0.32.15"}',
        "/api/generate": LOADED,
        "/api/embed": '{"model":"m","embeddings":[]}',
        "/api/show": '{"details":{},"model_info":{},"modified_at":"2026-08-21T17:05:12Z"}',
        "/api/pull": Answer((FIXTURES / "pull-ok.ndjson").read_bytes(), content_type="application/x-ndjson"),
    }
    with FaultyServer(bodies, drip_s=0.05) as server:
        yield server


@pytest.fixture
async def client(server: FaultyServer, clock: Clock) -> AsyncIterator[OllamaClient]:
    async with client_of(server.url, clock) as client:
        yield client


@asynccontextmanager
async def client_of(
    url: str, clock: Callable[[], float] = time.time, *, timeout_s: float = 10.0, **headers: str
) -> AsyncIterator[OllamaClient]:
    client = OllamaClient(url, timeout_s=timeout_s, clock=clock, headers=headers)
    try:
        yield client
    finally:
        await client.aclose()


async def error_of(client: OllamaClient) -> OllamaError:
    with pytest.raises(OllamaError) as caught:
        await client.read()
    assert caught.value.message.isprintable()
    assert caught.value.hint.isprintable()
    return caught.value


def bodies_sent(server: FaultyServer, path: str) -> list[object]:
    return [json.loads(request.body) for request in server.requests if request.path == path]


# Reading


async def test_a_healthy_server(client: OllamaClient) -> None:
    reading = await client.read()
    assert reading.version == "0.32.15"
    assert reading.loaded[0].name == "qwen3:8b"
    assert len(reading.installed) == 8
    assert reading.latency_ms > 0
    assert reading.vram_bytes == 6442450944 + 16642998272


async def test_only_ps_is_asked_every_time(client: OllamaClient, server: FaultyServer, clock: Clock) -> None:
    await client.read()
    clock.now += 59
    await client.read()
    assert [server.count(path) for path in ("/api/ps", "/api/tags", "/api/version")] == [2, 1, 1]
    clock.now += 1
    await client.read()
    assert [server.count(path) for path in ("/api/ps", "/api/tags", "/api/version")] == [3, 2, 2]
    clock.now -= 3600  # the machine's clock was set back
    await client.read()
    assert server.count("/api/tags") == 3


async def test_one_connection_serves_many_reads(client: OllamaClient, server: FaultyServer) -> None:
    for _ in range(5):
        await client.read()
    assert server.connections == 1


async def test_an_unchanged_answer_gives_the_same_records(client: OllamaClient) -> None:
    first, second = await client.read(), await client.read()
    assert second.loaded is first.loaded
    assert second.installed is first.installed


async def test_a_model_that_tags_does_not_know_asks_for_tags_once(client: OllamaClient, server: FaultyServer) -> None:
    await client.read()
    server.bodies["/api/ps"] = '{"models":[{"name":"new:1b"}]}'
    server.bodies["/api/tags"] = '{"models":[{"name":"new:1b"}]}'
    reading = await client.read()
    assert [model.name for model in reading.installed] == ["new:1b"]
    server.bodies["/api/ps"] = '{"models":[{"name":"removed-but-loaded:1b"}]}'
    for _ in range(3):
        await client.read()
    assert server.count("/api/tags") == 3


async def test_two_reads_at_once_are_one_request(client: OllamaClient, server: FaultyServer) -> None:
    first, second = await asyncio.gather(client.read(), client.read())
    assert first is second
    assert server.count("/api/ps") == 1


async def test_a_cancelled_read_leaves_the_client_usable(client: OllamaClient, server: FaultyServer) -> None:
    await client.read()
    server.trouble = "hang"
    reading = asyncio.create_task(client.read())
    await asyncio.to_thread(server.wait_for, "/api/ps", 2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    server.trouble = "healthy"
    assert len((await client.read()).loaded) == 3


async def test_a_server_without_a_version(client: OllamaClient, server: FaultyServer) -> None:
    del server.bodies["/api/version"]
    assert (await client.read()).version is None


async def test_headers_are_sent_and_no_key_is_told(server: FaultyServer) -> None:
    async with client_of(server.url, Authorization="Bearer swordfish", Host="localhost:11434") as client:
        await client.read()
    assert server.requests[0].headers["authorization"] == "Bearer swordfish"
    assert server.requests[0].headers["host"] == "localhost:11434"
    with pytest.raises(OllamaError, match="header 'X-Key'") as caught:
        OllamaClient(server.url, headers={"X-Key": "sword\nfish"})
    assert "fish" not in caught.value.message


async def test_a_path_prefix_stays(server: FaultyServer) -> None:
    server.bodies.update({f"/gpu{path}": body for path, body in server.bodies.items()})
    async with client_of(f"{server.url}/gpu/") as client:
        await client.read()
    assert {request.path for request in server.requests} == {"/gpu/api/ps", "/gpu/api/tags", "/gpu/api/version"}


async def test_a_proxy_of_the_environment_is_not_asked_for_a_local_server(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with client_of(server.url) as client:
        assert (await client.read()).version == "0.32.15"


# Troubles


async def test_a_server_that_refuses(client: OllamaClient, server: FaultyServer) -> None:
    server.trouble = "refuse"
    error = await error_of(client)
    assert error.message == f"Ollama does not answer at {server.url}: connection refused"
    assert error.hint == "Start it with:  ollama serve"


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("hang", "nothing for 0.2 s (/api/ps)"),
        ("drip", "is still answering /api/ps after 0.2 s"),
        ("error", "answers 500 to /api/ps: llama runner process has terminated"),
        ("html", "answers /api/ps with a web page"),
        ("half", "breaks off its answer to /api/ps: the connection closed halfway"),
        ("flood", "sends more than 16 MB for /api/ps"),
        ("redirect", "sends /api/ps on to http://other.example/"),
        ("drop", "the connection closed without a word"),
    ],
)
async def test_a_trouble_is_one_line_and_passes(server: FaultyServer, trouble: Trouble, says: str) -> None:
    async with client_of(server.url, timeout_s=0.2 if trouble in ("hang", "drip") else 10) as client:
        server.trouble = trouble
        error = await error_of(client)
        assert says in error.message
        assert error.hint
        server.trouble = "healthy"
    async with client_of(server.url) as client:
        assert len((await client.read()).loaded) == 3


async def test_a_flood_is_not_swallowed(client: OllamaClient, server: FaultyServer) -> None:
    server.trouble = "flood"
    await error_of(client)
    assert server.sent_bytes < 40 * 10**6


async def test_half_a_json(client: OllamaClient, server: FaultyServer) -> None:
    server.bodies["/api/ps"] = '{"models":[{"name":"qwen3'
    assert "answers /api/ps with something else: not JSON" in (await error_of(client)).message


async def test_a_server_that_comes_back_is_read_whole(client: OllamaClient, server: FaultyServer) -> None:
    await client.read()
    server.trouble = "refuse"
    await error_of(client)
    server.bodies["/api/version"] = '{"version":"0.33.0"}'
    server.trouble = "healthy"
    assert (await client.read()).version == "0.33.0"


async def test_a_kept_connection_that_was_closed_is_no_trouble(client: OllamaClient, server: FaultyServer) -> None:
    await client.read()
    server.trouble = "refuse"  # closes it
    server.trouble = "healthy"
    assert len((await client.read()).loaded) == 3


async def test_a_dropped_question_is_asked_once_more_but_an_action_never(
    client: OllamaClient, server: FaultyServer
) -> None:
    await client.read()
    server.trouble = "drop"
    await error_of(client)
    assert server.count("/api/ps") == 3
    with pytest.raises(OllamaError):
        await client.load("qwen3:8b")
    assert server.count("/api/generate") == 1


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        (Answer("", 403), "takes our Host header for a stranger's", "Host: localhost:11434"),
        (Answer('{"error":"cloud is disabled"}', 403), "answers 403 to /api/ps: cloud is disabled", ""),
        (Answer('{"error":"unauthorized"}', 401), "wants a sign-in: unauthorized", "headers:"),
        (Answer('{"error":"unauthorized","signin_url":"http://x"}', 401), "wants a sign-in", "ollama signin"),
        (Answer("", 401), "wants a sign-in: unauthorized", "headers:"),
        (Answer('{"error":"server busy, please try again.  max"}', 503), "is busy: server busy, please", "Try"),
        (Answer("<html><h1>502</h1></html>", 502, "text/html"), "answers 502 to /api/ps: a web page", "log"),
        (Answer('{"error":{"message":"no\\u001b[2J"}}', 400), "answers 400 to /api/ps: no^[[2J", ""),
        (Answer("Bearer sk-abcdefghijkl\nx", 500, "text/plain"), "answers 500 to /api/ps: Bearer ***", "log"),
        (Answer('{"models":[]}', headers={"Content-Encoding": "gzip"}), "it is compressed", "log"),
    ],
)
async def test_a_refusal_in_plain_words(
    client: OllamaClient, server: FaultyServer, answer: Answer, message: str, hint: str
) -> None:
    server.bodies["/api/ps"] = answer
    error = await error_of(client)
    assert message in error.message
    assert hint in error.hint


async def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with client_of("http://no-such-host.invalid:11434") as client:
        error = await error_of(client)
    assert error.message == "Ollama does not answer at http://no-such-host.invalid:11434: its name is not known"
    assert "OLLAMA_HOST" in error.hint


@pytest.mark.parametrize("host", ["xn--.invalid", "xn--\u00e4.invalid"])
async def test_a_name_that_can_not_be_dialled(host: str) -> None:
    async with client_of(host) as client:
        assert "it can't be dialled" in (await error_of(client)).message


async def test_a_port_that_speaks_no_tls() -> None:
    with FaultyServer() as plain:
        async with client_of(f"https://127.0.0.1:{plain.port}", timeout_s=5) as client:
            assert "TLS" in (await error_of(client)).message


async def test_a_redirect_on_the_same_server_is_followed(client: OllamaClient, server: FaultyServer) -> None:
    server.bodies["/api/ps"] = Answer(b"", 307, headers={"Location": "/moved/ps"})
    server.bodies["/moved/ps"] = '{"models":[]}'
    assert (await client.read()).loaded == ()


@pytest.mark.parametrize("location", ["/api/ps", "", "https://127.0.0.1/", "http://[", "//other.example/x"])
async def test_a_redirect_that_leads_nowhere_or_away(client: OllamaClient, server: FaultyServer, location: str) -> None:
    server.bodies["/api/ps"] = Answer(b"", 302, headers={"Location": location})
    assert "sends /api/ps on to" in (await error_of(client)).message
    assert server.count("/api/ps") <= 3


# Details


async def test_details_are_asked_once_per_digest(client: OllamaClient, server: FaultyServer) -> None:
    first, again, copy = (
        await client.details("a:1b", "d1"),
        await client.details("a:1b", "d1"),
        await client.details("copy:1b", "d1"),
    )
    assert first == again
    assert copy.name == "copy:1b"
    await client.details("a:1b", "d2")
    await asyncio.gather(client.details("b:1b", "d3"), client.details("b:1b", "d3"))
    assert bodies_sent(server, "/api/show") == [
        {"model": "a:1b"},
        {"model": "a:1b"},
        {"model": "b:1b"},
    ]


async def test_details_of_a_model_that_is_gone(client: OllamaClient, server: FaultyServer) -> None:
    server.bodies["/api/show"] = Answer('{"error":"model \'a:1b\' not found"}', 404)
    with pytest.raises(OllamaError) as caught:
        await client.details("a:1b", "d1")
    assert caught.value.message == "Ollama: model 'a:1b' not found"
    assert "ollama pull" in caught.value.hint


# Actions


async def test_load_keep_and_unload(client: OllamaClient, server: FaultyServer) -> None:
    await client.load("qwen3:8b")
    await client.keep("qwen3:8b")
    await client.unload("qwen3:8b")
    assert bodies_sent(server, "/api/generate") == [
        {"model": "qwen3:8b"},
        {"model": "qwen3:8b", "keep_alive": -1},
        {"model": "qwen3:8b", "keep_alive": 0},
    ]


async def test_an_embedding_model_is_loaded_by_embedding_nothing(client: OllamaClient, server: FaultyServer) -> None:
    await client.keep("nomic-embed-text")
    await client.unload("nomic-embed-text")
    assert bodies_sent(server, "/api/embed") == [{"model": "nomic-embed-text", "input": "", "keep_alive": -1}]
    assert bodies_sent(server, "/api/generate") == [{"model": "nomic-embed-text", "keep_alive": 0}]


async def test_an_embedding_model_of_a_server_that_does_not_say_so(client: OllamaClient, server: FaultyServer) -> None:
    server.bodies["/api/generate"] = Answer('{"error":"\\"e:1b\\" does not support generate"}', 400)
    await client.load("e:1b")
    assert bodies_sent(server, "/api/embed") == [{"model": "e:1b", "input": ""}]


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "kimi:cloud", "my-copy", "my-copy:latest"])
async def test_a_cloud_model_is_refused_before_anything_is_asked_of_it(
    client: OllamaClient, server: FaultyServer, name: str
) -> None:
    server.bodies["/api/tags"] = '{"models":[{"name":"my-copy:latest","remote_host":"https://ollama.com:443"}]}'
    for act in (client.load, client.keep, client.unload):
        with pytest.raises(OllamaError, match="runs in Ollama's cloud"):
            await act(name)
    assert all(request.method == "GET" for request in server.requests)


async def test_an_action_makes_everything_due(client: OllamaClient, server: FaultyServer) -> None:
    await client.read()
    await client.unload("qwen3:8b")
    await client.read()
    assert server.count("/api/tags") == 2
    client.refresh_soon()
    await client.read()
    assert server.count("/api/tags") == 3


async def test_a_load_outlasts_the_timeout_of_a_read_and_is_not_doubled(server: FaultyServer) -> None:
    async with client_of(server.url, timeout_s=0.5) as client:
        await client.read()
        server.trouble = "hang"
        loading = asyncio.create_task(client.load("qwen3:8b"))
        await asyncio.to_thread(server.wait_for, "/api/generate")
        with pytest.raises(OllamaError, match="a load is under way already"):
            await client.load("qwen3:8b")
        await error_of(client)  # its whole timeout has passed meanwhile
        assert not loading.done()
        server.trouble = "healthy"
        await loading
    assert server.count("/api/generate") == 1


async def test_a_failed_load_says_why(client: OllamaClient, server: FaultyServer) -> None:
    server.bodies["/api/generate"] = Answer('{"error":"model requires more system memory"}', 500)
    with pytest.raises(OllamaError, match="answers 500 to /api/generate: model requires more system memory"):
        await client.load("qwen3:8b")
    server.bodies["/api/generate"] = '{"error":"out of memory"}'
    with pytest.raises(OllamaError, match="out of memory"):
        await client.load("qwen3:8b")


@pytest.mark.parametrize("name", ["", "  ", "a\udcff", "x" * 2000])
async def test_what_is_no_model_name_is_not_asked_for(client: OllamaClient, server: FaultyServer, name: str) -> None:
    for act in (client.load, client.keep, client.unload):
        with pytest.raises(OllamaError, match="is no model name"):
            await act(name)
    with pytest.raises(OllamaError, match="is no model name"):
        await client.details(name, "d1")
    with pytest.raises(OllamaError, match="is no model name"):
        await anext(client.pull(name))
    assert server.requests == []


async def test_closing_ends_what_is_under_way(client: OllamaClient, server: FaultyServer) -> None:
    await client.read()
    server.trouble = "hang"
    loading = asyncio.create_task(client.load("qwen3:8b"))
    reading = asyncio.create_task(client.read())
    await asyncio.to_thread(server.wait_for, "/api/generate")
    await asyncio.to_thread(server.wait_for, "/api/ps", 2)
    await client.aclose()
    for task in (loading, reading):
        with pytest.raises(OllamaError):
            await asyncio.wait_for(task, 5)


# Pulling


async def test_a_pull_to_its_end(client: OllamaClient, server: FaultyServer) -> None:
    steps = [step async for step in client.pull("qwen3:8b")]
    assert steps[-1].done
    assert steps[-1].completed_bytes == steps[-1].total_bytes == 5225376219
    assert bodies_sent(server, "/api/pull") == [{"model": "qwen3:8b"}]


async def test_a_dripping_pull_is_only_slow(client: OllamaClient, server: FaultyServer) -> None:
    server.drip_s = 0
    server.trouble = "drip"
    assert [step.done async for step in client.pull("qwen3:8b")] == [False] * 8 + [True]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer((FIXTURES / "pull-error.ndjson").read_bytes()), "file does not exist"),
        (Answer('{"status":"pulling manifest"}\n'), "the stream ended before it was done"),
        (Answer(""), "the stream ended before it was done"),
        (Answer('{"status":"pulling manifest"}\n{"stat'), "not JSON"),
        (Answer('{"error":"invalid model name"}', 400), "answers 400 to /api/pull: invalid model name"),
        (Answer(b"x" * 2_000_000), "sends more than 1 MB for /api/pull"),
    ],
)
async def test_a_pull_that_fails(client: OllamaClient, server: FaultyServer, answer: Answer, says: str) -> None:
    server.bodies["/api/pull"] = answer
    with pytest.raises(OllamaError, match=says):
        [step async for step in client.pull("qwen3:8b")]


async def test_a_pull_that_breaks_off(client: OllamaClient, server: FaultyServer) -> None:
    server.trouble = "half"
    with pytest.raises(OllamaError, match="the connection closed halfway"):
        [step async for step in client.pull("qwen3:8b")]


async def test_a_pull_can_be_left_and_started_again(client: OllamaClient, server: FaultyServer) -> None:
    async with aclosing(client.pull("qwen3:8b")) as steps:
        await anext(steps)
        with pytest.raises(OllamaError, match="a pull is under way already"):
            await anext(client.pull("qwen3:8b"))
    assert (await client.read()).version == "0.32.15"
    assert [step async for step in client.pull("qwen3:8b")][-1].done


# Cost


def test_importing_the_client_is_cheap_and_reading_brings_no_screen_library() -> None:
    code = """
import asyncio, sys
from timmy_tui.services.ollama.client import OllamaClient, OllamaError
assert not {"httpx", "rich", "textual"} & set(sys.modules), "at import"
async def read():
    try:
        await OllamaClient("127.0.0.1:9").read()
    except OllamaError as error:
        print(error.message)
asyncio.run(read())
assert not {"rich", "textual", "pygments"} & set(sys.modules), "after a read"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "connection refused" in done.stdout
