"""Which model Hermes is asked to call, told by the server it is pointed at."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
from pytest_httpserver import HTTPServer

from timmy_tui.services.cascade.providers.hermes_server import (
    Served,
    check_local,
    check_model_local,
    choose_model,
    look,
)
from timmy_tui.services.cascade.records import CallError


def serve(server: HTTPServer, tags: object = None, ps: object = None, models: object = None) -> str:
    for path, tree in (("/api/tags", tags), ("/api/ps", ps), ("/v1/models", models)):
        if tree is not None:
            server.expect_request(path).respond_with_json(tree)
    return server.url_for("/v1")


async def test_what_is_loaded_comes_first_and_embedding_models_do_not_come(httpserver: HTTPServer) -> None:
    embedding = {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert"}}
    tags = {"models": [embedding, {"name": "a:7b"}, {"name": "b:14b"}, {"no": "name"}, "junk"]}
    served = await look(serve(httpserver, tags, {"models": [embedding, {"name": "b:14b"}]}))
    assert served.models == ("b:14b", "a:7b")
    assert choose_model(served, local_only=True) == "b:14b"
    assert served.name_of("a:7b") == "a:7b"
    assert served.name_of("nomic-embed-text") is None


async def test_a_model_that_is_only_passed_on_is_not_chosen_for_a_local_call(httpserver: HTTPServer) -> None:
    remote = {"name": "big", "remote_host": "https://ollama.com:443", "remote_model": "big"}
    served = await look(serve(httpserver, {"models": [remote, {"name": "small:latest"}]}, {"models": []}))
    assert choose_model(served, local_only=True) == "small:latest"
    assert choose_model(served, local_only=False) == "big"
    with pytest.raises(CallError) as caught:
        check_model_local("big", served)
    assert caught.value.problem == "not_local"
    check_model_local("small", served)


async def test_a_server_that_is_no_ollama_tells_its_models_the_openai_way(httpserver: HTTPServer) -> None:
    served = await look(serve(httpserver, models={"object": "list", "data": [{"id": "llama-3.gguf"}]}))
    assert served == Served(("llama-3.gguf",))


@pytest.mark.parametrize("body", ["", "[]", "null", '{"models": 3}', "<html>", '{"models": [[]]}', "[" * 100_000])
async def test_a_server_that_tells_nothing_usable_serves_nothing_known(httpserver: HTTPServer, body: str) -> None:
    httpserver.expect_request("/api/tags").respond_with_data(body, content_type="application/json")
    served = await look(httpserver.url_for("/v1"))
    assert served == Served()
    with pytest.raises(CallError) as caught:
        choose_model(served, local_only=True)
    assert caught.value.problem == "not_found"


async def test_a_silent_server_is_not_waited_for(httpserver: HTTPServer) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        assert await look(url, timeout_s=0.2) == Served()


async def test_a_port_where_nothing_listens_is_refused_at_once() -> None:
    with closing(socket.socket()) as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        with pytest.raises(CallError) as caught:
            await look(f"http://127.0.0.1:{placeholder.getsockname()[1]}/v1")
    assert caught.value.problem == "refused"
    assert "127.0.0.1" in caught.value.message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1", "http://[::1]:1/v1", "http://nas.local:1/v1", "http://10.1.2.3:1/v1"]
)
def test_this_machine_and_its_network_are_local(url: str) -> None:
    check_local(url)


@pytest.mark.parametrize("url", ["https://ollama.com/v1", "http://8.8.8.8:11434/v1", "http://127.0.0.1.example.com/v1"])
def test_anything_else_is_not(url: str) -> None:
    with pytest.raises(CallError) as caught:
        check_local(url)
    assert caught.value.problem == "not_local"
