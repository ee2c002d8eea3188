"""``timmy-tui doctor``: what is found, what is missing, the command that mends it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from timmy_tui.commands.output import say, stdout_now
from timmy_tui.config import Settings
from timmy_tui.readers import run_apart


def run_doctor(settings: Settings, env: Mapping[str, str], *, as_json: bool) -> int:
    """Examine everything once; 0 when nothing is broken, else 1."""
    return run_apart(_doctor(settings, env, as_json=as_json))


async def _doctor(settings: Settings, env: Mapping[str, str], *, as_json: bool) -> int:
    from timmy_tui.services.doctor.examine import doctor_json, doctor_text, examine
    from timmy_tui.services.doctor.findings import healthy
    from timmy_tui.services.monitor import Monitor

    monitor = Monitor(settings, env=env)
    try:
        snapshot = await monitor.snapshot_once()
    finally:
        await monitor.aclose()
    findings = await examine(settings, env, snapshot, time.time())
    output = stdout_now(settings, env)
    say(doctor_json(findings) if as_json else doctor_text(findings, output.glyphs, output.colour))
    return 0 if healthy(findings) else 1
