"""What a server sends becomes records: nothing it leaves out or garbles costs more than itself."""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.ollama.decode import (
    MODEL_LIMIT,
    DecodeError,
    installed_models,
    loaded_models,
    model_details,
    server_version,
    unix_time,
)
from timmy_tui.services.ollama.errors import OllamaError
from timmy_tui.services.ollama.pull import PullFold
from timmy_tui.services.ollama.rules import expiry, processor_text

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ollama"
NOW = datetime(2026, 8, 22, 1, 5, tzinfo=UTC).timestamp()


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def models(*entries: object) -> bytes:
    return json.dumps({"models": entries}).encode()


def test_the_loaded_models_of_a_server() -> None:
    pinned, split, on_cpu = loaded_models(fixture("ps.json"), NOW)
    assert (pinned.name, pinned.expires_at, pinned.context_length) == ("qwen3:8b", math.inf, 32768)
    assert processor_text(split.size_bytes, split.size_vram_bytes) == "31%/69% CPU/GPU"
    assert expiry(split, NOW).text == "in 5m"
    assert split.name == "hf.co/bartowski/Qwen2.5-Coder-32B-Instruct-GGUF:Q4_K_M"
    assert processor_text(on_cpu.size_bytes, on_cpu.size_vram_bytes) == "100% CPU"
    assert (on_cpu.family, on_cpu.parameter_size, on_cpu.quantization) == ("nomic-bert", "137M", "F16")


def test_the_odd_loaded_models() -> None:
    past, more_vram, zero_time = loaded_models(fixture("ps-edge.json"), NOW)
    assert expiry(past, NOW).text == "busy or stopping"
    assert processor_text(more_vram.size_bytes, more_vram.size_vram_bytes) == "Unknown"
    assert zero_time.expires_at is None
    assert (zero_time.family, zero_time.quantization) == (None, None)


def test_a_server_from_before_0_10() -> None:
    (model,) = loaded_models(fixture("ps-pre-0.10.json"), NOW)
    assert (model.name, model.context_length) == ("mistral:latest", None)


def test_the_installed_models_of_a_server() -> None:
    installed = installed_models(fixture("tags.json"))
    assert [model.name for model in installed][:3] == ["qwen3:8b", "gpt-oss:120b-cloud", "hermes3:8b"]
    assert installed[0].context_length == 40960
    assert installed[0].capabilities == ("completion", "tools", "thinking")
    assert installed[0].modified_at == pytest.approx(1787328842.48192)
    assert [model.name for model in installed if model.remote] == ["gpt-oss:120b-cloud"]
    assert installed[4].parent_model == "qwen3:8b"
    assert installed[-1].parameter_size is None


@pytest.mark.parametrize("body", [fixture("ps-empty.json"), fixture("tags-empty.json"), b'{"models":null}'])
def test_a_server_with_nothing(body: bytes) -> None:
    assert loaded_models(body, NOW) == ()
    assert installed_models(body) == ()


def test_an_entry_needs_only_its_name() -> None:
    (loaded,) = loaded_models(models({"name": "a"}), NOW)
    assert (loaded.size_vram_bytes, loaded.expires_at, loaded.digest) == (0, None, "")
    (installed,) = installed_models(models({"model": "a", "details": None, "capabilities": None}))
    assert (installed.name, installed.size_bytes, installed.capabilities) == ("a", None, ())


@pytest.mark.parametrize("odd", [None, 7, "text", [], {}, {"name": ""}, {"name": 3}, {"name": None}])
def test_an_odd_entry_costs_only_itself(odd: object) -> None:
    assert [model.name for model in installed_models(models({"name": "a"}, odd, {"name": "b"}))] == ["a", "b"]
    assert [model.name for model in loaded_models(models({"name": "a"}, odd, {"name": "b"}), NOW)] == [
        "a",
        "b",
    ]


@pytest.mark.parametrize("odd", [-1, "5", True, 1.5, 10**30, [], {}, None])
def test_an_odd_size_is_unknown(odd: object) -> None:
    (installed,) = installed_models(models({"name": "a", "size": odd, "details": {"context_length": odd}}))
    assert (installed.size_bytes, installed.context_length) == (None, None)
    (loaded,) = loaded_models(models({"name": "a", "size": odd, "size_vram": odd}), NOW)
    assert (loaded.size_bytes, loaded.size_vram_bytes) == (0, 0)


def test_a_name_stands_once() -> None:
    (model,) = installed_models(models({"name": "a", "size": 1}, {"name": "a", "size": 2}))
    assert model.size_bytes == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"404 page not found",
        b"<html>",
        b"[]",
        b"null",
        b'"models"',
        b"{}",
        b'{"models":{}}',
        b'{"models":"x"}',
        b'{"models":[{"name":"a","size":NaN}]}',
        b'{"models":[{"name":"a"}',
        b'{"models":[' + b"[" * 100_000,
        b'{"models":' + b'{"a":' * 100_000,
        b'{"models":[{"name":"a","size":' + b"9" * 100_000 + b"}]}",
        b'{"models":[{"name":"a","size":1e999}]}',
        models(*({"name": str(number)} for number in range(MODEL_LIMIT + 1))),
    ],
)
def test_what_is_no_list_of_models_is_one_error(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        loaded_models(body, NOW)
    assert str(caught.value)
    with pytest.raises(DecodeError):
        installed_models(body)


def test_what_a_server_says_is_only_text() -> None:
    evil = "\x1b]52;c;SEk=\x07\x9b2J\u202e[red]"
    entry = {"name": evil, "digest": evil, "capabilities": [evil], "details": {"family": evil}}
    (model,) = installed_models(models(entry))
    for text in (model.name, model.digest, model.family or "", *model.capabilities):
        assert text.isprintable()
        assert "[red]" in text


_KEYS = st.sampled_from(["size", "digest", "details", "expires_at", "capabilities", "model_info", "parameters"])
_VALUES = st.recursive(st.none() | st.text(max_size=8) | st.integers(), st.lists, max_leaves=4)


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_any_entry_decodes(entry: dict[str, object]) -> None:
    body = msgspec.json.encode({"models": [{"name": "a", "details": entry, **entry}]})
    assert len(installed_models(body)) <= 1
    assert len(loaded_models(body, NOW)) <= 1
    assert model_details(msgspec.json.encode(entry), "a").name == "a"


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_one_error(body: bytes) -> None:
    for decode in (installed_models, server_version, lambda body: loaded_models(body, NOW)):
        with suppress(DecodeError):
            decode(body)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:00:01.25Z", 1.25),
        ("1970-01-01T00:00:01.0625Z", 1.0625),
        ("1970-01-01T00:00:01.000000001Z", 1.0),
        ("1970-01-01T02:00:01+02:00", 1.0),
        ("1969-12-31T17:00:01-07:00", 1.0),
        ("1970-01-01T05:30:01+05:30", 1.0),
        ("2318-12-01T16:52:28.978153548-08:00", 11010732748.978153),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("2026-08-21T17:00:00", None),
        ("2026-13-01T00:00:00Z", None),
        ("soon", None),
        ("", None),
        ("9" * 100, None),
        (1_800_000_000, None),
        (None, None),
    ],
)
def test_a_time_as_go_writes_it(text: object, seconds: float | None) -> None:
    assert unix_time(text) == (None if seconds is None else pytest.approx(seconds, abs=1e-5))


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2400, 1, 1)),  # noqa: DTZ001
    st.integers(0, 9),
    st.integers(-840, 840),
)
def test_any_number_of_fractional_digits(moment: datetime, digits: int, offset_minutes: int) -> None:
    fraction = f"{moment.microsecond:06d}000"[:digits].rstrip("0")
    sign, (hours, minutes) = "-" if offset_minutes < 0 else "+", divmod(abs(offset_minutes), 60)
    zone = f"{sign}{hours:02d}:{minutes:02d}" if offset_minutes else "Z"
    text = f"{moment:%Y-%m-%dT%H:%M:%S}{'.' + fraction if fraction else ''}{zone}"
    exact = moment.replace(microsecond=int(fraction.ljust(6, "0")[:6]), tzinfo=UTC)
    expected = (exact - timedelta(minutes=offset_minutes)).timestamp()
    assert unix_time(text) == (None if expected < 0 else pytest.approx(expected, abs=1e-4))


def test_year_one_is_safe_west_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TZ", "America/New_York")
    time.tzset()
    try:
        assert unix_time("0001-01-01T00:00:00Z") is None
        assert unix_time("0002-01-01T00:00:00Z") is None
        assert unix_time("1970-01-01T00:00:00Z") == 0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_version() -> None:
    assert server_version(b'{"version":"0.33.0-rc2"}') == "0.33.0-rc2"
    assert server_version(b"{}") is None
    assert server_version(b'{"version":7}') is None


def test_the_details_of_a_model() -> None:
    show = {
        "parameters": 'temperature          0.6\nstop                 "<|im_start|>"\n\nflag',
        "license": ["one", "two"],
        "system": "You are\nTimmy.\x1b[2J",
        "capabilities": ["completion"],
        "model_info": {
            "general.architecture": "qwen3",
            "qwen3.context_length": 40960,
            "general.quantization_version": 2,
            "qwen3.rope.freq_base": 1e6,
            "tokenizer.ggml.add_bos_token": False,
            "tokenizer.ggml.tokens": [],
            "nothing": None,
        },
    }
    details = model_details(json.dumps(show).encode(), "qwen3:8b")
    assert details.parameters == (("temperature", "0.6"), ("stop", '"<|im_start|>"'), ("flag", ""))
    assert (details.architecture, details.trained_context_length) == ("qwen3", 40960)
    assert details.license == "one\n\ntwo"
    assert details.system == "You are\nTimmy.^[[2J"
    assert (details.template, details.modelfile) == (None, None)
    assert dict(details.info) == {
        "general.architecture": "qwen3",
        "qwen3.context_length": "40960",
        "general.quantization_version": "2",
        "qwen3.rope.freq_base": "1e+06",
        "tokenizer.ggml.add_bos_token": "false",
    }


def test_a_pull_adds_its_layers_up() -> None:
    fold = PullFold("qwen3:8b")
    steps = [fold.step(line) for line in fixture("pull-ok.ndjson").splitlines()]
    assert [(step.completed_bytes, step.total_bytes) for step in steps][:5] == [
        (0, 0),
        (0, 5225374496),
        (241970176, 5225374496),
        (5225374496, 5225374496),
        (5225376219, 5225376219),
    ]
    assert [step.done for step in steps] == [False] * 8 + [True]
    assert steps[5].status == "verifying sha256 digest"
    assert steps[5].completed_bytes == 5225376219


def test_an_error_in_the_stream_ends_a_pull() -> None:
    fold = PullFold("nope:1b")
    first, second = fixture("pull-error.ndjson").splitlines()
    assert fold.step(first).status == "pulling manifest"
    with pytest.raises(OllamaError, match=r"Pulling nope:1b failed: pull model manifest: file does not exist"):
        fold.step(second)


@pytest.mark.parametrize("line", [b"", b'{"status":"pull', b"[]", b"<html>", b'{"error":{"code":1}}'])
def test_a_torn_line_ends_a_pull(line: bytes) -> None:
    with pytest.raises(OllamaError, match="Pulling a failed"):
        PullFold("a").step(line)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(), st.integers() | st.none())))
def test_a_pull_never_completes_more_than_there_is(events: list[tuple[str, int | None, int | None]]) -> None:
    fold = PullFold("a")
    for digest, completed, total in events:
        event = {"status": "pulling", "digest": digest, "completed": completed, "total": total}
        progress = fold.step(json.dumps(event).encode())
        assert 0 <= progress.completed_bytes <= progress.total_bytes
