"""``kill -9`` of the worker, of the model server and of the real Hermes: DESIGN §9.2, and nobody stays behind.

``TIMMY_TEST_HERMES`` names the ``hermes`` to run; ``make test-hermes`` makes one and does.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from e2e.killing import Heartbeat

HERMES = os.environ.get("TIMMY_TEST_HERMES", "")
ROUNDS = 12

pytestmark = pytest.mark.skipif(not HERMES, reason="TIMMY_TEST_HERMES names no hermes; run: make test-hermes")


def test_no_tick_is_lost_or_doubled_and_no_hermes_stays_behind(tmp_path: Path) -> None:
    with Heartbeat(tmp_path, 20261120, hermes=HERMES, answer_s=0.2, timeout_s=20) as heartbeat:
        victims = ["worker", "server", "hermes"] * (ROUNDS // 3)
        heartbeat.chance.shuffle(victims)
        hit = 0
        for victim in victims:
            heartbeat.start_server()
            heartbeat.start_worker()
            request = heartbeat.ask()
            if victim == "worker":
                heartbeat.strike(request, heartbeat.kill_worker, spread=40)
                heartbeat.settle(request)
            elif victim == "server":
                heartbeat.strike(request, heartbeat.kill_server, spread=40)
                heartbeat.wait_done(request)
            else:
                hit += heartbeat.strike_hermes(request)
                heartbeat.wait_done(request)
            heartbeat.check()
        assert hit
        heartbeat.start_server()
        heartbeat.start_worker()
        heartbeat.prove()
        heartbeat.check()
        heartbeat.check_records()


def test_a_hermes_that_waits_for_its_model_ends_with_the_worker(tmp_path: Path) -> None:
    with Heartbeat(tmp_path, 1, hermes=HERMES, timeout_s=120) as heartbeat:
        heartbeat.start_server()
        heartbeat.let_the_model_hang()
        heartbeat.start_worker()
        request = heartbeat.ask()
        heartbeat.wait_for_the_model()
        assert heartbeat.hermes()
        heartbeat.kill_worker()
        assert heartbeat.settle(request).state == "lost"
        heartbeat.check()
