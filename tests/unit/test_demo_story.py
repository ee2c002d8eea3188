"""The demo's world moves: driven here by a clock that only the test turns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from huey import SqliteHuey

from timmy_tui.services.demo.airllm_server import AirllmServer
from timmy_tui.services.demo.home import DemoHome, Stage, open_stage
from timmy_tui.services.demo.ollama_world import OllamaWorld, world_at
from timmy_tui.services.demo.story import Story
from timmy_tui.services.demo.worker_beat import SimulatedWorker
from timmy_tui.services.hermes.store import HermesStore
from timmy_tui.services.providers.metrics import read_provider_metrics
from timmy_tui.services.worker.records import BEAT_PREFIX, Beat

NOW = 1_795_147_428.0


class Scene:
    """A whole world without threads of its own."""

    def __init__(self, folder: Path, stage: Stage, world: OllamaWorld, airllm: AirllmServer) -> None:
        self.home = DemoHome(folder)
        self.world = world
        self.airllm = airllm
        self.worker = SimulatedWorker(self.home.timmy)
        self.now = NOW
        self.story = Story(stage, world, airllm, self.worker, now=NOW)

    def turn(self, seconds: float, step_s: float = 0.5) -> None:
        """Let so many seconds pass."""
        end = self.now + seconds
        while self.now < end:
            self.now += step_s
            self.story.advance(self.now)

    def ticks(self) -> list[dict[str, object]]:
        """The ticks that came after the history."""
        files = sorted(self.home.heartbeat.glob("ticks_*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()][432:]

    def loaded(self) -> set[str]:
        models = self.world.ps(self.now)["models"]
        assert isinstance(models, list)
        return {str(model["name"]) for model in models if isinstance(model, dict)}

    def circuit(self) -> str:
        return read_provider_metrics(self.home.timmy / "timmy.db").of("airllm").circuit

    def beat(self) -> Beat:
        import msgspec

        with closing(sqlite3.connect(self.home.timmy / "queue.db")) as connection:
            (value,) = connection.execute("SELECT value FROM kv WHERE key LIKE ?", (f"{BEAT_PREFIX}%",)).fetchone()
        return msgspec.json.decode(value, type=Beat)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    stage = open_stage(DemoHome(tmp_path), NOW, 7)
    airllm = AirllmServer()
    scene = Scene(tmp_path, stage, world_at(NOW), airllm)
    yield scene
    scene.worker.stop()
    airllm.stop()
    stage.close()


def test_a_tick_comes_every_minute_and_follows_the_last(scene: Scene) -> None:
    scene.turn(185)

    ticks = scene.ticks()
    assert [tick["trigger"] for tick in ticks] == ["schedule"] * 4
    ids = [str(tick["tick_id"]) for tick in ticks]
    assert [tick["previous_tick"] for tick in ticks][1:] == ids[:-1]


def test_severities_vary(scene: Scene) -> None:
    scene.turn(13 * 61, step_s=1)

    severities = {tick["decision"]["severity"] for tick in scene.ticks()}  # type: ignore[index]
    assert severities == {"ok", "warning", "critical", "fallback"}


def test_a_tick_that_a_console_enqueues_is_run_at_once(scene: Scene) -> None:
    scene.turn(10)
    console = SqliteHuey(name="timmy", filename=str(scene.home.timmy / "queue.db"))

    @console.task()
    def tick_now() -> None: ...

    tick_now()
    console.storage.close()
    scene.turn(5)

    assert [tick["trigger"] for tick in scene.ticks()] == ["schedule", "manual"]


def test_the_worker_beats_and_says_what_runs(scene: Scene) -> None:
    scene.turn(1)
    assert scene.beat().running == "heartbeat_tick"

    scene.turn(4)
    beat = scene.beat()
    assert beat.running is None
    assert beat.tick_id == scene.ticks()[-1]["tick_id"]
    assert scene.now - beat.at <= 1


def test_running_sessions_grow_finish_and_are_followed(scene: Scene) -> None:
    store = HermesStore(scene.home.hermes, clock=lambda: scene.now, wall=lambda: scene.now)
    before = {session.id: session for session in store.read().sessions}
    scene.turn(30)
    middle = {session.id: session for session in store.read().sessions}
    talk = next(session for session in before.values() if session.source == "cli" and session.state(NOW) == "running")
    assert middle[talk.id].tokens.total > talk.tokens.total
    assert middle[talk.id].message_count > talk.message_count
    assert sum(session.state(scene.now) == "running" for session in middle.values()) == 2

    scene.turn(300)
    after = {session.id: session for session in store.read().sessions}
    assert after[talk.id].state(scene.now) == "done"
    new = [session for session_id, session in after.items() if session_id not in before and session.title]
    assert len(new) >= 5


def test_models_come_and_go_by_themselves(scene: Scene) -> None:
    scene.turn(20)
    assert scene.loaded() == {"hermes4:14b", "qwen2.5-coder:7b", "nomic-embed-text:latest", "llama3.2:3b"}

    scene.turn(60)
    assert "nomic-embed-text:latest" not in scene.loaded()


def test_airllm_recovers_trips_and_recovers_again(scene: Scene) -> None:
    seen = []
    answers = []
    with httpx.Client(trust_env=False, timeout=5) as client:
        for _ in range(330):
            scene.turn(1, step_s=1)
            if not seen or seen[-1] != scene.circuit():
                seen.append(scene.circuit())
                try:
                    answers.append(client.get(f"{scene.airllm.url}/models").status_code)
                except httpx.ConnectError:
                    answers.append(0)

    assert seen == ["open", "half_open", "closed", "open", "half_open", "closed"]
    assert answers == [0, 200, 200, 0, 200, 200]


def test_a_long_sleep_is_not_made_up_for(scene: Scene) -> None:
    scene.turn(10)
    count = len(scene.ticks())
    scene.now += 8 * 3600
    scene.turn(10)

    assert len(scene.ticks()) == count + 1
