"""A real worker over an instant model: what a tick costs, how soon it runs, and a thousand of them at once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from bench import ROOT
from bench.blackhole import LIMIT_S as PAINT_LIMIT_S
from bench.blackhole import footer_says, key_to_paint
from bench.figures import Row, milliseconds, percentile, say, within
from bench.home import Home, make_home
from bench.servers import server
from bench.start import CONSOLE
from bench.terminal import Terminal, python, watch
from timmy_tui.config import Settings, load_settings
from timmy_tui.services.worker.enqueue import enqueue_tick
from timmy_tui.services.worker.follow import follow
from timmy_tui.services.worker.observe import WorkerObserver
from timmy_tui.services.worker.queue import parse_queue
from timmy_tui.services.worker.records import TickRequest
from timmy_tui.services.worker.requests import peek_record

OVERHEAD_LIMIT_S = 0.15
RUNNING_LIMIT_S = 1.2
PRODUCERS = 8
TICKS = 1_000
SLOW_ANSWER_S = 0.8
"""Long enough for a tick to be seen running."""

IDLE_S = 3.5
"""After so long the worker looks into its queue as seldom as it ever does."""

SETTLE_S = 6.0
PATIENCE_S = 600.0

_RUNNING = re.compile(r"● running \d")

_CONFIG = """\
heartbeat: {every_minutes: 1440}
worker: {autostart: false}
session_export: {enabled: false}
"""

_PRODUCER = """\
import os, sys
from timmy_tui.config import load_settings
from timmy_tui.services.worker.enqueue import enqueue_tick
settings = load_settings(os.environ)
for _ in range(int(sys.argv[1])):
    enqueue_tick(settings, os.environ)
"""


def bench_heartbeat(quick: bool) -> list[Row]:
    """One home, one worker, one model server; the parts one after another."""
    with ExitStack() as stack:
        url = stack.enter_context(server("model"))
        home = make_home(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="timmy-bench-"))), url)
        (home.root / "timmy" / "tui.yaml").write_text(_CONFIG)
        providers = f"providers: [{{name: ollama, type: ollama, url: '{url}'}}]\n"
        (home.root / "timmy" / "providers.yaml").write_text(providers)
        settings = load_settings(home.env())
        stack.enter_context(_worker(home, settings))
        say(f"heartbeat: the machine's load was {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before")
        rows = _overhead(home, settings, rounds=12 if quick else 40)
        terminal = stack.enter_context(Terminal(CONSOLE, home.env()))
        watch([terminal], SETTLE_S)
        rows.append(_key_to_running(terminal, url, rounds=10 if quick else 20))
        rows += _flood(terminal, home, settings, TICKS // 5 if quick else TICKS)
    return rows


@contextmanager
def _worker(home: Home, settings: Settings) -> Iterator[None]:
    """``timmy-tui worker`` in a process of its own, awaited."""
    with subprocess.Popen([*CONSOLE, "worker"], cwd=ROOT, env=home.env(), stdout=subprocess.DEVNULL) as process:
        try:
            _until(lambda: WorkerObserver(settings, env=home.env()).read().beat_at, "worker")
            yield
        finally:
            process.terminate()
            process.wait(30)


def _overhead(home: Home, settings: Settings, rounds: int) -> list[Row]:
    """What a tick takes besides the model server's own time: by its record, and until it is acknowledged."""
    whole_s = [_tick_s(home, settings) for _ in range(rounds + 1)]
    model_s = _told(settings.ollama_host, "/test/took")["took_s"]
    own_s = [tick["duration_ms"] / 1000 for tick in _ticks(home) if tick.get("trigger") == "manual"]
    if not len(model_s) == len(own_s) == len(whole_s):
        raise RuntimeError(f"{len(own_s)} ticks asked the model {len(model_s)} times")
    own_s = [tick_s - answer_s for tick_s, answer_s in zip(own_s, model_s, strict=True)]
    whole_s = [tick_s - answer_s for tick_s, answer_s in zip(whole_s, model_s, strict=True)]
    say(f"heartbeat: a new worker's first tick took {milliseconds(own_s[0])} besides the model;"
        f" the next ones {milliseconds(median(own_s[1:]))}, {milliseconds(median(whole_s[1:]))} until they were"
        f" acknowledged (medians); the model {milliseconds(median(model_s))}")  # fmt: skip
    return [
        within("a tick besides the model: its duration_ms", percentile(own_s[1:], 0.95), OVERHEAD_LIMIT_S, "p95"),
        within("a tick besides the model: begun to done", percentile(whole_s[1:], 0.95), OVERHEAD_LIMIT_S, "p95"),
    ]


def _tick_s(home: Home, settings: Settings) -> float:
    """One tick, from when its record says that it runs to when it says that it is done."""
    request = enqueue_tick(settings, home.env())
    address = parse_queue(settings, home.env())
    began: list[float] = []

    def done() -> bool:
        record = peek_record(address, request.id)
        if record is not None and record.state == "running" and not began:
            began.append(record.since)
        return record is not None and record.state not in ("queued", "running")

    _until(done, "tick", pause_s=0.002)
    return _done_at(settings, request, home) - began[0]


def _done_at(settings: Settings, request: TickRequest, home: Home) -> float:
    progress = follow(settings, request, env=home.env())
    if progress.state != "done":
        raise RuntimeError(f"the tick is {progress.state}: {progress.reason}")
    return progress.since


def _key_to_running(terminal: Terminal, url: str, rounds: int) -> Row:
    """From ``t`` in a console to the frame that says that the tick runs, with a worker that has nothing to do."""
    _told(url, "/test/mode", {"delay_s": SLOW_ANSWER_S})
    took_s: list[float] = []
    for n in range(rounds):
        watch([terminal], IDLE_S + 0.137 * (n % 7))
        terminal.catch_up()
        at = terminal.write(b"t")
        watch([terminal], RUNNING_LIMIT_S + SLOW_ANSWER_S + 1.0)
        seen_at = terminal.first(lambda terminal: _RUNNING.search(terminal.text()) is not None)
        if seen_at is None:
            raise RuntimeError(f"no tick runs:\n{terminal.text()}")
        took_s.append(seen_at - at)
        terminal.catch_up()
    _told(url, "/test/mode", {"delay_s": 0.0})
    say(f"heartbeat: from the key to running {milliseconds(median(took_s))} (median),"
        f" {milliseconds(max(took_s))} (worst of {rounds})")  # fmt: skip
    return within("from t to running, idle worker", percentile(took_s, 0.95), RUNNING_LIMIT_S, "p95")


def _flood(terminal: Terminal, home: Home, settings: Settings, count: int) -> list[Row]:
    """Ticks by many processes at once, and a console in which somebody goes on working meanwhile."""
    before = len(_ticks(home))
    command = python("-c", _PRODUCER, str(count // PRODUCERS))
    started = time.perf_counter()
    paint_s: list[float] = []
    producers = [subprocess.Popen(command, cwd=ROOT, env=home.env()) for _ in range(PRODUCERS)]
    try:
        terminal.catch_up()
        lines, asked_s, took_s = 0, 0.0, 0.0
        while lines < count and took_s < PATIENCE_S:
            n = len(paint_s)
            key, here = (b"2", False) if n % 2 == 0 else (b"1", True)
            paint_s.append(key_to_paint(terminal, key, footer_says(" model ", here), n))
            took_s = time.perf_counter() - started
            lines = len(_ticks(home)) - before
            if not asked_s and all(producer.poll() is not None for producer in producers):
                asked_s = took_s
        waiting = WorkerObserver(settings, env=home.env()).read().pending
    finally:
        for producer in producers:
            producer.kill()
            producer.wait()
    ids = [tick["tick_id"] for tick in _ticks(home)[before:]]
    say(f"heartbeat: {count:,} ticks asked for within {asked_s:.0f} s, written within {took_s:.0f} s"
        f" ({count / took_s:.0f} a second), {waiting} wait; {len(paint_s)} keys meanwhile,"
        f" {milliseconds(median(paint_s))} to paint (median), {milliseconds(max(paint_s))} (worst);"
        f" load {os.getloadavg()[0]:.1f}")  # fmt: skip
    distinct = len(set(ids)) if len(set(ids)) == len(ids) else 0
    name = f"{count:,} ticks of {PRODUCERS} processes: distinct lines"
    return [
        Row(name, f"{distinct:,} in {took_s:.0f} s", f"{count:,}", distinct / count, 1.0, at_least=True),
        within("1, 2 to another pane while they are written", percentile(paint_s, 0.95), PAINT_LIMIT_S, "p95"),
    ]


def _ticks(home: Home) -> list[dict[str, object]]:
    """The complete lines of the log that are our worker's, oldest first; a line that is no JSON is an error."""
    paths = sorted(home.heartbeat.glob("ticks_*.jsonl"))
    lines = (line for path in paths for line in path.read_bytes().split(b"\n")[:-1] if b'"trigger":"manual"' in line)
    return [json.loads(line) for line in lines]


def _told(url: str, path: str, body: object = None) -> dict[str, list[float]]:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}{path}", data), timeout=10) as answer:
        return json.load(answer)  # type: ignore[no-any-return]


def _until(condition: Callable[[], object], what: str, *, pause_s: float = 0.02) -> None:
    end = time.perf_counter() + 30.0
    while not condition():
        if time.perf_counter() > end:
            raise RuntimeError(f"no {what} within 30 s")
        time.sleep(pause_s)
