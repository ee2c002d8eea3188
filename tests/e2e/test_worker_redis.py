"""Two machines on one Redis: a real server, two worker processes that take themselves for two hosts."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_process import WorkerProcess, results, settings_of, until

from timmy_tui.config import Settings
from timmy_tui.services.worker.enqueue import enqueue_tick, request_tick
from timmy_tui.services.worker.follow import follow
from timmy_tui.services.worker.observe import WorkerObserver
from timmy_tui.services.worker.queue import QueueAddress, QueueUnreadable, WorkerError, parse_queue, read_queue
from timmy_tui.services.worker.requests import peek_record

DUE = 1_795_132_800.0  # 2026-11-20T00:00:00Z: a minute of every schedule
REDIS = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")


class Server:
    """A Redis server on loopback that forgets everything."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self.start()

    def start(self) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [str(REDIS), *words, "--dir", str(self.folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, "Redis server")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def workers() -> Iterator[list[WorkerProcess]]:
    started: list[WorkerProcess] = []
    yield started
    for worker in started:
        if worker.process.poll() is None:
            worker.process.kill()
        worker.process.communicate()


def done(settings: Settings, id: str) -> str | None:
    """The host that ran a request, once it has."""
    record = peek_record(parse_queue(settings, {}), id)
    return record.host if record is not None and record.state == "done" else None


def test_two_hosts_share_the_queue_and_each_beats_for_itself(
    tmp_path: Path, server: Server, workers: list[WorkerProcess]
) -> None:
    homes = {host: tmp_path / host for host in ("mbp", "gpu-box", "phone")}
    settings = {host: settings_of(home, url=server.url) for host, home in homes.items()}
    for home in homes.values():
        home.mkdir()
    for host in ("mbp", "gpu-box"):
        workers.append(WorkerProcess(homes[host], host=host, at=DUE + 3, url=server.url, every_minutes=10).ready())
    for host in ("mbp", "gpu-box"):
        until(lambda host=host: results(homes[host]), f"tick of {host}")  # type: ignore[misc]

    # A host's own wish is its own worker's, also while the other one is idle.
    for _ in range(10):
        request = request_tick(settings["mbp"], {}, host="mbp")
        until(lambda id=request.id: done(settings["mbp"], id), "tick")  # type: ignore[misc]
        assert done(settings["mbp"], request.id) == "mbp"
    assert [tick["trigger"] for tick in results(homes["mbp"])] == ["schedule", *["manual"] * 10]
    assert [tick["trigger"] for tick in results(homes["gpu-box"])] == ["schedule"]

    # A host without a worker is served by whichever is free, each wish once.
    ids = [enqueue_tick(settings["phone"], {}, host="phone").id for _ in range(40)]
    until(lambda: all(done(settings["phone"], id) for id in ids), "tick of each")
    assert {done(settings["phone"], id) for id in ids} <= {"mbp", "gpu-box"}
    assert len(results(homes["mbp"])) + len(results(homes["gpu-box"])) == 12 + 40
    assert results(homes["phone"]) == []

    # Started again within the minute, neither beats twice.
    for worker in workers:
        assert worker.end(signal.SIGTERM) == 0
    for host in ("mbp", "gpu-box"):
        workers.append(WorkerProcess(homes[host], host=host, at=DUE + 30, url=server.url, every_minutes=10).ready())
        request = request_tick(settings[host], {}, host=host)
        until(lambda host=host, id=request.id: done(settings[host], id), "tick")  # type: ignore[misc]
        assert [tick["trigger"] for tick in results(homes[host])].count("schedule") == 1


def test_a_worker_elsewhere_is_seen_followed_and_missed(
    tmp_path: Path, server: Server, workers: list[WorkerProcess]
) -> None:
    settings = settings_of(tmp_path / "phone", url=server.url)
    workers.append(WorkerProcess(tmp_path / "gpu-box", "waits", host="gpu-box", url=server.url).ready())
    observer = WorkerObserver(settings, env={}, host="phone")
    until(lambda: observer.read().state == "elsewhere", "beat of the other host")
    request = request_tick(settings, {}, host="phone")
    until(lambda: follow(settings, request, env={}, host="phone").state == "running", "running tick")
    assert follow(settings, request, env={}, host="phone").host == "gpu-box"
    assert request_tick(settings, {}, host="phone").already
    assert workers[0].end(signal.SIGKILL) != 0
    progress = follow(settings, request, lambda: request.asked_at + 30, env={}, host="phone")
    assert (progress.state, progress.reason) == ("lost", f"worker {workers[0].pid} ended while the tick ran")


def test_a_worker_outlives_its_queue(tmp_path: Path, server: Server, workers: list[WorkerProcess]) -> None:
    home = tmp_path / "mbp"
    settings = settings_of(home, url=server.url)
    worker = WorkerProcess(home, host="mbp", url=server.url, at=DUE + 57, every_minutes=1).ready()
    workers.append(worker)
    until(lambda: results(home), "scheduled tick")
    server.stop()
    with pytest.raises(WorkerError, match="the queue redis://"):
        enqueue_tick(settings, {}, host="mbp")
    until(lambda: len(results(home)) == 2, "tick of the next minute, without a queue")
    server.start()
    id = enqueue_tick(settings, {}, host="mbp").id
    until(lambda: done(settings, id), "tick that was asked for")
    until(lambda: read_queue(parse_queue(settings, {})).beats, "beat")
    assert worker.end(signal.SIGTERM) == 0


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of our own for 127.0.0.1, and its key."""
    paths = folder / "server.crt", folder / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(command, check=True, capture_output=True)
    return paths


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_queue_behind_tls_and_a_password(tmp_path: Path, workers: list[WorkerProcess]) -> None:
    """``rediss://``: between machines a queue has a password and is not readable on the way."""
    made, key = certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = ["--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "of-ours"]
    words += ["--tls-cert-file", str(made), "--tls-key-file", str(key), "--tls-ca-cert-file", str(made)]
    words += ["--tls-auth-clients", "no"]
    process = subprocess.Popen([str(REDIS), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        url = f"rediss://:of-ours@127.0.0.1:{port}/0?ssl_ca_certs={made}"
        settings = settings_of(tmp_path / "home", url=url)
        address = parse_queue(settings, {})
        assert "of-ours" not in address.shown
        until(lambda: _answers(address), "Redis with TLS")
        workers.append(WorkerProcess(tmp_path / "home", url=url))
        workers[-1].ready()
        request = request_tick(settings, {}, host="mbp")
        until(lambda: follow(settings, request, env={}, host="mbp").state == "done", "tick")
    finally:
        process.kill()
        process.wait()


def _answers(address: QueueAddress) -> bool:
    try:
        read_queue(address)
    except QueueUnreadable:
        return False
    return True
