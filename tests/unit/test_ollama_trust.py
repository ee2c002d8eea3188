"""What a real server says that looks like something else (bodies of Ollama 0.33 in tests/fixtures/ollama)."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from faulty_server import Answer, FaultyServer

from timmy_tui.services.ollama.client import OllamaClient
from timmy_tui.services.ollama.decode import installed_models, loaded_models
from timmy_tui.services.ollama.errors import OllamaError
from timmy_tui.services.ollama.rules import expiry, processor_text

BODIES = Path(__file__).parents[1] / "fixtures" / "ollama"
NOW = 1_795_000_000.0


def body(name: str) -> bytes:
    return (BODIES / name).read_bytes()


def test_one_name_twice_is_one_model_that_takes_the_room_of_both() -> None:
    listed = json.loads(body("ps_same_name_twice.json"))["models"]
    names = [entry["name"] for entry in listed]
    name = next(name for name in names if names.count(name) == 2)
    entries = [entry for entry in listed if entry["name"] == name]
    found = loaded_models(body("ps_same_name_twice.json"), NOW)
    assert sorted(model.name for model in found) == sorted(set(names))
    loaded = next(model for model in found if model.name == name)
    assert loaded.size_bytes == sum(entry["size"] for entry in entries)
    assert loaded.size_vram_bytes == sum(entry.get("size_vram", 0) for entry in entries)


def test_the_very_same_entry_twice_counts_once() -> None:
    entry = json.loads(body("ps_same_name_twice.json"))["models"][0]
    (loaded,) = loaded_models(json.dumps({"models": [entry, entry]}).encode(), NOW)
    assert loaded.size_bytes == entry["size"]


def test_a_model_of_size_0_is_loaded_all_the_same() -> None:
    assert loaded_models(body("ps_cpu_size0.json"), NOW)
    for model in loaded_models(body("ps_amx_100gpu.json"), NOW):
        assert processor_text(model.size_bytes, model.size_vram_bytes) == "100% GPU"


def test_the_order_within_one_second_is_ours() -> None:
    entries = json.loads(body("tags_9.json"))["models"]
    names = [model.name for model in installed_models(json.dumps({"models": entries}).encode())]
    assert len(names) == len(entries)
    for turned in (entries[::-1], entries[3:] + entries[:3]):
        assert [model.name for model in installed_models(json.dumps({"models": turned}).encode())] == names


@pytest.mark.parametrize("name", [b"bad\xff:1b", b"half\\ud800:1b"])
def test_one_name_that_is_no_text_does_not_cost_the_list(name: bytes) -> None:
    listed = b'{"models": [{"name": "%s", "digest": "a"}, {"name": "good:1b", "digest": "b"}]}' % name
    names = [model.name for model in installed_models(listed)]
    assert "good:1b" in names
    assert len(names) == 2


def server(**bodies: str | Answer) -> FaultyServer:
    tags = {"models": [{"name": "m:1b", "model": "m:1b", "digest": "d", "size": 9}]}
    answers: dict[str, str | Answer] = {"/api/tags": json.dumps(tags), "/api/version": '{"version": "0.33.0"}'}
    return FaultyServer(answers | {f"/api/{path}": answer for path, answer in bodies.items()})


async def test_a_server_without_ps_is_up_and_what_is_loaded_unknown() -> None:
    with server(ps=Answer(b"404 page not found", status=404)) as there:
        client = OllamaClient(there.url)
        reading = await client.read()
        await client.aclose()
    assert [model.name for model in reading.installed] == ["m:1b"]
    assert (reading.loaded, reading.loaded_known, reading.version) == ((), False, "0.33.0")


@pytest.mark.parametrize("ahead_s", [0, 900, -900])
async def test_a_clock_elsewhere_moves_no_countdown(ahead_s: float) -> None:
    now = time.time()
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + ahead_s + 240))
    loaded = {"models": [{"name": "m:1b", "digest": "d", "size": 9, "size_vram": 9, "expires_at": expires}]}
    date = {"Date": formatdate(now + ahead_s, usegmt=True)}
    with server(ps=Answer(json.dumps(loaded), headers=date)) as there:
        client = OllamaClient(there.url)
        reading = await client.read()
        await client.aclose()
    counted = expiry(reading.loaded[0], now)
    assert counted.kind == "counting"
    assert counted.seconds == pytest.approx(240, abs=60)  # a busy machine reads late; the clocks are 900 s apart


async def test_a_server_that_keeps_nothing_has_not_loaded_it() -> None:
    with server(ps='{"models": []}', generate='{"done": true, "done_reason": "load"}') as there:
        client = OllamaClient(there.url)
        with pytest.raises(OllamaError, match="keeps nothing in memory"):
            await client.load("m:1b")
        await client.aclose()


async def test_a_redirect_to_another_port_gets_none_of_our_headers() -> None:
    with FaultyServer({"/api/ps": '{"models": []}'}) as other:
        elsewhere = Answer(b"", status=307, headers={"Location": f"{other.url}/api/ps"})
        with server(ps=elsewhere) as there:
            client = OllamaClient(there.url, headers={"Authorization": "Bearer ours"})
            with pytest.raises(OllamaError):
                await client.read()
            await client.aclose()
        assert other.requests == []
