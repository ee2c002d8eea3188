"""The last wall before the terminal: which characters leave in a segment of text."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from rich.segment import ControlType, Segment
from textual.color import Color

from timmy_tui.terminal import NO_CONTROL

BLACK = Color(0, 0, 0)


def after(text: str) -> str:
    return "".join(segment.text for segment in NO_CONTROL.apply([Segment(text)], BLACK))


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cs", "Cn", "Zl", "Zp"])
def test_nothing_unseen_leaves(category: str) -> None:
    text = "".join(chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == category)
    assert set(after(text)) == {"\ufffd"}


@pytest.mark.parametrize("character", ["\u180e", "\U0001d173", "\U00013430", "\x1b", "\u202e", "\ufeff", "\U000e0041"])
def test_a_character_that_hides_is_shown(character: str) -> None:
    assert after(f"a{character}b") == "a\ufffdb"


def test_signs_with_a_width_stay() -> None:
    text = "a\u00a0b\u2009c\u3000d \ue0b0 é 漢 \u200b"
    assert after(text) == text.replace("\u200b", "\ufffd")


def test_textuals_own_controls_pass() -> None:
    control = Segment("\x1b[2J", None, [(ControlType.CLEAR,)])
    assert NO_CONTROL.apply([control, Segment("\x1b")], BLACK) == [control, Segment("\ufffd")]
