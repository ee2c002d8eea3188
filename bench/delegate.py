"""What a delegation costs besides its model: one as a whole process, and many at once, against bare httpx."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx

from bench import ROOT
from bench.figures import Row, against, say
from bench.home import terminal_env
from bench.servers import server
from timmy_tui.config import Settings, load_settings
from timmy_tui.services.delegation.delegator import delegator

WHOLE_LIMIT = 2.0
"""Of a bare script's time."""

THROUGHPUT_LIMIT = 0.7
"""Of bare httpx' calls per second, at least."""

CALLS, IN_FLIGHT = 1_000, 32
MODEL = "hermes4:14b"

_BARE = """\
import sys, httpx
payload = {"model": sys.argv[2], "messages": [{"role": "user", "content": "Hi"}], "stream": False}
print(httpx.post(sys.argv[1] + "/api/chat", json=payload, timeout=60).json()["message"]["content"])
"""


def bench_delegate(quick: bool) -> list[Row]:
    """Both promises, turn by turn."""
    rounds = 6 if quick else 16
    with server("model") as url, tempfile.TemporaryDirectory(prefix="timmy-bench-") as folder:
        env = {**terminal_env(), "HOME": folder, "TIMMY_HOME": f"{folder}/timmy", "OLLAMA_HOST": url}
        ours = [sys.executable, "-m", "timmy_tui", "delegate", "--model", MODEL, "Hi"]
        bare = [sys.executable, "-c", _BARE, url, MODEL]
        ours_s: list[float] = []
        bare_s: list[float] = []
        for round_ in range(rounds):
            for command, times in ((bare, bare_s), (ours, ours_s)):
                took_s = _run(command, env)
                if round_:
                    times.append(took_s)
        settings = load_settings(env)
        many_s: list[float] = []
        bare_many_s: list[float] = []
        for round_ in range(2 if quick else 4):
            bare_took_s = asyncio.run(_bare_many(url))
            took_s = asyncio.run(_many(settings, env))
            if round_:
                bare_many_s.append(bare_took_s)
                many_s.append(took_s)
        say(f"delegate: {CALLS / median(many_s):.0f} calls a second, bare {CALLS / median(bare_many_s):.0f}")
    per_s = (CALLS / median(many_s), CALLS / median(bare_many_s))
    return [
        against("timmy-tui delegate, whole process", ours_s, bare_s, WHOLE_LIMIT),
        Row(
            f"{CALLS:,} delegations, {IN_FLIGHT} in flight: calls per second",
            f"{per_s[0]:.0f}/s",
            f"bare {per_s[1]:.0f}/s",
            per_s[0] / per_s[1],
            THROUGHPUT_LIMIT,
            at_least=True,
        ),
    ]


def _run(command: list[str], env: dict[str, str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=Path(ROOT), check=True, capture_output=True, stdin=subprocess.DEVNULL)
    took_s = time.perf_counter() - started
    if not done.stdout.strip():
        raise RuntimeError(f"no answer: {done.stderr.decode()}")
    return took_s


async def _many(settings: Settings, env: dict[str, str]) -> float:
    async with delegator(settings, {**os.environ, **env}, caller="bench") as asked:
        await asked.ask("Hi", model=MODEL)
        started = time.perf_counter()
        answers = await asked.ask_many(["Hi"] * CALLS, model=MODEL, in_flight=IN_FLIGHT)
        took_s = time.perf_counter() - started
    failed = [answer.error for answer in answers if not answer.success]
    if failed:
        raise RuntimeError(f"{len(failed)} of {CALLS} failed: {failed[0]}")
    return took_s


async def _bare_many(url: str) -> float:
    slots = asyncio.Semaphore(IN_FLIGHT)
    payload = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": False}
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:

        async def one() -> None:
            async with slots:
                (await client.post(f"{url}/api/chat", json=payload)).raise_for_status()

        await one()
        started = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(CALLS)))
        return time.perf_counter() - started
