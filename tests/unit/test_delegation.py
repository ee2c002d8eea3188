"""A delegated prompt is answered by the first model of its chain that can, or the reason is a value."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from timmy_tui import delegation
from timmy_tui.config import CircuitConfig, Settings, load_settings
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.delegation.delegator import Delegator, delegator
from timmy_tui.services.delegation.records import LLMResponse

SMALL, CODER = "llama3.2:3b", "qwen2.5-coder:7b"


class FakeOllama(ThreadingHTTPServer):
    """Answers ``/api/chat`` as it is told; remembers what was asked."""

    daemon_threads = True

    def __init__(self, *installed: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.installed = list(installed)
        self.loaded: dict[str, int] = {}
        self.limit = 131_072
        self.loads_with = 4096
        self.says = ""
        self.reads = 11
        self.failing: set[str] = set()
        self.remote: set[str] = set()
        self.pause_s = 0.0
        self.ending = threading.Event()
        self.breaks_after: int | None = None
        self.reason = "stop"
        self.asked: list[dict[str, object]] = []
        self.at_once = self.most_at_once = 0
        self.company: threading.Barrier | None = None
        """Answers wait until so many are asked at once."""
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is a part of the play."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeOllama
    protocol_version = "HTTP/1.1"

    def log_message(self, *_of: object) -> None:
        """Nothing is told."""

    def do_GET(self) -> None:
        server = self.server
        if self.path == "/api/tags":
            self._answer(
                {"models": [{"name": name, "model": name, "digest": name, "size": 9} for name in server.installed]}
            )
        elif self.path == "/api/ps":
            models = [
                {"name": name, "model": name, "digest": name, "size": 9, "size_vram": 9, "context_length": length}
                for name, length in server.loaded.items()
            ]
            self._answer({"models": models})
        else:
            self._answer({"version": "0.32.15"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        if self.path == "/api/generate":
            server.loaded[body["model"]] = server.loads_with
            self._answer({"done": True})
            return
        if self.path == "/api/show":
            self._answer({"model_info": {"llama.context_length": server.limit}, "details": {}})
            return
        with server.lock:
            server.asked.append(body)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            if server.company is not None:
                server.company.wait(20)
            server.ending.wait(server.pause_s)
            self._chat(body)
        finally:
            with server.lock:
                server.at_once -= 1

    def _chat(self, body: dict[str, object]) -> None:
        server, model = self.server, str(body["model"])
        if model in server.failing:
            self._answer({"error": "broken"}, 500)
            return
        messages = body["messages"]
        assert isinstance(messages, list)
        text = server.says or f"{model} says: {messages[0]['content'][:40]}"
        if "findings" in json.dumps(body.get("format")):
            text = '{"findings": [{"file": "text.py", "line": 2, "severity": "warning", "message": "Why 3?"}]}'
        done = {
            "model": model,
            "done": True,
            "done_reason": server.reason,
            "prompt_eval_count": server.reads,
            "eval_count": 20,
            "eval_duration": 500_000_000,
            "load_duration": 3_000_000,
        }
        if model in server.remote:
            done["remote_host"] = "https://ollama.com"
        if not body.get("stream"):
            self._answer({**done, "message": {"role": "assistant", "content": text}})
            return
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        for number, word in enumerate(text.split(" ")):
            if server.breaks_after == number:
                return
            piece = {**done, "message": {"content": word + " "}, "done": False}
            self.wfile.write(json.dumps(piece, ensure_ascii=False).encode() + b"\n")
        self.wfile.write(json.dumps({**done, "message": {"content": ""}}).encode() + b"\n")

    def _answer(self, tree: dict[str, object], status: int = 200) -> None:
        body = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    server = FakeOllama(SMALL, CODER)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def home(tmp_path: Path, ollama: FakeOllama) -> Callable[..., Settings]:
    def made(**delegation: object) -> Settings:
        env = {"HOME": str(tmp_path), "OLLAMA_HOST": ollama.url, "PATH": ""}
        return load_settings(env, overrides={"delegation": delegation})

    return made


async def ask(settings: Settings, prompt: str, **how: object) -> LLMResponse:
    async with delegator(settings, {"PATH": ""}, caller="test") as asked:
        return await asked.ask(prompt, **how)  # type: ignore[arg-type]


def counted(settings: Settings) -> tuple[int, int, int]:
    """Requests, successes and failures of the provider, as every process of the machine sees them."""
    with closing(sqlite3.connect(settings.database_path)) as connection:
        query = "SELECT total_requests, successful_requests, failed_requests FROM provider_metrics"
        (row,) = connection.execute(query).fetchall()
    return row[0], row[1], row[2]


def usage(settings: Settings) -> list[dict[str, object]]:
    return [json.loads(line) for line in settings.usage_path.read_bytes().splitlines()]


async def test_the_first_installed_model_of_the_chain_answers(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    found = await ask(home(), "Sort a list.", task="coding")
    assert (found.success, found.model, found.backend, found.task) == (True, CODER, "ollama", "coding")
    assert found.text == f"{CODER} says: Sort a list."
    assert (found.tokens, found.tokens_in, found.tokens_per_sec) == (20, 11, 40.0)
    assert [body["model"] for body in ollama.asked] == [CODER]


async def test_models_that_are_not_installed_are_told_by_the_list_and_not_by_failing(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    ollama.installed = [SMALL]
    assert (await ask(home(), "Hi", task="coding")).model == SMALL
    assert [body["model"] for body in ollama.asked] == [SMALL]


async def test_a_model_that_fails_gives_way_to_the_next(home: Callable[..., Settings], ollama: FakeOllama) -> None:
    ollama.failing = {CODER}
    settings = home()
    found = await ask(settings, "Hi", task="coding")
    assert (found.success, found.model) == (True, SMALL)
    assert [(line["model"], line["success"]) for line in usage(settings)] == [(CODER, False), (SMALL, True)]


async def test_a_model_in_memory_comes_first_where_that_is_wanted(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    ollama.loaded = {SMALL: 8192}
    assert (await ask(home(), "Hi", task="coding")).model == CODER
    assert (await ask(home(prefer_loaded=True), "Hi", task="coding")).model == SMALL


async def test_a_chain_of_ones_own_stands_above_the_built_in(home: Callable[..., Settings]) -> None:
    settings = home(tasks={"coding": [SMALL], "poems": [CODER]})
    assert (await ask(settings, "Hi", task="coding")).model == SMALL
    assert (await ask(settings, "Hi", task="poems")).model == CODER


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"task": "coooding"}, "is no task"),
        ({"task": "translation"}, "no model of the chain is installed: llama31-8b:latest"),
        ({"model": "nonsense:1b"}, "no model of the chain is installed: nonsense:1b"),
    ],
)
async def test_what_can_not_be_asked_is_a_response_that_says_why(
    home: Callable[..., Settings], how: dict[str, str], told: str
) -> None:
    found = await ask(home(), "Hi", **how)
    assert (found.success, found.text) == (False, "")
    assert told in found.error
    assert found.hint


async def test_no_server_is_a_response_and_not_an_exception(tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(tmp_path), "OLLAMA_HOST": "http://127.0.0.1:9"})
    found = await ask(settings, "Hi")
    assert not found.success
    assert "refused" in found.error
    assert "http://127.0.0.1:9" in found.error


async def test_a_prompt_that_does_not_fit_is_told_with_the_numbers_before_the_call(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    found = await ask(home(), "word " * 6_000)
    assert not found.success
    assert "about 8,572 tokens" in found.error
    assert "context of 4,096" in found.error, "what the server loads it with, not what the model could take"
    assert ollama.asked == []
    ollama.loaded = {SMALL: 16_384}
    assert (await ask(home(), "word " * 6_000)).success


async def test_an_answer_comes_piece_by_piece(home: Callable[..., Settings]) -> None:
    pieces: list[str] = []
    found = await ask(home(), "Tell me.", on_text=pieces.append)
    assert len(pieces) > 2
    assert "".join(pieces) == found.text
    assert (found.success, found.tokens) == (True, 20)


async def test_an_answer_that_has_begun_and_broke_off_is_asked_of_nobody_else(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    ollama.breaks_after = 2
    pieces: list[str] = []
    found = await ask(home(), "Tell me.", task="coding", on_text=pieces.append)
    assert not found.success
    assert len(pieces) == 2
    assert [body["model"] for body in ollama.asked] == [CODER]


async def test_a_cloud_models_answer_is_refused_before_a_word_of_it_is_given_out(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    ollama.remote = {CODER}
    pieces: list[str] = []
    settings = home()
    found = await ask(settings, "Tell me.", task="coding", on_text=pieces.append)
    assert (found.success, found.model) == (True, SMALL)
    assert "".join(pieces) == found.text
    assert [line["success"] for line in usage(settings)] == [False, True], "the prompt had left: that is told"


async def test_signs_that_only_some_take_for_a_line_end_are_part_of_the_answer(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    found = await ask(home(), "a\u0085b\u2028c", on_text=lambda text: None)
    assert "a\u0085b\u2028c" in found.text


async def test_a_call_that_is_given_up_is_a_line_too(home: Callable[..., Settings], ollama: FakeOllama) -> None:
    settings = home()

    def stop(_text: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await ask(settings, "Tell me.", on_text=stop)
    (line,) = usage(settings)
    assert not line["success"]


async def test_a_deadline_of_ones_own_is_kept_and_a_short_one_opens_no_circuit(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    settings = home(timeout_s=0.2)
    ollama.company = threading.Barrier(2)
    for _ in range(6):
        assert not (await ask(settings, "Hi", timeout_s=0.05)).success
    state = MetricsStore(settings.database_path, CircuitConfig()).circuit_of("ollama")
    assert state.circuit == "closed"
    ollama.company.abort()
    ollama.company = None
    ollama.pause_s = 0.4
    assert (await ask(settings, "Hi", timeout_s=10)).success


async def test_a_server_far_away_is_not_even_asked_what_it_has(tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(tmp_path), "OLLAMA_HOST": "https://ollama.example.com"})
    found = await ask(settings, "Hi")
    assert "delegation stays local" in found.error


async def test_an_answer_that_was_cut_says_so(home: Callable[..., Settings], ollama: FakeOllama) -> None:
    ollama.reason = "length"
    assert (await ask(home(), "Hi")).cut


async def test_a_model_that_never_ends_is_ended_at_the_deadline(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    ollama.company = threading.Barrier(2)
    found = await ask(home(), "Hi", timeout_s=0.5)
    ollama.company.abort()
    assert not found.success
    assert "no answer within" in found.error


async def test_many_prompts_are_answered_in_order_and_so_many_at_once(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    ollama.company = threading.Barrier(4)
    settings = home()
    async with delegator(settings, {"PATH": ""}, caller="test") as asked:
        answers = await asked.ask_many([f"number {n}" for n in range(24)], in_flight=4)
    assert [answer.text for answer in answers] == [f"{SMALL} says: number {n}" for n in range(24)]
    assert ollama.most_at_once == 4
    assert len(usage(settings)) == 24
    assert counted(settings) == (24, 24, 0)


async def test_a_failure_among_many_is_counted_with_all_successes_around_it(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    settings = home()
    async with delegator(settings, {"PATH": ""}, caller="test") as asked:
        for failing in (set(), set(), {SMALL}, set(), set()):
            ollama.failing = failing
            await asked.ask("Hi")
    assert counted(settings) == (5, 4, 1)


async def test_every_call_is_a_line_of_the_usage_log_and_of_the_heartbeats_figures(
    home: Callable[..., Settings], ollama: FakeOllama
) -> None:
    settings = home()
    await ask(settings, "Hi")
    (line,) = usage(settings)
    assert list(line)[:7] == ["timestamp", "task_type", "model", "latency_sec", "tokens_in", "tokens_out", "success"]
    assert (line["task_type"], line["model"], line["tokens_in"], line["tokens_out"]) == ("quick", SMALL, 11, 20)
    assert (line["caller"], line["provider"], line["eval_sec"], line["success"]) == ("test", "ollama", 0.5, True)
    ollama.failing = {SMALL}
    for _ in range(5):
        await ask(settings, "Hi")
    state = MetricsStore(settings.database_path, CircuitConfig()).circuit_of("ollama")
    assert state.circuit == "open"
    assert "circuit open" in (await ask(settings, "Hi")).error


def test_the_functions_for_scripts_need_no_loop(home: Callable[..., Settings], ollama: FakeOllama) -> None:
    settings = home()
    assert delegation.delegate("Hi", "quick", settings=settings).text == f"{SMALL} says: Hi"
    assert [answer.success for answer in delegation.delegate_many(["a", "b"], settings=settings)] == [True, True]
    *pieces, whole = delegation.stream("Tell me.", "quick", settings=settings)
    assert isinstance(whole, LLMResponse)
    assert "".join(map(str, pieces)) == whole.text
    assert delegation.is_ollama_running(settings)

    async def within_a_loop() -> LLMResponse:
        return delegation.delegate("Hi", "quick", settings=settings)

    assert asyncio.run(within_a_loop()).success


def test_who_stops_reading_hangs_up(home: Callable[..., Settings]) -> None:
    settings = home()
    pieces = delegation.stream("Tell me.", "quick", settings=settings)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert not any(thread.name == "stream" for thread in threading.enumerate())
    with pytest.raises(AttributeError):
        list(delegation.stream(None, "quick", settings=settings))  # type: ignore[arg-type]


def test_a_failed_call_is_tried_again(home: Callable[..., Settings], ollama: FakeOllama) -> None:
    settings = home()
    ollama.failing = {SMALL}
    assert not delegation.delegate_with_retry("Hi", "quick", retries=2, delay_s=0.01, settings=settings).success
    assert len(ollama.asked) == 3


SERVING = """#!{python}
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'{{"models": []}}')
server = http.server.HTTPServer(("127.0.0.1", {port}), Handler)
pathlib.Path("{alive}").write_text(str(os.getpid()))
server.serve_forever()
"""


def _free_port() -> int:
    with closing(socket.socket()) as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        return int(placeholder.getsockname()[1])


def test_ollama_is_started_when_it_can_be(tmp_path: Path, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = load_settings({"HOME": str(tmp_path), "OLLAMA_HOST": "http://127.0.0.1:9"})
    assert delegation.start_ollama(settings) == (False, "there is no command ollama. See https://ollama.com/download.")
    script = tmp_path / "ollama"
    alive = tmp_path / "alive"
    port = _free_port()
    serving = load_settings({"HOME": str(tmp_path), "OLLAMA_HOST": f"http://127.0.0.1:{port}"})
    script.write_text(SERVING.format(python=sys.executable, port=port, alive=alive))
    script.chmod(0o755)
    assert delegation.start_ollama(serving) == (True, "")
    pid = int(alive.read_text())
    os.kill(pid, 0)  # it goes on when the loop that began it has ended
    os.kill(pid, 9)
    script.write_text(f"#!{sys.executable}\nimport sys\nsys.exit(3)\n")
    script.chmod(0o755)
    started, why = delegation.start_ollama(settings)
    assert not started
    assert "code 3" in why
    running = load_settings({"HOME": str(tmp_path), "OLLAMA_HOST": ollama.url})
    assert delegation.start_ollama(running) == (True, "")


async def test_the_context_of_who_would_be_asked_is_told(home: Callable[..., Settings], ollama: FakeOllama) -> None:
    asked = Delegator(home(), {"PATH": os.defpath}, caller="test")
    assert await asked.context_tokens("quick") == 4096
    ollama.loaded = {SMALL: 8192}
    assert await asked.context_tokens("quick") == 8192
    assert await asked.context_tokens("translation") is None
    await asked.aclose()


THOUGHTS = {
    "<think>secret plan</think>Hello": "Hello",
    "<|channel|>analysis<|message|>secret plan<|end|><|start|>assistant<|channel|>final<|message|>Hello": "Hello",
    "[THINK]secret plan[/THINK]Hello there": "Hello there",
    "Hello<|im_end|>\n<|im_start|>user\nMore": "Hello",
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("text", THOUGHTS)
async def test_the_answer_is_what_is_given_back_and_not_the_thinking(
    home: Callable[..., Settings], ollama: FakeOllama, text: str, streams: bool
) -> None:
    ollama.says = text
    pieces: list[str] = []
    found = await ask(home(), "Hi", on_text=pieces.append if streams else None)
    assert (found.success, found.text.strip()) == (True, THOUGHTS[text])
    if streams:
        assert "".join(pieces).strip() == THOUGHTS[text]


@pytest.mark.parametrize("streams", [False, True])
async def test_thinking_alone_is_an_error(home: Callable[..., Settings], ollama: FakeOllama, streams: bool) -> None:
    ollama.says = "<think>never ends"
    pieces: list[str] = []
    found = await ask(home(), "Hi", on_text=pieces.append if streams else None)
    assert (found.success, found.text, pieces) == (False, "", [])
    assert "only thinking" in found.error


async def test_a_prompt_that_the_server_cut_is_no_answer(home: Callable[..., Settings], ollama: FakeOllama) -> None:
    """A server that ignores ``truncate`` and keeps half of its context."""
    ollama.loaded = {SMALL: 32_768}
    ollama.reads = 2_050
    found = await ask(home(), "word " * 6_000)
    assert (found.success, found.problem) == (False, "too_long")
    assert "it read 2,050 of about 7,500 tokens" in found.error
