"""The folder of an export: whole or not there, the same bytes for the same logs, never over what is somebody's."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from export_home import ExportHome

from timmy_tui.services.export.records import ExportError, ExportStopped
from timmy_tui.services.hermes.connection import HermesError
from timmy_tui.services.ticks.errors import TickLogError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> ExportHome:
    home = ExportHome(tmp_path)
    for n in range(12):
        key = home.tick(n, prompt=f"P{n % 7} at /home/alex", response=f"answer {n}")
        if n % 3 == 0:
            home.edit(key)
        else:
            home.label(key, "chosen" if n % 2 else "rejected")
    home.label(home.session("s", "question", "answer"), tick_id="s")
    return home


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_logs_give_the_same_bytes(home: ExportHome) -> None:
    home.export(split=0.3)
    first = content(home.target)
    other = home.target.with_name("other")
    home.export(other, split=0.3)
    assert content(other) == first
    home.export(split=0.3, replace=True)
    assert content(home.target) == first
    assert home.left_behind() == ["other", "out"]


def test_the_manifest_names_every_file_as_it_is(home: ExportHome) -> None:
    import hashlib

    home.export(split=0.3)
    files = home.manifest()["files"]
    held = content(home.target)
    assert files.keys() == held.keys() - {"MANIFEST.json"}
    for name, facts in files.items():
        assert isinstance(facts, dict)
        assert facts["sha256"] == hashlib.sha256(held[name]).hexdigest()
        assert (facts["bytes"], facts["rows"]) == (len(held[name]), held[name].count(b"\n"))
    inputs = home.manifest()["inputs"]
    assert inputs["ticks"] == [
        {
            "name": "ticks_20261120.jsonl",
            "bytes": home.day.stat().st_size,
            "sha256": hashlib.sha256(home.day.read_bytes()).hexdigest(),
        }
    ]
    assert inputs["labels"]["sha256"] == hashlib.sha256(home.labels.read_bytes()).hexdigest()  # type: ignore[index]
    assert str(home.settings.timmy_home) not in json.dumps(home.manifest())


def test_everything_is_the_owners_own_and_ends_with_a_newline(home: ExportHome) -> None:
    home.export()
    for path in (home.target, *home.target.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
        assert path.is_dir() or (path.read_bytes().endswith(b"\n") and path.stat().st_size > 1)


def test_only_the_formats_asked_for_are_written(home: ExportHome) -> None:
    report = home.export(formats=("openai", "kto"))
    assert [name for name, _ in report.files] == ["kto.jsonl", "openai_preference.jsonl"]
    assert sorted(content(home.target)) == ["MANIFEST.json", "README.md", "kto.jsonl", "openai_preference.jsonl"]
    assert "dpo.jsonl" not in (home.target / "README.md").read_text()


def test_an_empty_folder_is_taken_and_one_that_holds_something_is_not(home: ExportHome) -> None:
    home.target.mkdir(parents=True)
    home.export()
    before = content(home.target)
    with pytest.raises(ExportError, match="exists already: an earlier export") as told:
        home.export()
    assert told.value.hint == "Name another folder, or use --replace"
    (home.target / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"holds what no export wrote: mine\.txt"):
        home.export(replace=True)
    (home.target / "MANIFEST.json").write_text("{}")
    with pytest.raises(ExportError, match=r"out exists already$") as told:
        home.export(replace=True)
    assert told.value.hint == "Name another folder"
    assert content(home.target) == before | {"mine.txt": b"mine", "MANIFEST.json": b"{}"}
    assert home.left_behind() == ["out"]


def test_a_file_in_the_way_is_an_error(home: ExportHome) -> None:
    home.target.parent.mkdir()
    home.target.write_text("mine")
    with pytest.raises(ExportError, match="is no folder"):
        home.export()
    with pytest.raises(ExportError, match=r"Not a directory|is no folder"):
        home.export(home.target / "below")
    assert home.target.read_text() == "mine"


def test_a_link_to_an_empty_folder_is_followed(home: ExportHome, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    home.export(link)
    assert link.is_symlink()
    assert (tmp_path / "real" / "kto.jsonl").exists()


def test_a_stopped_export_leaves_nothing(home: ExportHome) -> None:
    looks = 0
    while True:
        left = looks

        def should_stop() -> bool:
            nonlocal left
            left -= 1
            return left < 0

        try:
            home.export(home.target.parent / "deep" / "out", should_stop=should_stop)
        except ExportStopped:
            assert not home.target.parent.exists()
            looks += 1
        else:
            break
    assert looks >= 3


def test_a_stopped_replacement_leaves_the_old_export(home: ExportHome) -> None:
    home.export()
    before = content(home.target)
    with pytest.raises(ExportStopped):
        home.export(replace=True, should_stop=lambda: True)
    assert content(home.target) == before
    assert home.left_behind() == ["out"]


@pytest.mark.parametrize("limit_bytes", [1, 500, 4_000, 12_000])
def test_a_full_disk_is_one_line_and_nothing_is_left(home: ExportHome, limit_bytes: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        with pytest.raises(ExportError, match=r"No room to write .*out: File too large") as told:
            home.export()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "df -h" in told.value.hint
    assert not home.target.parent.exists()


def test_logs_that_cant_be_read_are_their_own_errors(home: ExportHome) -> None:
    database = home.settings.hermes_home / "state.db"
    database.unlink()
    for name in ("state.db-wal", "state.db-shm"):
        (database.parent / name).unlink(missing_ok=True)
    database.write_bytes(b"no database" * 100)
    with pytest.raises(HermesError):
        home.export()
    (home.heartbeat / "ticks_20261121.jsonl").mkdir()
    with pytest.raises(TickLogError, match="Can't read"):
        home.export()
    assert home.left_behind() == []


KILLED = """
import os, signal, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from pathlib import Path
from export_home import ExportHome
left = [int(sys.argv[3])]
def dies(name):
    real = getattr(os, name)
    def call(*words, **named):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **named)
    setattr(os, name, call)
home = ExportHome(Path(sys.argv[2]))
for name in ("write", "fsync", "rename", "unlink", "rmdir", "mkdir"):
    dies(name)
home.export(replace=True, formats=("kto", "dpo"))
"""


def test_an_export_killed_anywhere_leaves_an_old_or_a_new_one_and_the_next_one_cleans_up(
    home: ExportHome, tmp_path: Path
) -> None:
    home.export(formats=("kto", "dpo"))
    old = content(home.target)
    home.label(home.tick(99, prompt="new", response="new"))
    home.export(home.target.with_name("new"), formats=("kto", "dpo"))
    new = content(home.target.with_name("new"))
    steps = 0
    while True:
        done = subprocess.run([sys.executable, "-c", KILLED, str(ROOT), str(tmp_path), str(steps)], check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        places = [path for path in home.target.parent.iterdir() if path.name != "new"]
        whole = [held for held in map(content, places) if held in (old, new)]
        assert whole
        steps += 1
    assert steps > 15
    assert content(home.target) == new
    assert home.left_behind() == ["new", "out"]


def test_what_another_export_is_at_is_not_swept(home: ExportHome) -> None:
    import fcntl

    busy = home.target.parent / ".out.partial-1"
    dead = home.target.parent / ".out.partial-2"
    for folder in (busy, dead):
        folder.mkdir(parents=True)
        (folder / "kto.jsonl").touch()
    fd = os.open(busy, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        home.export()
        assert home.left_behind() == [".out.partial-1", "out"]
    finally:
        os.close(fd)
