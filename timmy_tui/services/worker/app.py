"""The Huey application: the queue as its configuration names it, and its keys (facts/huey.md §1).

Huey is imported when a queue is opened, never by the console's first paint. Messages hold text and numbers only:
they are pickles, and are read as such values or not at all (:mod:`timmy_tui.services.worker.messages`).
"""

from __future__ import annotations

import os
import socket
import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from timmy_tui.config import Settings
from timmy_tui.services.appending import make_private_folder
from timmy_tui.services.worker.queue import QueueAddress, WorkerError, parse_queue
from timmy_tui.text import clean, clean_error

if TYPE_CHECKING:
    from huey import Huey

# As Huey names them: the module and the name of their functions.
TICK_TASK = "timmy_tui.services.worker.tasks.heartbeat_tick"
EXPORT_TASK = "timmy_tui.services.worker.tasks.session_export"
PRUNE_TASK = "timmy_tui.services.worker.tasks.prune"

SQLITE_BUSY_S = 5.0
REDIS_TIMEOUT_S = 5.0
REDIS_BLOCK_S = 1
"""How long a worker waits inside Redis for a task: also how long it may take to notice that it should stop."""


def this_host(host: str | None = None) -> str:
    """The name under which this machine beats and asks: ``host``, else its own."""
    return clean(socket.gethostname() if host is None else host, limit=80)


def make_huey(settings: Settings, env: Mapping[str, str], *, host: str | None = None) -> Huey:
    """The queue that the configuration names, no task registered; a SQLite file is made where there is none.

    A Redis server is not asked yet. Raises :class:`WorkerError`.
    """
    address = parse_queue(settings, env)
    return _sqlite_huey(address) if address.kind == "sqlite" else _redis_huey(address, this_host(host))


def queue_errors(huey: Huey) -> tuple[type[Exception], ...]:
    """What the storage of ``huey`` raises when the queue is away."""
    if hasattr(huey.storage, "filename"):
        return (sqlite3.Error, OSError)
    from redis.exceptions import RedisError

    return (RedisError, OSError)


def message(task: str, *args: str) -> bytes:
    """A task by its registered name as the queue holds it; whoever sends it needs no task of that name."""
    from huey.registry import Message
    from huey.serializer import Serializer

    plain = Message(id=uuid.uuid4().hex, name=task, retries=0, retry_delay=0, args=args, kwargs={}, retry_backoff=0)
    data: bytes = Serializer().serialize(plain)
    return data


def send(huey: Huey, data: bytes, *, host: str | None = None) -> None:
    """Put a message into the queue; with ``host`` only that machine's worker takes it, where machines share one."""
    if host is not None and hasattr(huey.storage, "enqueue_for"):
        huey.storage.enqueue_for(host, data)
    else:
        huey.storage.enqueue(data)


def keyed_values(huey: Huey, prefix: str) -> dict[str, bytes]:
    """The queue's keys that begin with ``prefix``, with their raw values. Raises :func:`queue_errors`."""
    storage = huey.storage
    if hasattr(storage, "filename"):
        rows = storage.sql(
            "SELECT key, value FROM kv WHERE queue = ? AND key >= ? AND key < ?",
            (storage.name, prefix, f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}"),
            results=True,
        )
        return {key: bytes(value) for key, value in rows}
    found = storage.conn.hscan_iter(storage.result_key, match=f"{prefix}*", count=1_000)
    return {key.decode(errors="replace"): value for key, value in found}


def value_of(huey: Huey, key: str) -> bytes | None:
    """The raw value of one key, left where it is. Raises :func:`queue_errors`."""
    from huey.constants import EmptyData

    value = huey.storage.peek_data(key)
    return None if value is EmptyData else bytes(value)


def files_of(path: Path) -> tuple[int | None, ...]:
    """The inodes of an SQLite file, of its log and of its shared memory; None for what is not there."""
    found: list[int | None] = []
    for suffix in ("", "-wal", "-shm"):
        try:
            found.append(os.stat(f"{path}{suffix}").st_ino)
        except OSError:
            found.append(None)
    return tuple(found)


def _make_file(path: Path) -> None:
    """Make an SQLite file where there is none. ``OSError``.

    What a removed one has left beside it would be taken for the new one's: its log for changes, its shared memory for
    what a worker still writes elsewhere.
    """
    if path.exists():
        return
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def _sqlite_huey(address: QueueAddress) -> Huey:
    from huey.storage import SqliteStorage

    from timmy_tui.services.worker.messages import PlainHuey, PlainSerializer

    class Storage(SqliteStorage):  # type: ignore[misc]
        """Commits survive the death of any process; only a power cut may take the last ones.

        Huey's default waits for the disk at every commit, which would be once a second for the beat alone.
        """

        def _create_connection(self) -> sqlite3.Connection:
            connection: sqlite3.Connection = super()._create_connection()
            connection.execute("PRAGMA synchronous=NORMAL")
            # The log and the shared memory are made by the first look: before it their inodes can't be known.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self.files = files_of(path)
            return connection

        def open_anew(self) -> bool:
            """Leave a file that was removed or replaced, and open what stands in its place; False when none was.

            A connection goes on with the files that it has, and nobody else ever sees what it writes there.
            """
            here = files_of(path)
            if self._conn is None or not any(
                was is not None and was != now for was, now in zip(self.files, here, strict=True)
            ):
                self.files = here
                return False
            self.close()
            _make_file(path)
            self.initialize_schema()
            return True

    path = address.path or Path()
    try:
        make_private_folder(path.parent)
        # The -wal and -shm files take the database's mode. A file that is there is left alone: closing a second
        # descriptor of it would drop the locks that SQLite holds in this process.
        _make_file(path)
        return PlainHuey(
            address.name,
            results=False,
            serializer=PlainSerializer(),
            storage_class=Storage,
            filename=str(path),
            timeout=SQLITE_BUSY_S,
            cache_mb=1,
        )
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise WorkerError(f"the queue {address.shown}: {clean_error(reason)}", "timmy-tui doctor") from None


def _redis_huey(address: QueueAddress, host: str) -> Huey:
    try:
        import redis
    except ImportError:
        raise WorkerError("the redis package is missing", "install timmy-tui[redis]") from None
    from huey.storage import RedisStorage

    from timmy_tui.services.worker.messages import PlainHuey, PlainSerializer

    class Storage(RedisStorage):  # type: ignore[misc]
        """One list for everybody and one for this host: an operator's tick belongs to the machine that asked."""

        def dequeue(self) -> bytes | None:
            try:
                found = self.conn.brpop([address.host_key(host), self.queue_key], timeout=self.read_timeout)
            except redis.exceptions.TimeoutError:
                return None
            return None if found is None else bytes(found[1])

        def enqueue_for(self, host: str, data: bytes) -> None:
            self.conn.lpush(address.host_key(host), data)

        def queue_size(self) -> int:
            return int(self.conn.llen(self.queue_key)) + int(self.conn.llen(address.host_key(host)))

        def enqueued_items(self, limit: int | None = None) -> list[bytes]:
            items = [*self.conn.lrange(address.host_key(host), 0, -1)[::-1], *super().enqueued_items()]
            return items if limit is None else items[:limit]

    try:
        pool = redis.ConnectionPool.from_url(
            address.url or "",
            socket_connect_timeout=REDIS_TIMEOUT_S,
            socket_timeout=REDIS_TIMEOUT_S,
            health_check_interval=30,
        )
        return PlainHuey(
            address.name,
            results=False,
            serializer=PlainSerializer(),
            storage_class=Storage,
            connection_pool=pool,
            read_timeout=REDIS_BLOCK_S,
        )
    except (redis.exceptions.RedisError, ValueError, OSError) as error:
        raise WorkerError(f"the queue {address.shown}: {clean_error(error)}", "check queue.url") from None
