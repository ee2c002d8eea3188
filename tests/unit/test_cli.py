"""The command line as a process: exit codes, what stands on which stream, and what a terminal changes."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import yaml
from hermes_store_maker import make_empty_store
from pytest_httpserver import HTTPServer

from timmy_tui import __version__
from timmy_tui.commands.config_template import TEMPLATE
from timmy_tui.config import Config, load_settings

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "",
    *("status", "doctor", "demo", "config", "config path", "config show", "config init"),
    *("tick", "worker", "export", "usage", "delegate", "code-review"),
]
DEADLINE_S = 20


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An empty machine: no stack, no configuration, ports where nobody listens."""
    return {
        "HOME": str(tmp_path),
        "TIMMY_HOME": str(tmp_path / "timmy"),
        "HERMES_HOME": str(tmp_path / "hermes"),
        "OLLAMA_HOST": "127.0.0.1:9",
        "PATH": str(tmp_path / "bin"),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def healthy_env(env: dict[str, str], httpserver: HTTPServer) -> dict[str, str]:
    """The same with an Ollama that answers, a Hermes store, and a heartbeat that has not begun."""
    httpserver.expect_request("/api/version").respond_with_json({"version": "0.32.15"})
    httpserver.expect_request("/api/tags").respond_with_json({"models": []})
    httpserver.expect_request("/api/ps").respond_with_json({"models": []})
    hermes = Path(env["HERMES_HOME"])
    hermes.mkdir()
    make_empty_store(hermes / "state.db").close()
    (Path(env["TIMMY_HOME"]) / "heartbeat").mkdir(parents=True)
    return {**env, "OLLAMA_HOST": httpserver.url_for("")}


def run(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "timmy_tui", *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=DEADLINE_S,
        check=False,
    )


def told_off(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """The one line of a refusal that ends with ``code``, without the program's name."""
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.endswith("\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("timmy-tui: ")
    return line.removeprefix("timmy-tui: ")


class Terminal:
    """A process on a pty of 100 × 30."""

    def __init__(self, env: dict[str, str], *words: str) -> None:
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "timmy_tui", *words],
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            close_fds=True,
        )
        os.close(slave)
        self.text = ""

    def read(self, pattern: str) -> str:
        """Read until ``pattern`` has come; fails when the process ends or the deadline passes before."""
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([self.master], [], [], DEADLINE_S)
            assert ready, f"{pattern!r} did not come: {self.text!r}"
            try:
                chunk = os.read(self.master, 65_536)
            except OSError:
                chunk = b""
            assert chunk, f"ended before {pattern!r}: {self.text!r}"
            self.text += chunk.decode()
        return self.text

    def end(self) -> int:
        """Read the rest and return the exit code."""
        while True:
            ready, _, _ = select.select([self.master], [], [], DEADLINE_S)
            assert ready, f"did not end: {self.text!r}"
            try:
                chunk = os.read(self.master, 65_536)
            except OSError:
                break
            if not chunk:
                break
            self.text += chunk.decode()
        os.close(self.master)
        return self.process.wait(DEADLINE_S)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(env: dict[str, str], command: str) -> None:
    done = run(env, *command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Examples:\n" in done.stdout
    assert "timmy-tui" in done.stdout.split("Examples:")[1]


def test_the_version(env: dict[str, str]) -> None:
    assert run(env, "--version").stdout == f"timmy-tui {__version__}\n"


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["config", "path"], ["status", "--help"]])
def test_what_needs_no_stack_imports_none(env: dict[str, str], words: list[str]) -> None:
    done = run({**env, "PYTHONPROFILEIMPORTTIME": "1"}, *words)
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "timmy_tui.cli" in imported
    assert not imported & {"textual", "httpx", "yaml", "asyncio", "huey"}


def test_the_status_never_pays_for_the_console(env: dict[str, str]) -> None:
    done = run({**env, "PYTHONPROFILEIMPORTTIME": "1"}, "status", "--json")
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "timmy_tui.services.monitor" in imported
    assert not imported & {"textual", "rich", "pygments", "yaml"}


def test_a_dead_stack_is_critical(env: dict[str, str]) -> None:
    done = run(env, "status")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("✖ critical")
    assert "Ollama local does not answer: connection refused" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_stack_that_answers_is_ok(healthy_env: dict[str, str]) -> None:
    done = run(healthy_env, "status", "--json")
    document = json.loads(done.stdout)
    assert (document["problems"], done.returncode, done.stderr) == ([], 0, "")
    assert document["ollama"][0]["state"] == "up"


def test_a_missing_store_is_a_warning(healthy_env: dict[str, str], tmp_path: Path) -> None:
    done = run({**healthy_env, "HERMES_HOME": str(tmp_path / "none")}, "status", "--json")
    assert (json.loads(done.stdout)["severity"], done.returncode) == ("warning", 1)


def test_nothing_is_written_by_looking(env: dict[str, str], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for words in (["status"], ["status", "--json"], ["doctor"], ["config", "show"], ["config", "path"]):
        run(env, *words)
    assert sorted(tmp_path.rglob("*")) == before


def test_json_is_one_document(env: dict[str, str]) -> None:
    done = run(env, "status", "--json", "--hours", "2")
    assert json.loads(done.stdout)["hermes"]["hours"] == 2
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(run(env, "doctor", "--json").stdout)["healthy"] is False


def test_one_line_for_tmux(env: dict[str, str]) -> None:
    done = run(env, "status", "--line")
    assert done.stdout == "✖ ollama down · worker down\n"
    assert run(env, "status", "--line", "--ascii").stdout == "X ollama down - worker down\n"
    assert run(env, "--ascii", "status", "--line").stdout == "X ollama down - worker down\n"


def test_a_terminal_without_unicode_gets_ascii(env: dict[str, str]) -> None:
    assert run({**env, "PYTHONIOENCODING": "ascii"}, "status").stdout.isascii()


def test_without_a_terminal_the_console_is_the_status_once(env: dict[str, str]) -> None:
    done = run(env)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("✖ critical")


def test_the_doctor_ends_with_1_when_something_is_broken(env: dict[str, str], healthy_env: dict[str, str]) -> None:
    sick = run(env, "doctor")
    assert (sick.returncode, sick.stderr) == (1, "")
    assert "✖ broken  ollama local" in sick.stdout
    well = run(healthy_env, "doctor")
    assert (well.returncode, "broken" in well.stdout) == (0, False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["status", "--hours", "0"], "Invalid value for '--hours': 0.0 is not in the range 0<x<=8784"),
        (["status", "--json", "--line"], "--json prints one document; leave out --line"),
        (["status", "--json", "--watch"], "--json prints one document; leave out --watch"),
        (["stauts"], "No such command 'stauts'. Did you mean 'status'? (see timmy-tui --help)"),
        (["status", "--jsn"], "No such option '--jsn'. Did you mean '--json'? (see timmy-tui status --help)"),
        (["status", "--config", "/nowhere/tui.yaml"], "/nowhere/tui.yaml: no such file; write one with"),
        (["demo"], "the demo needs a terminal"),
        (["tock"], "No such command 'tock'"),
    ],
)
def test_a_mistake_is_one_line_and_never_a_severity(env: dict[str, str], words: list[str], line: str) -> None:
    """``status`` says critical with 2, so a mistake beside it is 3 (README, "Exit codes")."""
    assert told_off(run(env, *words), 3 if words[0] == "status" else 2).startswith(line)


def test_a_mistake_in_the_file_names_its_key(env: dict[str, str]) -> None:
    path = Path(env["TIMMY_HOME"]) / "tui.yaml"
    path.parent.mkdir()
    path.write_text("intervals: {ollama_s: often}\n")
    assert told_off(run(env, "status"), 3) == f"{path}: intervals.ollama_s: expected a number, found text"
    path.write_text('"\\e[2Jx": 1\n')
    assert "\x1b" not in told_off(run(env, "doctor"))
    assert run(env, "config", "path").stdout == f"{path}\n"


def test_a_reader_that_leaves_is_no_error(env: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for words in (["status", "--json"], ["config", "show"], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "timmy_tui", *words],
            env=env,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=DEADLINE_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (141, b""), words
    os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_a_full_disk_is_one_line(env: dict[str, str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "timmy_tui", "config", "path"],
            env=env,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=DEADLINE_S,
            check=False,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "timmy-tui: [Errno 28] No space left on device"


def test_a_read_that_never_ends_keeps_nobody_waiting(env: dict[str, str]) -> None:
    """``active_profile`` is a pipe that nobody writes to: it is opened for reading, as on a lost network mount."""
    Path(env["HERMES_HOME"]).mkdir()
    os.mkfifo(Path(env["HERMES_HOME"]) / "active_profile")
    done = run(env, "status")
    assert (done.returncode, done.stderr) == (2, "")
    assert "no answer from hermes within 5 s" in done.stdout


def test_config_init_writes_a_private_file_and_never_over_another(env: dict[str, str]) -> None:
    path = Path(env["TIMMY_HOME"]) / "tui.yaml"
    assert run(env, "config", "init").stdout == f"wrote {path}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_settings(env).config == Config()
    path.write_text("theme: mine\n")
    assert "exists; to replace it: timmy-tui config init --force" in told_off(run(env, "config", "init"))
    assert path.read_text() == "theme: mine\n"
    assert run(env, "config", "init", "--force").returncode == 0
    assert path.read_text() == TEMPLATE
    assert [entry.name for entry in path.parent.iterdir()] == ["tui.yaml"]


def test_config_init_where_nothing_can_be_written(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = told_off(run({**env, "TIMMY_HOME": str(tmp_path / "file")}, "config", "init"))
    assert line.startswith(f"{tmp_path}/file/tui.yaml: can't be written: ")


def test_the_template_says_every_key_with_its_default(tmp_path: Path) -> None:
    uncommented = re.sub(r"(?m)^#(?=[a-z]|  )", "", TEMPLATE)
    (tmp_path / "tui.yaml").write_text(uncommented)
    told = yaml.safe_load(uncommented)
    assert set(told) == set(Config.__struct_fields__)
    assert load_settings({"HOME": str(tmp_path), "TIMMY_HOME": str(tmp_path)}).config.providers is None
    settings = load_settings({"HOME": str(tmp_path), "TIMMY_HOME": str(tmp_path)})
    defaults = Config()
    for name, value in told.items():
        if isinstance(value, dict) and name not in ("actions", "cascade", "keys"):
            assert set(value) == set(getattr(defaults, name).__struct_fields__), name
            assert getattr(settings.config, name) == getattr(defaults, name)


def test_config_show_masks_secrets(env: dict[str, str]) -> None:
    path = Path(env["TIMMY_HOME"]) / "tui.yaml"
    path.parent.mkdir()
    path.write_text(
        "ollama: [{headers: {Authorization: Bearer abcdef123456, X-Own: '${OWN}', X-Mixed: 'abcdef123456 ${OWN}'}}]\n"
        "queue: {url: 'redis://me:abcdef123456@10.0.0.2/0'}\n"
        "providers:\n- {name: a, type: openai, api_key: abcdef123456, base_url: 'https://me:abcdef123456@x/v1'}\n"
        "- {name: b, type: openai, api_key: '${B_KEY}'}\n"
    )
    done = run({**env, "OLLAMA_HOST": "http://me:abcdef123456@h"}, "config", "show")
    assert (done.returncode, done.stderr) == (0, "")
    assert "123456" not in done.stdout
    shown = yaml.safe_load(done.stdout)
    assert shown["ollama"][0]["headers"] == {"Authorization": "***", "X-Own": "${OWN}", "X-Mixed": "***"}
    assert [entry["api_key"] for entry in shown["providers"]] == ["***", "${B_KEY}"]
    assert shown["queue"]["url"] == "redis://me:***@10.0.0.2/0"
    assert f"# configuration:  {path}\n" in done.stdout


def test_config_show_is_a_configuration(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "shown.yaml").write_text(run(env, "--theme", "x", "--no-mouse", "config", "show").stdout)
    config = load_settings(env, config_file=str(tmp_path / "shown.yaml")).config
    assert (config.theme, config.mouse, config.hermes) == ("x", False, Config().hermes)


def test_colours_only_on_a_terminal_that_wants_them(env: dict[str, str]) -> None:
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        terminal = Terminal({**env, **more}, "status")
        assert terminal.end() == 2
        assert ("\x1b[31m✖ critical\x1b[0m" in terminal.text) == coloured
        assert ("\x1b" in terminal.text) == coloured


def test_a_watch_repaints_in_place_and_ends_well(env: dict[str, str]) -> None:
    terminal = Terminal({**env, "NO_COLOR": "1"}, "status", "--watch")
    text = terminal.read(r"\x1b\[\d+A\r\x1b\[J(?s:.*)Worker(?s:.*)\n(?s:.*)\n")
    first, second = re.split(r"\x1b\[\d+A\r\x1b\[J", text)[:2]
    climbed = re.search(r"\x1b\[(\d+)A", text)
    assert climbed is not None
    assert int(climbed[1]) == first.count("\n")
    assert "Ollama local does not answer" in second
    assert "\x1b[2J" not in text
    assert "\x1b[3J" not in text
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 0
    assert "Traceback" not in terminal.text


def test_an_interrupt_is_quiet(env: dict[str, str]) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    host = f"127.0.0.1:{listening.getsockname()[1]}"
    process = subprocess.Popen(
        [sys.executable, "-m", "timmy_tui", "status"],
        env={**env, "OLLAMA_HOST": host},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with listening:
        listening.settimeout(DEADLINE_S)
        connection, _ = listening.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=DEADLINE_S) == (b"", b"")
    assert process.returncode == 130


def test_a_dumb_terminal_is_refused_in_one_line(env: dict[str, str]) -> None:
    for words in ([], ["demo"]):
        terminal = Terminal({**env, "TERM": "dumb"}, *words)
        assert terminal.end() == 2
        assert terminal.text == "timmy-tui: TERM=dumb can't show the console; try: timmy-tui status\r\n"


def test_a_console_without_a_keyboard_is_refused(env: dict[str, str]) -> None:
    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "timmy_tui"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=subprocess.PIPE,
        timeout=DEADLINE_S,
        check=False,
    )
    os.close(slave)
    os.close(master)
    assert (done.returncode, done.stderr) == (
        2,
        b"timmy-tui: the console needs a keyboard: standard input is no terminal\n",
    )
