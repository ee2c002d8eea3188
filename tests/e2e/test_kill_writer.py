"""``kill -9`` of a writing process at any point: what it acknowledged is there once and whole (DESIGN §9.2)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROUNDS = 100

NURSERY = r"""
import os, random, signal, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:5]
from unit.test_tick_writer import a_draft
from timmy_tui.services.heartbeat.tick_writer import TickWriter

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(20261120)


def write_for_ever(pipe):
    writer = TickWriter(folder)
    while True:
        written = writer.write(a_draft(writer.reserve(), prompt="state " * 500))
        os.write(pipe, written.tick_id.encode() + b"\n")


for _ in range(rounds):
    victims = []
    for _ in range(2):
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            write_for_ever(write_end)
        os.close(write_end)
        victims.append((child, read_end))
    for child, read_end in victims:
        told = b""
        for _ in range(chance.randrange(4)):
            told += os.read(read_end, 4_096)
        end = time.perf_counter() + chance.random() * 0.006
        while time.perf_counter() < end:
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while chunk := os.read(read_end, 65_536):
            told += chunk
        os.close(read_end)
        sys.stdout.write(told.decode())
"""


def test_no_acknowledged_tick_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-c", NURSERY, str(tmp_path), str(ROUNDS), str(tests.parent), str(tests)]
    nursery = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = nursery.stdout.split()
    ids: Counter[str] = Counter()
    bad = 0
    for path in tmp_path.glob("ticks_*.jsonl"):
        for line in path.read_bytes().splitlines():
            try:
                ids[json.loads(line)["tick_id"]] += 1
            except ValueError:
                bad += 1
    assert len(told) > ROUNDS
    assert len(set(told)) == len(told)
    assert {tick_id: ids[tick_id] for tick_id in told} == dict.fromkeys(told, 1)
    assert not [tick_id for tick_id, count in ids.items() if count > 1]
    assert bad <= 2 * ROUNDS
    assert len(ids) - len(told) <= 2 * ROUNDS  # written, killed before it could be told
