"""The simulated heartbeat's files: tick logs of three days, labels for some decisions (DESIGN §5)."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from uuid import UUID

from msgspec import Struct

from timmy_tui import __version__
from timmy_tui.services.demo.decisions import Verdict, rules_verdict, verdict_for
from timmy_tui.services.demo.localtime import local, session_id, stamp
from timmy_tui.services.demo.machine import HOST, perception_at, scene_at
from timmy_tui.text import Json

STEP_S = 600.0
STEPS = 3 * 144
"""Ticks of the history: three days, one every ten minutes."""

DAY_STEPS = 144
MODEL = "hermes4:14b"
CHOSEN = 19
REJECTED = 5
LABELS_NAME = "labels.jsonl"
OPERATOR = "alex"

Document = dict[str, Json]


class PlannedTick(Struct, frozen=True):
    """A tick of the history before it is written: when, and by whom it was decided."""

    step: int
    at: float
    by_hermes: bool
    session_id: str | None
    """The Hermes session that answered."""


class WrittenTick(Struct, frozen=True):
    """A tick and the record that was written of it."""

    tick: PlannedTick
    document: Document


def last_tick_at(now: float) -> float:
    """The history's last tick: on a full minute, at least five seconds ago."""
    return (now - 5) // 60 * 60 + 0.123456


def plan(now: float) -> list[PlannedTick]:
    """Every tick of the history, oldest first.

    Until a day ago Hermes answered every tick; since then only the hourly one, Ollama itself the others.
    """
    last_at = last_tick_at(now)
    ticks: list[PlannedTick] = []
    for back in range(STEPS - 1, -1, -1):
        at = last_at - back * STEP_S
        by_hermes = back >= DAY_STEPS or back % 6 == 0
        answered = by_hermes and scene_at(-back) != "refused"
        own_id = session_id(at - 2.0, f"tick {-back}") if answered else None
        ticks.append(PlannedTick(-back, at, by_hermes, own_id))
    return ticks


def tick_document(
    tick: PlannedTick,
    previous: str | None,
    *,
    seed: int,
    tick_id: str,
    trigger: str = "schedule",
    took_ms: int | None = None,
) -> Document:
    """One tick record of DESIGN §5; ``took_ms`` where the decision was really waited for."""
    random = Random(f"{seed}:tick:{tick.step}")
    perception = perception_at(tick.step, seed)
    prompt = prompt_for(perception, tick.at)
    scene = scene_at(tick.step)
    moment = datetime.fromtimestamp(tick.at, UTC)
    head: Document = {
        "tick_id": tick_id,
        "timestamp": moment.isoformat(timespec="microseconds"),
        "trigger": trigger,
        "previous_tick": previous,
        "perception": perception,
    }
    tail: Document = {"host": HOST, "writer": f"timmy-tui {__version__}"}
    if scene == "refused":
        verdict = rules_verdict(perception)
        attempts: list[Json] = [
            _attempt("hermes", "refused the context: 8,192 < 64,000 tokens", 1512),
            _attempt("ollama", "timed out after 30 s", 30_004),
            _attempt("airllm", "connection refused", 2),
        ]
        return head | _outcome(verdict, prompt, None, attempts) | tail
    verdict = verdict_for(perception, turn=random.randrange(50))
    if scene == "odd":
        verdict = Verdict("notice", "The kernel was updated; a restart would be due some day.")
    response = verdict.text()
    if random.random() < 0.08:
        response = f"```json\n{response}\n```"
    attempts = []
    duration_ms = random.randrange(1540, 2620) if tick.by_hermes else random.randrange(690, 1480)
    duration_ms = took_ms or duration_ms
    if tick.by_hermes and random.random() < 0.02:
        attempts.append(_attempt("hermes", "no JSON object in the answer", duration_ms + 400))
    attempts.append(_attempt("hermes" if tick.by_hermes else "ollama", None, duration_ms))
    return head | _outcome(verdict, prompt, response, attempts, session=tick.session_id) | tail


def prompt_for(perception: Document, at: float) -> str:
    """What the model was asked."""
    return (
        f"System state at {local(at).isoformat(timespec='seconds')}:\n"
        f"{json.dumps(perception, indent=1, ensure_ascii=False)}\n\n"
        'Answer with one JSON object: {"actions": [names], "severity": "ok" | "warning" | "critical", '
        '"reasoning": one sentence}.'
    )


class TickLog:
    """Appends ticks to the file of their local day; every id is its own, even in the hour that comes twice."""

    def __init__(self, folder: Path, seed: int, history: list[WrittenTick]) -> None:
        self._folder = folder
        self._seed = seed
        self._taken = {str(written.document["tick_id"]) for written in history}
        self._last_id = str(history[-1].document["tick_id"]) if history else None

    def append(self, tick: PlannedTick, trigger: str = "schedule", took_ms: int | None = None) -> Document:
        """Write one tick as one line with one ``write``."""
        tick_id = _unique_id(tick.at, self._taken)
        document = tick_document(
            tick, self._last_id, seed=self._seed, trigger=trigger, tick_id=tick_id, took_ms=took_ms
        )
        self._last_id = tick_id
        append_lines(self._folder / f"ticks_{stamp(tick.at, '%Y%m%d')}.jsonl", [document])
        return document


def history(now: float, seed: int) -> list[WrittenTick]:
    """Every tick of the three days before ``now``, oldest first."""
    previous: str | None = None
    taken: set[str] = set()
    written: list[WrittenTick] = []
    for tick in plan(now):
        tick_id = _unique_id(tick.at, taken)
        written.append(WrittenTick(tick, tick_document(tick, previous, seed=seed, tick_id=tick_id)))
        previous = tick_id
    return written


def write_ticks(folder: Path, ticks: list[WrittenTick], now: float, seed: int) -> None:
    """Write the tick logs and labels of the history."""
    by_day: dict[str, list[Document]] = {}
    for written in ticks:
        by_day.setdefault(stamp(written.tick.at, "%Y%m%d"), []).append(written.document)
    for day, lines in by_day.items():
        append_lines(folder / f"ticks_{day}.jsonl", lines)
    append_lines(folder / LABELS_NAME, _labels([written.document for written in ticks], now, seed))


def append_lines(path: Path, documents: list[Document]) -> None:
    """Append one JSON line per document, in one write; the file is the owner's only."""
    text = "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _labels(documents: list[Document], now: float, seed: int) -> list[Document]:
    """A sitting of two hours ago: twenty-four cards of the older ticks, about a second and a half each."""
    random = Random(f"{seed}:labels")
    candidates = [document for document in documents[: -DAY_STEPS // 2] if document["response"] is not None]
    chosen = sorted(random.sample(range(len(candidates)), CHOSEN + REJECTED))
    rejected = set(random.sample(chosen, REJECTED))
    at = now - 2 * 3600
    events: list[Document] = []
    for index in chosen:
        document = candidates[index]
        shown_at = at
        at += random.uniform(0.9, 2.4)
        key = f"{document['prompt']}\0{document['response']}"
        events.append(
            {
                "v": 1,
                "event_id": str(UUID(int=random.getrandbits(128), version=4)),
                "event": "label",
                "candidate": sha256(key.encode()).hexdigest(),
                "tick_id": document["tick_id"],
                "label": "rejected" if index in rejected else "chosen",
                "note": "too eager: load is normal" if index in rejected and len(events) % 2 else "",
                "shown_at": datetime.fromtimestamp(shown_at, UTC).isoformat(timespec="milliseconds"),
                "answered_at": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
                "operator": OPERATOR,
                "app": __version__,
            }
        )
    return events


def _attempt(provider: str, error: str | None, duration_ms: int) -> Document:
    return {"provider": provider, "error": error, "duration_ms": duration_ms}


def _outcome(
    verdict: Verdict, prompt: str, response: str | None, attempts: list[Json], session: str | None = None
) -> Document:
    last = attempts[-1]
    provider = last["provider"] if response is not None and isinstance(last, dict) else None
    total_ms = sum(int(str(attempt["duration_ms"])) for attempt in attempts if isinstance(attempt, dict))
    return {
        "decision": verdict.document(),
        "actions": list(verdict.actions),
        "prompt": prompt,
        "response": response,
        "provider": provider,
        "model": MODEL if response is not None else None,
        "session_id": session,
        "duration_ms": total_ms,
        "attempts": attempts,
    }


def _unique_id(at: float, taken: set[str]) -> str:
    """The local time, numbered from ``_2`` on where it is taken already (DESIGN §5)."""
    name = tick_id = stamp(at)
    number = 2
    while tick_id in taken:
        tick_id = f"{name}_{number}"
        number += 1
    taken.add(tick_id)
    return tick_id
