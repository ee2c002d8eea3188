"""More than anybody should have: a million ticks in a day, fifty thousand sessions in the window; and 10 MB to mask."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from bench import ROOT
from bench.figures import Row, against, say, within
from bench.home import keep_still, make_home
from bench.servers import server
from bench.start import CONSOLE
from timmy_tui.masking import masked

TICKS, QUICK_TICKS = 1_000_000, 100_000
SESSIONS, QUICK_SESSIONS = 50_000, 5_000
LIMIT_S = 10.0

TEXT_BYTES = 10**7
LINEAR_LIMIT = 13.0
"""Ten times the text may cost ten times the time, and the noise."""


def bench_large(quick: bool) -> list[Row]:
    """``status --json`` once, complete; then the masker on a tenth of a text and on all of it, in turn."""
    ticks, sessions = (QUICK_TICKS, QUICK_SESSIONS) if quick else (TICKS, SESSIONS)
    with server("ollama") as url, tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        home = make_home(Path(folder), url, ticks=ticks, sessions=sessions)
        keep_still(home)
        started = time.perf_counter()
        done = subprocess.run(
            [*CONSOLE, "status", "--json"], env=home.env(), cwd=ROOT, capture_output=True, check=False
        )
        took_s = time.perf_counter() - started
    status = json.loads(done.stdout)
    found = (status["heartbeat"]["ticks_today"], status["hermes"]["sessions"])
    if found != (ticks, sessions):
        raise RuntimeError(f"status --json is not complete: {found}, not {(ticks, sessions)}")
    rows = [within(f"status --json, {ticks:,} ticks and {sessions:,} sessions", took_s, LIMIT_S, "one process")]
    return rows + [_mask(name, text, 2 if quick else 5) for name, text in _texts().items()]


def _texts() -> dict[str, str]:
    secret = "sk" + "-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4"  # put together here, so that no scanner takes it for real
    plain = "The build host answered in 512 ms; commit 9fceb02d0ae598e95dc970b74767f19372d61af8 is green.\n"
    dense = f'export OPENAI_API_KEY={secret} --password "two words" https://u:{secret}@host/?token={secret}\n'
    return {
        name: (line * (TEXT_BYTES // len(line) + 1))[:TEXT_BYTES] for name, line in (("plain", plain), ("dense", dense))
    }


def _mask(name: str, text: str, rounds: int) -> Row:
    tenth_s: list[float] = []
    whole_s: list[float] = []
    for _ in range(rounds):
        for part, taken in ((text[: TEXT_BYTES // 10], tenth_s), (text, whole_s)):
            started = time.perf_counter()
            masked(part)
            taken.append(time.perf_counter() - started)
    say(f"large: {TEXT_BYTES // 10**6} MB of {name} text masked in {median(whole_s):.2f} s")
    return against(f"mask 10 MB against 1 MB, {name}", whole_s, tenth_s, LINEAR_LIMIT)
