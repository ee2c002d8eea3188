"""A usage log of a million calls, summarised by a whole process."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from bench import ROOT
from bench.figures import Row, say, within
from bench.home import DAY_S, Home
from bench.start import CONSOLE
from timmy_tui.services.usage.recording import usage_line, usage_moment
from timmy_tui.services.usage.records import USAGE_NAME, UsageCall

CALLS = 1_000_000
DAYS = 365
LIMIT_S = 2.0

_MODELS = ("llama3.2:3b", "hermes4:14b", "qwen2.5-coder:7b", "deepseek-coder:6.7b", "llama31-8b:latest")
_TASKS = ("quick", "coding", "analysis", "review", "decide", "translation")
_CALLERS = ("heartbeat_tick", "delegate", "code-review", "review", "triage.py")


def bench_usage(quick: bool) -> list[Row]:
    """The whole of ``timmy-tui usage --json`` over a year of calls; every combination of names on every day."""
    with tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        home = Home(Path(folder), "http://127.0.0.1:9")
        log = home.root / "timmy" / "metrics" / USAGE_NAME
        log.parent.mkdir(parents=True)
        _write(log)
        command = [*CONSOLE, "usage", "--days", "0", "--by", "model", "--json"]
        took_s = []
        for round_ in range(4 if quick else 8):
            started = time.perf_counter()
            told = subprocess.run(command, env=home.env(), cwd=ROOT, capture_output=True, check=True).stdout
            if round_:  # the first fills the disk cache
                took_s.append(time.perf_counter() - started)
            assert f'"calls": {CALLS}'.encode() in told
        size = log.stat().st_size
        say(f"  usage: {size / 1e6:.0f} MB, {', '.join(f'{seconds:.2f}' for seconds in took_s)} s")
    return [within(f"usage of {CALLS:,} calls", median(took_s), LIMIT_S, "whole process")]


def _write(log: Path) -> None:
    """A year of calls that ends now."""
    choose = random.Random(5)
    now = time.time()
    with log.open("wb") as file:
        for number in range(CALLS):
            latency_s = round(choose.lognormvariate(1, 0.8), 3)
            call = UsageCall(
                usage_moment(now - DAYS * DAY_S * (1 - number / CALLS)),
                task_type=choose.choice(_TASKS),
                model=choose.choice(_MODELS),
                latency_sec=latency_s,
                tokens_in=choose.randrange(20, 4_000),
                tokens_out=choose.randrange(20, 900),
                success=choose.random() > 0.03,
                provider="ollama",
                caller=choose.choice(_CALLERS),
                load_sec=0.052,
                eval_sec=round(latency_s * 0.8, 3),
            )
            file.write(usage_line(call) + b"\n")
