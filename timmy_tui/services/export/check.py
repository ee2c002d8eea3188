"""Reads an export again before it gets its name: whatever is in it must be what trainers take.

Plain ``json`` reads it, not the encoder that wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from timmy_tui.services.export.passages import is_date
from timmy_tui.services.export.records import MANIFEST_NAME, TICKS_FOLDER, ExportError, ExportProgress, stop_if
from timmy_tui.services.export.rows_check import (
    RULES,
    BadRow,
    Row,
    Rule,
    no_lone_surrogate,
    once,
    tick_rule,
)
from timmy_tui.services.export.write import TEST_SUFFIX

ROWS_BETWEEN_REPORTS = 2_000

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_STRICT = json.JSONDecoder(object_pairs_hook=once)


def check_folder(
    folder: Path,
    on_progress: Callable[[ExportProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Raise :class:`ExportError` for a row that breaks a rule, or a file that is not what the manifest says.

    Raises ``OSError`` for what can't be read.
    """
    _Check(folder, on_progress, should_stop).run()


class _Check:
    def __init__(
        self, folder: Path, on_progress: Callable[[ExportProgress], None], should_stop: Callable[[], bool]
    ) -> None:
        self._folder, self._on_progress, self._should_stop = folder, on_progress, should_stop
        self._train_prompts: set[int] = set()
        self._test_prompts: set[int] = set()
        self._done = self._total = 0

    def run(self) -> None:
        files = self._files()
        there = {str(path.relative_to(self._folder)) for path in self._folder.rglob("*") if path.is_file()}
        if there != files.keys() | {MANIFEST_NAME}:
            raise _defect(MANIFEST_NAME, None, "it does not name the files that are there")
        self._total = sum(rows for rows, _ in files.values())
        self._on_progress(ExportProgress("checking", 0, self._total))
        for name, (rows, size_bytes) in files.items():
            path = self._folder / name
            if path.stat().st_size != size_bytes:
                raise _defect(name, None, "its size is not the manifest's")
            found = self._read(name, path)
            if found != rows or rows == 0:
                raise _defect(name, None, f"{found} rows, and {rows} in the manifest")
        if self._train_prompts & self._test_prompts:
            raise _defect("the test files", None, "a prompt is on both sides of the split")

    def _files(self) -> dict[str, tuple[int, int]]:
        """Rows and bytes by name, as the manifest has them."""
        try:
            tree = _STRICT.decode((self._folder / MANIFEST_NAME).read_text())
            return {name: (facts["rows"], facts["bytes"]) for name, facts in tree["files"].items()}
        except (BadRow, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _defect(MANIFEST_NAME, None, str(error)) from None

    def _read(self, name: str, path: Path) -> int:
        """How many rows a file has. One of a kind that has rows is checked row by row."""
        stem = path.stem.removesuffix(TEST_SUFFIX)
        if name.startswith(f"{TICKS_FOLDER}/"):
            return self._read_ticks(name, path)
        rule = RULES.get(stem) if path.suffix == ".jsonl" else None
        if rule is None:
            return sum(1 for _ in self._lines(name, path))
        prompts = self._test_prompts if path.stem.endswith(TEST_SUFFIX) else self._train_prompts
        return self._read_rows(name, path, rule, prompts)

    def _read_rows(self, name: str, path: Path, rule: Rule, prompts: set[int]) -> int:
        rows = 0
        seen: set[int] = set()
        dates: set[str] | None = None
        """The columns whose every value looked like a date so far."""
        for line in self._lines(name, path):
            rows += 1
            try:
                row = _row(line)
                told = rule(row)
                _whole(line, row)
                if hash(told) in seen:
                    raise BadRow("the same row stands there twice")
            except BadRow as error:
                raise _defect(name, rows, str(error)) from None
            seen.add(hash(told))
            prompts.add(hash(told[0]))
            if dates is None or dates:
                dates = _dates(row, dates)
        if dates:
            raise _defect(name, None, f"every value of {min(dates)} looks like a date")
        return rows

    def _read_ticks(self, name: str, path: Path) -> int:
        rows = 0
        for line in self._lines(name, path):
            rows += 1
            try:
                # Lines are as their writers left them: a byte that is no UTF-8 is theirs.
                tick = json.loads(line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"))
                if not isinstance(tick, dict):
                    raise BadRow("no JSON object")
                tick_rule(tick)
            except (ValueError, RecursionError) as error:
                raise _defect(name, rows, str(error)) from None
            except BadRow as error:
                raise _defect(name, rows, str(error)) from None
        return rows

    def _lines(self, name: str, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    raise _defect(name, None, "it does not end with a newline")
                self._done += 1
                if self._done % ROWS_BETWEEN_REPORTS == 0:
                    stop_if(self._should_stop())
                    self._on_progress(ExportProgress("checking", min(self._done, self._total), self._total))
                yield line[:-1]


def _row(line: bytes) -> Row:
    try:
        row = _STRICT.decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise BadRow(f"no JSON: {error}") from None
    if not isinstance(row, dict):
        raise BadRow("no JSON object")
    return row


def _whole(line: bytes, row: Row) -> None:
    if _SURROGATE_ESCAPE.search(line) is not None:
        no_lone_surrogate(row)


def _dates(row: Row, among: set[str] | None) -> set[str]:
    """The columns, of those in ``among``, whose value here looks like a date too."""
    names = row.keys() if among is None else among
    found = set()
    for name in names:
        value = row[name]
        if isinstance(value, str) and name != "labelled_at" and is_date(value):
            found.add(name)
    return found


def _defect(name: str, row: int | None, what: str) -> ExportError:
    where = name if row is None else f"{name}, row {row}"
    return ExportError(f"{where}: {what}", "This is a bug in timmy-tui; nothing was written")
