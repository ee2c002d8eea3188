"""The console says of a model what ``ollama ps`` says, and never more than can be known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from timmy_tui.services.ollama.records import InstalledModel, LoadedModel
from timmy_tui.services.ollama.rules import (
    FOREVER_S,
    expiry,
    gpu_share,
    is_cloud_name,
    match_installed,
    processor_text,
)

NOW = 1_800_000_000.0
LOADED = LoadedModel("qwen3:8b", "d1", 1000, 1000, 4096, NOW + 250, "qwen3", "8.2B", "Q4_K_M")
INSTALLED = InstalledModel("qwen3:8b", "d1", 900, NOW, "qwen3", "8.2B", "Q4_K_M", 40960, (), None, None, None)


@pytest.mark.parametrize(
    ("size_bytes", "size_vram_bytes", "text"),
    [
        (1000, 0, "100% CPU"),
        (0, 0, "100% CPU"),
        (1000, 1000, "100% GPU"),
        (1000, 1001, "Unknown"),
        (0, 5, "Unknown"),
        (1000, 500, "50%/50% CPU/GPU"),
        (1000, 995, "1%/99% CPU/GPU"),  # a half goes up: round() would say 0%/100%
        (1000, 975, "3%/97% CPU/GPU"),
        (1000, 999, "0%/100% CPU/GPU"),
        (1000, 1, "100%/0% CPU/GPU"),
        (24_159_191_040, 16_642_998_272, "31%/69% CPU/GPU"),
    ],
)
def test_the_processor_column(size_bytes: int, size_vram_bytes: int, text: str) -> None:
    assert processor_text(size_bytes, size_vram_bytes) == text


@given(st.integers(0, 2**45), st.integers(0, 2**45))
def test_the_share_is_known_exactly_where_the_column_is(size_bytes: int, size_vram_bytes: int) -> None:
    share = gpu_share(size_bytes, size_vram_bytes)
    text = processor_text(size_bytes, size_vram_bytes)
    assert (share is None) == (text == "Unknown")
    if share is not None:
        assert 0 <= share <= 1
        assert (share == 1) == (text == "100% GPU")
        assert (share == 0) == (text == "100% CPU")


@pytest.mark.parametrize(
    ("expires_at", "kind", "text"),
    [
        (NOW, "counting", "in 0s"),
        (NOW + 0.2, "counting", "in 1s"),
        (NOW + 59, "counting", "in 59s"),
        (NOW + 60, "counting", "in 1m"),
        (NOW + 250, "counting", "in 4m"),
        (NOW + 3_599, "counting", "in 59m"),
        (NOW + 2 * 3_600, "counting", "in 2h"),
        (NOW + 3 * 86_400, "counting", "in 3d"),
        (NOW + FOREVER_S, "counting", "in 7300d"),
        (NOW + FOREVER_S + 1, "forever", "forever"),
        (math.inf, "forever", "forever"),
        (NOW - 0.001, "busy", "busy or stopping"),
        (0.0, "busy", "busy or stopping"),
        (None, "unknown", "unknown"),
        (math.nan, "unknown", "unknown"),
    ],
)
def test_when_a_model_leaves(expires_at: float | None, kind: str, text: str) -> None:
    said = expiry(replace(LOADED, expires_at=expires_at), NOW)
    assert (said.kind, said.text) == (kind, text)
    assert (said.seconds is not None) == (kind == "counting")


def test_a_loaded_model_is_found_by_its_name_before_its_digest() -> None:
    copy = replace(INSTALLED, name="copy:latest")
    assert match_installed(LOADED, [copy, INSTALLED]) is INSTALLED


def test_a_loaded_alias_is_found_by_its_digest() -> None:
    other = replace(INSTALLED, name="other:1b", digest="d2")
    copy = replace(INSTALLED, name="copy:latest")
    assert match_installed(LOADED, [other, copy]) is copy


def test_models_without_a_digest_are_not_the_same() -> None:
    unknown = replace(INSTALLED, name="x:latest", digest="")
    assert match_installed(replace(LOADED, digest=""), [unknown]) is None


@pytest.mark.parametrize(
    ("name", "cloud"),
    [
        ("gpt-oss:120b-cloud", True),
        ("kimi:cloud", True),
        ("Kimi:CLOUD ", True),
        ("cloud:7b", False),
        ("cloudy:latest", False),
        ("qwen3:8b", False),
    ],
)
def test_a_cloud_name(name: str, cloud: bool) -> None:
    assert is_cloud_name(name) is cloud
