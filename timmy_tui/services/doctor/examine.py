"""The whole examination, and its text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from timmy_tui.config import ConfigError, Settings, load_cascade
from timmy_tui.glyphs import Glyphs
from timmy_tui.services.cascade.providers.hermes_foresee import foresee
from timmy_tui.services.doctor.findings import Finding, FindingState, finding, healthy
from timmy_tui.services.doctor.machine import (
    disk_finding,
    extra_findings,
    file_findings,
    orphan_findings,
    python_findings,
    terminal_findings,
    terminal_size,
)
from timmy_tui.services.doctor.stack import stack_findings
from timmy_tui.services.hermes.beside import other_profiles
from timmy_tui.services.hermes.config import HermesConfigError, read_hermes_model
from timmy_tui.services.hermes.connection import HermesError
from timmy_tui.services.hermes.context import check_context
from timmy_tui.services.hermes.profiles import find_place
from timmy_tui.services.providers.hermes_binary import HermesBinary, find_hermes
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.status.columns import Span, painted


async def examine(settings: Settings, env: Mapping[str, str], snapshot: Snapshot, now: float) -> tuple[Finding, ...]:
    """Look at everything once, files in a thread; ``snapshot`` is what the monitor read at ``now``."""
    return await asyncio.to_thread(_examined, settings, env, snapshot, now)


def _examined(settings: Settings, env: Mapping[str, str], snapshot: Snapshot, now: float) -> tuple[Finding, ...]:
    return (
        *python_findings(),
        *terminal_findings(env, terminal_size()),
        *file_findings(settings),
        disk_finding(settings.timmy_home),
        *_hermes(settings, env, snapshot, now),
        *stack_findings(settings, snapshot, now),
        *orphan_findings(),
        *extra_findings(),
    )


def _hermes(settings: Settings, env: Mapping[str, str], snapshot: Snapshot, now: float) -> Iterator[Finding]:
    binary = find_hermes(settings.config.hermes.command, env)
    yield _binary(binary, settings.config.hermes.command)
    try:
        folder = find_place(settings.hermes_home, settings.config.hermes.profile).folder
    except HermesError as error:
        yield finding("hermes home", "broken", error.message, error.hint)
        return
    yield finding("hermes home", "ok" if folder.is_dir() else "missing", _place_text(folder))
    reading = snapshot.hermes
    if reading.value is None:
        state: FindingState = "broken" if (folder / "state.db").exists() else "missing"
        yield finding("hermes store", state, reading.error or "no answer", reading.hint)
    else:
        profile = f", profile {reading.value.profile}" if reading.value.profile else ""
        count = len(reading.value.sessions)
        rows = f"{count} session{'' if count == 1 else 's'} in {reading.value.hours:g} h"
        yield finding("hermes store", "ok", f"{reading.value.path}{profile}: {rows}")
        for job in reading.value.failed_jobs:
            yield finding(
                "hermes cron", "broken", f"{job.name} failed: {job.error or 'why is not said'}", "hermes cron list"
            )
    others = other_profiles(find_place(settings.hermes_home, settings.config.hermes.profile), now)
    if others:
        told = f"used within the last day, and not shown here: {', '.join(others)}"
        yield finding("hermes profiles", "note", told, f"hermes: {{profile: {others[0]}}}  in tui.yaml shows that one")
    yield from _hermes_model(folder / "config.yaml", snapshot)
    yield from _hermes_call(settings, env, binary)


def _binary(binary: HermesBinary | None, command: str) -> Finding:
    if binary is None:
        mend = "install Hermes Agent, or name it with  hermes: {command: …}"
        return finding("hermes", "missing", f"no {command!r} on the PATH", mend)
    if binary.error is not None:
        return finding("hermes", "broken", binary.error)
    return finding("hermes", "ok", f"{binary.version or 'unknown version'} at {binary.path}")


def _place_text(folder: Path) -> str:
    return str(folder) if folder.is_dir() else f"no {folder}: Hermes makes it when it first runs"


def _hermes_model(path: Path, snapshot: Snapshot) -> Iterator[Finding]:
    try:
        model = read_hermes_model(path)
    except HermesConfigError as error:
        yield finding("hermes config", "broken", error.message)
        return
    if model is None:
        yield finding("hermes config", "note", f"no {path}: Hermes chooses by itself")
        return
    told = " from ".join(filter(None, (model.name or "no model chosen", model.provider)))
    yield finding("hermes config", "ok" if model.name else "note", f"{path}: {told}")
    readings = tuple(server.reading.value for server in snapshot.ollama if server.reading.value is not None)
    checked = check_context(model, path, readings)
    yield finding("hermes context", _CONTEXT_STATES[checked.state], checked.text, checked.mend)


def _hermes_call(settings: Settings, env: Mapping[str, str], binary: HermesBinary | None) -> Iterator[Finding]:
    """What would stand in the way of the heartbeat's call; the context length has findings of its own."""
    if binary is None or not settings.config.heartbeat.enabled:
        return
    try:
        cascade = load_cascade(settings)
    except ConfigError:
        return  # the configuration has its own finding
    own = next((entry for entry in cascade.providers if entry.type == "hermes"), None) if cascade else None
    for foreseen in foresee(settings, env, config=own):
        if foreseen.problem != "small_context":
            state: FindingState = "note" if foreseen.problem is None else "broken"
            yield finding("hermes call", state, foreseen.text, foreseen.mend)


_CONTEXT_STATES: dict[str, FindingState] = {"ok": "ok", "refused": "broken", "unknown": "note"}
_STYLES: dict[FindingState, str] = {"ok": "ok", "missing": "quiet", "broken": "critical", "note": "quiet"}


def doctor_json(findings: Iterable[Finding]) -> str:
    """The findings as one JSON document, and whether any of them is broken."""
    entries = tuple(findings)
    document = {"healthy": healthy(entries), "findings": entries}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def doctor_text(findings: Iterable[Finding], glyphs: Glyphs, colour: bool) -> str:
    """One line for each finding, what to do below it."""
    entries = tuple(findings)
    signs: dict[FindingState, str] = {
        "ok": glyphs.ok,
        "missing": glyphs.off,
        "broken": glyphs.critical,
        "note": glyphs.dot,
    }
    width = max((len(entry.topic) for entry in entries), default=0)
    lines: list[list[Span]] = []
    for entry in entries:
        style = _STYLES[entry.state]
        lines.append(
            [
                (f"{signs[entry.state]} {entry.state:<7} ", style),
                (f"{entry.topic:<{width}}  {entry.text}", ""),
            ]
        )
        if entry.mend:
            lines.append([(" " * (width + 12) + f"{glyphs.arrow} {entry.mend}", "strong")])
    return "\n".join(painted(line, colour) for line in lines)
