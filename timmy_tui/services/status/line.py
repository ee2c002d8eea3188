"""The snapshot as one line for a tmux status bar."""

from __future__ import annotations

from collections.abc import Iterator

from timmy_tui.glyphs import Glyphs
from timmy_tui.services.severity import overall, source_state
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.services.status.columns import cells
from timmy_tui.text import bytes_text, count_text, span_text

LINE_CELLS = 80
"""The most that the line takes of a status bar."""


def status_line(snapshot: Snapshot, now: float, glyphs: Glyphs) -> str:
    """At most 80 cells without control characters; parts that do not fit are left out from the right."""
    line = f"{glyphs.severity(overall(snapshot, now).severity)} "
    separator = f" {glyphs.dot} "
    for index, part in enumerate(_parts(snapshot, now, glyphs)):
        longer = line + (separator if index else "") + part
        if cells(longer) > LINE_CELLS:
            break
        line = longer
    return line.rstrip()


def _parts(snapshot: Snapshot, now: float, glyphs: Glyphs) -> Iterator[str]:
    answering = [server.reading.value for server in snapshot.ollama if source_state(server.reading, now) == "up"]
    values = [value for value in answering if value is not None]
    down = [server.name for server in snapshot.ollama if source_state(server.reading, now) == "down"]
    if values:
        loaded = sum(len(value.loaded) for value in values)
        held = f" {bytes_text(sum(value.vram_bytes for value in values))}" if loaded else ""
        yield f"{loaded} model{'' if loaded == 1 else 's'}{held}"
    if down:
        yield ("ollama down" if len(snapshot.ollama) == 1 else f"{len(down)} of {len(snapshot.ollama)} ollama down")
    hermes = snapshot.hermes.value
    if hermes is not None:
        tokens = "" if hermes.routing_only else f" {count_text(hermes.tokens.total)}"
        yield f"{len(hermes.sessions)} session{'' if len(hermes.sessions) == 1 else 's'}{tokens}"
    heartbeat = snapshot.heartbeat.value
    sign = "hb" if glyphs.ok.isascii() else "♥"
    if heartbeat is not None and heartbeat.last is not None:
        head = heartbeat.last.head
        age_s = heartbeat.age_s(now)
        age = "?" if age_s is None else span_text(age_s).replace(" ", "")
        yield f"{sign} {age} {glyphs.severity(head.severity)}"
    elif heartbeat is not None and snapshot.heartbeat_enabled:
        yield f"{sign} {'unreadable' if heartbeat.unreadable else 'no tick'}"
    worker = snapshot.worker.value
    if worker is not None:
        yield f"worker {worker.state}"
