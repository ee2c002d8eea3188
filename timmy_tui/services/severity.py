"""How the whole stack is: one word and what needs a hand, worst first.

The console's header, ``status`` and the exit code all come from :func:`overall`, so they can't disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct

from timmy_tui.services.providers.records import ProviderStatus
from timmy_tui.services.reading import Reading
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.ticks.records import HeartbeatReading
from timmy_tui.text import clean, span_text

T = TypeVar("T")

Verdict = Literal["ok", "warning", "critical"]
SourceState = Literal["up", "stale", "down"]

DOWN_AFTER_S = 30.0
"""A source that has failed for this long is down, however good its last value was."""

DEAD_INTERVALS = 6.0
"""A heartbeat that is this many intervals late is dead, not slow."""

PROBLEM_LIMIT = 100
"""Characters of one problem line."""

EXIT_CODES: dict[Verdict, int] = {"ok": 0, "warning": 1, "critical": 2}


class Overall(Struct, frozen=True):
    """The verdict and its reasons."""

    severity: Verdict
    problems: tuple[str, ...]
    """Worst first, one short line each, no glyphs."""

    @property
    def exit_code(self) -> int:
        """0 ok, 1 warning, 2 critical."""
        return EXIT_CODES[self.severity]


class Problem(Struct, frozen=True):
    """One thing that needs a hand."""

    severity: Verdict
    text: str


def overall(snapshot: Snapshot, now: float) -> Overall:
    """Judge ``snapshot`` at ``now`` (Unix seconds). A source that has not answered yet is no problem."""
    found = sorted(problems(snapshot, now), key=lambda problem: -EXIT_CODES[problem.severity])
    worst: Verdict = found[0].severity if found else "ok"
    return Overall(worst, tuple(clean(problem.text, limit=PROBLEM_LIMIT) for problem in found))


def problems(snapshot: Snapshot, now: float) -> Iterator[Problem]:
    """Everything that needs a hand, source by source."""
    for server in snapshot.ollama:
        yield from _ollama(server, now)
    if snapshot.heartbeat_enabled:
        yield from _heartbeat(snapshot, now)
        yield from _worker(snapshot, now)
    yield from _approvals(snapshot)
    yield from _providers(snapshot, now)
    yield from _reading("Hermes store", snapshot.hermes, now)
    yield from _cron(snapshot)


def source_state(reading: Reading[T], now: float) -> SourceState | None:
    """``up``, ``stale`` or ``down``; None before the first answer.

    An old value does not make a source look alive: after :data:`DOWN_AFTER_S` of failures it is down.
    """
    state = reading.state(now)
    if state == "waiting":
        return None
    if state == "fresh":
        return "up"
    lasted_s = now - reading.error_since if reading.error is not None and reading.error_since is not None else 0.0
    return "down" if state == "absent" or lasted_s >= DOWN_AFTER_S else "stale"


def ollama_text(server: OllamaServer) -> str:
    """The error of a server in few words: by its name, without its address."""
    error = server.reading.error or "does not answer"
    name = f"Ollama {server.name}"
    for start, instead in (
        (f"Ollama does not answer at {server.url}", f"{name} does not answer"),
        (f"Ollama at {server.url}", name),
    ):
        if error.startswith(start):
            return instead + error.removeprefix(start)
    return f"{name}: {error}"


def _ollama(server: OllamaServer, now: float) -> Iterator[Problem]:
    state = source_state(server.reading, now)
    if state == "down":
        yield Problem("critical", ollama_text(server))
    elif state == "stale" and server.reading.error is not None:
        yield Problem("warning", ollama_text(server))
    elif state == "stale":
        yield Problem("warning", _stale_text(f"Ollama {server.name}", server.reading, now))


def _heartbeat(snapshot: Snapshot, now: float) -> Iterator[Problem]:
    yield from _reading("tick log", snapshot.heartbeat, now)
    heartbeat = snapshot.heartbeat.value
    if heartbeat is not None and heartbeat.unreadable is not None:
        yield Problem("critical", heartbeat.unreadable)
    if heartbeat is not None and heartbeat.counting:
        yield Problem("warning", f"today's log is very long: {heartbeat.ticks_today:,} ticks counted so far")
    if heartbeat is None or heartbeat.last is None:
        return
    if heartbeat.ahead is not None:
        yield Problem("warning", ahead_text(heartbeat, now))
    next_at = heartbeat.next_at()
    if next_at is not None and heartbeat.overdue(now):
        dead = now - next_at > DEAD_INTERVALS * heartbeat.every_s
        yield Problem("critical" if dead else "warning", f"heartbeat overdue by {span_text(now - next_at)}")
    last = heartbeat.last.head
    if last.severity in ("warning", "critical"):
        verdict: Verdict = "critical" if last.severity == "critical" else "warning"
        yield Problem(verdict, f"last tick: {last.summary or last.severity}")
    elif last.severity == "fallback":
        yield Problem("warning", "last tick: the rules decided, no model answered")


def ahead_text(heartbeat: HeartbeatReading, now: float) -> str:
    """Which tick is of a later time than it is here, by how much, and whose clock that may be."""
    head = heartbeat.ahead
    if head is None or head.at is None:
        return ""
    of = f", of host {heartbeat.ahead_host}" if heartbeat.ahead_host else ""
    file = clean(Path(head.place.path).name)
    return f"a tick in {file} is {span_text(head.at - now)} in the future{of}: whose clock is wrong?"


def _worker(snapshot: Snapshot, now: float) -> Iterator[Problem]:
    yield from _reading("worker", snapshot.worker, now)
    worker = snapshot.worker.value
    if worker is None:
        return
    if worker.state == "stuck":
        silent = f": no beat for {span_text(now - worker.beat_at)}" if worker.beat_at is not None else ""
        yield Problem("warning", f"worker stuck{silent}")
    heartbeat = snapshot.heartbeat.value
    if worker.state == "down" and heartbeat is not None and heartbeat.last is not None:
        yield Problem("warning", "worker down")
    if worker.bad_messages:
        what = "message" if worker.bad_messages == 1 else "messages"
        yield Problem("warning", f"queue: {worker.bad_messages} bad {what} set aside")
    if worker.queue_error:
        yield Problem("warning", f"queue can't be read: {worker.queue_error}")


def _approvals(snapshot: Snapshot) -> Iterator[Problem]:
    waiting = [approval for approval in snapshot.approvals.value or () if approval.state == "proposed"]
    if waiting:
        names = ", ".join(dict.fromkeys(approval.action for approval in waiting))
        yield Problem("warning", f"{len(waiting)} to approve (p): {names}")


def _providers(snapshot: Snapshot, now: float) -> Iterator[Problem]:
    yield from _reading("providers", snapshot.providers, now)
    if snapshot.providers.value is None:
        return
    enabled = [entry for entry in snapshot.providers.value.providers if entry.state != "disabled"]
    failing = [entry for entry in enabled if entry.state == "down" or entry.circuit == "open"]
    if failing and len(failing) == len(enabled):
        yield Problem("critical", f"no provider answers: {', '.join(entry.name for entry in failing)}")
        return
    for entry in failing:
        yield Problem("warning", _provider_text(entry))


def _provider_text(entry: ProviderStatus) -> str:
    reason = f": {entry.last_error}" if entry.last_error else ""
    return f"{entry.name} circuit open{reason}" if entry.circuit == "open" else f"{entry.name} down{reason}"


def _reading(what: str, reading: Reading[T], now: float) -> Iterator[Problem]:
    """A source whose silence is worth a warning, never more."""
    state = reading.state(now)
    if state == "absent":
        error = reading.error or ""
        # A source's own message is a sentence; the monitor's ("no answer within 12 s") does not say of whom.
        yield Problem("warning", error if error[:1].isupper() else f"{what}: {error}")
    elif state == "stale":
        yield Problem("warning", _stale_text(what, reading, now))


def _cron(snapshot: Snapshot) -> Iterator[Problem]:
    """What Hermes' own cron could not do."""
    hermes = snapshot.hermes.value
    for job in () if hermes is None else hermes.failed_jobs:
        yield Problem("warning", f"cron job {job.name} failed{f': {job.error}' if job.error else ''}")


def _stale_text(what: str, reading: Reading[T], now: float) -> str:
    reason = f": {reading.error}" if reading.error else ""
    return f"{what} last seen {span_text(reading.age_s(now) or 0.0)} ago{reason}"
