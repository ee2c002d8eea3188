"""The simulated machine over time: what the heartbeat's probes see at each step of the story.

A step counts from the last tick of the history: 0 is that tick, 1 the first live one, -1 the one before.
"""

from __future__ import annotations

from random import Random
from typing import Literal

from timmy_tui.services.demo.ollama_world import VERSION
from timmy_tui.text import Json

HOST = "mbp"

Scene = Literal["calm", "disk", "load", "gitea", "refused", "odd"]

DISK_STREAK = 5
"""So many of the last ticks of the history warn of the disk."""

_LOAD_STEPS = frozenset({-17, -75, -118, -204, -290, -377})
_LIVE_CYCLE: dict[int, Scene] = {5: "load", 8: "refused", 10: "gitea"}


def scene_at(step: int) -> Scene:
    """What is going on at a step: in the last day one critical tick, two fallbacks, the disk at the end."""
    if step > 2:
        return _LIVE_CYCLE.get(step % 12, "calm")
    if step > -DISK_STREAK:
        return "disk"
    if step == -31:
        return "gitea"
    if step in (-50, -51):
        return "refused"
    if step == -260:
        return "odd"
    return "load" if step in _LOAD_STEPS else "calm"


def disk_used_pct(step: int) -> int:
    """It fills slowly for days, passes 90 in the last hour, and someone tidies up after two live ticks."""
    if step > 2:
        return min(88, 74 + step // 6)
    if step > 0:
        return 92
    if step > -DISK_STREAK:
        return 91 if step >= -1 else 90
    return 88 - (-step - DISK_STREAK) // 26


def perception_at(step: int, seed: int = 7) -> dict[str, Json]:
    """Everything that the probes saw; the same for the same step and seed."""
    random = Random(f"{seed}:perception:{step}")
    scene = scene_at(step)
    loads = [9.4, 7.8, 4.1] if scene == "load" else [round(random.uniform(0.3, 0.7), 1) for _ in range(3)]
    loaded = ["hermes4:14b", "qwen2.5-coder:7b"] if step > -66 else ["hermes4:14b"]
    if step % 9 == 4:
        loaded = [*loaded, "llama3.2:3b"]
    return {
        "host": HOST,
        "gitea_alive": scene != "gitea",
        "model_health": {
            "ollama_running": True,
            "version": VERSION,
            "models_loaded": list(loaded),
        },
        "hermes": {"found": True, "version": "0.19.0", "sessions_running": 1 if step % 4 == 0 else 0},
        "queue": {"pending": 1 if step % 14 == 3 else 0, "scheduled": 1},
        "load": list(loads),
        "memory_used_pct": 61 + (step // 20) % 7,
        "disk_used_pct": disk_used_pct(step),
    }
