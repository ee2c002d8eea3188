"""What happens while the demo runs: ticks, sessions, models that come and go, a provider that trips.

:meth:`Story.advance` does all that is due by a given moment, so a test moves the world with its own clock.
"""

from __future__ import annotations

import heapq
import logging
import sqlite3
from collections.abc import Callable
from itertools import count, cycle
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.services.demo.airllm_server import AirllmServer
from timmy_tui.services.demo.conversations import CRON
from timmy_tui.services.demo.hermes_history import heartbeat_conversation
from timmy_tui.services.demo.hermes_writer import OpenSession
from timmy_tui.services.demo.home import Stage
from timmy_tui.services.demo.live_conversations import LIVE
from timmy_tui.services.demo.localtime import session_id
from timmy_tui.services.demo.machine import perception_at, scene_at
from timmy_tui.services.demo.ollama_world import OllamaWorld, UnknownModelError
from timmy_tui.services.demo.providers_writer import FAILURE_THRESHOLD, RECOVERY_S, REFUSED
from timmy_tui.services.demo.ticks_writer import MODEL, PlannedTick, prompt_for
from timmy_tui.services.demo.worker_beat import SimulatedWorker

logger = logging.getLogger(__name__)

Action = Callable[[float], None]

TICK_EVERY_S = 60.0
FIRST_TICK_S = 2.0
QUEUE_LOOK_S = 0.5
SESSION_STEP_S = 15.0
SESSION_PAUSE_S = 2.0
AIRLLM_UP_S = 150.0
AIRLLM_CALL_S = 20.0
AIRLLM = "airllm"
FAILED_EVERY = 7
"""Every so many of the sessions that begin here, one has no answer."""

_CASUAL_MODELS = (("nomic-embed-text:latest", 8.0, 150.0, 60.0), ("llama3.2:3b", 15.0, 420.0, 300.0))
"""Models that are used in passing: first use, interval and keep-alive in seconds."""


class _RunningTick(Struct, frozen=True):
    """A tick between its start and its record."""

    step: int
    trigger: str
    by_hermes: bool
    began_at: float
    session: OpenSession | None


class Story:
    """The one who moves the world; used by one thread at a time. ``speed`` 10 = ten times as fast."""

    def __init__(
        self,
        stage: Stage,
        world: OllamaWorld,
        airllm: AirllmServer,
        worker: SimulatedWorker,
        *,
        now: float,
        seed: int = 7,
        speed: float = 1.0,
    ) -> None:
        self._stage = stage
        self._world = world
        self._airllm = airllm
        self._worker = worker
        self._seed = seed
        self._speed = speed
        self._random = Random(f"{seed}:story")
        self._due: list[tuple[float, int, Action]] = []
        self._order = count()
        self._step = 0
        self._conversations = cycle(LIVE)
        self._begun = 0
        self._running: _RunningTick | None = None
        self._open(now)

    def advance(self, now: float) -> None:
        """Do all that is due by ``now``, once each: a suspended machine does not make up for what it missed."""
        self._worker.beat(now)
        while self._due and self._due[0][0] <= now:
            _, _, action = heapq.heappop(self._due)
            try:
                action(now)
            except sqlite3.OperationalError as error:  # a reader holds the file: the story waits for it
                logger.warning("the demo's story waits: %s", error)
                self._in(1.0, now, action)

    def _in(self, seconds: float, now: float, action: Action) -> None:
        """``action`` in so many seconds of the story."""
        heapq.heappush(self._due, (now + seconds / self._speed, next(self._order), action))

    def _open(self, now: float) -> None:
        """Where the history left off: a tick and a talk under way, AirLLM's circuit open."""
        self._step = 1
        self._running = _RunningTick(1, "schedule", True, now - 4, self._stage.running.heartbeat)
        self._worker.begin("heartbeat_tick", now - 4)
        self._in(FIRST_TICK_S, now, self._finish_tick)
        self._in(QUEUE_LOOK_S, now, self._look_at_queue)
        talk = self._stage.running.talk
        talk.conversation = replace(talk.conversation, steps=talk.conversation.steps * 3, weight=0)
        self._in(SESSION_STEP_S / 2, now, lambda at: self._go_on(talk, at))
        self._in(1.0, now, self._begin_session)
        for name, first_s, every_s, keep_s in _CASUAL_MODELS:
            self._in(first_s, now, self._use(name, every_s, keep_s))
        recovers_s = RECOVERY_S - 19
        self._stage.providers.expect(AIRLLM, now + recovers_s / self._speed, now)
        self._in(recovers_s - 10, now, self._airllm_returns)
        self._in(recovers_s, now, self._airllm_tried)

    # The heartbeat

    def _enqueue_tick(self, _now: float) -> None:
        self._worker.enqueue("heartbeat_tick")
        if self._step % 4 == 0:
            self._worker.enqueue("rotate_logs")

    def _look_at_queue(self, now: float) -> None:
        """A worker that is free takes the next task; what a console enqueued is a tick on demand."""
        self._in(QUEUE_LOOK_S, now, self._look_at_queue)
        if self._worker.running is not None:
            return
        name = self._worker.take()
        if name == "rotate_logs":
            self._worker.begin(name, now)
            self._in(1.5, now, self._worker.done)
        elif name is not None:
            self._begin_tick(now, "manual" if name == "manual" else "schedule")

    def _begin_tick(self, now: float, trigger: str) -> None:
        self._step += 1
        by_hermes = self._step % 3 == 1
        session: OpenSession | None = None
        if by_hermes and scene_at(self._step) != "refused":
            ask = prompt_for(perception_at(self._step, self._seed), now)
            own_id = session_id(now, f"tick {self._step}")
            session = self._stage.hermes.begin(heartbeat_conversation(ask, ""), now, id=own_id)
            self._stage.hermes.commit()
        self._running = _RunningTick(self._step, trigger, by_hermes, now, session)
        self._worker.begin("heartbeat_tick", now, asked=trigger == "manual")
        self._in(2.2 if by_hermes else 1.2, now, self._finish_tick)

    def _finish_tick(self, now: float) -> None:
        running = self._running
        if running is None:
            return
        self._running = None
        own_id = running.session.id if running.session else None
        tick = PlannedTick(running.step, now, running.by_hermes, own_id)
        document = self._stage.ticks.append(tick, running.trigger, int((now - running.began_at) * 1000))
        provider = "hermes" if running.by_hermes else "ollama"
        if document["response"] is None:
            self._stage.providers.failed("hermes", "refused the context: 8,192 < 64,000 tokens", now)
            self._stage.providers.failed("ollama", "timed out after 30 s", now)
        else:
            self._stage.providers.answered(provider, (now - running.began_at) * 1000, now)
            self._touch(MODEL, None, now)
        if running.session is not None:
            self._stage.hermes.finish(running.session, now, close=False, answer=str(document["response"]))
            self._stage.hermes.commit()
        self._worker.done(now, str(document["tick_id"]))
        if running.trigger == "schedule":
            self._in(TICK_EVERY_S - 2, now, self._enqueue_tick)

    # Sessions

    def _begin_session(self, now: float) -> None:
        conversation = next(self._conversations)
        self._begun += 1
        if self._begun % FAILED_EVERY == 0:
            failed = self._stage.hermes.begin(replace(CRON[0], steps=()), now)
            self._stage.hermes.end(failed, now + 0.2)
            self._stage.hermes.commit()
            self._stage.providers.failed("hermes", "HTTP 500: model runner has unexpectedly stopped", now)
            self._in(SESSION_PAUSE_S, now, self._begin_session)
            return
        session = self._stage.hermes.begin(replace(conversation, steps=conversation.steps * 2, weight=0), now)
        self._stage.hermes.commit()
        self._in(SESSION_STEP_S / 2, now, lambda at: self._go_on(session, at))

    def _go_on(self, session: OpenSession, now: float) -> None:
        """The session's next call of the model; after its last one, somebody asks something else."""
        latency_ms = 1800 * self._random.lognormvariate(0, 0.28)
        self._stage.providers.answered("hermes", latency_ms, now)
        if session.conversation.model in (MODEL, "qwen2.5-coder:7b"):
            self._touch(session.conversation.model, None, now)
        if session.done_steps:
            self._stage.hermes.finish(session, now, close=session.conversation.source != "telegram")
            self._in(SESSION_PAUSE_S, now, self._begin_session)
        else:
            self._stage.hermes.step(session, now, took_s=0.0)
            wait_s = SESSION_STEP_S * self._random.uniform(0.7, 1.5)
            self._in(wait_s, now, lambda at: self._go_on(session, at))
        self._stage.hermes.commit()

    # Models

    def _use(self, name: str, every_s: float, keep_s: float) -> Action:
        def use(now: float) -> None:
            self._touch(name, keep_s / self._speed, now)
            self._in(every_s, now, use)

        return use

    def _touch(self, name: str, keep_s: float | None, now: float) -> None:
        """A request ends: the model is loaded, and its keep-alive begins anew."""
        try:
            cold = not self._world.is_loaded(name, now)
            self._world.load(name, now, keep_s)
        except UnknownModelError as error:
            logger.info("the demo's story needs a model that is gone: %s", error)
            return
        if cold:
            self._stage.providers.event("model.loaded", {"model": name}, now, source="ollama")

    # AirLLM: up, refusing, circuit open, one trial, up again

    def _airllm_returns(self, _now: float) -> None:
        try:
            self._airllm.up()
        except OSError as error:
            logger.warning("the demo's second server lost its port: %s", error)

    def _airllm_tried(self, now: float) -> None:
        self._stage.providers.half_opened(AIRLLM, now)
        self._in(4, now, self._airllm_recovers)

    def _airllm_recovers(self, now: float) -> None:
        self._stage.providers.answered(AIRLLM, 3900, now)
        self._stage.providers.closed(AIRLLM, now)
        goes_at = now + AIRLLM_UP_S / self._speed
        self._in(AIRLLM_CALL_S, now, lambda at: self._airllm_answers(at, goes_at))
        self._in(AIRLLM_UP_S, now, self._airllm_goes)

    def _airllm_answers(self, now: float, until: float) -> None:
        if now < until:
            self._stage.providers.answered(AIRLLM, 4200 * self._random.lognormvariate(0, 0.2), now)
            self._in(AIRLLM_CALL_S, now, lambda at: self._airllm_answers(at, until))

    def _airllm_goes(self, now: float) -> None:
        try:
            self._airllm.down()
        except OSError as error:
            logger.warning("the demo's second server lost its port: %s", error)
        self._in(3, now, self._airllm_fails)

    def _airllm_fails(self, now: float) -> None:
        self._stage.providers.failed(AIRLLM, REFUSED, now)
        if self._stage.providers.of(AIRLLM).consecutive_failures < FAILURE_THRESHOLD:
            self._in(3, now, self._airllm_fails)
            return
        self._stage.providers.opened(AIRLLM, now, RECOVERY_S / self._speed)
        self._in(RECOVERY_S - 10, now, self._airllm_returns)
        self._in(RECOVERY_S, now, self._airllm_tried)
