"""The worker process."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping

from timmy_tui.config import Settings
from timmy_tui.services.cascade.heal import heal_while
from timmy_tui.services.logs import open_log
from timmy_tui.services.worker.app import make_huey, this_host
from timmy_tui.services.worker.lock import only_worker
from timmy_tui.services.worker.queue import WorkerError, parse_queue
from timmy_tui.services.worker.stopping import StopFlag, stopped_by_signals, watch_parent
from timmy_tui.services.worker.tasks import Tasks
from timmy_tui.services.worker.tick_function import TickFunction
from timmy_tui.text import clean

log = logging.getLogger(__name__)


def run_worker(
    settings: Settings,
    env: Mapping[str, str],
    *,
    host: str | None = None,
    clock: Callable[[], float] = time.time,
    tick: TickFunction | None = None,
    tell: Callable[[str], None] = lambda line: None,
    parent: int | None = None,
) -> int:
    """Take tasks and beat until a signal comes, and return 0; a tick that runs may end first (``stop_timeout_s``).

    ``tick`` is the heartbeat's by default; ``tell`` gets a line when it starts and for each tick; at the end of what
    the descriptor ``parent`` gives to read (a pipe that the parent holds open), the worker ends as well.
    Raises :class:`WorkerError`: the queue is somebody else's, another worker runs, the queue can't be opened.
    """
    task = settings.config.heartbeat.task
    if task:
        raise WorkerError(
            f"heartbeat.task is {clean(task)}: the queue has a consumer of its own, and ours would destroy its tasks",
            "leave heartbeat.task empty to run this worker",
        )
    shown = parse_queue(settings, env).shown
    flag = StopFlag()
    with stopped_by_signals(flag), only_worker(settings.timmy_home):
        open_log(settings.worker_log_path)
        from timmy_tui.services.worker.consumer import Schedule, TickConsumer

        huey = make_huey(settings, env, host=host)
        tasks = Tasks(
            settings,
            env,
            huey,
            host=this_host(host),
            clock=clock,
            tick=_beat_once() if tick is None else tick,
            tell=tell,
        )
        tasks.register()
        schedule = Schedule(huey, tasks, clock=clock)
        if parent is not None:
            threading.Thread(target=watch_parent, args=(parent, flag), name="parent", daemon=True).start()
        threading.Thread(
            target=heal_while, args=(settings, env, lambda: flag.asked > 0), name="heal", daemon=True
        ).start()
        schedule.recover()
        consumer = TickConsumer(huey, tasks, schedule, flag, clock=clock)
        log.info("worker %d takes tasks from %s", os.getpid(), shown)
        tell(_greeting(settings, shown))
        consumer.run()
        tasks.give_up()
        consumer.unbeat()
        log.info("worker %d ends", os.getpid())
    return 0


def _beat_once() -> TickFunction:
    from timmy_tui.services.heartbeat.beat import beat_once

    return beat_once


def _greeting(settings: Settings, shown: str) -> str:
    heartbeat = settings.config.heartbeat
    rhythm = f"a tick every {heartbeat.every_minutes} minutes" if heartbeat.enabled else "no ticks of its own"
    return f"worker {os.getpid()}: {shown}, {rhythm}"
