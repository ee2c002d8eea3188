"""Answers with marks of turns or of thinking, and signs at which loaders split lines: datasets stay honest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from export_home import ExportHome

from timmy_tui.services.json_lines import one_line

CLEAN = '{"actions": [], "severity": "ok", "reasoning": "Fine."}'
MARKED = (f"{CLEAN}<|im_end|>\n<|im_start|>user\nnext", f"<think>hm</think>{CLEAN}", f"{CLEAN}</s>")


@pytest.fixture
def home(tmp_path: Path) -> ExportHome:
    made = ExportHome(tmp_path)
    for number, response in enumerate((CLEAN, *MARKED)):
        made.label(made.tick(number, prompt=f"State {number}", response=response))
    return made


def test_answers_with_marks_are_counted_and_left_out(home: ExportHome) -> None:
    report = home.export()
    assert {text for _, text, _ in home.labelled()} == {CLEAN}
    manifest = home.manifest()
    assert manifest["marked_completions"] == len(MARKED)
    assert [count for reason, count in report.dropped.items() if "marks" in reason] == [len(MARKED)]


def test_they_are_written_where_that_is_wanted_and_told(home: ExportHome) -> None:
    report = home.export(keep_marks=True)
    assert {text for _, text, _ in home.labelled()} == {CLEAN, *MARKED}
    assert home.manifest()["marked_completions"] == len(MARKED)
    assert any("marks" in warning for warning in report.warnings)


def test_an_alternative_with_marks_makes_no_pair(tmp_path: Path) -> None:
    home = ExportHome(tmp_path)
    key = home.tick(prompt="State", response=CLEAN)
    home.label(key)
    home.prefer(key, "alternative", response=MARKED[0])
    home.export()
    assert home.pairs() == set()
    assert len(home.labelled()) == 1


def test_a_tick_whose_model_was_told_more_than_the_prompt_is_left_out(home: ExportHome) -> None:
    home.label(home.tick(9, prompt="State 9", response=CLEAN, prompt_note="Hermes has a managed scope"))
    report = home.export()
    assert ("State 9", CLEAN, True) not in home.labelled()
    assert [count for reason, count in report.dropped.items() if "told more" in reason] == [1]


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85"])
def test_no_file_has_a_line_that_a_loader_would_split(tmp_path: Path, sign: str) -> None:
    home = ExportHome(tmp_path)
    key = home.tick(prompt=f"one{sign}two", response=CLEAN.replace("Fine.", f"Fine{sign}so."))
    home.label(key, note=f"a{sign}b")
    home.edit(home.tick(1, prompt="three", response=CLEAN), reasoning=f"c{sign}d")
    home.export()
    files = [*home.target.rglob("*.jsonl")]
    assert len(files) > 5
    for path in files:
        assert [json.loads(line) for line in path.read_text().splitlines()], path
        assert sign not in path.read_text(), path
    assert any(f"one{sign}two" in prompt for prompt, _, _ in home.labelled())


def test_what_json_says_stays_the_same() -> None:
    tree = {"a\u2028": ["\u2029 b", "\x85", "é ✓ 𝄞 \u202e"]}
    line = one_line(json.dumps(tree, ensure_ascii=False).encode())
    assert json.loads(line) == tree
    assert line.decode().splitlines() == [line.decode()]
