"""What the console refuses to open with, and how it looks on an old terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from timmy_tui.config import ConfigError, load_settings
from timmy_tui.opening import run_console
from timmy_tui.terminal import has_few_colours


def refusal(tmp_path: Path, text: str) -> str:
    (tmp_path / "tui.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        run_console(load_settings({"HOME": str(tmp_path), "TIMMY_HOME": str(tmp_path)}), {})
    return str(caught.value)


def test_an_unknown_key_id_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    assert refusal(tmp_path, "keys: {zom: ctrl+f}").endswith("unknown key 'keys.zom'; did you mean 'zoom'?")


def test_an_unknown_key_id_that_is_like_none(tmp_path: Path) -> None:
    assert "the help screen (?) lists all ids" in refusal(tmp_path, 'keys: {"\\e[2J": x}')


def test_an_unknown_theme_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    assert "did you mean 'timmy-light'?" in refusal(tmp_path, "theme: timmy-lite")


@pytest.mark.parametrize(
    ("env", "few"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "screen"}, True),
        ({"TERM": "linux"}, True),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, False),
        ({"TERM": "xterm-kitty"}, False),
        ({}, False),
    ],
)
def test_a_terminal_of_16_colours_is_known_by_its_name(env: dict[str, str], few: bool) -> None:
    assert has_few_colours(env) is few
