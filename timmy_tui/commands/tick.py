"""``timmy-tui tick``: ask for a tick, and wait for it."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from timmy_tui.commands.output import say, stdout_now
from timmy_tui.config import Settings
from timmy_tui.services.worker.records import TickProgress, TickRequest
from timmy_tui.startup import settled
from timmy_tui.text import clean, clean_tree, duration_text, span_text

TELL_EVERY_S = 10.0
"""Whoever waits hears something so often."""

LOOK_EVERY_S = 0.1


def run_tick(
    settings: Settings,
    env: Mapping[str, str],
    *,
    wait: bool,
    as_json: bool,
    clock: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Ask for a tick, and return 0 done or queued, 1 for whatever is no tick.

    Raises :class:`~timmy_tui.services.worker.queue.WorkerError`.
    """
    from timmy_tui.services.worker.enqueue import request_tick
    from timmy_tui.services.worker.follow import NO_WORKER, follow

    request = request_tick(settings, env, clock)
    progress = follow(settings, request, clock, env=env)
    if wait:
        settled()
        progress = _waited(lambda: follow(settings, request, clock, env=env), settings, clock, pause)
    elif progress.state == "queued" and progress.reason == NO_WORKER:
        progress = replace(progress, state="no_worker")
    if as_json:
        say(json.dumps(_document(settings, request, progress), indent=2))
    elif progress.state == "done":
        say(_picture(settings, progress, stdout_now(settings, env).columns))
    elif progress.ended:
        sys.stderr.write(f"timmy-tui: {progress.reason or progress.state}\n")
    else:
        say(f"{'already ' if request.already else ''}{progress.state}: {request.id}")
    return 0 if progress.state == "done" or not progress.ended else 1


def _waited(
    look: Callable[[], TickProgress], settings: Settings, clock: Callable[[], float], pause: Callable[[float], None]
) -> TickProgress:
    """The end of a request; of one that was under way before, with a deadline that begins now."""
    until = clock() + settings.config.heartbeat.timeout_s
    progress = look()
    told_at = clock()
    while not progress.ended or (progress.state == "timed_out" and clock() < until):
        pause(LOOK_EVERY_S)
        progress = look()
        if clock() - told_at >= TELL_EVERY_S and not progress.ended:
            told_at = clock()
            why = progress.reason or progress.phase or "its worker is at it"
            sys.stderr.write(f"timmy-tui: {progress.state} for {span_text(progress.elapsed_s)}: {why}\n")
            sys.stderr.flush()
    return progress


def _document(settings: Settings, request: TickRequest, progress: TickProgress) -> dict[str, object]:
    tick = None if progress.tick_id is None else _tick_of(settings.heartbeat_dir, progress.tick_id)
    return {
        "request": request.id,
        "already": request.already,
        "state": progress.state,
        "reason": progress.reason,
        "elapsed_s": round(progress.elapsed_s, 3),
        "host": progress.host,
        "tick_id": progress.tick_id,
        "tick": tick,
    }


def _picture(settings: Settings, progress: TickProgress, columns: int) -> str:
    """The tick as a few rows."""
    tick_id = progress.tick_id or "?"
    found = _tick_of(settings.heartbeat_dir, tick_id)
    if found is None:
        where = f" on {progress.host}" if progress.host else ""
        return f"{tick_id}  done{where}; its log is there"
    tick = clean_tree(found)
    facts = tick if isinstance(tick, dict) else {}
    decision = facts.get("decision")
    decided = decision if isinstance(decision, dict) else {}
    duration_ms = facts.get("duration_ms")
    took = duration_text(duration_ms if isinstance(duration_ms, int | float) else None)
    by = facts.get("model") or facts.get("provider") or "rules"
    rows = [f"{tick_id}  {decided.get('severity', 'unknown')}  {by}  {took}"]
    rows += textwrap.wrap(str(decided.get("reasoning", "")), max(20, columns - 2))[:12]
    actions = decided.get("actions")
    rows += [clean(str(action)) for action in actions[:12]] if isinstance(actions, list) else []
    return "\n  ".join(rows)


def _tick_of(folder: Path, tick_id: str) -> dict[str, object] | None:
    """A tick's record by its id; None when this machine's log does not show it."""
    from timmy_tui.services.ticks.errors import TickLogError
    from timmy_tui.services.ticks.lookup import line_of
    from timmy_tui.services.ticks.parse import BadLine, decode_tree

    try:
        line = line_of(folder, tick_id)
    except TickLogError:
        return None
    tree = None if line is None else decode_tree(line)
    return None if isinstance(tree, BadLine) else tree
