"""The status for people: lines that fit, signs with words, and a line for tmux."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshot_maker import (
    NOW,
    URL,
    fresh,
    heartbeat,
    hermes,
    loaded,
    lost,
    ollama,
    provider,
    providers,
    server,
    session,
    snapshot,
    tick,
    worker,
)

from timmy_tui.glyphs import ASCII, UNICODE
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.status.columns import cells, fitted, painted
from timmy_tui.services.status.line import LINE_CELLS, status_line
from timmy_tui.services.status.overview import status_text
from timmy_tui.text import clean

BLANK = Snapshot(host="mbp", ollama=(OllamaServer("local", URL),))


def busy() -> Snapshot:
    warned = tick("b", "warning")
    warned = msgspec.structs.replace(warned, head=msgspec.structs.replace(warned.head, summary="Disk at 91 %"))
    cascade = providers(
        provider(),
        provider("airllm", priority=3, circuit="open", last_error="connection refused"),
        provider(
            "openai", priority=4, state="disabled", note="no key in OPENAI_API_KEY", requests=0, avg_latency_ms=None
        ),
    )
    running = session("r", open_turn=True, answered=False, last_activity_at=NOW - 4, title="Nightly report")
    return snapshot(
        hermes=fresh(hermes(running, session())),
        heartbeat=fresh(heartbeat(tick("a", at=NOW - 840), warned)),
        providers=fresh(cascade),
    )


def test_the_overview_of_a_day() -> None:
    text = status_text(busy(), NOW, 100, UNICODE, colour=False)
    for line in (
        "▲ warning  mbp  ",
        "  last tick: Disk at 91 %",
        "Models     local ● up  3 ms  0.32.15  3 installed · 2 loaded · 17.3 GB",
        "  ● hermes4:14b        11.0 GB  100% GPU  64k  in 4m",
        "  ● qwen2.5-coder:7b    9.2 GB  31%/69% CPU/GPU  64k  forever",
        "Sessions   2 in 24 h · 1 running · 2.6k tokens · local 100 %",
        "  ● running  heartbeat  hermes4:14b  1.3k  Nightly report",
        "Heartbeat  ● on time  2 today · 2 model · 0 fallback · 26 labelled",
        "  ▲ warning  4 m ago  hermes4:14b  Disk at 91 %",
        "Worker     ● up  pid 4711 · 0 pending",
        "Providers    1 hermes ● up · 120 requests · 2 failed · 1.8 s",
        "  3 airllm ✖ circuit open",
        "  4 openai ○ disabled  no key in OPENAI_API_KEY",
    ):
        assert line in text, line


def test_a_dead_server_is_told_with_what_to_do() -> None:
    dead = server(reading=lost("connection refused", hint="Start it with:  ollama serve"))
    text = status_text(snapshot(ollama=(dead,)), NOW, 100, UNICODE, colour=False)
    assert f"Models     local ✖ down  {URL}\n           Start it with:  ollama serve" in text


def test_old_numbers_stay_with_their_age() -> None:
    old = server(reading=lost("connection refused", value=ollama(), since=NOW - 120))
    text = status_text(snapshot(ollama=(old,)), NOW, 100, UNICODE, colour=False)
    assert "✖ down (last seen 2 m ago)" in text
    assert "hermes4:14b" in text


@pytest.mark.parametrize("day", [BLANK, snapshot(), busy()], ids=["blank", "calm", "busy"])
@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(day: Snapshot, width: int) -> None:
    for glyphs in (UNICODE, ASCII):
        for line in status_text(day, NOW, width, glyphs, colour=False).split("\n"):
            assert cells(line) <= width


def test_ascii_is_ascii() -> None:
    assert status_text(busy(), NOW, 60, ASCII, colour=False).isascii()
    assert status_line(busy(), NOW, ASCII).isascii()


def test_colour_adds_colours_and_nothing_else() -> None:
    plain = status_text(busy(), NOW, 100, UNICODE, colour=False)
    colourful = status_text(busy(), NOW, 100, UNICODE, colour=True)
    assert plain.count("\x1b") == 0
    assert set(re.findall(r"\x1b\[[^m]*m", colourful)) <= {f"\x1b[{code}m" for code in (0, 1, 2, 31, 32, 33)}
    stripped = re.sub(r"\x1b\[[0-9]*m", "", colourful)
    assert [line.rstrip() for line in stripped.split("\n")] == plain.split("\n")


def test_the_line_for_tmux() -> None:
    assert status_line(busy(), NOW, UNICODE) == "▲ 2 models 17.3 GB · 2 sessions 2.6k · ♥ 4m ▲ · worker up"
    assert status_line(BLANK, NOW, UNICODE) == "●"


def test_the_line_says_down_instead_of_0_models() -> None:
    dead = snapshot(ollama=(server(reading=lost("gone")),))
    assert status_line(dead, NOW, UNICODE).startswith("✖ ollama down · ")
    one = snapshot(ollama=(server(), server(reading=lost("gone"), name="mac")))
    assert "1 of 2 ollama down" in status_line(one, NOW, UNICODE)


@settings(max_examples=50)
@given(name=st.text(max_size=200), width=st.integers(1, 150))
def test_whatever_a_model_is_called_the_overview_keeps_its_lines(name: str, width: int) -> None:
    day = snapshot(
        ollama=(server(ollama((loaded(clean(name)),))),),
        worker=fresh(worker("elsewhere", host=clean(name), running=clean(name))),
    )
    lines = status_text(day, NOW, width, UNICODE, colour=False).split("\n")
    assert len(lines) == len(status_text(snapshot(), NOW, width, UNICODE, colour=False).split("\n")) - 1
    assert all(line.isprintable() and cells(line) <= width for line in lines)


@settings(max_examples=50)
@given(loaded_count=st.integers(0, 10**6), tokens=st.integers(0, 10**15), age_s=st.floats(0, 1e9))
def test_the_line_fits_a_status_bar(loaded_count: int, tokens: int, age_s: float) -> None:
    models = ollama(tuple(loaded(f"m{number}") for number in range(loaded_count % 50)))
    run = session(tokens=msgspec.structs.replace(session().tokens, input=tokens))
    day = snapshot(
        ollama=(server(models),), hermes=fresh(hermes(run)), heartbeat=fresh(heartbeat(tick("a", at=NOW - age_s)))
    )
    line = status_line(day, NOW, UNICODE)
    assert cells(line) <= LINE_CELLS
    assert line.isprintable()


def test_wide_characters_count_twice_and_marks_not_at_all() -> None:
    assert cells("漢字") == 4
    assert cells("Z\u0301") == 1
    assert cells("●▲✖◌") == 4


@given(
    st.lists(st.tuples(st.text(max_size=30).map(clean), st.sampled_from(["", "ok"])), max_size=5), st.integers(1, 60)
)
def test_a_cut_line_fits_and_says_that_it_was_cut(line: list[tuple[str, str]], width: int) -> None:
    text = painted(fitted(line, width, "…"), colour=False)
    whole = "".join(part for part, _ in line)
    assert cells(text) <= width
    assert text == whole.rstrip() or text.endswith("…")
