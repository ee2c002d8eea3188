"""A real worker process with a tick of the test's own: ``python worker_process.py JSON``.

The tick writes one line into ``results`` when it begins and one when it ends, each with one write.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEADLINE_S = 15.0

if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from timmy_tui.config import (  # noqa: E402
    Config,
    HeartbeatConfig,
    QueueConfig,
    SessionExportConfig,
    Settings,
    WorkerConfig,
)


def settings_of(
    home: Path,
    *,
    url: str = "sqlite",
    every_minutes: int = 1440,
    stop_timeout_s: float = 10,
    timeout_s: float = 60,
    enabled: bool = True,
    task: str = "",
    name: str = "timmy",
) -> Settings:
    """A configuration without the export."""
    return Settings(
        config=Config(
            queue=QueueConfig(url=url, name=name),
            heartbeat=HeartbeatConfig(enabled=enabled, every_minutes=every_minutes, timeout_s=timeout_s, task=task),
            worker=WorkerConfig(stop_timeout_s=stop_timeout_s),
            session_export=SessionExportConfig(enabled=False),
        ),
        timmy_home=home,
        hermes_home=home / "hermes",
        config_path=home / "tui.yaml",
        ollama_host="127.0.0.1:9",
    )


def until(condition: Callable[[], object], what: str, within_s: float = DEADLINE_S) -> None:
    """Wait for a real condition, with a deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {within_s:g} s"
        time.sleep(0.01)


class WorkerProcess:
    """A worker in a process of its own; ``tick`` is one of :data:`TICKS`."""

    def __init__(
        self, home: Path, tick: str = "instant", *, host: str = "mbp", at: float | None = None, **options: object
    ) -> None:
        self.home = home
        home.mkdir(exist_ok=True)
        words = json.dumps({"home": str(home), "tick": tick, "host": host, "at": at, "options": options})
        self.errors = home / f"errors-{time.monotonic_ns()}"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, __file__, words], stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.pid = self.process.pid

    def ready(self) -> WorkerProcess:
        """Wait for its greeting."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("worker "), self.errors.read_text()
        return self

    def end(self, number: int) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(DEADLINE_S)

    def results(self, event: str = "end") -> list[dict[str, object]]:
        """What the ticks of this home have written."""
        return results(self.home, event)


def results(home: Path, event: str = "end") -> list[dict[str, object]]:
    """The complete lines in a home's results."""
    path = home / "results"
    text = path.read_text() if path.exists() else ""
    entries = [json.loads(line) for line in text.splitlines()]
    return [entry for entry in entries if entry["event"] == event]


@dataclass
class Written:
    tick_id: str
    severity: str = "ok"


def ticking(home: Path, kind: str, host: str) -> object:
    """The tick of the test."""

    async def tick(
        settings: Settings,
        env: Mapping[str, str],
        *,
        trigger: str,
        clock: Callable[[], float],
        on_phase: Callable[[str], None] | None = None,
        on_id: Callable[[str], None] | None = None,
    ) -> Written:
        tick_id = f"{host}-{time.monotonic_ns()}"
        _write(home, {"event": "begin", "trigger": trigger, "tick_id": tick_id, "pid": os.getpid()})
        if on_phase is not None:
            on_phase("hermes")
        if kind == "fails":
            raise ValueError("the tick broke\x1b[31m")
        if kind == "blocks":
            time.sleep(60)  # noqa: ASYNC251 -- a tick that nothing can end
        while kind == "waits" and not (home / "release").exists():  # noqa: ASYNC110 -- another process makes it
            await asyncio.sleep(0.01)
        if on_phase is not None:
            on_phase("record")
        _write(home, {"event": "end", "trigger": trigger, "tick_id": tick_id, "pid": os.getpid()})
        return Written(tick_id)

    return tick


def _write(home: Path, entry: dict[str, object]) -> None:
    descriptor = os.open(home / "results", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, (json.dumps(entry) + "\n").encode())
    os.close(descriptor)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run one worker as the words say."""
    from timmy_tui.services.reading import SourceError
    from timmy_tui.services.worker.run import run_worker

    words = json.loads(sys.argv[1])
    home, at, began = Path(words["home"]), words["at"], time.time()

    def clock() -> float:
        return time.time() if at is None else at + (time.time() - began)

    try:
        code = run_worker(
            settings_of(home, **words["options"]),
            {},
            host=words["host"],
            clock=clock,
            tick=ticking(home, words["tick"], words["host"]),  # type: ignore[arg-type]
            tell=_tell,
        )
    except SourceError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.stderr.flush()
        code = 2
    os._exit(code)


if __name__ == "__main__":
    main()
