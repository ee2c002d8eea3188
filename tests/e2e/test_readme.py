"""What the README says can be typed is typed here, line by line, against a simulated server."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.test_delegation import FakeOllama

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "README.md").read_text().split("## Delegation", 1)[1].split("## Keys", 1)[0]
LINES = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)[0].strip().splitlines()
SNIPPET = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)[0]


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    server = FakeOllama("llama3.2:3b", "qwen2.5-coder:7b")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def env(tmp_path: Path, ollama: FakeOllama) -> dict[str, str]:
    """A project under git with a change, some of it staged, and ``timmy-tui`` on the path."""
    commands = tmp_path / "bin"
    commands.mkdir()
    script = commands / "timmy-tui"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m timmy_tui "$@"\n')
    script.chmod(0o755)
    env = {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "OLLAMA_HOST": ollama.url,
        "PYTHONPATH": str(ROOT),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    project = tmp_path / "project"
    (project / "timmy_tui").mkdir(parents=True)
    text = project / "timmy_tui" / "text.py"
    text.write_text("def f():\n    return 1\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=project, env=env, check=True)
    text.write_text("def f():\n    return 2\n")
    subprocess.run(["git", "add", "."], cwd=project, env=env, check=True)
    text.write_text("def f():\n    return 3\n")
    return env


def run(env: dict[str, str], command: str) -> subprocess.CompletedProcess[str]:
    project = Path(env["HOME"]) / "project"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_line_of_the_quick_start_works(env: dict[str, str], ollama: FakeOllama) -> None:
    assert len(LINES) >= 6
    for line in LINES:
        done = run(env, line)
        assert (done.returncode, done.stderr) == (0, ""), (line, done)
        assert done.stdout.strip()
        if "code-review" in line:
            assert done.stdout.startswith("timmy_tui/text.py:2: warning: Why 3?")
    asked = [str(body["messages"]) for body in ollama.asked]
    assert any("return 3" in text for text in asked)


def test_the_script_works(env: dict[str, str]) -> None:
    script = Path(env["HOME"]) / "script.py"
    script.write_text(SNIPPET)
    done = run(env, f'"{sys.executable}" "{script}"')
    assert done.stdout == "llama3.2:3b says: Say in one line what a heartbeat is.\n"


@pytest.mark.parametrize("how", [(), ("--stream",), ("--json",)], ids=["whole", "streamed", "json"])
def test_what_a_model_says_is_nothing_but_text_on_a_terminal(env: dict[str, str], how: tuple[str, ...]) -> None:
    attack = "\x1b]0;PWNED\x07\x9b2J\u202e \x1b[2J end"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "timmy_tui", "delegate", *how, attack]
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=ROOT)
    os.close(theirs)
    output = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    os.close(ours)
    assert process.wait(30) == 0
    told = output.decode()
    assert "PWNED" in told
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(told)
