"""The day files by name, listed only when the folder changed."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from timmy_tui.services.ticks.folder import TickFolder, day_name


def test_the_oldest_day_is_first_and_a_days_rotated_files_before_its_own(tmp_path: Path) -> None:
    for name in (
        "ticks_20261120.jsonl",
        "ticks_20261120.jsonl.1",
        "ticks_20261120.jsonl.10",
        "ticks_20261119.jsonl",
        "ticks_20261120.jsonl.bak",
        "ticks_2026112.jsonl",
        "labels.jsonl",
        "xticks_20261120.jsonl",
    ):
        (tmp_path / name).touch()

    assert TickFolder(tmp_path).names() == (
        day_name(date(2026, 11, 19)),
        "ticks_20261120.jsonl.10",
        "ticks_20261120.jsonl.1",
        "ticks_20261120.jsonl",
    )


def test_a_settled_folder_is_not_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    (tmp_path / "ticks_20261119.jsonl").touch()
    folder = TickFolder(tmp_path, clock=lambda: now)
    names = folder.names()
    now = 10.0
    listings: list[object] = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listings.append(path) or listdir(path))

    assert folder.names() is names
    assert listings == []
    (tmp_path / "ticks_20261120.jsonl").touch()
    assert len(folder.names()) == 2


def test_a_file_made_within_the_grain_of_the_folders_time_is_seen(tmp_path: Path) -> None:
    folder = TickFolder(tmp_path, clock=lambda: 0.0)
    stamp = tmp_path.stat()
    assert folder.names() == ()
    (tmp_path / "ticks_20261120.jsonl").touch()
    os.utime(tmp_path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    assert folder.names() == ("ticks_20261120.jsonl",)
