"""Closed streams, links in the wrong places, a full disk, runners without a server: one line, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from timmy_tui.config import load_settings
from timmy_tui.services.doctor import machine
from timmy_tui.services.doctor.install import install_command
from timmy_tui.services.doctor.machine import disk_finding, orphans_in
from timmy_tui.services.logs import open_log
from timmy_tui.services.worker.lock import only_worker
from timmy_tui.services.worker.queue import WorkerError


def status(tmp_path: Path, redirect: str, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "OLLAMA_HOST": "http://127.0.0.1:9"}
    command = f'exec "{sys.executable}" -m timmy_tui "$@" {redirect}'
    return subprocess.run(["sh", "-c", command, "sh", *words], capture_output=True, text=True, env=env, timeout=60)


@pytest.mark.parametrize("redirect", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("doctor",), ("config", "path")])
def test_closed_streams_are_no_traceback(tmp_path: Path, redirect: str, words: tuple[str, ...]) -> None:
    done = status(tmp_path, redirect, *words)
    assert done.returncode in (0, 1, 2)
    assert "Traceback" not in done.stderr
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and "Traceback" in path.read_text("utf-8", "replace")
    ]


@pytest.mark.parametrize(
    "words", [("status", "--nonsense"), ("--config", "/nowhere/x.yaml", "status"), ("status", "--hours", "x")]
)
def test_a_status_that_could_not_look_ends_with_3(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = status(tmp_path, "", *words)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1


def test_other_commands_end_with_2(tmp_path: Path) -> None:
    assert status(tmp_path, "", "doctor", "--nonsense").returncode == 2


def test_a_key_that_stands_twice_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".timmy").mkdir()
    (tmp_path / ".timmy" / "tui.yaml").write_text("actions:\n  a: {run: [x]}\nactions:\n  b: {run: [y]}\n")
    done = status(tmp_path, "", "config", "show")
    assert done.returncode == 2
    assert "line 3: the key 'actions' stands there twice" in done.stderr
    assert done.stderr.count("\n") == 1


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True)
    (home / "worker.lock").symlink_to(victim)
    (home / "logs" / "timmy-tui.log").symlink_to(victim)
    with pytest.raises(WorkerError), only_worker(home):
        pass
    told = open_log(home / "logs" / "timmy-tui.log")
    assert told is None or "no log" in told
    assert victim.read_text() == "precious"


def test_a_full_disk_is_told_with_the_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(tmp_path)

    def full(path: object) -> os.statvfs_result:
        return os.statvfs_result((*real[:3], 100, 100, *real[5:]))

    assert disk_finding(load_settings({"HOME": str(tmp_path)}).timmy_home).state in ("ok", "note")
    monkeypatch.setattr(machine.os, "statvfs", full)
    found = disk_finding(tmp_path)
    assert found.state == "broken"
    assert "full" in found.text
    assert "410 kB" in found.text or "kB free" in found.text


def test_a_runner_without_its_server_is_named_with_its_pid() -> None:
    listed = (
        "  123     1 /usr/lib/ollama/llama-server --model /home/u/.ollama/models/blobs/sha256-ab --port 41\n"
        "  124    99 /usr/lib/ollama/llama-server --model /home/u/.ollama/models/blobs/sha256-ab --port 42\n"
        "  125     1 /opt/llama.cpp/llama-server --model /models/own.gguf\n"
        "  126     1 /usr/bin/ollama serve\n"
        "  127     1 vim llama-server.md\n"
    )
    assert [finding.mend for finding in orphans_in(listed)] == ["kill 123"]


@pytest.mark.parametrize(
    ("prefix", "pip", "wanted"),
    [
        ("/home/u/.local/share/pipx/venvs/timmy-tui", True, "pipx inject timmy-tui redis"),
        ("/home/u/checkout/.venv", True, "/p/python -m pip install redis"),
        ("/home/u/.local/share/uv/tools/timmy-tui", False, "uv pip install --python /p/python redis"),
    ],
)
def test_the_advice_is_what_works_here(prefix: str, pip: bool, wanted: str) -> None:
    assert install_command("redis", prefix=prefix, python="/p/python", pip=pip) == wanted
