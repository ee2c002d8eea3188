"""The snapshot for people without the console: a plain overview of a dozen lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from timmy_tui.glyphs import Glyphs
from timmy_tui.services.hermes.records import SessionState
from timmy_tui.services.ollama.rules import expiry, processor_text
from timmy_tui.services.providers.records import ProviderStatus
from timmy_tui.services.reading import Reading
from timmy_tui.services.severity import T, overall, source_state
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.services.status.columns import Span, cells, fitted, painted
from timmy_tui.text import (
    bytes_text,
    clock_text,
    context_text,
    count_text,
    duration_text,
    percent_text,
    span_text,
)

SHOWN_SESSIONS = 3
LABEL_CELLS = 11


def status_text(snapshot: Snapshot, now: float, width: int, glyphs: Glyphs, colour: bool) -> str:
    """Several lines of at most ``width`` cells, for a person."""
    return "\n".join(painted(fitted(line, width, glyphs.ellipsis), colour) for line in _lines(snapshot, now, glyphs))


def _lines(snapshot: Snapshot, now: float, glyphs: Glyphs) -> Iterator[list[Span]]:
    verdict = overall(snapshot, now)
    moment = datetime.fromtimestamp(now, UTC).astimezone()
    yield [
        (f"{glyphs.severity(verdict.severity)} {verdict.severity}", verdict.severity),
        (f"  {snapshot.host}  {clock_text(moment)}", "quiet"),
    ]
    for problem in verdict.problems:
        yield [(f"  {problem}", "")]
    yield []
    for server in snapshot.ollama:
        yield from _server(server, now, glyphs)
    yield from _sessions(snapshot, now, glyphs)
    yield from _heartbeat(snapshot, now, glyphs)
    yield from _worker(snapshot, now, glyphs)
    yield from _providers(snapshot, now, glyphs)


def _label(label: str) -> Span:
    return (f"{label:<{LABEL_CELLS}}", "strong")


def _state(reading: Reading[T], now: float, glyphs: Glyphs) -> Span:
    """The sign, word and age of a source that is not simply up."""
    state = source_state(reading, now)
    if state is None:
        return (f"{glyphs.unknown} no answer yet", "quiet")
    if state == "up":
        return (f"{glyphs.ok} up", "ok")
    age_s = reading.age_s(now)
    seen = f" (last seen {span_text(age_s)} ago)" if age_s is not None else ""
    if state == "stale":
        return (f"{glyphs.stale} stale{seen}", "warning")
    return (f"{glyphs.critical} down{seen}", "critical")


def _server(server: OllamaServer, now: float, glyphs: Glyphs) -> Iterator[list[Span]]:
    value = server.reading.value
    head: list[Span] = [_label("Models"), (f"{server.name} ", ""), _state(server.reading, now, glyphs)]
    if value is None:
        yield [*head, (f"  {server.url}", "quiet")]
        if server.reading.hint:
            yield [(" " * LABEL_CELLS + server.reading.hint, "quiet")]
        return
    facts = [
        f"{len(value.installed)} installed",
        f"{len(value.loaded)} loaded" if value.loaded_known else "loaded unknown",
    ]
    if value.loaded:
        facts.append(bytes_text(value.vram_bytes))
    told = [duration_text(value.latency_ms), *([value.version] if value.version else [])]
    yield [*head, (f"  {'  '.join(told)}", "quiet"), (f"  {f' {glyphs.dot} '.join(facts)}", "")]
    widest = max((cells(model.name) for model in value.loaded), default=0)
    for model in value.loaded:
        processor = processor_text(model.size_bytes, model.size_vram_bytes)
        yield [
            (f"  {glyphs.ok} ", "ok"),
            (model.name + " " * (widest - cells(model.name)), ""),
            (f"  {bytes_text(model.size_bytes):>8}  {processor}", ""),
            (f"  {context_text(model.context_length)}  {expiry(model, now).text}", "quiet"),
        ]


def _sessions(snapshot: Snapshot, now: float, glyphs: Glyphs) -> Iterator[list[Span]]:
    reading = snapshot.hermes
    value = reading.value
    if value is None:
        yield [_label("Sessions"), *_silence(reading, now, glyphs)]
        return
    facts = [f"{len(value.sessions)} in {value.hours:g} h"]
    facts += [f"{value.count(state, now)} {state}" for state in _TOLD_STATES if value.count(state, now)]
    if not value.routing_only:
        facts.append(f"{count_text(value.tokens.total)} tokens")
        if value.tokens.total:
            facts.append(f"local {percent_text(value.local_tokens / value.tokens.total)}")
    if value.older_tokens:
        facts.append(f"{count_text(value.older_tokens)} of them since the start of longer sessions")
    if value.cost_usd is not None:
        facts.append(f"${value.cost_usd:,.2f}")
    if value.other_profiles:
        facts.append(f"also in use: profile {', '.join(value.other_profiles[:3])}")
    state = [] if source_state(reading, now) == "up" else [(" ", ""), _state(reading, now, glyphs)]
    yield [_label("Sessions"), (f" {glyphs.dot} ".join(facts), ""), *state]
    for session in value.sessions[:SHOWN_SESSIONS]:
        word = session.state(now)
        sign, style = _session_sign(word, glyphs)
        tokens = "" if value.routing_only else count_text(session.tokens.total)
        yield [
            (f"  {sign} {word:<7}", style),
            (f"  {session.source}  {session.model or ''}  {tokens}", ""),
            (f"  {session.title or ''}", "quiet"),
        ]


_TOLD_STATES: tuple[SessionState, ...] = ("running", "failed")


def _session_sign(state: SessionState, glyphs: Glyphs) -> tuple[str, str]:
    if state == "running":
        return glyphs.ok, "ok"
    return (glyphs.critical, "critical") if state == "failed" else (glyphs.off, "quiet")


def _heartbeat(snapshot: Snapshot, now: float, glyphs: Glyphs) -> Iterator[list[Span]]:
    reading = snapshot.heartbeat
    value = reading.value
    if value is None:
        yield [_label("Heartbeat"), *_silence(reading, now, glyphs)]
        return
    rhythm: Span = (f"{glyphs.ok} on time", "ok")
    if value.late(now):
        rhythm = (f"{glyphs.warning} {'overdue' if value.overdue(now) else 'late'}", "warning")
    if not snapshot.heartbeat_enabled:
        rhythm = (f"{glyphs.off} off", "quiet")
    elif value.last is None:
        unreadable = value.unreadable
        rhythm = (
            (f"{glyphs.critical} {unreadable}", "critical") if unreadable else (f"{glyphs.off} no tick yet", "quiet")
        )
    elif value.ahead is not None:
        rhythm = (f"{glyphs.warning} a tick is in the future", "warning")
    labelled = value.labels.chosen + value.labels.rejected + value.labels.skipped
    facts = [
        f"{value.ticks_today} today{' so far' if value.counting else ''}",
        f"{value.model_decisions} model",
        f"{value.fallback_decisions} fallback",
        f"{labelled} labelled",
    ]
    yield [_label("Heartbeat"), rhythm, ("  " + f" {glyphs.dot} ".join(facts), "")]
    if value.last is not None:
        head = value.last.head
        age_s = value.age_s(now)
        unknown = "in the future" if value.last_is_ahead else "at an unknown time"
        age = unknown if age_s is None else f"{span_text(age_s)} ago"
        yield [
            (f"  {glyphs.severity(head.severity)} {head.severity}", head.severity),
            (f"  {age}  {head.model or ''}", "quiet"),
            (f"  {head.summary}", ""),
        ]


def _worker(snapshot: Snapshot, now: float, glyphs: Glyphs) -> Iterator[list[Span]]:
    value = snapshot.worker.value
    if value is None:
        yield [_label("Worker"), *_silence(snapshot.worker, now, glyphs)]
        return
    sign, style = {
        "up": (glyphs.ok, "ok"),
        "elsewhere": (glyphs.ok, "ok"),
        "stuck": (glyphs.warning, "warning"),
    }.get(value.state, (glyphs.off, "quiet"))
    facts = [f"pid {value.pid}"] if value.pid is not None else []
    facts += [f"on {value.host}"] if value.state == "elsewhere" and value.host else []
    facts.append("queue unknown" if value.pending is None else f"{value.pending} pending")
    facts += [f"running {value.running}"] if value.running else []
    yield [_label("Worker"), (f"{sign} {value.state}", style), ("  " + f" {glyphs.dot} ".join(facts), "")]


def _providers(snapshot: Snapshot, now: float, glyphs: Glyphs) -> Iterator[list[Span]]:
    value = snapshot.providers.value
    if value is None:
        yield [_label("Providers"), *_silence(snapshot.providers, now, glyphs)]
        return
    if not value.providers:
        yield [_label("Providers"), ("none", "quiet")]
    for index, entry in enumerate(value.providers):
        sign, style, words = _provider(entry, glyphs)
        facts = [f"{entry.requests} requests", f"{entry.failures} failed"] if entry.requests else []
        facts += [duration_text(entry.avg_latency_ms)] if entry.avg_latency_ms is not None else []
        tail = entry.note or (entry.last_error if style != "ok" else None)
        yield [
            _label("Providers" if index == 0 else ""),
            (f"{entry.priority:>3} {entry.name} ", ""),
            (f"{sign} {words}", style),
            ("".join(f" {glyphs.dot} {fact}" for fact in facts), "quiet"),
            (f"  {tail}" if tail else "", "quiet"),
        ]


def _provider(entry: ProviderStatus, glyphs: Glyphs) -> tuple[str, str, str]:
    if entry.state == "disabled":
        return glyphs.off, "quiet", "disabled"
    if entry.circuit == "open":
        return glyphs.critical, "critical", "circuit open"
    if entry.circuit == "half_open":
        return glyphs.half, "warning", "circuit half-open"
    if entry.state == "down":
        return glyphs.critical, "critical", "down"
    return (glyphs.ok, "ok", "up") if entry.state == "up" else (glyphs.unknown, "quiet", "unknown")


def _silence(reading: Reading[T], now: float, glyphs: Glyphs) -> list[Span]:
    if reading.error is None:
        return [_state(reading, now, glyphs)]
    return [
        (f"{glyphs.unknown} {reading.error}", "warning"),
        (f"  {reading.hint}" if reading.hint else "", "quiet"),
    ]
