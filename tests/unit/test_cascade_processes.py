"""The circuits hold across processes: trials are bounded, counts are exact, and a killed holder blocks nobody."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import closing
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from random import Random

from timmy_tui.config import CircuitConfig
from timmy_tui.services.cascade.circuit import Permit, Refusal
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.database import open_database
from timmy_tui.services.events import recent_events
from timmy_tui.services.providers.metrics import read_provider_metrics

PROCESSES = 8
TRIALS = 2
CONFIG = CircuitConfig(failure_threshold=1, recovery_timeout=60, half_open_max_calls=TRIALS)
NOW = 1_795_144_500.0
LATER = NOW + 61

_spawn = multiprocessing.get_context("spawn")


def store_at(path: Path, now: float) -> MetricsStore:
    return MetricsStore(path, CONFIG, lambda: now)


def open_circuit(path: Path) -> None:
    store = store_at(path, NOW)
    permit = store.acquire("ollama")
    assert isinstance(permit, Permit)
    assert store.failed(permit, "refused", "nothing listens").circuit == "open"


def race(path: Path, start: Barrier, all_asked: Barrier, admitted: Synchronized[int], most: Synchronized[int]) -> None:
    """Ask at the same moment as the others; whoever holds a slot keeps it until all have asked."""
    store = store_at(path, LATER)
    start.wait(60)
    answer = store.acquire("ollama")
    if isinstance(answer, Permit):
        assert answer.trial
        with admitted.get_lock():
            admitted.value += 1
            most.value = max(most.value, admitted.value)
    all_asked.wait(60)
    if isinstance(answer, Permit):
        store.succeeded(answer, 12.0)


def test_eight_processes_get_so_many_trials_at_once_and_close_it_once(tmp_path: Path) -> None:
    path = tmp_path / "timmy.db"
    open_circuit(path)
    start, all_asked = _spawn.Barrier(PROCESSES), _spawn.Barrier(PROCESSES)
    admitted, most = _spawn.Value("i", 0), _spawn.Value("i", 0)
    processes = [_spawn.Process(target=race, args=(path, start, all_asked, admitted, most)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert most.value == admitted.value == TRIALS
    kinds = [event.event_type for event in recent_events(path, 100)]
    assert kinds.count("circuit.half_opened") == 1
    assert kinds.count("circuit.closed") == 1
    assert store_at(path, LATER).circuit_of("ollama").circuit == "closed"
    assert read_provider_metrics(path).of("ollama").successes == TRIALS


def hold(path: Path, holding: Event) -> None:
    store = store_at(path, LATER)
    for _ in range(TRIALS):
        assert isinstance(store.acquire("ollama", lease_s=30), Permit)
    holding.set()
    signal.pause()


def test_kill_9_of_a_holder_frees_its_slots_after_the_lease(tmp_path: Path) -> None:
    path = tmp_path / "timmy.db"
    open_circuit(path)
    holding = _spawn.Event()
    holder = _spawn.Process(target=hold, args=(path, holding))
    holder.start()
    assert holding.wait(60)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(60)
    assert holder.exitcode == -signal.SIGKILL
    assert isinstance(store_at(path, LATER + 29.9).acquire("ollama"), Refusal)
    assert isinstance(store_at(path, LATER + 30).acquire("ollama"), Permit)


def count(path: Path, start: Barrier, calls: int) -> None:
    store = MetricsStore(path, CircuitConfig(failure_threshold=10**6), lambda: NOW)
    start.wait(60)
    for number in range(calls):
        permit = store.acquire("ollama")
        assert isinstance(permit, Permit)
        if number % 5 == 0:
            store.failed(permit, "timeout", "slow")
        else:
            store.succeeded(permit, 10.0)


def test_no_call_is_lost_or_counted_twice_even_in_a_new_database(tmp_path: Path) -> None:
    path = tmp_path / "timmy.db"
    calls = 25
    start = _spawn.Barrier(PROCESSES)
    processes = [_spawn.Process(target=count, args=(path, start, calls)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    metrics = read_provider_metrics(path).of("ollama")
    failures = PROCESSES * calls // 5
    assert (metrics.requests, metrics.failures) == (PROCESSES * calls, failures)
    assert metrics.successes == sum(metrics.latency_buckets) == PROCESSES * calls - failures
    assert metrics.avg_latency_ms is not None
    assert abs(metrics.avg_latency_ms - 10.0) < 1e-6
    with closing(open_database(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert connection.execute("SELECT count(*) FROM event_log").fetchone()[0] == failures


def test_kill_9_at_any_point_leaves_whole_counts(tmp_path: Path) -> None:
    path = tmp_path / "timmy.db"
    random = Random(3)
    for _ in range(8):
        start = _spawn.Barrier(3)
        processes = [_spawn.Process(target=count, args=(path, start, 10**6)) for _ in range(2)]
        for process in processes:
            process.start()
        start.wait(60)
        counted = _requests(path)
        wanted = counted + random.randrange(1, 12)
        while _requests(path) < wanted:
            os.sched_yield()
        for process in processes:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join(60)
        metrics = read_provider_metrics(path).of("ollama")
        assert metrics.requests == metrics.successes + metrics.failures >= wanted
        assert sum(metrics.latency_buckets) == metrics.successes
        with closing(open_database(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            assert connection.execute("SELECT count(*) FROM event_log").fetchone()[0] == metrics.failures


def _requests(path: Path) -> int:
    return read_provider_metrics(path).of("ollama").requests
