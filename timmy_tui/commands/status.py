"""``timmy-tui status``: the snapshot without the console."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import msgspec

from timmy_tui.commands.output import Output, say, stdout_now
from timmy_tui.config import Settings
from timmy_tui.readers import run_apart
from timmy_tui.services.severity import overall
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.startup import settled

WATCH_EVERY_S = 2.0
FIRST_LOOK_S = 0.5
"""How long a watch waits for the first answers before it shows what it has."""


def run_status(settings: Settings, env: Mapping[str, str], *, as_json: bool = False, as_line: bool = False) -> int:
    """Read every source once, print it, and return 0 ok, 1 warning or stale, 2 critical."""
    return run_apart(_once(settings, env, as_json=as_json, as_line=as_line))


def run_watch(settings: Settings, env: Mapping[str, str], *, as_line: bool = False) -> int:
    """Repaint the status until ctrl+c, which is its way to end: 0."""
    settled()
    try:
        return run_apart(_watch(settings, env, as_line=as_line))
    except KeyboardInterrupt:
        return 0


def with_hours(settings: Settings, hours: float | None) -> Settings:
    """``settings`` with another sessions window."""
    if hours is None:
        return settings
    hermes = msgspec.structs.replace(settings.config.hermes, hours=hours)
    return msgspec.structs.replace(settings, config=msgspec.structs.replace(settings.config, hermes=hermes))


async def _once(settings: Settings, env: Mapping[str, str], *, as_json: bool, as_line: bool) -> int:
    from timmy_tui.services.monitor import Monitor

    monitor = Monitor(settings, env=env)
    try:
        snapshot = await monitor.snapshot_once()
    finally:
        await monitor.aclose()
    now = time.time()
    if as_json:
        from timmy_tui.services.status.document import status_document, status_json

        say(status_json(status_document(snapshot, now, settings.config.hermes.hours)))
    else:
        say(_picture(snapshot, now, stdout_now(settings, env), as_line=as_line))
    return overall(snapshot, now).exit_code


async def _watch(settings: Settings, env: Mapping[str, str], *, as_line: bool) -> int:
    from timmy_tui.services.monitor import Monitor

    monitor = Monitor(settings, env=env)
    polling = asyncio.ensure_future(monitor.run(lambda _: None))
    painted_rows = 0
    try:
        await asyncio.wait({polling}, timeout=FIRST_LOOK_S)
        while not polling.done():
            output = stdout_now(settings, env)
            picture = _picture(monitor.snapshot, time.time(), output, as_line=as_line)
            painted_rows = _repaint(picture, painted_rows, output)
            await asyncio.wait({polling}, timeout=WATCH_EVERY_S)
        await polling
    finally:
        polling.cancel()
        await asyncio.wait({polling})
        await monitor.aclose()
    return 0


def _picture(snapshot: Snapshot, now: float, output: Output, *, as_line: bool) -> str:
    if as_line:
        from timmy_tui.services.status.line import status_line

        return status_line(snapshot, now, output.glyphs)
    from timmy_tui.services.status.overview import status_text

    return status_text(snapshot, now, output.columns, output.glyphs, output.colour)


def _repaint(picture: str, painted_rows: int, output: Output) -> int:
    """Write ``picture`` over the last one, and return its rows; the scrollback above it is never touched.

    A picture taller than the terminal loses its last rows: one that has scrolled off can't be painted over.
    """
    if not output.terminal:
        say(picture if painted_rows == 0 or "\n" not in picture else f"\n{picture}")
        return 1
    rows = picture.split("\n")[: max(1, output.rows - 1)]
    back = f"\x1b[{min(painted_rows, output.rows - 1)}A\r\x1b[J" if painted_rows else ""
    say(back + "\n".join(rows))
    return len(rows)
