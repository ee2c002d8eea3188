"""The check: a file in which anything is off is found, with its row, before anybody trains on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from export_home import ExportHome, Row

from timmy_tui.services.export.check import check_folder
from timmy_tui.services.export.records import ExportError
from timmy_tui.services.export.rows_check import FACT_COLUMNS, PAIR_COLUMNS, RESERVED_COLUMNS

LABELLED = ("kto.jsonl", "llamafactory_kto.jsonl", "sft.jsonl")
PAIRS = ("dpo.jsonl", "mlx_dpo.jsonl", "openai_preference.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = ExportHome(tmp_path)
    for n in range(16):
        home.edit(home.tick(n, prompt=f"P{n}", response=f"answer {n}"), f"Better {n}.")
    home.export(split=0.4)
    check_folder(home.target)
    return home.target


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change a file's lines, and its size in the manifest: the check is to find the rows, not the size."""
    data = b"".join(change(path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(data)
    manifest = path.parent / "MANIFEST.json"
    tree = json.loads(manifest.read_text())
    tree["files"][path.name]["bytes"] = len(data)
    manifest.write_text(json.dumps(tree))


def change_row(path: Path, change: Callable[[Row], object]) -> None:
    def changed(lines: list[bytes]) -> list[bytes]:
        row = json.loads(lines[1])
        change(row)
        return [lines[0], json.dumps(row).encode() + b"\n", *lines[2:]]

    rewrite(path, changed)


def set_to(*path: str | int, value: object) -> Callable[[Row], object]:
    def change(row: Row) -> None:
        branch: object = row
        for step in path[:-1]:
            branch = branch[step]  # type: ignore[index]
        branch[path[-1]] = value  # type: ignore[index]

    return change


def refused(folder: Path, what: str) -> None:
    with pytest.raises(ExportError, match=what) as told:
        check_folder(folder)
    assert "bug" in told.value.hint


@pytest.mark.parametrize("name", LABELLED + PAIRS)
def test_what_breaks_any_file(folder: Path, name: str) -> None:
    path = folder / name
    before = path.read_bytes()
    manifest = (folder / "MANIFEST.json").read_bytes()

    def back() -> None:
        path.write_bytes(before)
        (folder / "MANIFEST.json").write_bytes(manifest)
        check_folder(folder)

    def twice_a_key(line: bytes) -> bytes:
        key = next(iter(json.loads(line)))
        return b'{"%s":1,' % key.encode() + line[1:]

    broken: list[tuple[Callable[[list[bytes]], list[bytes]], str]] = [
        (lambda lines: [*lines[:-1], lines[-1][:-1]], "does not end with a newline"),
        (
            lambda lines: [*lines, lines[0]],
            f"{name}, row {len(before.splitlines()) + 1}: the same row stands there twice",
        ),
        (lambda lines: lines[1:], "rows, and"),
        (lambda lines: [b"{}\n", *lines[1:]], "row 1: its keys are not as they should be"),
        (lambda lines: [lines[0], b"[]\n", *lines[2:]], "row 2: no JSON object"),
        (lambda lines: [lines[0], b"{garbage\n", *lines[2:]], "row 2: no JSON"),
        (lambda lines: [lines[0], b"\n", *lines[2:]], "row 2: no JSON"),
        (lambda lines: [lines[0], b'"\xff"\n', *lines[2:]], "row 2: no JSON"),
        (lambda lines: [twice_a_key(lines[0]), *lines[1:]], "row 1: a key stands twice"),
    ]
    for change, what in broken:
        rewrite(path, change)
        refused(folder, what)
        back()
    change_row(path, set_to("tools", value="[]"))
    refused(folder, "row 2: the column tools means something else")
    back()
    path.unlink()
    refused(folder, "does not name the files that are there")


CHANGES: list[tuple[str, Callable[[Row], object], str]] = [
    ("kto.jsonl", set_to("label", value=1), "label is neither"),
    ("kto.jsonl", set_to("label", value="chosen"), "label is neither"),
    ("kto.jsonl", set_to("label", value=None), "label is neither"),
    ("kto.jsonl", set_to("completion", value={"a": 1}), "not 1 message"),
    ("kto.jsonl", set_to("completion", 0, "content", value={"severity": "ok"}), "a text that is none"),
    ("kto.jsonl", set_to("completion", 0, "content", value=""), "an empty text"),
    ("kto.jsonl", set_to("completion", 0, "content", value="a \ud800 b"), "a lone surrogate"),
    ("kto.jsonl", set_to("completion", 0, "role", value="user"), "a message that is not of the assistant"),
    ("kto.jsonl", set_to("prompt", 0, "extra", value="user"), "a message that is not of the user"),
    ("kto.jsonl", set_to("severity", value=None), "severity is no text"),
    ("kto.jsonl", set_to("redacted", value="no"), "redacted is neither"),
    ("kto.jsonl", set_to("row_id", value=""), "it has no id"),
    ("kto.jsonl", set_to("images", value=[]), "the column images means something else"),
    ("sft.jsonl", set_to("messages", 0, "role", value="system"), "a message that is not of the user"),
    ("sft.jsonl", lambda row: row["messages"].pop(), "not 2 messages"),  # type: ignore[attr-defined]
    ("llamafactory_kto.jsonl", set_to("kto_tag", value="true"), "kto_tag is neither"),
    ("llamafactory_kto.jsonl", set_to("kto_tag", value=0), "kto_tag is neither"),
    ("llamafactory_kto.jsonl", set_to("conversations", 1, "from", value="assistant"), "not of the gpt"),
    ("dpo.jsonl", set_to("rejected", 0, "content", value=""), "an empty text"),
    ("dpo.jsonl", set_to("rejected", value=None), "not 1 message"),
    ("dpo.jsonl", lambda row: row.update(rejected=row["chosen"]), "the chosen and the rejected text are equal"),
    ("dpo.jsonl", set_to("pair_kind", value="guess"), "pair_kind is none of ours"),
    ("mlx_dpo.jsonl", set_to("chosen", value=[{"role": "assistant", "content": "x"}]), "a text that is none"),
    ("mlx_dpo.jsonl", lambda row: row.update(rejected=row["chosen"]), "are equal"),
    ("openai_preference.jsonl", set_to("input", "tools", value=[{}]), "input names tools"),
    ("openai_preference.jsonl", set_to("input", value="P"), "input is no object"),
    ("openai_preference.jsonl", set_to("row_id", value="x"), "its keys are not as they should be"),
]


@pytest.mark.parametrize(("name", "change", "what"), CHANGES)
def test_what_breaks_one_kind_of_row(folder: Path, name: str, change: Callable[[Row], object], what: str) -> None:
    change_row(folder / name, change)
    refused(folder, f"{name}, row 2: .*{what}")


def test_a_prompt_on_both_sides_of_the_split_is_found(folder: Path) -> None:
    prompt = json.loads((folder / "kto.jsonl").read_text().splitlines()[0])["prompt"]
    change_row(folder / "kto_test.jsonl", lambda row: row.update(prompt=prompt))
    refused(folder, "a prompt is on both sides of the split")


def test_a_column_of_dates_is_found(folder: Path) -> None:
    def dated(lines: list[bytes]) -> list[bytes]:
        rows = [{**json.loads(line), "note": "2026-11-20"} for line in lines]
        return [json.dumps(row).encode() + b"\n" for row in rows]

    rewrite(folder / "kto.jsonl", dated)
    refused(folder, "every value of note looks like a date")


@pytest.mark.parametrize("data", [b"", b"[]", b'{"files": 3}', b'{"files": {"kto.jsonl": {}}}', b'{"a":1,"a":2}'])
def test_a_manifest_that_is_none_is_found(folder: Path, data: bytes) -> None:
    (folder / "MANIFEST.json").write_bytes(data)
    refused(folder, "MANIFEST.json")


def test_a_file_of_another_size_and_a_bad_tick_are_found(folder: Path) -> None:
    ticks = folder / "ticks" / "ticks_20261120.jsonl"
    data = ticks.read_bytes()
    ticks.write_bytes(data + b"{}\n")
    refused(folder, "its size is not the manifest's")
    ticks.write_bytes(data.replace(b'"tick_id"', b'"tick_ic"'))
    refused(folder, r"ticks/ticks_20261120\.jsonl, row 1: no tick_id")


def test_no_column_of_ours_means_something_to_a_trainer() -> None:
    assert not (FACT_COLUMNS | PAIR_COLUMNS) & RESERVED_COLUMNS
