"""What each pane says, read as plain text: at every width it fits, and no number is ever cut in two.

All names in these readings are free of digits, so a digit before an ellipsis is half a number.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import pytest
import snapshot_maker as maker
from rich.cells import cell_len
from snapshot_maker import NOW

from timmy_tui.glyphs import ASCII, PLAIN, UNICODE, Glyphs
from timmy_tui.services.gpu import GpuDevice, GpuReading
from timmy_tui.services.hermes.records import SessionSummary, Tokens
from timmy_tui.services.ollama.records import PullProgress
from timmy_tui.services.reading import Reading
from timmy_tui.services.severity import overall
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.ticks.records import Severity, Tick
from timmy_tui.widgets.header_bar import HeaderBar, HeaderFacts
from timmy_tui.widgets.heartbeat_pane import HeartbeatPane
from timmy_tui.widgets.line import Line, crop, line, plain, width_of
from timmy_tui.widgets.models_pane import ModelsPane
from timmy_tui.widgets.pane import Pane, View, border, trouble
from timmy_tui.widgets.providers_pane import ProvidersPane
from timmy_tui.widgets.sessions_pane import SessionsPane

WIDTHS = (36, 46, 56, 96)
HEIGHTS = (0, 1, 2, 4, 9, 17, 30)
HALF_A_NUMBER = re.compile(r"\d[…~]")
GIB = 2**30


@pytest.fixture(autouse=True)
def utc(own_environment: None) -> None:
    """Times of day are shown in the zone of the environment."""
    time.tzset()


class Case(NamedTuple):
    """A pane and the four states that its reading can be in."""

    make: Callable[[Reading[object], View], Pane]
    value: object
    nothing: object
    """A fresh value that holds no entry."""


def models(reading: Reading[object], look: View) -> Pane:
    pane = ModelsPane()
    servers = (OllamaServer("local", maker.URL, reading, vram_total_bytes=24 * GIB),)  # type: ignore[arg-type]
    pane.update(
        servers, Reading(), {("local", "a-large-model"): PullProgress("pulling", GIB, 9 * GIB, False)}, {}, look
    )
    return pane


def sessions(reading: Reading[object], look: View) -> Pane:
    pane = SessionsPane()
    pane.update(reading, look)  # type: ignore[arg-type]
    return pane


def heartbeat(reading: Reading[object], look: View) -> Pane:
    pane = HeartbeatPane()
    pane.update(reading, look)  # type: ignore[arg-type]
    return pane


def providers(reading: Reading[object], look: View) -> Pane:
    pane = ProvidersPane()
    pane.update(reading, look)  # type: ignore[arg-type]
    return pane


def session(identity: str, **changes: object) -> SessionSummary:
    """A session of a model without digits in its name."""
    return maker.session(identity, **{"model": "hermes:large", **changes})


def tick(tick_id: str, severity: Severity, at: float) -> Tick:
    """A tick of the same model."""
    made = maker.tick(tick_id, severity, at=at)
    return msgspec.structs.replace(made, head=msgspec.structs.replace(made.head, model="hermes:large"))


OLLAMA = maker.ollama(
    (
        maker.loaded("hermes:large", context_length=262_144),
        maker.loaded("coder", size_vram_bytes=6_348_000_000, size_bytes=123_400_000_000),
        maker.loaded("a-model-with-a-name-that-is-longer-than-any-column", expires_at=None),
    ),
    (
        maker.installed("hermes:large"),
        maker.installed("embed", size_bytes=274_302_450),
        maker.installed("far", remote_model="far", remote_host="https://ollama.com", size_bytes=384),
    ),
)
HERMES = maker.hermes(
    session("running", open_turn=True, ended_at=None, last_activity_at=NOW - 12, started_at=NOW - 192),
    session("failed", open_turn=True, answered=False, source="cron", tokens=Tokens()),
    session("titled", title="Find what fills the disk of the build host, and clear it", source="telegram"),
    session("large", tokens=Tokens(input=48_123_456), last_activity_at=NOW - 80_000),
    by_source=(("heartbeat", 1025), ("telegram", 117), ("cron", 42), ("cli", 11)),
    cost_usd=12_345.67,
    unpriced_sessions=1_234,
    cloud_tokens=123_456,
    tokens_by_bucket=tuple(range(0, 240_000, 10_000)),
)
HEARTBEAT = maker.heartbeat(
    *(
        tick(f"20261118_{number:06}", severity, at=NOW - 240 - 600 * (30 - number))
        for number, severity in enumerate([*["ok"] * 20, "critical", "warning", "fallback", "unknown", *["ok"] * 7])  # type: ignore[arg-type]
    ),
    bad_lines=12_345,
    incomplete_line=True,
    note="rotated",
)
PROVIDERS = maker.providers(
    maker.provider(requests=1_234_567, failures=1, p50_latency_ms=None),
    maker.provider("local", type="ollama", state="unknown", circuit="half_open", failures=12_345),
    maker.provider(
        "airllm",
        type="openai",
        state="down",
        circuit="open",
        address="http://127.0.0.1:8000/v1",
        last_error="connection refused",
        last_error_at=NOW - 30,
        next_probe_at=NOW + 5_025,
        failures=12_345,
    ),
    maker.provider("openai", type="openai", state="disabled", note="no key in OPENAI_API_KEY"),
)
CASES = {
    "models": Case(models, OLLAMA, maker.ollama((), ())),
    "sessions": Case(sessions, HERMES, maker.hermes()),
    "heartbeat": Case(heartbeat, HEARTBEAT, maker.heartbeat()),
    "providers": Case(providers, PROVIDERS, maker.providers()),
}
ERROR = "The source does not answer and says so at some length, with a number: 1234"
HINT = "Start it with:  some-command --with-an-option"


def readings(case: Case) -> Iterator[tuple[str, Reading[object]]]:
    """Fresh, stale by error, stale by age, absent, empty and waiting."""
    yield "fresh", maker.fresh(case.value)
    yield "stale", maker.lost(ERROR, since=NOW - 125, hint=HINT, value=case.value)
    yield "old", maker.fresh(case.value, at=NOW - 12_345)
    yield "absent", msgspec.structs.replace(maker.lost(ERROR, hint=HINT), next_at=NOW + 25)
    yield "empty", maker.fresh(case.nothing)
    yield "waiting", Reading()


def rows(pane: Pane, width: int) -> list[Line]:
    """The first line of every entry."""
    keys = pane.keys()
    return [pane.entry(key, width)[0] for key in keys]


def body(pane: Pane, width: int, height: int) -> list[Line]:
    """Everything between the borders: the head and every entry, or what stands in their place."""
    keys = pane.keys()
    entries = [content for key in keys for content in pane.entry(key, width)]
    return [*pane.head(width, height), *(entries or [crop(content, width) for content in pane.empty(width)])]


each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
each_width = pytest.mark.parametrize("width", WIDTHS)


@each_case
@each_width
def test_a_pane_is_never_wider_than_its_room(case: Case, width: int) -> None:
    for state, reading in readings(case):
        pane = case.make(reading, View(NOW))
        for height in HEIGHTS:
            for content in body(pane, width, height):
                assert width_of(content) <= width, (state, height, plain(content))


@each_case
@each_width
def test_no_number_is_cut_in_its_middle(case: Case, width: int) -> None:
    for state, reading in readings(case):
        pane = case.make(reading, View(NOW))
        for height in HEIGHTS:
            for content in body(pane, width, height):
                assert not HALF_A_NUMBER.search(plain(content)), (state, height, plain(content))


@each_case
@each_width
def test_the_ascii_signs_make_a_pane_of_pure_ascii(case: Case, width: int) -> None:
    for state, reading in readings(case):
        pane = case.make(reading, View(NOW, glyphs=ASCII))
        for height in HEIGHTS:
            for content in [*body(pane, width, height), pane.status_line(), pane.foot()]:
                # The ellipses of our sentences get their stand-in on the way out: app.get_line_filters.
                assert plain(content).translate(PLAIN).isascii(), (state, plain(content))


@each_case
def test_a_state_is_told_by_a_word_not_by_colour_alone(case: Case) -> None:
    words = {state: plain(case.make(reading, View(NOW)).status_line()) for state, reading in readings(case)}
    assert words["stale"].endswith("~ 2 m old")
    assert words["old"].endswith("~ 3 h old")
    assert any(word in words["absent"] for word in ("down", "no store", "no log", "no ticks yet", "unknown"))
    assert any(word in words["waiting"] for word in ("asking", "reading"))
    assert len(set(words.values()) - {words["empty"]}) >= 4


@each_case
def test_an_old_value_stays_with_its_error_and_what_to_do(case: Case) -> None:
    stale = maker.lost("The source does not answer", since=NOW - 125, hint=HINT, value=case.value)
    pane, healthy = case.make(stale, View(NOW)), case.make(maker.fresh(case.value), View(NOW))
    text = "\n".join(plain(content) for content in body(pane, 56, 17))
    assert "The source does not answer" in text
    assert "last seen" in text
    assert "(2 m ago)" in text
    assert HINT in text
    assert list(pane.keys()) == list(healthy.keys())


@each_case
def test_what_was_never_there_says_why_and_what_to_do_and_nothing_else(case: Case) -> None:
    pane = case.make(maker.lost("There is no such thing", hint=HINT), View(NOW))
    text = [plain(content) for content in body(pane, 56, 17) if content]
    assert text[:2] == ["There is no such thing", HINT]


@each_case
def test_before_the_first_answer_nothing_looks_wrong(case: Case) -> None:
    pane = case.make(Reading(), View(NOW))
    roles = {span.role for content in [*body(pane, 56, 17), pane.status_line()] for span in content}
    assert not roles & {"critical", "warning"}


@each_case
@each_width
def test_rows_of_a_pane_keep_one_width(case: Case, width: int) -> None:
    """Only what fills the width can line up at its right end."""
    pane = case.make(maker.fresh(case.value), View(NOW))
    assert {width_of(content) for content in rows(pane, width)} == {width}


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.93, 1.4])
@each_width
def test_the_vram_line_is_a_bar_of_the_whole_width(glyphs: Glyphs, share: float, width: int) -> None:
    pane = ModelsPane()
    used = int(24e9 * share)
    server = maker.server(maker.ollama((maker.loaded("a", size_bytes=used, size_vram_bytes=used),)))
    pane.update(
        (msgspec.structs.replace(server, vram_total_bytes=24_000_000_000),), Reading(), {}, {}, View(NOW, glyphs)
    )
    content = pane.head(width, 17)[0]
    assert width_of(content) == width
    assert plain(content).endswith(f"{used / 1e9:.1f}/24.0 GB")
    assert any(span.role == "bar-over" for span in content) == (share > 0.92)


def test_the_driver_is_quoted_when_it_disagrees() -> None:
    pane = ModelsPane()
    gpu = GpuReading((GpuDevice("GPU", "nvidia", 24_000_000_000, 23_000_000_000),))
    pane.update((maker.server(),), maker.fresh(gpu), {}, {}, View(NOW))
    text = "\n".join(plain(content) for content in pane.head(96, 17))
    assert "driver says 23.0 GB in use, Ollama estimates 17.3 GB" in text


def test_without_a_known_total_the_vram_line_says_so() -> None:
    pane = ModelsPane()
    pane.update((maker.server(),), Reading(), {}, {}, View(NOW))
    assert plain(pane.head(96, 17)[0]) == "VRAM 17.3 GB  by Ollama's estimate; total n/a"


def test_models_of_two_servers_say_whose_they_are() -> None:
    pane = ModelsPane()
    pane.update((maker.server(), maker.server(name="far")), Reading(), {}, {}, View(NOW))
    texts = [plain(content) for content in rows(pane, 96)]
    assert len(texts) == 6
    assert sum("· local" in text for text in texts) == sum("· far" in text for text in texts) == 3


def test_a_pull_stands_on_top_with_how_far_it_is() -> None:
    pane = models(maker.fresh(OLLAMA), View(NOW))
    text = plain(pane.entry(pane.keys()[0], 56)[0])
    assert "a-large-model" in text
    assert text.rstrip().endswith("11 %  1.1/9.7 GB")


def test_the_price_is_whole_or_not_there() -> None:
    seen = set()
    for width in range(30, 97):
        pane = sessions(maker.fresh(HERMES), View(NOW))
        places = next(content for content in pane.head(width, 17) if "local" in plain(content))
        price = plain(places).partition("cloud")[2].split(" %", 1)[1].strip()
        seen.add(price)
    assert seen == {"", "$12,345.67", "$12,345.67 + 1234 unpriced"}


@pytest.mark.parametrize("severity", ["ok", "warning", "critical", "fallback", "unknown"])
def test_the_selected_tick_is_told_in_full(severity: Severity) -> None:
    pane = heartbeat(maker.fresh(maker.heartbeat(maker.tick("t", severity))), View(NOW))
    text = "\n".join(plain(content) for content in pane.head(96, 30))
    assert f"{UNICODE.severity(severity)} {severity}" in text
    assert "All services answer." in text
    assert "Nothing to do." in text
    assert "1.8 s" in text


def test_the_strip_shows_the_worst_tick_of_each_stretch() -> None:
    ticks = [maker.tick(f"t{n}", s, at=NOW - 300 + n) for n, s in enumerate(("ok", "critical", "ok"))]  # type: ignore[arg-type]
    pane = heartbeat(maker.fresh(maker.heartbeat(*ticks)), View(NOW))
    strip = plain(pane.head(46, 30)[0])
    assert strip.count("✖") == 1
    assert "●" not in strip
    assert len(strip) == 46


def test_an_open_circuit_says_when_it_is_tried_again() -> None:
    pane = providers(maker.fresh(PROVIDERS), View(NOW))
    text = [plain(content) for content in pane.entry("airllm", 56)]
    assert "✖ open" in text[0]
    assert "next try 1 h" in text[0]
    assert "12.3k ✖" in text[0]
    assert text[1].startswith("  connection refused ")


@pytest.mark.parametrize("name", ["漢字の提供者", "한국어", "a-provider-with-a-name-that-never-ends"])
@each_width
def test_a_wide_name_costs_no_figure(name: str, width: int) -> None:
    reading = maker.fresh(maker.providers(maker.provider(name), maker.provider("hermes")))
    pane = providers(reading, View(NOW))
    wide, other = (plain(content) for content in rows(pane, width))
    assert wide[-6:] == other[-6:]
    assert not HALF_A_NUMBER.search(wide)
    assert name[:2] in wide


def test_a_wide_source_keeps_the_columns_of_the_sessions() -> None:
    reading = maker.fresh(maker.hermes(maker.session("a", source="電報電報電報電報"), maker.session("b", source="cli")))
    pane = sessions(reading, View(NOW))
    wide, narrow = (plain(content) for content in rows(pane, 56))
    before = [cell_len(text.partition("hermes4:14b")[0]) for text in (wide, narrow)]
    assert before[0] == before[1]


@pytest.mark.parametrize("width", range(4, 60))
def test_a_border_is_exactly_as_wide_as_its_frame(width: int) -> None:
    for left in (line(), line("1 Models"), line("漢字の名前です"), line("/", "a filter that goes on and on")):
        for right_end in (line(), line("24 h"), line("local ● 3 ms far ● 120 ms")):
            assert width_of(border(width, "╭", "╮", "─", left, right_end)) == width


@each_width
def test_a_trouble_says_what_since_when_and_what_to_do(width: int) -> None:
    reading = msgspec.structs.replace(
        maker.lost("It is gone", since=NOW - 125, hint="mend it", value=1), next_at=NOW + 8
    )
    text = " ".join(plain(content).strip() for content in trouble(reading, NOW, width))
    assert text.startswith("It is gone")
    assert "2 m ago" in text
    assert ("next try in 8 s" in text) == (width > 36), "whole or not at all"
    assert text.endswith("mend it")


def test_a_healthy_reading_has_no_trouble() -> None:
    assert trouble(maker.fresh(1), NOW, 46) == []


def header(snapshot: Snapshot, width: int, now: float = NOW, **changes: object) -> str:
    """The header's text."""
    facts = HeaderFacts(snapshot, overall(snapshot, now), View(now), **changes)  # type: ignore[arg-type]
    content = HeaderBar()._line(facts, width)
    assert width_of(content) == width
    return plain(content)


@pytest.mark.parametrize("width", [40, 50, 80, 100, 120, 200])
def test_the_header_always_has_the_verdict(width: int) -> None:
    text = header(maker.snapshot(), width)
    assert "● ok" in text
    bad = header(maker.snapshot(worker=maker.fresh(maker.worker("down"))), width)
    assert "▲ warning" in bad


def test_the_header_names_the_first_problem_and_counts_the_rest() -> None:
    worse = maker.snapshot(
        worker=maker.fresh(maker.worker("down")), ollama=(maker.server(reading=maker.lost("It is gone", NOW - 60)),)
    )
    text = header(worse, 120)
    assert "✖ critical" in text
    assert "It is gone" in text
    assert "+1" in text


def test_the_demo_is_marked() -> None:
    assert "DEMO" in header(maker.snapshot(), 80, demo=True)


@pytest.mark.parametrize("width", [40, 50, 80, 120])
def test_the_header_cuts_no_number(width: int) -> None:
    for late in (1_600, 90_000):
        assert not HALF_A_NUMBER.search(header(maker.snapshot(), width, now=NOW + late))
