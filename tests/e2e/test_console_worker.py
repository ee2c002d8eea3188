"""A console that nobody runs a worker for starts one of its own, and takes it along however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.console import ESCAPE, Console
from e2e.homes import Home
from worker_process import until

from timmy_tui.config import load_settings
from timmy_tui.services.worker.observe import WorkerObserver, read_lock
from timmy_tui.services.worker.records import LOCK_NAME

WAIT_S = 20.0
OWN = "(this console's)"


@pytest.fixture
def empty(tmp_path: Path) -> Home:
    """A home in which there is nothing, on a machine without an Ollama."""
    return Home(tmp_path / "home", ollama="http://127.0.0.1:9")


@pytest.fixture
def quiet(empty: Home) -> Home:
    """The same with a tick in the log: the console opens on its dashboard."""
    empty.with_worker()
    empty.ticks(1)
    return empty


@pytest.fixture(autouse=True)
def no_one_left(empty: Home) -> Iterator[None]:
    """A worker that a failed test leaves behind is not left to the next one."""
    yield
    pid = read_lock(empty.timmy / LOCK_NAME).pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def worker_of(home: Home) -> int | None:
    """The process that holds the worker's lock."""
    return read_lock(home.timmy / LOCK_NAME).pid


def idle(home: Home) -> None:
    """Until the worker says that it does nothing: a tick is in the log a moment before."""
    observer = WorkerObserver(load_settings(home.env), env=home.env)
    until(lambda: observer.read().running is None, "end of the tick", WAIT_S)


def processes_of(home: Home) -> list[int]:
    """Every process that works for this home, whatever it is: told by its environment."""
    mark = f"TIMMY_HOME={home.timmy}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # it ended, or it is somebody else's
                continue
            if mark in words:
                found.append(int(folder.name))
    return found


def ticks(home: Home) -> list[dict[str, object]]:
    lines = [line for path in (home.timmy / "heartbeat").glob("ticks_*.jsonl") for line in path.read_text().split("\n")]
    return [json.loads(line) for line in lines if line]


def test_an_empty_home_gets_a_worker_and_its_first_tick(empty: Home) -> None:
    """With nothing configured, and nothing to set up either: the console offers help with that first."""
    with Console(empty.env) as console:
        console.wait_for("Setup", "127.0.0.1:9")
        console.press("t")
        console.wait_for("A tick is asked for.")
        console.wait_for("The tick is there")
        console.press(ESCAPE)
        console.wait_for("◌ fallback  rules", "manual")
        assert "✖ no worker" not in console.output
        assert "manual" in [tick["trigger"] for tick in ticks(empty)]
        console.wait_for(OWN)
        worker = worker_of(empty)
        assert worker is not None
        idle(empty)
        assert console.stop() == 0
        assert processes_of(empty) == []
        assert "Traceback" not in console.output
    log = "".join(path.read_text() for path in empty.timmy.rglob("*.log"))
    assert f"worker {worker} ends" in log
    assert "Traceback" not in log


def test_the_key_does_not_wait_for_the_console_to_think_of_a_worker(quiet: Home) -> None:
    """Pressed with the first frame: the worker is started for it, and its start is not told as a lack."""
    with Console(quiet.env) as console:
        console.wait_for("3 Heartbeat")
        console.press("t")
        console.wait_until(lambda text: "● queued" in text or "● running" in text, "the tick under way")
        console.wait_for("◌ fallback  rules", "manual", "on time", OWN)
        assert "✖ no worker" not in console.output
        idle(quiet)
        assert console.stop() == 0
    assert processes_of(quiet) == []


def test_kill_9_of_the_console_ends_its_worker(quiet: Home) -> None:
    with Console(quiet.env) as console:
        console.wait_for(OWN)
        worker = worker_of(quiet)
        assert worker is not None
        console.send(signal.SIGKILL)
        console.process.wait(WAIT_S)
        until(lambda: processes_of(quiet) == [], "end of the worker", WAIT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_console_ends_its_worker(quiet: Home, number: signal.Signals) -> None:
    with Console(quiet.env) as console:
        console.wait_for(OWN)
        console.send(number)
        assert console.end() == 128 + number
        assert processes_of(quiet) == []


def test_a_terminal_that_vanishes_takes_the_worker_too(quiet: Home) -> None:
    with Console(quiet.env) as console:
        console.wait_for(OWN)
        console.hang_up()
        console.process.wait(WAIT_S)
        until(lambda: processes_of(quiet) == [], "end of the worker", WAIT_S)


def test_quitting_waits_for_the_tick_after_a_question_and_says_so(quiet: Home) -> None:
    """A model that never answers: the tick gets its time to end, then it is ended."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        quiet.ollama = f"http://127.0.0.1:{silent.getsockname()[1]}"
        quiet.with_worker(stop_timeout_s=1)
        with Console(quiet.env) as console:
            console.wait_for(OWN)
            console.press("t")
            console.wait_for("● running", "decide")
            console.press("q")
            console.wait_for("Quit now?", "runs a tick")
            console.press("y")
            assert console.end() == 0
            assert "timmy-tui: the worker ends its tick first" in console.text
            assert "Traceback" not in console.output
    assert processes_of(quiet) == []


def test_a_second_console_starts_none_and_does_not_take_it_along(quiet: Home) -> None:
    with Console(quiet.env) as first:
        first.wait_for(OWN)
        worker = worker_of(quiet)
        with Console(quiet.env) as second:
            second.wait_for("worker ● up")
            second.press("t")
            second.wait_for("◌ fallback  rules", "manual", "on time")  # a tick later it has long looked for a worker
            assert OWN not in second.output
            assert len(processes_of(quiet)) == 3
            assert second.stop() == 0
        assert worker_of(quiet) == worker
        first.wait_for("◌ fallback  rules", OWN)
        idle(quiet)
        assert first.stop() == 0
    assert processes_of(quiet) == []


def test_without_autostart_none_is_started_and_the_key_says_what_to_start(quiet: Home) -> None:
    quiet.configure(worker={"autostart": False})
    with Console(quiet.env) as console:
        console.wait_for("3 Heartbeat")
        console.press("t")
        console.wait_for("✖ no worker: start one with timmy-tui worker")
        assert processes_of(quiet) == [console.process.pid]
        assert console.stop() == 0
    assert worker_of(quiet) is None
