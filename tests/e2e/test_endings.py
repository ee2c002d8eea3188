"""However the console ends, the terminal is as it was before, and the exit code tells why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from e2e.console import APPS, CONSOLE, ROOT, Console
from e2e.homes import Home

from timmy_tui.services.worker.observe import read_lock
from timmy_tui.services.worker.records import LOCK_NAME

RESTORED = (
    b"\x1b[?1049l",
    b"\x1b[?1000l",
    b"\x1b[?1003l",
    b"\x1b[?1006l",
    b"\x1b[?2004l",
    b"\x1b[?25h",
    b"\x1b[?1004l",
)
"""The alternate screen left, the mouse, bracketed paste and focus reports off, the cursor shown."""


def assert_restored(console: Console) -> None:
    last_paint = console.raw.rfind(b"\x1b[?1049h")
    assert [sequence for sequence in RESTORED if console.raw.rfind(sequence) <= last_paint] == []


def test_q_ends_with_0(home: Home) -> None:
    with Console(home.env) as console:
        console.wait_for("1 Models", "hermes4:14b")
        assert console.stop() == 0
        assert_restored(console)
        assert "Traceback" not in console.output


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_cleanly(home: Home, number: signal.Signals, code: int) -> None:
    with Console(home.env) as console:
        console.wait_for("1 Models", "hermes4:14b")
        console.send(number)
        assert console.end() == code
        assert_restored(console)
        assert "Traceback" not in console.output


@pytest.fixture
def lost_mount(home: Home) -> Home:
    """Hermes' home never answers: reading its ``active_profile`` waits for somebody who writes into the pipe."""
    os.mkfifo(home.hermes / "active_profile")
    return home.with_worker(session_export={"enabled": False})  # the worker would hang in it


def test_q_ends_it_while_a_read_hangs(lost_mount: Home) -> None:
    with Console(lost_mount.env) as console:
        console.wait_for("no answer from hermes")
        console.press("q")
        assert console.end(timeout_s=5) == 0
        assert_restored(console)
        assert "Traceback" not in console.output


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_while_a_read_hangs(lost_mount: Home, number: signal.Signals, code: int) -> None:
    with Console(lost_mount.env) as console:
        console.wait_for("1 Models", "hermes4:14b")
        console.send(number)
        assert console.end(timeout_s=5) == code
        assert_restored(console)
        assert "Traceback" not in console.output


def test_its_own_worker_ends_with_it_while_a_read_hangs(lost_mount: Home) -> None:
    with Console(lost_mount.env) as console:
        console.wait_for("(this console's)")
        assert read_lock(lost_mount.timmy / LOCK_NAME).pid is not None
        console.press("q")
        assert console.end() == 0
        assert read_lock(lost_mount.timmy / LOCK_NAME).pid is None


def test_a_terminal_that_vanishes_takes_the_process_with_it(home: Home) -> None:
    """With SIGHUP ignored, as under nohup: nothing but the console's own look at its terminal can tell."""
    with Console(home.env, ignore_hangup=True) as console:
        console.wait_for("1 Models", "hermes4:14b")
        console.hang_up()
        assert console.process.wait(20) != 0


def test_invalid_bytes_on_the_keyboard_are_survived(home: Home) -> None:
    """A stray byte, and the X10 mouse report that a re-attached tmux sends: a coordinate beyond 95."""
    with Console(home.env) as console:
        console.wait_for("1 Models", "hermes4:14b")
        console.press(b"\xff", b"\x1b[M \xb0\x90", b"\x1b[M#\xb0\x90", b"\xc3\x28")
        console.press("?")
        console.wait_for("Everywhere")
        assert console.process.poll() is None
        assert console.stop() == 0


def test_a_crash_is_no_success_and_tells_no_secret(home: Home) -> None:
    env = home.env | {"SOME_API_KEY": "sk-verysecret12345678"}
    with Console(env, command=(sys.executable, str(APPS / "crashing.py"))) as console:
        assert console.end() not in (0, None)
        assert_restored(console)
        log = home.timmy / "logs" / "timmy-tui.log"
        told = console.output.rpartition("\x1b[?1049l")[2]
        assert f"timmy-tui crashed: RuntimeError: a defect of 28; see {log}\r\n" in told
        assert told.count("\n") == 1
        for where in (console.output, log.read_text()):
            assert "a defect" in where
            assert "horse battery" not in where
            assert "verysecret" not in where
        assert "in on_mount" in log.read_text()


def test_a_dumb_terminal_is_refused_with_one_line(home: Home) -> None:
    with Console(home.env | {"TERM": "dumb"}) as console:
        assert console.end() == 2
        assert console.output.count("\n") == 1
        assert "TERM=dumb" in console.output
        assert "\x1b" not in console.output


def test_without_a_keyboard_it_is_refused_with_one_line(home: Home) -> None:
    """Standard output is a terminal, standard input is none."""
    master, slave = os.openpty()
    try:
        done = subprocess.run(
            CONSOLE, stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE, cwd=ROOT, env=home.env, timeout=20
        )
    finally:
        os.close(slave)
        os.close(master)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"no terminal" in done.stderr


def test_without_a_terminal_it_prints_the_status_once(home: Home) -> None:
    done = subprocess.run(CONSOLE, stdin=subprocess.DEVNULL, capture_output=True, cwd=ROOT, env=home.env, timeout=30)
    assert done.returncode in (0, 1)
    assert b"hermes4:14b" in done.stdout
    assert b"\x1b" not in done.stdout
    assert done.stderr == b""
