"""The hard-coded rules: what the heartbeat says of a perception when no model decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from timmy_tui.services.ticks.records import Decision
from timmy_tui.text import Json, clean

DISK_FULL_PCT = 90
QUEUE_LONG = 20
"""So many waiting tasks are a queue that nobody works on: a heartbeat has one every few minutes."""

NAME_LIMIT = 60

_Tree = Mapping[str, Json]
_ALIVE = "_alive"


def decide_by_rules(perception: Json, alarm: str | None = None) -> Decision:
    """Severity ``fallback``, an ``ALERT: …`` for each thing that is known to be wrong, and the reason in plain words.

    Only what is said to be wrong counts: a key that is missing, null or of another type is unknown and raises no
    alert. ``alarm`` is what an answer that was refused had warned of: then the severity is ``warning``.
    """
    tree = _branch(perception)
    alerts = tuple(dict.fromkeys(f"ALERT: {clean(what)}" for what in _wrongs(tree)))
    if not tree:
        told = "there was nothing to look at."
    elif not alerts:
        told = "nothing that they know is wrong."
    else:
        told = "; ".join(alert.removeprefix("ALERT: ") for alert in alerts) + "."
    reasoning = f"No model decided; the rules looked at the state: {told}"
    if alarm is None:
        return Decision(severity="fallback", reasoning=reasoning, actions=alerts)
    told = f"A model's answer could not be taken as a decision, and it warned: “{alarm}”"
    return Decision(
        severity="warning", reasoning=f"{told} {reasoning}", actions=("ALERT: a refused answer warned", *alerts)
    )


def _wrongs(tree: _Tree) -> Iterator[str]:
    yield from _services(tree)
    yield from _models(_branch(tree.get("model_health")))
    yield from _disks(tree)
    yield from _hermes(_branch(tree.get("hermes")))
    yield from _queue(_branch(tree.get("queue")))


def _services(tree: _Tree) -> Iterator[str]:
    for key, alive in tree.items():
        if key.endswith(_ALIVE) and key != _ALIVE and alive is False:
            yield f"{_name(key.removesuffix(_ALIVE))} unreachable"


def _models(health: _Tree) -> Iterator[str]:
    if health.get("ollama_running") is False:
        yield "Ollama not running"
    elif health.get("inference_ok") is False:  # without Ollama it says nothing new
        yield "no model answers"


def _disks(tree: _Tree) -> Iterator[str]:
    disks = _branch(tree.get("disks")) or {"": tree.get("disk_used_pct")}
    for where, share in disks.items():
        used_pct = _number(share)
        if used_pct is not None and used_pct >= DISK_FULL_PCT:
            yield f"disk{where and ' ' + clean(where, limit=NAME_LIMIT)} is {used_pct:.0f} % full"


def _hermes(hermes: _Tree) -> Iterator[str]:
    if hermes.get("gateway_stale") is True:
        yield "Hermes gateway is gone but did not end by itself"
    if hermes.get("cron_stale") is True:
        yield "Hermes cron is stuck"


def _queue(queue: _Tree) -> Iterator[str]:
    pending = _number(queue.get("pending"))
    if pending is not None and pending >= QUEUE_LONG:
        yield f"queue is stuck: {pending:.0f} tasks wait"


def _branch(value: Json) -> _Tree:
    return value if isinstance(value, dict) else {}


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 else None


def _name(key: str) -> str:
    """``gitea`` as people write it: ``Gitea``."""
    words = clean(key, limit=NAME_LIMIT).replace("_", " ").strip()
    return words[:1].upper() + words[1:]
