"""The monitor over real sources: a demo home on the disk and an Ollama that may be ill.

Every interval is a day, so a source is asked when the test wakes it and never by the passing of time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
from faulty_server import FaultyServer
from tick_maker import tick_line

from timmy_tui.config import load_settings
from timmy_tui.services.demo.home import write_history
from timmy_tui.services.demo.ollama_world import world_at
from timmy_tui.services.monitor import Monitor
from timmy_tui.services.reading import Reading
from timmy_tui.services.snapshot import Snapshot

NOW = 1_795_147_500.0
DAY_S = 86_400
INTERVALS = dict.fromkeys(
    ("ollama_s", "ollama_tags_s", "hermes_s", "ticks_s", "providers_s", "worker_s", "gpu_s"), DAY_S
)
LOCAL = {"hermes", "heartbeat", "worker", "gpu", "providers"}
SOURCES = {"ollama:local", *LOCAL}
SILENT = {"name": "openai", "type": "openai", "enabled": False}
"""With a cascade of one provider that is switched off, nobody but the Ollama source asks the server."""

LONG_S = 20.0
"""Far beyond anything that a healthy run needs; only a failing test waits for it."""


class Observed(Monitor):
    """A monitor that tells when a source has been read."""

    readings: dict[str, int]

    def _take(self, name: str, reading: Reading[object]) -> None:
        super()._take(name, reading)
        self.readings[name] = self.readings.get(name, 0) + 1
        self.taken.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG_S):
            while not condition():
                self.taken.clear()
                await self.taken.wait()

    async def all_read(self, names: set[str] = SOURCES, times: int = 1) -> None:
        """Until each of ``names`` has been read so often."""
        await self.until(lambda: all(self.readings.get(name, 0) >= times for name in names))

    async def again(self, name: str) -> None:
        """Ask one source anew and wait for its reading."""
        before = self.readings.get(name, 0)
        self.refresh(name)
        await self.until(lambda: self.readings.get(name, 0) > before)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    world = world_at(NOW)
    bodies = {
        "/api/version": '{"version": "0.32.15"}',
        "/api/tags": json.dumps(world.tags()),
        "/api/ps": json.dumps(world.ps(NOW)),
    }
    with FaultyServer(bodies) as running:
        yield running


@pytest.fixture
def env(tmp_path: Path, server: FaultyServer) -> dict[str, str]:
    home = tmp_path / "demo"
    return {**write_history(home, NOW), "HOME": str(home), "PATH": "", "OLLAMA_HOST": server.url}


def monitor_of(env: Mapping[str, str], **config: object) -> Observed:
    settings = load_settings(env, overrides={"intervals": INTERVALS, "providers": [SILENT], **config})
    observed = Observed(settings, env=env, clock=lambda: NOW)
    observed.readings, observed.taken = {}, asyncio.Event()
    return observed


@contextlib.asynccontextmanager
async def running(monitor: Observed) -> AsyncIterator[list[Snapshot]]:
    """The monitor at work, and what it publishes."""
    published: list[Snapshot] = []
    task = asyncio.create_task(monitor.run(published.append))
    try:
        yield published
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await monitor.aclose()


def values(snapshot: Snapshot) -> dict[str, object]:
    return {
        "ollama:local": snapshot.ollama[0].reading.value,
        **{name: getattr(snapshot, name).value for name in LOCAL},
    }


async def test_before_anything_is_asked_the_servers_are_known_and_nothing_else(env: dict[str, str]) -> None:
    far = {"name": "far", "url": "http://10.1.2.3:11434", "vram_total_gb": 48}
    monitor = monitor_of(env, ollama=[{"name": "local"}, far])
    local, remote = monitor.snapshot.ollama
    assert (local.name, local.url, local.on_this_host, local.vram_total_bytes) == (
        "local",
        env["OLLAMA_HOST"],
        True,
        None,
    )
    assert (remote.name, remote.on_this_host, remote.vram_total_bytes) == ("far", False, 48_000_000_000)
    assert all(value is None for value in values(monitor.snapshot).values())
    await monitor.aclose()


async def test_every_source_is_read_into_one_snapshot(env: dict[str, str]) -> None:
    monitor = monitor_of(env)
    async with running(monitor) as published:
        await monitor.all_read()
    assert published[-1] is monitor.snapshot
    assert all(value is not None for value in values(monitor.snapshot).values())
    assert [model.name for model in monitor.snapshot.ollama[0].reading.value.loaded] == [  # type: ignore[union-attr]
        "qwen2.5-coder:7b",
        "hermes4:14b",
    ]
    heartbeat = monitor.snapshot.heartbeat.value
    assert heartbeat is not None
    assert len(heartbeat.recent) > 100
    assert heartbeat.every_s == 600


async def test_a_poll_that_found_nothing_new_is_not_published(env: dict[str, str]) -> None:
    monitor = monitor_of(env)
    async with running(monitor) as published:
        await monitor.all_read()
        before, count = monitor.snapshot, len(published)
        for name in LOCAL:
            await monitor.again(name)
        assert len(published) == count
        # The snapshot itself is renewed all the same: its readings are as young as the last poll.
        assert monitor.snapshot is not before
        assert values(monitor.snapshot) == values(before)


async def test_one_more_tick_is_published_once(env: dict[str, str]) -> None:
    monitor = monitor_of(env)
    log = monitor.settings.heartbeat_dir / "ticks_20261120.jsonl"
    async with running(monitor) as published:
        await monitor.all_read()
        count = len(published)
        with log.open("ab") as file:
            file.write(tick_line(1, tick_id="20261120_040430", severity="critical"))
        await monitor.again("heartbeat")
        await monitor.again("heartbeat")
    assert len(published) == count + 1
    assert _last_tick(published[-1]) == "20261120_040430"


async def test_a_dead_source_delays_no_other(env: dict[str, str], server: FaultyServer) -> None:
    server.trouble = "hang"
    monitor = monitor_of(env)
    async with running(monitor) as published:
        await monitor.all_read(LOCAL)
        await asyncio.to_thread(server.wait_for, "/api/ps")
        assert published[-1].ollama[0].reading.state(NOW) == "waiting"
        for name in LOCAL:
            await monitor.again(name)
        assert server.count("/api/ps") == 1
        server.trouble = "healthy"
        await monitor.all_read()
        assert monitor.snapshot.ollama[0].reading.state(NOW) == "fresh"


async def test_a_source_that_falls_ill_keeps_its_values_and_says_why(env: dict[str, str], server: FaultyServer) -> None:
    monitor = monitor_of(env)
    async with running(monitor) as published:
        await monitor.all_read()
        healthy = monitor.snapshot
        server.trouble = "refuse"
        await monitor.again("ollama:local")
        ill = monitor.snapshot.ollama[0].reading
        assert (ill.state(NOW), ill.value) == ("stale", healthy.ollama[0].reading.value)
        assert ill.error is not None
        assert "connection refused" in ill.error
        assert ill.hint
        count = len(published)
        await monitor.again("ollama:local")
        assert len(published) == count  # the same error is no news
        server.trouble = "healthy"
        await monitor.again("ollama:local")
        assert monitor.snapshot.ollama[0].reading.state(NOW) == "fresh"
        assert len(published) == count + 1


@pytest.mark.parametrize("trouble", ["error", "html", "half", "drop", "refuse"])
async def test_no_trouble_of_one_source_ends_the_monitor(
    env: dict[str, str], server: FaultyServer, trouble: str
) -> None:
    server.trouble = trouble  # type: ignore[assignment]
    monitor = monitor_of(env)
    async with running(monitor):
        await monitor.all_read()
        assert monitor.snapshot.ollama[0].reading.state(NOW) == "absent"
        assert all(value is not None for name, value in values(monitor.snapshot).items() if name in LOCAL)


async def test_a_store_that_goes_away_is_told_and_nothing_else_changes(env: dict[str, str]) -> None:
    monitor = monitor_of(env)
    async with running(monitor):
        await monitor.all_read()
        for path in monitor.settings.hermes_home.glob("state.db*"):
            path.unlink()
        await monitor.again("hermes")
        assert monitor.snapshot.hermes.state(NOW) == "stale"
        assert monitor.snapshot.hermes.error is not None
        assert all(getattr(monitor.snapshot, name).error is None for name in LOCAL - {"hermes"})


async def test_snapshot_once_reads_every_source(env: dict[str, str]) -> None:
    monitor = monitor_of(env)
    snapshot = await monitor.snapshot_once()
    await monitor.aclose()
    assert snapshot is monitor.snapshot
    assert all(value is not None for value in values(snapshot).values())


async def test_snapshot_once_does_not_wait_for_what_hangs(env: dict[str, str], server: FaultyServer) -> None:
    server.trouble = "hang"
    monitor = monitor_of(env)
    snapshot = await monitor.snapshot_once(timeout_s=0.5)
    await monitor.aclose()
    assert snapshot.ollama[0].reading.error == "no answer within 0.5 s"
    assert snapshot.ollama[0].reading.state(NOW) == "absent"
    assert all(value is not None for name, value in values(snapshot).items() if name in LOCAL)


async def test_each_of_several_servers_has_a_reading_of_its_own(env: dict[str, str], server: FaultyServer) -> None:
    with FaultyServer() as other:
        other.trouble = "refuse"
        monitor = monitor_of(env, ollama=[{"name": "local"}, {"name": "other", "url": other.url}])
        snapshot = await monitor.snapshot_once()
        await monitor.aclose()
    assert [entry.reading.state(NOW) for entry in snapshot.ollama] == ["fresh", "absent"]


async def test_refresh_asks_the_named_source_alone(env: dict[str, str], server: FaultyServer) -> None:
    monitor = monitor_of(env)
    async with running(monitor):
        await monitor.all_read()
        await monitor.again("worker")
        # The watch on the tick folder wakes the heartbeat once when it is up.
        others = SOURCES - {"worker", "heartbeat"}
        assert {monitor.readings[name] for name in others} == {1}
        monitor.refresh()
        await monitor.all_read(others, times=2)


async def test_a_refresh_after_an_action_reads_the_list_of_models_too(
    env: dict[str, str], server: FaultyServer
) -> None:
    monitor = monitor_of(env)
    async with running(monitor):
        await monitor.all_read()
        tags = server.count("/api/tags")
        monitor.refresh_ollama("local")
        await monitor.all_read({"ollama:local"}, times=2)
        assert server.count("/api/tags") == tags + 1


async def test_the_terminal_in_sight_again_asks_everything_at_once(env: dict[str, str]) -> None:
    monitor = monitor_of(env)
    async with running(monitor):
        await monitor.all_read()
        monitor.set_slow(True)
        monitor.set_slow(True)
        assert {monitor.readings[name] for name in SOURCES - {"heartbeat"}} == {1}
        monitor.set_slow(False)
        await monitor.all_read(times=2)


async def test_a_new_tick_is_seen_without_a_poll(env: dict[str, str]) -> None:
    """A file event wakes the poller; the stat poll of every second is only the guarantee behind it."""
    monitor = monitor_of(env)
    log = monitor.settings.heartbeat_dir / "ticks_20261120.jsonl"
    async with running(monitor):
        await monitor.all_read()
        with log.open("ab") as file:
            file.write(tick_line(1, tick_id="20261120_040430"))
        await monitor.until(lambda: _last_tick(monitor.snapshot) == "20261120_040430")


async def test_nothing_is_left_open_at_the_end(env: dict[str, str], server: FaultyServer) -> None:
    monitor = monitor_of(env)
    async with running(monitor):
        await monitor.all_read()
        assert server.open_connections == 1
        before = asyncio.all_tasks()
    left = {task for task in asyncio.all_tasks() & before if task is not asyncio.current_task()}
    assert not left


def _last_tick(snapshot: Snapshot) -> str | None:
    value = snapshot.heartbeat.value
    return value.last.head.tick_id if value and value.last else None
