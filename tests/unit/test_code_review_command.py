"""``timmy-tui code-review`` as a process: a real repository, a server that speaks as Ollama does, and a hook."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_server import FaultyServer
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

ROOT = Path(__file__).parents[2]
HOOK = ROOT / "contrib" / "git" / "pre-commit"
DEADLINE_S = 30
MODELS = ("qwen2.5-coder:7b", "deepseek-coder:6.7b", "llama3.2:3b", "llama31-8b:latest")

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def judged(prompt: str) -> str:
    """The model's answer: a finding for each line that says BUG, in the words behind it; prose for PROSE."""
    if "PROSE" in prompt:
        return "I like this change."
    findings = []
    for part in re.split(r"(?m)^File: ", prompt)[1:]:
        name = part.split("\n", 1)[0]
        for line, severity, message in re.findall(r"(?m)^ *([0-9]+) \+BUG (\w+) (.*)$", part):
            entry = {"file": name, "line": int(line), "severity": severity, "message": message}
            findings.append({**entry, "suggestion": "leave it out\nall of it"} if "!" in message else entry)
    return json.dumps({"findings": findings}).replace("ESC", "\\u001b")


def chat(request: Request) -> Response:
    asked = json.loads(request.data)
    text = judged(asked["messages"][-1]["content"])
    ended = {"done": True, "done_reason": "stop", "prompt_eval_count": 700, "eval_count": 30, "eval_duration": 10**8}
    head = {"model": asked["model"], "created_at": "2026-11-20T03:15:00Z"}
    if asked.get("stream", True):
        parts = [{**head, "message": {"role": "assistant", "content": text}, "done": False}]
        parts.append({**head, "message": {"role": "assistant", "content": ""}, **ended})
        return Response("".join(json.dumps(part) + "\n" for part in parts), content_type="application/x-ndjson")
    return Response(json.dumps({**head, "message": {"role": "assistant", "content": text}, **ended}))


@pytest.fixture
def ollama(httpserver: HTTPServer) -> HTTPServer:
    models = [{"name": name, "model": name, "digest": name, "size": 9} for name in MODELS]
    show = {"model_info": {"general.architecture": "q", "q.context_length": 4096}, "capabilities": ["completion"]}
    httpserver.expect_request("/api/version").respond_with_json({"version": "0.32.15"})
    httpserver.expect_request("/api/tags").respond_with_json({"models": models})
    httpserver.expect_request("/api/ps").respond_with_json({"models": []})
    httpserver.expect_request("/api/show").respond_with_json(show)
    httpserver.expect_request("/api/chat").respond_with_handler(chat)
    return httpserver


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.fixture
def dead_env(tmp_path: Path, repository: Path) -> dict[str, str]:
    """A repository with one commit, and no server."""
    binary = tmp_path / "bin" / "timmy-tui"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m timmy_tui "$@"\n')
    binary.chmod(0o755)
    env = {
        "HOME": str(tmp_path),
        "TIMMY_HOME": str(tmp_path / "timmy"),
        "HERMES_HOME": str(tmp_path / "hermes"),
        "OLLAMA_HOST": "127.0.0.1:9",
        "PATH": f"{binary.parent}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    env |= {f"GIT_{who}_{what}": "me@here" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    git(env, repository, "init", "--quiet", "--initial-branch=main")
    (repository / "calm.py").write_text("one\ntwo\nthree\n")
    git(env, repository, "add", "calm.py")
    git(env, repository, "commit", "--quiet", "--message", "first")
    return env


@pytest.fixture
def env(dead_env: dict[str, str], ollama: HTTPServer) -> dict[str, str]:
    """The same with a server."""
    return {**dead_env, "OLLAMA_HOST": ollama.url_for("")}


def git(env: dict[str, str], folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, check=check, text=True)


def stage(env: dict[str, str], folder: Path, text: str, name: str = "app.py") -> None:
    (folder / name).write_text(text)
    git(env, folder, "add", name)


def run(
    env: dict[str, str], folder: Path, *words: str, stdin: bytes | int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    piped = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    done = subprocess.run(
        [sys.executable, "-m", "timmy_tui", "code-review", *words],
        cwd=folder,
        env=env,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
        **piped,  # type: ignore[call-overload]
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def told_off(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("timmy-tui: ")
    return line.removeprefix("timmy-tui: ")


STAGED = "def f():\nBUG error it is wrong!\n    return 1\nBUG info well\n"


def test_what_is_staged_as_lines_that_an_editor_can_jump_to(env: dict[str, str], repository: Path) -> None:
    stage(env, repository, STAGED)
    (repository / "calm.py").write_text("BUG critical but not staged\n")
    done = run(env, repository, "--staged")
    *lines, summary = done.stdout.splitlines()
    assert lines == [
        "app.py:2: error: it is wrong!",
        "    leave it out",
        "    all of it",
        "app.py:4: info: well",
    ]
    assert summary == "1 error, 1 info in 1 file (1 piece, qwen2.5-coder:7b, 700 tokens in, 30 out)"
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(("fail_on", "code"), [("info", 1), ("warning", 0), ("critical", 0), ("never", 0)])
def test_the_exit_code_is_about_what_is_grave_enough(
    env: dict[str, str], repository: Path, fail_on: str, code: int
) -> None:
    stage(env, repository, "BUG info well\n")
    done = run(env, repository, "--staged", "--fail-on", fail_on)
    assert (done.returncode, done.stderr) == (code, "")
    assert "app.py:1: info: well" in done.stdout


def test_a_revision_a_range_and_a_pipe(env: dict[str, str], repository: Path) -> None:
    stage(env, repository, STAGED)
    git(env, repository, "commit", "--quiet", "--message", "second")
    patch = git(env, repository, "show").stdout.encode()
    for words, stdin in (
        (["HEAD"], subprocess.DEVNULL),
        (["HEAD~1..HEAD"], subprocess.DEVNULL),
        (["-"], patch),
        ([], patch),
    ):
        done = run(env, repository, *words, stdin=stdin)
        assert (done.returncode, done.stderr) == (1, ""), words
        assert "app.py:2: error: it is wrong!" in done.stdout


def test_a_pipe_needs_no_repository(env: dict[str, str], repository: Path, tmp_path: Path) -> None:
    stage(env, repository, STAGED)
    patch = git(env, repository, "diff", "--cached").stdout.encode()
    assert run(env, tmp_path, "-", stdin=b"\xef\xbb\xbf" + patch).returncode == 1


def test_in_a_terminal_it_is_the_working_tree_and_tells_how_far_it_is(env: dict[str, str], repository: Path) -> None:
    (repository / "calm.py").write_text("one\nBUG warning 2\nthree\n")
    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "timmy_tui", "code-review"],
        cwd=repository,
        env=env,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        timeout=DEADLINE_S,
        check=False,
    )
    os.close(slave)
    told = os.read(master, 65_536).decode()
    os.close(master)
    assert done.returncode == 0
    assert done.stdout.decode().startswith("calm.py:2: warning: 2\n")
    assert "\rreviewed 0 of 1\x1b[K\rreviewed 1 of 1\x1b[K" in told
    assert told.endswith("\r\x1b[K")


def test_nothing_piped_in_is_the_working_tree(env: dict[str, str], repository: Path) -> None:
    (repository / "calm.py").write_text("one\nBUG error 2\nthree\n")
    assert run(env, repository).stdout.startswith("calm.py:2: error: 2\n")
    assert run(env, repository, stdin=b"").stdout.startswith("calm.py:2: error: 2\n"), "an empty pipe, as under ssh"
    assert run(env, repository, "-", stdin=b"").stdout == "nothing to review\n"


def test_json_is_one_document(env: dict[str, str], repository: Path) -> None:
    stage(env, repository, STAGED)
    done = run(env, repository, "--staged", "--json", "--model", "llama3.2:3b")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    first = {"file": "app.py", "line": 2, "severity": "error", "message": "it is wrong!", "approximate": False}
    assert document["findings"][0] == {**first, "suggestion": "leave it out\nall of it"}
    assert document["findings"][1]["suggestion"] is None
    assert {key: document[key] for key in ("gaps", "pieces", "model", "tokens_in", "tokens_out")} == {
        "gaps": [],
        "pieces": 1,
        "model": "llama3.2:3b",
        "tokens_in": 700,
        "tokens_out": 30,
    }


def test_nothing_to_review_is_no_failure_and_asks_nobody(dead_env: dict[str, str], repository: Path) -> None:
    for words, stdin in ((["--staged"], subprocess.DEVNULL), (["-"], b""), (["-"], b"\n"), ([], subprocess.DEVNULL)):
        done = run(dead_env, repository, *words, stdin=stdin)
        assert (done.returncode, done.stdout, done.stderr) == (0, "nothing to review\n", "")
    document = json.loads(run(dead_env, repository, "--staged", "--json").stdout)
    assert (document["findings"], document["pieces"], document["model"]) == ([], 0, None)
    (repository / "logo").write_bytes(b"\0\1")
    git(dead_env, repository, "add", "logo")
    assert run(dead_env, repository, "--staged").stdout == "note: logo: binary\nnothing to review\n"


@pytest.mark.parametrize(
    ("stdin", "line"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0", "Standard input is binary and no diff"),
        ("diff".encode("utf-16"), "Standard input is binary and no diff"),
        (b"--- a/f\n+++ b/caf\xe9\n", "Standard input is not UTF-8 (byte 18)"),
        (b"hello\n", "There is no diff in this text"),
    ],
)
def test_what_is_no_diff_is_one_line(dead_env: dict[str, str], tmp_path: Path, stdin: bytes, line: str) -> None:
    assert told_off(run(dead_env, tmp_path, "-", stdin=stdin)).startswith(line)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nowhere"], "nowhere is no commit of this repository"),
        (["--", "--output=x"], "--output=x is no commit of this repository"),
        (["--staged", "HEAD"], "--staged is a diff of its own; leave out HEAD"),
        (["--fail-on", "sometimes"], "Invalid value for '--fail-on'"),
        (["--in-flight", "0"], "Invalid value for '--in-flight'"),
    ],
)
def test_a_mistake_is_one_line(dead_env: dict[str, str], repository: Path, words: list[str], line: str) -> None:
    assert told_off(run(dead_env, repository, *words)).startswith(line)


def test_no_repository_is_one_line(dead_env: dict[str, str], tmp_path: Path) -> None:
    assert told_off(run(dead_env, tmp_path, "--staged")).startswith("This is no git repository; ")


def test_help_has_examples_and_the_exit_codes(dead_env: dict[str, str], tmp_path: Path) -> None:
    text = run(dead_env, tmp_path, "--help").stdout
    assert "git diff | timmy-tui code-review -" in text.split("Examples:")[1]
    assert "Exits with 0" in text


def test_a_model_that_is_down_is_one_line(dead_env: dict[str, str], repository: Path) -> None:
    stage(dead_env, repository, STAGED)
    assert told_off(run(dead_env, repository, "--staged", "--fail-on", "never")).startswith(
        "nothing could be reviewed: "
    )
    done = run(dead_env, repository, "--staged", "--json")
    (gap,) = json.loads(done.stdout)["gaps"]
    assert (gap["file"], gap["first_line"], gap["last_line"]) == ("app.py", 1, 4)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_a_model_that_is_not_there_and_a_task_that_is_none(env: dict[str, str], repository: Path) -> None:
    stage(env, repository, STAGED)
    line = told_off(run(env, repository, "--staged", "--model", "nobody:1b"))
    assert line.startswith("nothing could be reviewed: no model of the chain is installed: nobody:1b; ollama pull")
    line = told_off(run(env, repository, "--staged", "--task", "poetry"))
    assert line.startswith("nothing could be reviewed: 'poetry' is no task; Tasks are: ")


def test_each_call_is_in_the_usage_log(env: dict[str, str], repository: Path) -> None:
    stage(env, repository, STAGED)
    run(env, repository, "--staged")
    (call,) = (Path(env["TIMMY_HOME"]) / "metrics" / "local-llm-usage.jsonl").read_text().splitlines()
    told = json.loads(call)
    assert (told["caller"], told["task_type"], told["tokens_in"]) == ("code-review", "review", 700)


def test_a_part_that_was_not_reviewed_is_never_silence(env: dict[str, str], repository: Path) -> None:
    filler = "".join(f"value_{number} = compute({number})\n" for number in range(190))
    stage(env, repository, f"PROSE\n{filler}", "a.py")
    stage(env, repository, f"BUG warning hm\n{filler}", "b.py")
    done = run(env, repository, "--staged")
    assert done.returncode == 2
    assert "b.py:1: warning: hm\n" in done.stdout
    assert re.search(
        r"^a\.py:1: not reviewed up to line \d+: the model's answer has no list", done.stdout, re.MULTILINE
    )
    (line,) = done.stderr.splitlines()
    assert line == "timmy-tui: parts of 1 file could not be reviewed: the model's answer has no list of findings"
    assert run(env, repository, "--staged", "--fail-on", "warning").returncode == 1


def test_nothing_that_a_model_or_a_diff_says_acts_on_the_terminal(env: dict[str, str], repository: Path) -> None:
    stage(env, repository, "BUG error ESC[2Jhello\n", "a\x1b[2Jb.py")
    for words in ([], ["--json"]):
        done = run(env, repository, "--staged", *words)
        assert done.returncode == 1
        assert "\x1b" not in done.stdout + done.stderr
    assert "a^[[2Jb.py:1: error: ^[[2Jhello" in run(env, repository, "--staged").stdout


def test_an_interrupt_is_quiet(dead_env: dict[str, str], repository: Path) -> None:
    stage(dead_env, repository, STAGED)
    tags = json.dumps({"models": [{"name": name, "model": name, "digest": name, "size": 9} for name in MODELS]})
    with FaultyServer({"/api/tags": tags, "/api/chat": "{}"}) as server:
        server.trouble = "hang"
        process = subprocess.Popen(
            [sys.executable, "-m", "timmy_tui", "code-review", "--staged"],
            cwd=repository,
            env={**dead_env, "OLLAMA_HOST": server.url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        server.wait_for("/api/tags")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=DEADLINE_S) == (b"", b"")
    assert process.returncode == 130


# As a git hook.


@pytest.fixture
def hooked(repository: Path, dead_env: dict[str, str]) -> Path:
    shutil.copy(HOOK, repository / ".git" / "hooks" / "pre-commit")
    return repository


def commits(env: dict[str, str], folder: Path) -> int:
    return int(git(env, folder, "rev-list", "--count", "HEAD").stdout)


def test_a_hook_stops_a_commit_and_lets_the_next_one_through(env: dict[str, str], hooked: Path) -> None:
    stage(env, hooked, STAGED)
    done = git(env, hooked, "commit", "--message", "second", check=False)
    assert (done.returncode, commits(env, hooked)) == (1, 1)
    assert "app.py:2: error: it is wrong!" in done.stdout + done.stderr
    assert "git commit --no-verify" in done.stderr
    stage(env, hooked, "BUG warning hm\n")
    git(env, hooked, "commit", "--message", "second")
    assert commits(env, hooked) == 2
    (hooked / "app.py").write_text("BUG warning hm\nBUG error in the index of `commit -a` alone\n")
    assert git(env, hooked, "commit", "--all", "--message", "third", check=False).returncode == 1
    assert commits(env, hooked) == 2


def test_a_hook_without_a_model_lets_commits_through_unless_told_otherwise(
    dead_env: dict[str, str], hooked: Path
) -> None:
    stage(dead_env, hooked, STAGED)
    required = {**dead_env, "TIMMY_REVIEW_REQUIRED": "1"}
    assert git(required, hooked, "commit", "--message", "second", check=False).returncode == 1
    assert commits(dead_env, hooked) == 1
    done = git(dead_env, hooked, "commit", "--message", "second")
    assert commits(dead_env, hooked) == 2
    assert "nothing could be reviewed" in done.stderr
