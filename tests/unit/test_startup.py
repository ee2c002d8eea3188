"""Garbage is not collected while a command starts, and is in every command that goes on running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WORKER = """
import gc, os, signal, sys
from timmy_tui import cli
from timmy_tui.commands import worker

def tell(line):
    print("collects:", gc.isenabled(), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

worker._tell = tell
sys.argv = ["timmy-tui", "worker"]
cli.main()
"""

TICK = """
import gc, os
gc.disable()
from timmy_tui.commands.tick import run_tick
from timmy_tui.config import load_settings

class Looked(Exception):
    pass

def pause(seconds):
    print("collects:", gc.isenabled(), flush=True)
    raise Looked

try:
    run_tick(load_settings(os.environ), os.environ, wait=True, as_json=False, pause=pause)
except Looked:
    pass
"""


@pytest.mark.parametrize("program", [WORKER, TICK], ids=["worker", "tick --wait"])
def test_a_command_that_goes_on_running_collects_garbage(tmp_path: Path, program: str) -> None:
    env = {
        "HOME": str(tmp_path),
        "PATH": os.defpath,
        "OLLAMA_HOST": "127.0.0.1:9",
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
    }
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=20)
    assert done.stdout.splitlines()[:1] == ["collects: True"], done.stderr
    assert done.returncode == 0
