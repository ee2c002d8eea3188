"""``kill -9`` of the worker and of the model server at any point: DESIGN §9.2 holds after each of them.

With the twelve rounds of ``e2e_hermes/test_hermes_kills.py`` these are a hundred.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.killing import Heartbeat

SEEDS = (1, 2, 3, 4)
ROUNDS = 22


@pytest.mark.parametrize("seed", SEEDS)
def test_no_tick_is_lost_or_doubled_whatever_is_killed(tmp_path: Path, seed: int) -> None:
    with Heartbeat(tmp_path, seed) as heartbeat:
        for _ in range(ROUNDS):
            victim = heartbeat.chance.choices(("worker", "start", "server", "both"), (9, 4, 6, 3))[0]
            heartbeat.start_server()
            if victim == "start":
                request = heartbeat.ask()
                heartbeat.die_in_the_start()
            else:
                heartbeat.start_worker()
                request = heartbeat.ask()
                if victim == "both":
                    heartbeat.strike(request, heartbeat.kill_server)
                heartbeat.strike(request, heartbeat.kill_server if victim == "server" else heartbeat.kill_worker)
            if victim == "server":
                heartbeat.wait_done(request)
            elif heartbeat.settle(request).state == "no_worker":
                heartbeat.check()
                heartbeat.start_worker()
                heartbeat.wait_done(request)
            heartbeat.check()
            heartbeat.start_server()
            heartbeat.start_worker()
            heartbeat.prove()
        heartbeat.check()
        heartbeat.check_records()
