"""What happened between two snapshots: the lines of the console's activity strip."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, TypeVar

from msgspec import Struct

from timmy_tui.services.hermes.records import SessionState, SessionSummary
from timmy_tui.services.ollama.records import LoadedModel, OllamaReading
from timmy_tui.services.providers.records import ProvidersReading, ProviderStatus
from timmy_tui.services.reading import Reading
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.ticks.records import Tick, TickHead
from timmy_tui.text import clean

T = TypeVar("T")

CHANGES_LIMIT = 50
"""Changes told of one step; a store that was swapped for another would tell thousands."""

TEXT_LIMIT = 100

CLOCK_SLACK_S = 2.0
"""A model that goes this close to its expiry has expired; earlier, somebody unloaded it."""


class Activity(Struct, frozen=True):
    """One thing that happened."""

    at: float
    """Unix seconds: when it happened where that is known, else when it was seen."""
    severity: Literal["ok", "warning", "critical", "info"]
    text: str
    """One line without glyphs."""


def changes(before: Snapshot, after: Snapshot, now: float) -> tuple[Activity, ...]:
    """What changed from ``before`` to ``after``, oldest first, the newest :data:`CHANGES_LIMIT`.

    A source's first answer is no change: nothing is known of what was before it.
    """
    found = [
        *_ollama(before, after, now),
        *_sessions(before, after, now),
        *_ticks(before, after, now),
        *_providers(before, after, now),
        *_worker(before, after, now),
    ]
    found.sort(key=lambda entry: entry.at)
    return tuple(
        Activity(entry.at, entry.severity, clean(entry.text, limit=TEXT_LIMIT)) for entry in found[-CHANGES_LIMIT:]
    )


def _source(what: str, before: Reading[T], after: Reading[T], now: float) -> Iterator[Activity]:
    """A source lost or back; an error that only changes its words is no event."""
    if before.error is None and after.error is not None and before.value is not None:
        yield Activity(now, "warning", f"{what} lost: {after.error}")
    elif before.error is not None and after.error is None and after.value is not None:
        # What never answered before is not back, it is new.
        yield Activity(now, "ok", f"{what} is {'back' if before.at is not None else 'here now'}")


def _ollama(before: Snapshot, after: Snapshot, now: float) -> Iterator[Activity]:
    old_servers = {server.name: server for server in before.ollama}
    several = len(after.ollama) > 1
    for server in after.ollama:
        old = old_servers.get(server.name)
        if old is not None and old is not server:
            yield from _source(f"Ollama {server.name}", old.reading, server.reading, now)
            yield from _models(old, server, f" on {server.name}" if several else "", now)


def _models(before: OllamaServer, after: OllamaServer, where: str, now: float) -> Iterator[Activity]:
    old, new = before.reading.value, after.reading.value
    if old is None or new is None or old is new:
        return
    yield from _loaded(old, new, where, now)
    old_names = {model.name for model in old.installed}
    new_names = {model.name for model in new.installed}
    for name in sorted(new_names - old_names):
        yield Activity(now, "info", f"{name} installed{where}")
    for name in sorted(old_names - new_names):
        yield Activity(now, "info", f"{name} removed{where}")


def _loaded(old: OllamaReading, new: OllamaReading, where: str, now: float) -> Iterator[Activity]:
    old_loaded = {model.name: model for model in old.loaded}
    new_loaded = {model.name: model for model in new.loaded}
    for name in new_loaded:
        if name not in old_loaded:
            yield Activity(now, "info", f"{name} loaded{where}")
    for name, model in old_loaded.items():
        if name not in new_loaded:
            yield Activity(now, "info", f"{name} {'expired' if _expired(model, now) else 'unloaded'}{where}")


def _expired(model: LoadedModel, now: float) -> bool:
    return model.expires_at is not None and math.isfinite(model.expires_at) and now >= model.expires_at - CLOCK_SLACK_S


def _sessions(before: Snapshot, after: Snapshot, now: float) -> Iterator[Activity]:
    """Sessions by their state at the two reading times: what time alone changes is told once, too."""
    yield from _source("Hermes store", before.hermes, after.hermes, now)
    old, new, old_at, new_at = before.hermes.value, after.hermes.value, before.hermes.at, after.hermes.at
    if old is None or new is None or old_at is None or new_at is None or old.path != new.path:
        return
    known = {session.id: session for session in old.sessions}
    for session in reversed(new.sessions):
        state = session.state(new_at)
        was = known.get(session.id)
        if was is not None:
            if was.state(old_at) != state:
                yield from _session_now(session, state, new_at)
        elif session.started_at >= old_at - old.hours * 3600:
            yield Activity(session.started_at, "info", _session_text(session, "started"))
            if state in ("done", "failed"):
                yield from _session_now(session, state, new_at)


def _session_now(session: SessionSummary, state: SessionState, at: float) -> Iterator[Activity]:
    if state == "failed":
        yield Activity(at, "warning", _session_text(session, "failed"))
    elif state == "done":
        yield Activity(session.last_activity_at, "ok", _session_text(session, "finished"))
    elif state == "running":
        yield Activity(session.last_activity_at, "info", _session_text(session, "continues"))


def _session_text(session: SessionSummary, what: str) -> str:
    title = f": {session.title}" if session.title else ""
    return f"{session.source} session {what}{title}"


def alerting_tick(before: Snapshot, after: Snapshot) -> Tick | None:
    """The log's last tick when it is a younger one than before and alerts of something else than that did.

    The same alert every ten minutes would be no alert; an older tick comes of a log that was replaced.
    """
    old, new = before.heartbeat.value, after.heartbeat.value
    if old is None or new is None or new.last is None or not alerts_of(new.last):
        return None
    if old.last is not None:
        younger = (new.last.head.at or 0) > (old.last.head.at or 0)
        if not younger or alerts_of(old.last) == alerts_of(new.last):
            return None
    return new.last


def alerts_of(tick: Tick) -> tuple[str, ...]:
    """The actions by which a tick calls the operator."""
    return tuple(action for action in tick.actions if action.upper().startswith("ALERT"))


def _ticks(before: Snapshot, after: Snapshot, now: float) -> Iterator[Activity]:
    yield from _source("tick log", before.heartbeat, after.heartbeat, now)
    old, new = before.heartbeat.value, after.heartbeat.value
    if old is None or new is None or old is new:
        return
    seen = {(tick.tick_id, tick.place.path) for tick in old.recent}
    if old.last is not None:
        seen.add((old.last.head.tick_id, old.last.head.place.path))
    for tick in new.recent:
        if (tick.tick_id, tick.place.path) not in seen:
            yield _tick(tick, now)


def _tick(tick: TickHead, now: float) -> Activity:
    by = f" by {tick.model}" if tick.model and tick.by_model else ""
    severity: Literal["ok", "warning", "critical", "info"]
    if tick.severity in ("ok", "critical"):
        severity = "critical" if tick.severity == "critical" else "ok"
    else:
        severity = "info" if tick.severity == "unknown" else "warning"
    return Activity(now if tick.at is None else min(tick.at, now), severity, f"tick {tick.severity}{by}")


def _providers(before: Snapshot, after: Snapshot, now: float) -> Iterator[Activity]:
    yield from _source("providers", before.providers, after.providers, now)
    old, new = before.providers.value, after.providers.value
    if old is None or new is None or old is new:
        return
    was = _by_name(old)
    for entry in new.providers:
        if entry.name in was:
            yield from _provider(was[entry.name], entry, now)


def _by_name(reading: ProvidersReading) -> dict[str, ProviderStatus]:
    return {entry.name: entry for entry in reading.providers}


def _provider(old: ProviderStatus, new: ProviderStatus, now: float) -> Iterator[Activity]:
    if old.circuit != new.circuit:
        if new.circuit == "open":
            reason = f": {new.last_error}" if new.last_error else ""
            yield Activity(now, "warning", f"{new.name} circuit opened{reason}")
        elif new.circuit == "half_open":
            yield Activity(now, "info", f"{new.name} circuit half-open")
        else:
            yield Activity(now, "ok", f"{new.name} circuit closed")
    if old.state != new.state:
        if new.state == "down":
            reason = f": {new.last_error}" if new.last_error else ""
            yield Activity(now, "warning", f"{new.name} down{reason}")
        elif new.state == "up":
            yield Activity(now, "ok", f"{new.name} up")


def _worker(before: Snapshot, after: Snapshot, now: float) -> Iterator[Activity]:
    yield from _source("worker state", before.worker, after.worker, now)
    old, new = before.worker.value, after.worker.value
    if old is None or new is None or old.state == new.state:
        return
    if new.state in ("up", "elsewhere"):
        where = f" on {new.host}" if new.state == "elsewhere" and new.host else ""
        yield Activity(now, "ok", f"worker up{where}")
    else:
        yield Activity(now, "warning", f"worker {new.state}")
