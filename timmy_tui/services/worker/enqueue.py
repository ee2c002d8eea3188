"""Asking for a tick. Everything here blocks: call it in a thread."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from timmy_tui.config import Settings
from timmy_tui.services.appending import AppendError, write_lock
from timmy_tui.services.worker.app import TICK_TASK, make_huey, message, queue_errors, send, this_host
from timmy_tui.services.worker.follow import under_way
from timmy_tui.services.worker.foreign import end_of_log
from timmy_tui.services.worker.observe import read_lock
from timmy_tui.services.worker.queue import WorkerError, parse_queue
from timmy_tui.services.worker.records import LOCK_NAME, REQUEST_FILE, RequestRecord, TickRequest
from timmy_tui.services.worker.requests import put_record
from timmy_tui.text import clean_error

if TYPE_CHECKING:
    from huey import Huey

REMOVED_LOOKS, REMOVED_LOOK_S = 40, 0.25
"""A worker notices within a second or two that files were taken away under it, on a busy machine later."""

REQUEST_MAX_BYTES = 4_096


def request_tick(
    settings: Settings, env: Mapping[str, str], clock: Callable[[], float] = time.time, *, host: str | None = None
) -> TickRequest:
    """Ask for a tick of this machine, or give back the request that is under way (``already``).

    Whoever asks holds the lock of ``tick-request.json``, so that two keys pressed at once are one tick. Raises
    :class:`WorkerError`.
    """
    try:
        with write_lock(settings.timmy_home / REQUEST_FILE) as descriptor:
            last = _last_request(descriptor)
            same = last is not None and last.task == settings.config.heartbeat.task
            if last is not None and same and under_way(settings, last, clock, env=env, host=host):
                return replace(last, already=True)
            request = enqueue_tick(settings, env, clock, host=host)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(request), 0)
            return request
    except AppendError as error:
        raise WorkerError(error.message, error.hint) from None
    except OSError as error:
        raise WorkerError(f"{REQUEST_FILE}: {clean_error(error.strerror or error)}", "timmy-tui doctor") from None


def enqueue_tick(
    settings: Settings,
    env: Mapping[str, str],
    clock: Callable[[], float] = time.time,
    *,
    host: str | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> TickRequest:
    """Put a tick into the queue, whatever else waits there. Raises :class:`WorkerError`.

    Where machines share the queue, this machine's worker takes it if there is one, else whichever is free.
    """
    task = settings.config.heartbeat.task
    address = parse_queue(settings, env)
    if task and address.path is not None and not address.path.exists():
        raise WorkerError(f"there is no queue at {address.shown}", "start its consumer, or correct queue.url")
    huey = make_huey(settings, env, host=host)
    now = clock()
    try:
        if task:
            log_name, log_bytes = end_of_log(settings.heartbeat_dir)
            _with_files(huey, lambda: send(huey, message(task)), pause)
            return TickRequest(uuid.uuid4().hex, now, task=task, log_name=log_name, log_bytes=log_bytes)
        record = RequestRecord(uuid.uuid4().hex, "queued", this_host(host), "manual", now, now)
        own = read_lock(settings.timmy_home / LOCK_NAME).held

        def put() -> None:
            put_record(huey, record)
            send(huey, message(TICK_TASK, record.id, record.trigger), host=record.host if own else None)

        _with_files(huey, put, pause)
        return TickRequest(record.id, now)
    except queue_errors(huey) as error:
        raise WorkerError(f"the queue {address.shown}: {clean_error(error)}", "timmy-tui doctor") from None
    finally:
        if address.kind == "sqlite":
            huey.storage.close()
        else:
            huey.storage.conn.connection_pool.disconnect()


def _with_files(huey: Huey, put: Callable[[], None], pause: Callable[[float], None]) -> None:
    """Run ``put``, again while a part of the queue's file is missing.

    Until the worker notices that a part was removed nobody else can use the rest; what failed so was not written.
    """
    import sqlite3

    for left in range(REMOVED_LOOKS, -1, -1):
        try:
            put()
        except sqlite3.OperationalError as error:
            if "disk I/O" not in str(error) or not left:
                raise
            huey.storage.close()
            pause(REMOVED_LOOK_S)
        else:
            return


def _last_request(descriptor: int) -> TickRequest | None:
    """What was asked for last; None when nothing was, or what is there can't be read."""
    try:
        return msgspec.json.decode(os.pread(descriptor, REQUEST_MAX_BYTES, 0), type=TickRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
