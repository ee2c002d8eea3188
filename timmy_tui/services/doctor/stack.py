"""The doctor's look at the stack: servers, sessions, tick log, queue, worker, providers, GPU."""

from __future__ import annotations

from collections.abc import Iterator

from timmy_tui.config import ConfigError, Settings, load_cascade
from timmy_tui.services.doctor.findings import Finding, FindingState, finding
from timmy_tui.services.doctor.install import install_command
from timmy_tui.services.providers.records import ProviderStatus
from timmy_tui.services.severity import ahead_text, ollama_text, source_state
from timmy_tui.services.snapshot import OllamaServer, Snapshot
from timmy_tui.text import bytes_text, clean, duration_text, span_text


def stack_findings(settings: Settings, snapshot: Snapshot, now: float) -> Iterator[Finding]:
    """Every watched part but Hermes, in the order of the console's panes."""
    for server in snapshot.ollama:
        yield _ollama(server, now)
    yield _ticks(settings, snapshot, now)
    yield from _worker(settings, snapshot)
    yield from _providers(settings, snapshot)
    yield _gpu(snapshot)


def _ollama(server: OllamaServer, now: float) -> Finding:
    topic = f"ollama {server.name}"
    reading = server.reading
    if reading.value is None or source_state(reading, now) == "down":
        return finding(topic, "broken", f"{ollama_text(server)} ({server.url})", reading.hint)
    value = reading.value
    told = f"{value.version or 'unknown version'} at {server.url}, {duration_text(value.latency_ms)}"
    in_memory = f"{len(value.loaded)} loaded" if value.loaded_known else "what is loaded it does not tell"
    counts = f"{len(value.installed)} installed, {in_memory}"
    if not value.installed:
        return finding(topic, "missing", f"{told}; no model installed", "ollama pull llama3.2:3b")
    return finding(topic, "ok", f"{told}; {counts}")


def _ticks(settings: Settings, snapshot: Snapshot, now: float) -> Finding:
    reading = snapshot.heartbeat
    if not settings.config.heartbeat.enabled:
        return finding("heartbeat", "note", "off by  heartbeat: {enabled: false}")
    if reading.value is None:
        state: FindingState = "broken" if settings.heartbeat_dir.exists() else "missing"
        return finding("heartbeat", state, reading.error or "the tick log gave no answer", reading.hint)
    last = reading.value.last
    if reading.value.unreadable is not None:
        return finding("heartbeat", "broken", reading.value.unreadable, "a tick is one JSON object a line, in UTF-8")
    if reading.value.ahead is not None:
        return finding("heartbeat", "broken", ahead_text(reading.value, now), "compare the clocks of all writers: date")
    if last is None:
        return finding("heartbeat", "note", f"no tick yet in {settings.heartbeat_dir}")
    age = "at an unknown time" if last.head.at is None else f"{span_text(now - last.head.at)} ago"
    text = f"last tick {age}, {reading.value.ticks_today} today"
    named, usual = settings.config.heartbeat.model, reading.value.model()
    if named or usual:
        text += f"; it asks {clean(named)}" if named else f"; it stays with {usual}, which decided last"
    if reading.value.bad_lines:
        return finding("heartbeat", "note", f"{text}; {reading.value.bad_lines} lines of today are no tick")
    return finding("heartbeat", "broken" if reading.value.overdue(now) else "ok", text)


def _worker(settings: Settings, snapshot: Snapshot) -> Iterator[Finding]:
    reading = snapshot.worker
    value = reading.value
    if value is None:
        yield finding("worker", "broken", reading.error or "its state gave no answer", reading.hint)
        return
    if value.queue_error:
        extra = install_command("redis") if settings.config.queue.url.startswith("redis") else ""
        yield finding("queue", "broken", f"{value.queue}: {value.queue_error}", reading.hint or extra)
    else:
        pending = "not there yet" if value.pending is None else f"{value.pending} pending"
        yield finding("queue", "ok" if value.pending is not None else "note", f"{value.queue}: {pending}")
        if value.bad_messages:
            told = f"{value.bad_messages} messages could not be read and are set aside: who writes into {value.queue}?"
            yield finding(
                "queue messages",
                "broken",
                told,
                "they are kept under timmy-bad:… in it; only your own programs may write it",
            )
    where = f" on {value.host}" if value.host else ""
    pid = f" (pid {value.pid})" if value.pid is not None else ""
    if value.state in ("up", "elsewhere"):
        yield finding("worker", "ok", f"{value.state}{where}{pid}")
    elif value.state == "stuck":
        mend = f"kill {value.pid}" if value.pid is not None else ""
        yield finding("worker", "broken", f"stuck{where}{pid}: it holds its lock and no longer beats", mend)
    else:
        yield finding("worker", "missing", "none is running")


def _providers(settings: Settings, snapshot: Snapshot) -> Iterator[Finding]:
    try:
        load_cascade(settings)
    except ConfigError as error:
        yield finding("providers", "broken", str(error))
        return
    reading = snapshot.providers
    if reading.value is None:
        yield finding("providers", "broken", reading.error or "no answer", reading.hint)
        return
    if not reading.value.providers:
        yield finding("providers", "missing", "none configured and none found: the rules decide every tick")
    for entry in reading.value.providers:
        yield _provider(entry)


def _provider(entry: ProviderStatus) -> Finding:
    topic = f"provider {entry.name}"
    what = " ".join(filter(None, (entry.type, entry.version, entry.model)))
    if entry.state == "disabled":
        return finding(topic, "note", f"{what}: {entry.note or 'disabled'}")
    if entry.circuit == "open":
        return finding(topic, "broken", f"{what}: circuit open: {entry.last_error or 'its calls failed'}")
    if entry.state == "down":
        return finding(topic, "broken", f"{what}: down: {entry.last_error or entry.note or 'no answer'}")
    if entry.state == "unknown":
        return finding(topic, "note", f"{what}: {entry.note or 'not asked yet'}")
    return finding(topic, "ok", what)


def _gpu(snapshot: Snapshot) -> Finding:
    reading = snapshot.gpu
    if reading.value is None:
        return finding("gpu", "note", reading.error or "not known", reading.hint)
    if not reading.value.devices:
        return finding("gpu", "note", "none found, or no library to ask it")
    devices = ", ".join(f"{device.name} {bytes_text(device.total_bytes)}" for device in reading.value.devices)
    return finding("gpu", "ok", devices)
