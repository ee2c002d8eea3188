"""Nothing that goes through ``clean`` acts on a terminal, and what was there stays visible."""

from __future__ import annotations

import json
import math
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.masking import masked
from timmy_tui.text import (
    BLOCK_LIMIT,
    LINE_LIMIT,
    MARKS_PER_LETTER,
    Json,
    bytes_text,
    clean,
    clean_error,
    clean_tree,
    clock_text,
    context_text,
    count_text,
    countdown_text,
    duration_text,
    percent_text,
    span_text,
    timer_text,
)

WIDEST_ESCAPE = len("<U+10FFFF>")

# One row for each class of the terminal-safety table.
DANGEROUS = {
    "1 OSC 52, BEL": ("\x1b]52;c;SEk=\x07", "^[]52;c;SEk=^G"),
    "1 OSC 52, ST": ("\x1b]52;c;SEk=\x1b\\", "^[]52;c;SEk=^[\\"),
    "2 title": ("\x1b]0;PWNED\x07", "^[]0;PWNED^G"),
    "3 link": ("\x1b]8;;http://e\x1b\\good\x1b]8;;\x1b\\", "^[]8;;http://e^[\\good^[]8;;^[\\"),
    "4 notify": ("\x1b]9;hi\x07", "^[]9;hi^G"),
    "4 rxvt": ("\x1b]777;notify;a;b\x07", "^[]777;notify;a;b^G"),
    "5 unterminated": ("\x1bPq", "^[Pq"),
    "6 erase": ("\x1b[2J\x1b[H", "^[[2J^[[H"),
    "7 modes": ("\x1b[?1049l", "^[[?1049l"),
    "8 reports": ("\x1b[6n\x05", "^[[6n^E"),
    "9 reset": ("\x1bc\x1b(0\x0e", "^[c^[(0^N"),
    "10 C1": ("\x9b2J\x9d52;c;SEk=\x9c\x90", "<9B>2J<9D>52;c;SEk=<9C><90>"),
    "11 passthrough": ("\x1bPtmux;\x1b\x1b]52;", "^[Ptmux;^[^[]52;"),
    "11 kitty": ("\x1b_Ga=T;\x1b\\", "^[_Ga=T;^[\\"),
    "12 C0": ("A\x00B\x08C\x7fD\x0b\x0c", "A^@B^HC^?D^K^L"),
    "12 carriage return": ("safe\rEVIL", "safe^MEVIL"),
    "14 override": ("\u202egnp.exe", "<U+202E>gnp.exe"),
    "14 isolate": ("\u2066x\u2069\u200f", "<U+2066>x<U+2069><U+200F>"),
    "15 zero width": ("a\u200bb", "a<U+200B>b"),
    "15 tag": ("\U000e0041", "<U+E0041>"),
    "15 others": ("\ufeff\u00ad\u2060", "<U+FEFF><U+00AD><U+2060>"),
    "15 fillers": ("\u3164\u115f", "<U+3164><U+115F>"),
    "16 separators": ("a\u2028b\u2029c\x85d", "a<U+2028>b<U+2029>c<85>d"),
    "18 surrogate": ("\ud800", "<U+D800>"),
    "18 noncharacter": ("\uffff", "<U+FFFF>"),
    "18 private use": ("\ue0b0", "<U+E0B0>"),
    "line feed": ("a\nb", "a⏎b"),
    "tab": ("a\tb", "a b"),
    "no-break space": ("a\u00a0b", "a b"),
}

HARMLESS = {
    "17 wide": "漢字",
    "17 joined picture": "👩👧",
    "19 homoglyph": "раураl",
    "20 markup": "[/b] [TODO] x [b + [red]x[/red] [@click=app.quit]x[/] [$error] a\\[b]",
    "21 markdown": "![](http://t/?q) [x](javascript:1)",
    "23 path": "../../x",
    "accents": "Größe naïve Ελληνικά עברית हिन्दी ไทย",
}

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
"""Any code point, surrogates too."""


@pytest.mark.parametrize("name", DANGEROUS)
def test_what_acts_becomes_visible(name: str) -> None:
    source, shown = DANGEROUS[name]
    assert clean(source) == shown


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_stays_as_it_is(name: str) -> None:
    assert clean(HARMLESS[name]) == HARMLESS[name]


def test_a_joined_picture_and_a_flag_keep_one_width_everywhere() -> None:
    assert clean("👩\u200d👧") == "👩👧"
    assert clean("❤\ufe0f") == "❤"
    assert clean("🇳🇱") == "NL"


@pytest.mark.parametrize("mark", ["\u0301", "\u0e49", "\u20dd", "\u0e34", "\u094d", "\u1dc4", "\U0001e944"])
def test_a_flood_of_marks_is_cut_in_any_script(mark: str) -> None:
    assert clean("Z" + mark * 250) == "Z" + mark * MARKS_PER_LETTER + "<marks>"


def test_three_marks_stay() -> None:
    assert clean("Z\u0301\u0302\u0303x") == "Z\u0301\u0302\u0303x"


def test_no_mark_of_unicode_counts_as_a_letter() -> None:
    """What the quick way of :func:`clean` rests on."""
    marks = (chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Mn", "Me"))
    assert not [mark for mark in marks if mark.isalnum() or mark == "_" or mark.isspace()]


def test_a_long_control_sequence_is_bounded() -> None:
    shown = clean("\x1b[" + "1;" * 100_000 + "m")
    assert len(shown) <= LINE_LIMIT + 2
    assert shown.endswith("…")


def test_a_huge_block_says_how_much_is_missing() -> None:
    shown = clean("x" * 10_000_000, limit=BLOCK_LIMIT, multiline=True)
    assert shown.endswith("… (+9,900,000 characters)")
    assert len(shown) < BLOCK_LIMIT + 40


def test_a_block_keeps_its_lines() -> None:
    assert clean("a\r\nb\tc\n\x1b[2J\rd", multiline=True) == "a\nb    c\n^[[2J^Md"


@given(TEXTS)
def test_a_line_is_always_printable(text: str) -> None:
    assert clean(text).isprintable()


@given(TEXTS)
def test_every_line_of_a_block_is_printable(text: str) -> None:
    assert all(line.isprintable() for line in clean(text, multiline=True).split("\n"))


@given(TEXTS, st.integers(1, 20), st.booleans())
def test_the_result_is_bounded(text: str, limit: int, multiline: bool) -> None:
    assert len(clean(text, limit=limit, multiline=multiline)) <= limit * WIDEST_ESCAPE + len("… (+60 characters)")


@given(TEXTS, st.booleans())
def test_cleaning_twice_is_cleaning_once(text: str, multiline: bool) -> None:
    once = clean(text, limit=1_000, multiline=multiline)
    assert clean(once, limit=1_000, multiline=multiline) == once


@given(TEXTS)
def test_what_is_cleaned_can_be_written_anywhere(text: str) -> None:
    clean(text).encode("utf-8")


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=100))
def test_plain_ascii_is_never_touched(text: str) -> None:
    assert clean(text) == text


SECRETS = {
    "bearer": "Authorization: Bearer abcdef123456",
    "key": "invalid api_key=abcdef123456",
    "key name": "OPENAI_API_KEY=abcdef123456",
    "token name": "HF_TOKEN: abcdef123456",
    "JSON": '{"api_key": "abcdef123456"}',
    "header": "x-api-key: abcdef123456",
    "password": "password=abcdef123456&x=1",
    "OpenAI": "Incorrect key sk-proj-abcdef123456",
    "Anthropic": "sk-ant-api03-abcdef123456",
    "GitHub": "ghp_abcdef123456",
    "URL": "redis://worker:abcdef123456@10.0.0.2:6379/0",
    "URL, @ inside": "redis://worker:abc@abcdef123456@10.0.0.2:6379/0",
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_in_an_error(name: str) -> None:
    shown = clean_error(SECRETS[name])
    assert "123456" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "connection refused",
        "http://127.0.0.1:11434/api/ps",
        "max_tokens: 4096",
        "task-force",
        "hermes4:14b",
        "8,192 tokens of context",
    ],
)
def test_masking_leaves_the_rest_alone(text: str) -> None:
    assert masked(text) == text


def test_an_error_without_words_is_named_by_its_kind() -> None:
    assert clean_error(TimeoutError()) == "TimeoutError"
    assert clean_error(OSError("broken\nin two")) == "broken⏎in two"


def size(value: Json) -> int:
    if isinstance(value, dict):
        return 1 + sum(size(item) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(size(item) for item in value)
    return 1


def depth(value: Json) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((depth(child) for child in children), default=0)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=60,
)


@given(TREES, st.integers(1, 5), st.integers(1, 30))
def test_a_tree_is_bounded_in_depth_and_size_and_is_json(tree: object, levels: int, nodes: int) -> None:
    shown = clean_tree(tree, depth=levels, nodes=nodes)
    assert depth(shown) <= levels + 1
    assert size(shown) <= 2 * nodes + levels + 1
    json.dumps(shown, allow_nan=False).encode()


def strings(value: Json) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in strings(item))]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@given(TREES)
def test_every_string_and_key_of_a_tree_is_printable(tree: object) -> None:
    assert all(line.isprintable() for text in strings(clean_tree(tree)) for line in text.split("\n"))


def test_trees_that_would_break_a_view() -> None:
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    assert depth(clean_tree(deep)) < 30
    assert size(clean_tree(list(range(100_000)))) < 2_100
    assert clean_tree({"n": 10**5000, "m": 10**40, "x": math.nan}) == {
        "n": "huge number",
        "m": "1.000000e+40",
        "x": "nan",
    }
    assert clean_tree([1, 2, 3], nodes=3) == [1, 2, "… 1 more"]
    assert clean_tree({"\x1b[2J": {"a": datetime(2026, 1, 1, tzinfo=UTC)}}) == {
        "^[[2J": {"a": "2026-01-01 00:00:00+00:00"}
    }


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1 kB"),
        (999_499, "999 kB"),
        (999_700, "1.0 MB"),
        (999_960_000, "1.0 GB"),
        (11_049_000_000, "11.0 GB"),
        (1_500_000_000_000, "1.5 TB"),
    ],
)
def test_sizes(size_bytes: int | None, text: str) -> None:
    assert bytes_text(size_bytes) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "?"),
        (0, "0"),
        (932, "932"),
        (999, "999"),
        (1_000, "1.0k"),
        (1_234, "1.2k"),
        (48_000, "48.0k"),
        (99_950, "100k"),
        (412_345, "412k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (1_300_000, "1.3M"),
        (7 * 10**12, "7.0T"),
    ],
)
def test_counts(count: int | None, text: str) -> None:
    assert count_text(count) == text


@given(st.integers(0, 10**14))
def test_figures_keep_to_their_columns(number: int) -> None:
    assert len(count_text(number)) <= 5
    assert len(bytes_text(number)) <= 8


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (None, "?"),
        (0, "0"),
        (2048, "2k"),
        (8192, "8k"),
        (65_536, "64k"),
        (131_072, "128k"),
        (200_000, "200k"),
        (4_000, "4000"),
    ],
)
def test_context_lengths(tokens: int | None, text: str) -> None:
    assert context_text(tokens) == text


@pytest.mark.parametrize(
    ("seconds", "span", "countdown", "timer"),
    [
        (-5, "0 s", "0s", "0:00"),
        (0.4, "0 s", "1s", "0:01"),
        (42, "42 s", "42s", "0:42"),
        (59.9, "59 s", "1m 00s", "1:00"),
        (118, "1 m", "1m 58s", "1:58"),
        (252, "4 m", "4m", "4:12"),
        (3_780, "1 h", "1h 03m", "1:03:00"),
        (100_000, "27 h", "1d 03h", "27:46:40"),
        (187_200, "2 d", "2d 04h", "52:00:00"),
        (math.inf, "?", "?", "?"),
        (math.nan, "?", "?", "?"),
    ],
)
def test_spans(seconds: float, span: str, countdown: str, timer: str) -> None:
    assert (span_text(seconds), countdown_text(seconds), timer_text(seconds)) == (span, countdown, timer)


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (None, "?"),
        (math.inf, "?"),
        (3.14, "3 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (1834, "1.8 s"),
        (9_949, "9.9 s"),
        (9_951, "10 s"),
        (59_400, "59 s"),
        (59_600, "1m 00s"),
        (125_000, "2m 05s"),
    ],
)
def test_durations(duration_ms: float | None, text: str) -> None:
    assert duration_text(duration_ms) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.001, "<1 %"), (0.5, "50 %"), (0.964, "96 %"), (0.999, ">99 %"), (1, "100 %"), (math.nan, "?")],
)
def test_shares(share: float, text: str) -> None:
    assert percent_text(share) == text


def test_a_clock() -> None:
    assert clock_text(datetime(2026, 11, 20, 14, 3, 48, tzinfo=UTC)) == "14:03:48"
