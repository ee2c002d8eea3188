"""Probes ask free endpoints only, and whatever comes back is one plain line without a secret in it."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faulty_server import Answer as Reply
from tests.faulty_server import FaultyServer
from timmy_tui.services.providers.found import Target
from timmy_tui.services.providers.probe_errors import connection_text
from timmy_tui.services.providers.probes import Answer, Prober

KEY = "sk-proj-0123456789abcdef"
MODELS = json.dumps({"object": "list", "data": [{"id": "qwen3:8b"}, {"id": "gemma"}]})


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer({"/api/version": '{"version":"0.32.15"}', "/v1/models": MODELS}) as server:
        yield server


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    prober = Prober("hermes-of-no-such-name", {"PATH": ""}, timeout_s=5)
    yield prober
    await prober.aclose()


def target(kind: str, url: str, key: str | None = None) -> Target:
    return Target(name="x", type=kind, priority=1, model=None, shown=url, url=url, key=key)


async def test_ollama_tells_its_version(server: FaultyServer, prober: Prober) -> None:
    answer = await prober.ask(target("ollama", server.url))
    assert (answer.error, answer.version) == (None, "0.32.15")
    assert answer.latency_ms is not None
    assert answer.latency_ms > 0
    assert [request.path for request in server.requests] == ["/api/version"]


async def test_an_openai_server_is_asked_for_its_models_with_the_key(server: FaultyServer, prober: Prober) -> None:
    assert (await prober.ask(target("openai", server.url, KEY))).error is None
    request = server.requests[0]
    assert (request.method, request.path) == ("GET", "/v1/models")
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_anthropic_gets_its_own_headers(server: FaultyServer, prober: Prober) -> None:
    assert (await prober.ask(target("anthropic", server.url, KEY))).error is None
    headers = server.requests[0].headers
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"]
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("base", "served", "asked"),
    [
        ("/v1", "/v1/models", ["/v1/models"]),
        ("/api/v3", "/api/v3/models", ["/api/v3/models"]),
        ("/v1beta", "/v1beta/models", ["/v1beta/models"]),
        ("", "/models", ["/v1/models", "/models"]),
        ("/v1beta/openai", "/v1beta/openai/models", ["/v1beta/openai/v1/models", "/v1beta/openai/models"]),
    ],
)
async def test_a_base_may_or_may_not_end_in_its_version(
    prober: Prober, base: str, served: str, asked: list[str]
) -> None:
    with FaultyServer({served: MODELS}) as server:
        assert (await prober.ask(target("openai", server.url + base))).error is None
        assert [request.path for request in server.requests] == asked


@pytest.mark.parametrize(
    ("body", "model"),
    [
        ('{"data": [{"id": "only"}]}', "only"),
        ('{"models": [], "data": [{"id": "a"}, {"id": "b"}]}', None),
        ('[{"id": "bare"}]', "bare"),
        ('{"data": null}', None),
        ('{"data": [{"id": "x\\u001b[2J"}]}', "x^[[2J"),
        ('{"data": [7]}', None),
    ],
)
async def test_a_servers_only_model_is_its_model(prober: Prober, body: str, model: str | None) -> None:
    with FaultyServer({"/v1/models": body}) as server:
        answer = await prober.ask(target("openai", server.url))
    assert (answer.error, answer.model) == (None, model)


@pytest.mark.parametrize(
    ("status", "key", "line"),
    [
        (401, KEY, "the key was refused (401)"),
        (403, KEY, "the key was refused (403)"),
        (401, None, "it wants a key (401); set api_key"),
        (404, KEY, "nothing at this path (404); check base_url"),
        (302, KEY, "redirects elsewhere (302); set base_url to the final address"),
        (429, KEY, "too many requests (429)"),
        (500, KEY, "answered 500 Internal Server Error"),
        (799, KEY, "answered 799"),
    ],
)
async def test_a_bad_status_is_explained_and_its_body_ignored(
    prober: Prober, status: int, key: str | None, line: str
) -> None:
    reply = Reply(json.dumps({"error": f"Incorrect API key provided: {KEY}"}), status, headers={"Location": "/x"})
    with FaultyServer({"/v1/models": reply}) as server:
        assert (await prober.ask(target("openai", f"{server.url}/v1", key))).error == line
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("<html>Welcome</html>", "answers with a web page, not with JSON; is the address right?"),
        ("hello", "answers with something that is not JSON"),
        ("", "answers with something that is not JSON"),
        ("[" * 100_000, "answers with something that is not JSON"),
        (b"\xff\xfe{", "answers with something that is not JSON"),
        ('{"version": 5}', "answers, but not as Ollama does"),
        ("[]", "answers, but not as Ollama does"),
    ],
)
async def test_a_wrong_body_is_explained(prober: Prober, body: str | bytes, line: str) -> None:
    with FaultyServer({"/api/version": body}) as server:
        assert (await prober.ask(target("ollama", server.url))).error == line


async def test_a_list_that_is_none_is_explained(prober: Prober) -> None:
    with FaultyServer({"/v1/models": '{"data": {"id": 1}}'}) as server:
        answer = await prober.ask(target("openai", server.url))
    assert answer.error == "answers, but not with a list of models"


async def test_a_flood_is_cut_off(server: FaultyServer, prober: Prober) -> None:
    server.trouble = "flood"
    answer = await prober.ask(target("ollama", server.url))
    assert answer.error == "answers with more than 4 MB where a few lines belong"
    assert server.sent_bytes < 40_000_000


async def test_a_compressed_bomb_is_cut_off_and_an_honest_gzip_read(prober: Prober) -> None:
    packed = {"Content-Encoding": "gzip"}
    bomb = Reply(gzip.compress(b" " * 50_000_000), headers=packed)
    with FaultyServer({"/api/version": bomb}) as server:
        answer = await prober.ask(target("ollama", server.url))
        assert answer.error == "answers with more than 4 MB where a few lines belong"
        server.bodies["/api/version"] = Reply(gzip.compress(b'{"version":"1.2"}'), headers=packed)
        assert (await prober.ask(target("ollama", server.url))).version == "1.2"
        server.bodies["/api/version"] = Reply(b"no gzip", headers=packed)
        answer = await prober.ask(target("ollama", server.url))
        assert answer.error == "answers with a broken compressed body"
        server.bodies["/api/version"] = Reply(b"?", headers={"Content-Encoding": "br"})
        answer = await prober.ask(target("ollama", server.url))
        assert answer.error == "answers in an encoding that was not asked for (br)"


@pytest.mark.parametrize("trouble", ["hang", "drip"])
async def test_a_server_that_takes_its_time_is_given_up(server: FaultyServer, trouble: str) -> None:
    prober = Prober("hermes", {"PATH": ""}, timeout_s=0.3)
    server.trouble = trouble  # type: ignore[assignment]
    answer = await prober.ask(target("ollama", server.url))
    server.trouble = "healthy"
    await prober.aclose()
    assert answer == Answer(error="no answer within 0.3 s")


async def test_a_refused_and_a_dropped_connection_are_told_apart(server: FaultyServer, prober: Prober) -> None:
    server.trouble = "refuse"
    answer = await prober.ask(target("ollama", server.url))
    assert answer.error == "nothing listens there (connection refused)"
    server.trouble = "drop"
    answer = await prober.ask(target("ollama", server.url))
    assert answer.error == "answers with something that is not HTTP"
    server.trouble = "half"
    answer = await prober.ask(target("ollama", server.url))
    assert answer.error == "answers with something that is not HTTP"
    server.trouble = "healthy"
    assert (await prober.ask(target("ollama", server.url))).error is None


async def test_tls_towards_a_plain_server_is_explained(prober: Prober) -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as plain:
        port = plain.sockets[0].getsockname()[1]
        answer = await prober.ask(target("ollama", f"https://127.0.0.1:{port}"))
    assert answer.error == "TLS failed; is it an http:// address?"


def test_an_untrusted_certificate_is_told_by_its_reason() -> None:
    inner = ssl.SSLCertVerificationError(1, "certificate verify failed")
    inner.verify_message = "self-signed certificate"
    outer = OSError("All connection attempts failed")
    outer.__cause__ = ExceptionGroup("several", [inner])
    assert connection_text(outer) == "its certificate is not trusted: self-signed certificate"


def test_an_unknown_failure_keeps_its_own_words_without_a_secret() -> None:
    told = connection_text(ValueError(f"odd\x1b[2J header Bearer {KEY}"))
    assert told == "can't be reached: odd^[[2J header Bearer ***"
    assert connection_text(OSError(113, "No route to host")) == "can't be reached: No route to host"


async def test_a_name_that_does_not_exist_is_explained(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_such_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_name)
    answer = await prober.ask(target("ollama", "http://no-such-host:1"))
    assert answer.error == "its host name can't be resolved"


@pytest.mark.parametrize("key", ["sk-1234567890\nX-Evil: 1", "sk-1234567890é", "sk-1234567890\x00"])
async def test_a_key_that_no_header_can_carry_is_never_sent_nor_quoted(
    server: FaultyServer, prober: Prober, key: str
) -> None:
    answer = await prober.ask(target("openai", server.url, key))
    assert answer.error == "its key or a header holds characters that can't be sent"
    assert server.requests == []


async def test_no_proxy_of_the_environment_is_asked_for_what_is_nearby(
    server: FaultyServer, prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert (await prober.ask(target("ollama", server.url))).error is None


async def test_hermes_is_there_when_its_command_is(prober: Prober) -> None:
    answer = await prober.ask(Target(name="h", type="hermes", priority=1, model=None, shown=None))
    assert answer.error is not None
    assert "no hermes-of-no-such-name command found" in answer.error


async def test_what_can_not_be_asked_says_why(prober: Prober) -> None:
    wrong = Target(name="h", type="openai", priority=1, model=None, shown=None, wrong="no address in BASE")
    assert (await prober.ask(wrong)).error == "no address in BASE"
