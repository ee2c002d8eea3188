"""The whole simulated stack: it starts, a console finds everything, and after ``stop`` nothing is left."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from timmy_tui.config import load_cascade, load_settings
from timmy_tui.services.demo.errors import DemoError
from timmy_tui.services.demo.stack import DemoStack
from timmy_tui.services.providers.store import ProvidersStore
from timmy_tui.services.worker.observe import WorkerObserver


def ports(env: dict[str, str]) -> list[int]:
    """The simulated Ollama's and AirLLM's."""
    cascade = load_cascade(load_settings(env))
    assert cascade is not None
    urls = [env["OLLAMA_HOST"], *(provider.address for provider in cascade.providers if provider.name == "airllm")]
    return [port for url in urls if (port := urlsplit(url).port) is not None]


def wait_for_listener(port: int) -> None:
    """Until something listens there; fails after ten seconds."""
    pause = threading.Event()
    for _ in range(500):
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(0.02)
    pytest.fail(f"nothing listens on port {port}")


def test_the_environment_leads_to_everything(tmp_path: Path) -> None:
    with DemoStack(tmp_path / "demo") as env:
        settings = load_settings(env)
        assert httpx.get(f"{env['OLLAMA_HOST']}/api/version", trust_env=False).json() == {"version": "0.32.15"}
        assert (settings.hermes_home / "state.db").exists()
        assert list(settings.heartbeat_dir.glob("ticks_*.jsonl"))
        assert (settings.config.worker.autostart, settings.config.heartbeat.every_minutes) == (False, 1)
        cascade = load_cascade(settings)
        assert cascade is not None
        assert [provider.name for provider in cascade.providers] == ["hermes", "ollama", "airllm", "openai"]
        told = subprocess.run([settings.config.hermes.command, "--version"], capture_output=True, text=True, check=True)
        assert told.stdout.startswith("Hermes Agent v0.19.0")


def test_the_worker_is_up(tmp_path: Path) -> None:
    with DemoStack(tmp_path / "demo") as env:
        reading = WorkerObserver(load_settings(env), env=env).read()

    assert (reading.state, reading.pid, reading.queue_error) == ("up", os.getpid(), None)


async def test_the_providers_are_in_four_different_states(tmp_path: Path) -> None:
    with DemoStack(tmp_path / "demo") as env:
        real_account = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "sk-of-a-real-account"}
        store = ProvidersStore(load_settings(env), env={**real_account, **env})
        try:
            reading = await store.read()
        finally:
            await store.aclose()

    seen = {provider.name: (provider.state, provider.circuit) for provider in reading.providers}
    assert seen == {
        "hermes": ("up", "closed"),
        "ollama": ("up", "closed"),
        "airllm": ("down", "open"),
        "openai": ("disabled", "closed"),
    }


def test_stop_ends_every_thread_frees_the_ports_and_removes_the_files(tmp_path: Path) -> None:
    before, open_before = set(threading.enumerate()), len(os.listdir("/dev/fd"))
    home = tmp_path / "demo"
    now = [1_795_147_428.0]
    stack = DemoStack(home, clock=lambda: now[0])
    env = stack.start()
    used = ports(env)
    now[0] += 35  # by then AirLLM listens again
    wait_for_listener(used[1])
    names = {thread.name for thread in set(threading.enumerate()) - before}
    assert names >= {"demo-ollama", "demo-airllm", "demo-story"}
    stack.stop()

    assert set(threading.enumerate()) <= before
    assert len(used) == 2
    for port in used:
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
            again.listen()
    assert list(home.iterdir()) == []
    assert len(os.listdir("/dev/fd")) <= open_before
    stack.stop()


def test_it_starts_again_in_the_same_folder(tmp_path: Path) -> None:
    stack = DemoStack(tmp_path / "demo")
    stack.start()
    stack.stop()

    with stack as env:
        assert httpx.get(env["OLLAMA_HOST"], trust_env=False).text == "Ollama is running"


def test_what_a_killed_demo_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".timmy-tui-demo").touch()
    (tmp_path / "timmy").mkdir()
    (tmp_path / "timmy" / "timmy.db").write_text("half written")

    with DemoStack(tmp_path) as env:
        assert WorkerObserver(load_settings(env), env=env).read().state == "up"


def test_a_home_with_other_files_is_refused_and_kept(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    (tmp_path / "timmy").mkdir()
    (tmp_path / "timmy" / "notes.txt").write_text("mine")

    with pytest.raises(DemoError):
        DemoStack(tmp_path).start()
    assert (tmp_path / "timmy" / "notes.txt").read_text() == "mine"
    assert set(threading.enumerate()) <= before
