"""The promise of the first issue: ``status --json`` over the real Hermes store of the fixtures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from timmy_tui.config import load_settings
from timmy_tui.services.monitor import Monitor
from timmy_tui.services.status.document import status_document, status_json

FIXTURE = Path(__file__).parents[1] / "fixtures" / "hermes" / "state.db"
NOW = 1_795_147_500.0


async def test_the_hermes_fixture_has_16_sessions_and_30_120_tokens(tmp_path: Path) -> None:
    hermes = tmp_path / "hermes"
    hermes.mkdir()
    shutil.copy(FIXTURE, hermes / "state.db")
    env = {
        "HOME": str(tmp_path),
        "HERMES_HOME": str(hermes),
        "TIMMY_HOME": str(tmp_path / "timmy"),
        "OLLAMA_HOST": "127.0.0.1:9",
        "PATH": "",
    }
    monitor = Monitor(load_settings(env), env=env, clock=lambda: NOW)
    snapshot = await monitor.snapshot_once()
    await monitor.aclose()

    told = json.loads(status_json(status_document(snapshot, NOW, 24)))["hermes"]

    assert (told["sessions"], told["tokens"]["total"], told["hours"]) == (16, 30_120, 24)
    assert told["by_source"] == {"cli": 6, "heartbeat": 6, "cron": 2, "subagent": 1, "tool": 1}
    assert told["cost_usd"] is None
