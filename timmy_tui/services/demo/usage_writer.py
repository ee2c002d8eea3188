"""The simulated stack's usage log: the calls of a week that ends now, the same for the same moment and seed."""

from __future__ import annotations

from pathlib import Path
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.services.demo.localtime import local
from timmy_tui.services.usage.recording import usage_line, usage_moment
from timmy_tui.services.usage.records import UsageCall

DAYS = 7
CALLS_PER_DAY = 190
DAY_S = 86_400.0

PRICES: dict[str, object] = {
    "date": "2026-11-01",
    "models": {"*": {"input": 3.0, "output": 15.0}, "llama3.2:3b": {"input": 0.1, "output": 0.4}},
}
"""What the demo's configuration holds local calls against, per million tokens."""


class _Habit(Struct, frozen=True):
    """One kind of call, and how often it comes beside the others."""

    caller: str
    task: str
    model: str
    weight: int
    tokens_in: tuple[int, int]
    tokens_out: tuple[int, int]
    tokens_per_s: float
    at_night: bool = False
    """Goes on while the operator sleeps."""


_HABITS = (
    _Habit("heartbeat_tick", "decide", "hermes4:14b", 80, (650, 1_100), (40, 140), 41.0, at_night=True),
    _Habit("delegate", "quick", "llama3.2:3b", 34, (40, 900), (20, 260), 96.0),
    _Habit("delegate", "analysis", "llama31-8b:latest", 18, (600, 5_200), (180, 800), 57.0),
    _Habit("delegate", "coding", "qwen2.5-coder:7b", 22, (250, 3_600), (120, 900), 62.0),
    _Habit("code-review", "review", "qwen2.5-coder:7b", 26, (1_200, 7_400), (60, 520), 61.0),
    _Habit("changelog.py", "creative", "llama31-8b:latest", 6, (900, 2_800), (220, 640), 56.0),
    _Habit("delegate", "translation", "llama31-8b:latest", 4, (120, 1_400), (110, 1_300), 58.0),
)


def write_usage(path: Path, now: float, seed: int) -> None:
    """Write the log of the days before ``now``; the file is the owner's only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(b"".join(usage_line(call) + b"\n" for call in calls(now, seed)))


def calls(now: float, seed: int) -> list[UsageCall]:
    """Every call, oldest first."""
    random = Random(f"{seed}:usage")
    moments = sorted(now - 60 - random.random() * DAYS * DAY_S for _ in range(DAYS * CALLS_PER_DAY))
    found = []
    for at in moments:
        night = local(at).hour < 7
        habits = [habit for habit in _HABITS if habit.at_night or not night]
        [habit] = random.choices(habits, [habit.weight for habit in habits])
        if night and random.random() < 0.5:
            continue
        found.append(_call(habit, at, random))
    return found


def _call(habit: _Habit, at: float, random: Random) -> UsageCall:
    tokens_in = random.randint(*habit.tokens_in)
    load_s = random.uniform(2.1, 6.4) if random.random() < 0.06 else random.uniform(0.02, 0.09)
    call = UsageCall(usage_moment(at), task_type=habit.task, model=habit.model, provider="ollama", caller=habit.caller)
    if random.random() < 0.015:
        return replace(call, latency_sec=30.004, error="ollama: timed out after 30 s")
    tokens_out = random.randint(*habit.tokens_out)
    eval_s = tokens_out / (habit.tokens_per_s * random.uniform(0.82, 1.08))
    latency_s = load_s + tokens_in / (habit.tokens_per_s * 22) + eval_s
    return replace(
        call,
        latency_sec=round(latency_s, 3),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        success=True,
        load_sec=round(load_s, 3),
        eval_sec=round(eval_s, 3),
    )
