"""A heartbeat whose parts are killed: a real worker, a model server and, where it is installed, Hermes.

Every kill strikes a seeded moment after something that was seen to happen, and :meth:`Heartbeat.check` holds what is
left against DESIGN §9.2. Nothing here sleeps for a guessed time: a kill's delay is spun, the rest waits for conditions.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from worker_process import ROOT, WorkerProcess, until

from timmy_tui.config import Settings, load_settings
from timmy_tui.services.events import recent_events
from timmy_tui.services.worker.enqueue import enqueue_tick
from timmy_tui.services.worker.follow import follow
from timmy_tui.services.worker.queue import parse_queue
from timmy_tui.services.worker.records import RequestRecord, TickProgress, TickRequest
from timmy_tui.services.worker.requests import peek_record

CONFIG = """\
heartbeat: {{enabled: false, timeout_s: {timeout_s}}}
session_export: {{enabled: false}}
cascade:
  max_retries_per_provider: 1
  retry_delay_seconds: 0.05
  timeout_seconds: {timeout_s}
  circuit_breaker: {{failure_threshold: 1000}}
providers:
  - {{name: {provider}, type: {provider}, url: "{url}"}}
"""

DONE_S = 45.0
LATER_S = 6.0
"""A follower that looks so late has given up on a message that nobody has."""


class Heartbeat:
    """The parts, and what they have acknowledged so far; ``hermes`` is the command, if it is the provider."""

    def __init__(self, root: Path, seed: int, *, hermes: str = "", answer_s: float = 0.03, timeout_s: int = 20) -> None:
        self.home = root / "timmy"
        self.home.mkdir()
        self.chance = random.Random(seed)
        self.provider = "hermes" if hermes else "ollama"
        self.answer_s = answer_s
        self.kills = 0
        self.done: dict[str, str] = {}
        """Tick ids by the requests that were reported done."""
        self.lost: dict[str, str] = {}
        """Reasons by the requests that were reported lost."""
        self._port = _free_port()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "TZ": "UTC",
            "TIMMY_HOME": str(self.home),
            "HERMES_HOME": str(root / "hermes"),
            "OLLAMA_HOST": f"127.0.0.1:{self._port}",
        }
        text = CONFIG.format(provider=self.provider, url=f"http://127.0.0.1:{self._port}", timeout_s=timeout_s)
        (self.home / "tui.yaml").write_text(text + (f"hermes: {{command: '{hermes}'}}\n" if hermes else ""))
        self.settings: Settings = load_settings(self.env)
        self._errors = (root / "errors").open("ab")
        self._worker: subprocess.Popen[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Heartbeat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._worker, self._server):
            if process is not None:
                process.kill()
                process.communicate()
        self._errors.close()

    # the parts

    def start_server(self) -> None:
        """Have a model server that answers, on the same port as ever."""
        if self._server is None:
            command = [sys.executable, str(ROOT / "tests" / "fake_openai.py"), str(self._port)]
            self._server = subprocess.Popen(command, stderr=self._errors)
            until(lambda: self._ask("GET", "/api/version") is not None, "model server")
            self._ask("POST", "/test/mode", {"delay_s": self.answer_s})

    def let_the_model_hang(self) -> None:
        """It takes requests and answers none."""
        self._ask("POST", "/test/mode", {"mode": "slow"})

    def wait_for_the_model(self) -> None:
        """Until it was asked."""
        until(self._asked, "request to the model")

    def start_worker(self, *, ready: bool = True) -> None:
        """Have a worker; one that is not awaited may be anywhere in its start."""
        if self._worker is None:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "timmy_tui", "worker"],
                cwd=ROOT,
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
            if ready:
                assert self._worker.stdout is not None
                assert self._worker.stdout.readline().startswith("worker ")

    def kill_worker(self) -> None:
        """``kill -9``."""
        assert self._worker is not None
        self._worker.kill()
        self._worker.communicate()
        self._worker = None
        self.kills += 1

    def kill_server(self) -> None:
        """``kill -9``."""
        assert self._server is not None
        self._server.kill()
        self._server.communicate()
        self._server = None
        self.kills += 1

    def hermes(self) -> list[int]:
        """The Hermes that answers a tick."""
        return [pid for pid, argv in self.descendants().items() if b"chat" in argv and b"-q" in argv]

    def strike_hermes(self, request: TickRequest) -> bool:
        """``kill -9`` of the Hermes of a tick, somewhere in its life; whether it was hit."""
        until(lambda: self.hermes() or self._is(request, "done"), "hermes")
        _spin(self.chance.uniform(0, 1.5))
        found = self.hermes()
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return bool(found)

    def descendants(self) -> dict[int, list[bytes]]:
        """The command lines of all that was started by a worker of this home and is still there (Linux)."""
        ours: dict[int, list[bytes]] = {}
        wanted = f"TIMMY_HOME={self.home}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    ours[int(folder.name)] = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:  # not ours, or gone meanwhile
                continue
        if self._worker is not None:
            ours.pop(self._worker.pid, None)
        return ours

    # what they do

    def ask(self) -> TickRequest:
        """One more tick, please."""
        return enqueue_tick(self.settings, self.env)

    def record(self, request: TickRequest) -> RequestRecord | None:
        """What the queue knows of a request."""
        return peek_record(parse_queue(self.settings, self.env), request.id)

    def look(self, request: TickRequest) -> TickProgress:
        """What a follower is told who has waited long enough."""
        return follow(self.settings, request, lambda: max(time.time(), request.asked_at + LATER_S), env=self.env)

    def wait_done(self, request: TickRequest) -> dict[str, object]:
        """The tick of a request that nothing stands in the way of."""
        deadline = time.monotonic() + DONE_S
        while not (progress := follow(self.settings, request, env=self.env)).ended:
            assert time.monotonic() < deadline, f"no tick within {DONE_S:g} s: {progress}"
            time.sleep(0.01)
        assert progress.state == "done", progress
        return self._acknowledged(request, progress)

    def prove(self) -> None:
        """The next tick works, and it is the model that decides."""
        tick = self.wait_done(self.ask())
        assert (tick["provider"], tick["decision"]["severity"]) == (self.provider, "ok"), tick  # type: ignore[index]

    def strike(self, request: TickRequest, kill: Callable[[], object], spread: float = 1.0) -> str:
        """Kill at a random moment after a random thing was seen to happen; which."""
        size, asked = self._log_bytes(), self._asked()
        points: Mapping[str, tuple[Callable[[], bool], float]] = {
            "asked": (lambda: True, 0.5),
            "running": (lambda: self._is(request, "running"), 0.06 * spread),
            "named": (lambda: (found := self.record(request)) is not None and found.tick_id is not None, 0.06 * spread),
            "at the model": (lambda: self._asked() > asked, self.answer_s * 1.5),
            "written": (lambda: self._log_bytes() > size, 0.004),
            "written at once": (lambda: self._log_bytes() > size, 0.0),
            "done": (lambda: self._is(request, "done"), 0.02),
        }
        name = self.chance.choice(list(points))
        seen, at_most_s = points[name]
        deadline = time.monotonic() + DONE_S
        while not seen() and not self._is(request, "done"):
            assert time.monotonic() < deadline, f"{name} was not seen"
        _spin(self.chance.uniform(0, at_most_s))
        kill()
        return name

    def die_in_the_start(self) -> None:
        """Start a worker and kill it before it can have said much."""
        self.start_worker(ready=False)
        _spin(self.chance.uniform(0.0, 0.7))
        self.kill_worker()

    # what must be true

    def settle(self, request: TickRequest) -> TickProgress:
        """What a follower is told of a request whose worker was killed; it is kept as the last word."""
        progress = self.look(request)
        if progress.state == "done":
            self._acknowledged(request, progress)
        elif progress.state == "lost":
            assert progress.reason
            assert progress.tick_id is None
            self.lost[request.id] = progress.reason
        else:
            assert progress.state == "no_worker", progress  # it waits, and the next worker runs it
        return progress

    def check(self) -> None:
        """No finished tick is lost or doubled, and none is there that was reported as lost."""
        ids, bad = self._log()
        doubled = [tick_id for tick_id, count in ids.items() if count > 1]
        assert not doubled
        assert bad <= self.kills
        assert set(ids) == set(self.done.values())
        assert len(set(self.done.values())) == len(self.done)
        if self._worker is None and Path("/proc/self").exists():
            until(lambda: not self.descendants(), "end of what the killed worker had started")

    def check_records(self) -> None:
        """A later worker says of every request what the follower said, and every lost one has its event."""
        if self._worker is not None:
            self.kill_worker()
        later = WorkerProcess(self.home, host=socket.gethostname(), at=time.time() + 60, enabled=False).ready()
        try:
            address = parse_queue(self.settings, self.env)
            for id, tick_id in self.done.items():
                record = peek_record(address, id)
                assert record is not None
                assert (record.state, record.tick_id) == ("done", tick_id)
            for id in self.lost:
                record = peek_record(address, id)
                assert record is not None
                assert (record.state, bool(record.error)) == ("lost", True)
            told = {event.task_id for event in recent_events(self.settings.database_path, 1_000, types={"tick.lost"})}
            assert told == set(self.lost)
        finally:
            later.process.kill()
            later.process.communicate()

    def _acknowledged(self, request: TickRequest, progress: TickProgress) -> dict[str, object]:
        assert progress.tick_id is not None
        assert request.id not in self.lost
        assert self.done.setdefault(request.id, progress.tick_id) == progress.tick_id
        [tick] = [tick for tick in self._ticks() if tick["tick_id"] == progress.tick_id]
        return tick

    def _ticks(self) -> list[dict[str, object]]:
        return [tick for tick in map(_decoded, self._lines()) if tick is not None]

    def _log(self) -> tuple[Counter[object], int]:
        ticks = [_decoded(line) for line in self._lines()]
        return Counter(tick["tick_id"] for tick in ticks if tick is not None), ticks.count(None)

    def _lines(self) -> list[bytes]:
        """The complete lines of the log."""
        paths = sorted(self.settings.heartbeat_dir.glob("ticks_*.jsonl"))
        return [line for path in paths for line in path.read_bytes().split(b"\n")[:-1]]

    def _log_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.settings.heartbeat_dir.glob("ticks_*.jsonl"))

    def _is(self, request: TickRequest, state: str) -> bool:
        record = self.record(request)
        return record is not None and record.state == state

    def _asked(self) -> int:
        """How many completions the server has been asked for."""
        seen = self._ask("GET", "/test/asked") if self._server is not None else None
        return seen if isinstance(seen, int) else 0

    def _ask(self, method: str, path: str, body: object = None) -> object:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def _decoded(line: bytes) -> dict[str, object] | None:
    try:
        return json.loads(line)  # type: ignore[no-any-return]
    except ValueError:
        return None


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def _free_port() -> int:
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port: int = placeholder.getsockname()[1]
        return port
