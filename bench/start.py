"""From the command to the first frame, to the filled panes, and to the printed status."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import ROOT
from bench.figures import Row, against
from bench.home import SESSIONS, make_home, terminal_env
from bench.servers import server
from bench.terminal import Terminal, painted, painted_with_text, python, watch

FIRST_PAINT_LIMIT = 1.25
FILLED_LIMIT = 1.6
STATUS_LIMIT = 2.0
PATIENCE_S = 4.0
SETTLE_S = 0.3

BARE = python(str(ROOT / "bench" / "bare_app.py"))
CONSOLE = python("-m", "timmy_tui")

_TICK = re.compile(r"\d\d:\d\d +\S +(ok|warning|critical|fallback)")
_SESSIONS = re.compile(rf"\b{SESSIONS // 1000}[, ]?{SESSIONS % 1000:03d} sessions")


def filled(terminal: Terminal) -> bool:
    """Every pane shows its data: a model, the number of sessions, a tick's severity, all providers."""
    text = terminal.text()
    return (
        "qwen2.5-coder:7b" in text
        and _SESSIONS.search(text) is not None
        and _TICK.search(text) is not None
        and all(re.search(rf"\d {name}\b", text) for name in ("hermes", "ollama", "llamafile", "claude"))
    )


def bench_paint(quick: bool) -> list[Row]:
    """First paint and filled panes against the bare app's first paint."""
    bare_s: list[float] = []
    first_s: list[float] = []
    filled_s: list[float] = []
    with server("ollama") as url, tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        env = make_home(Path(folder), url).env()
        for round_ in range(6 if quick else 16):
            [bare] = _times(BARE, terminal_env(), [painted])
            first, full = _times(CONSOLE, env, [painted_with_text, filled])
            if round_:  # the first of each fills the disk cache
                bare_s.append(bare)
                first_s.append(first)
                filled_s.append(full)
    return [
        against("first paint", first_s, bare_s, FIRST_PAINT_LIMIT),
        against("panes filled: 8 models, 1,000 sessions, 144 ticks", filled_s, bare_s, FILLED_LIMIT),
    ]


def _times(command: Sequence[str], env: Mapping[str, str], marks: Sequence[Callable[[Terminal], bool]]) -> list[float]:
    """Seconds from the start of ``command`` to each mark, in order."""
    with Terminal(command, env) as terminal:
        found: list[float] = []
        quiet_s = SETTLE_S
        while len(found) < len(marks):
            if time.perf_counter() - terminal.started_at > PATIENCE_S:
                raise RuntimeError(f"not on the screen within {PATIENCE_S} s:\n{terminal.text()}")
            # Read on before the emulator is fed, which takes CPU that the program may need.
            watch([terminal], quiet_s + (0.6 if not found else 0.0))
            while len(found) < len(marks):
                if marks[len(found)](terminal) and found:
                    found.append(found[-1])
                    continue
                at = terminal.first(marks[len(found)])
                if at is None:
                    break
                found.append(at - terminal.started_at)
        return found


def bench_status(quick: bool) -> list[Row]:
    """``status --json`` over local sources against the import of httpx alone."""
    ours_s: list[float] = []
    httpx_s: list[float] = []
    with server("ollama") as url, tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        env = make_home(Path(folder), url).env()
        for round_ in range(6 if quick else 21):
            httpx = _wall_s(python("-c", "import httpx"), env)
            ours = _wall_s([*CONSOLE, "status", "--json"], env)
            if round_:
                httpx_s.append(httpx)
                ours_s.append(ours)
    return [against("status --json, against import httpx", ours_s, httpx_s, STATUS_LIMIT)]


def _wall_s(command: Sequence[str], env: Mapping[str, str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, check=False)
    took_s = time.perf_counter() - started
    if done.returncode > 2 or done.stderr:  # 1 and 2 are severities
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return took_s
