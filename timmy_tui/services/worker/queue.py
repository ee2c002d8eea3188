"""Where the queue is, and a look into it that changes nothing.

Messages and results are pickles (facts/huey.md §1): only counts and our own JSON beats are ever read.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec
from msgspec import Struct

from timmy_tui.config import Settings, expand_env
from timmy_tui.services.reading import SourceError
from timmy_tui.services.worker.records import BAD_PREFIX, BEAT_PREFIX, Beat
from timmy_tui.text import clean, clean_error

if TYPE_CHECKING:
    import redis

ACCEPTED = "sqlite, sqlite:///absolute/path, redis://host:port/db, rediss://…, unix:///path/to/socket"
"""The forms of ``queue.url``."""

QUEUE_TIMEOUT_S = 1.0
BEATS_LIMIT = 2_000
BEAT_MAX_BYTES = 8_192
REDIS_SCAN_ROUNDS = 50
"""At most this many ``HSCAN`` steps of 1,000 keys: results that nobody fetches stay in the same hash."""


class WorkerError(SourceError):
    """The worker or its queue can't be told at all: a senseless ``queue.url``, an unreadable lock file."""


class QueueUnreadable(Exception):
    """The queue can't be read now; the text is one clean line. It never leaves this package."""


class QueueAddress(Struct, frozen=True):
    """A queue by its configuration. ``url`` may hold a password: show ``shown`` instead."""

    kind: Literal["sqlite", "redis"]
    name: str
    """Huey's queue name."""
    path: Path | None
    """The SQLite file, absolute."""
    url: str | None
    """The Redis URL, with its password."""
    shown: str
    """The address for people, userinfo and options left out."""

    def __repr__(self) -> str:
        return f"QueueAddress({self.shown!r}, name={self.name!r})"

    @property
    def redis_name(self) -> str:
        """The name in Redis keys: Huey drops what is no letter, digit or underscore (facts/huey.md §1)."""
        return re.sub(r"[^A-Za-z0-9_]", "", self.name)

    def host_key(self, host: str) -> str:
        """The Redis list of the tasks that only the worker of ``host`` takes."""
        return f"huey.redis.{self.redis_name}@{host}"


class QueueView(Struct, frozen=True):
    """What a queue holds."""

    pending: int
    """Tasks that wait, those with a later time that no worker has seen yet among them."""
    beats: tuple[Beat, ...]
    bad_messages: int = 0
    """Messages that are none, set aside by whoever took them."""


def parse_queue(settings: Settings, env: Mapping[str, str] | None = None) -> QueueAddress:
    """The queue that ``queue.url`` and ``queue.name`` describe; ``${NAME}`` in the URL is read from ``env``.

    Raises :class:`WorkerError`; its message never repeats the URL, which may hold a password.
    """
    config = settings.config.queue
    text = expand_env(config.url.strip(), os.environ if env is None else env)
    if text is None:
        raise WorkerError(f"queue.url: no value for {clean(config.url)}", "set the variable it names")
    if text == "sqlite":
        path = settings.queue_path
        return QueueAddress("sqlite", config.name, path, None, clean(str(path)))
    try:
        url = urlsplit(text)
        if text.startswith("sqlite://"):
            return _sqlite_address(url, config.name)
        if url.scheme in ("redis", "rediss", "unix"):
            return _redis_address(url, text, config.name)
    except ValueError:
        raise WorkerError("queue.url is not a valid URL", f"accepted: {ACCEPTED}") from None
    scheme = f"{clean(url.scheme, limit=20)!r} is no queue" if url.scheme and "://" in text else "it has no known form"
    raise WorkerError(f"queue.url: {scheme}; accepted: {ACCEPTED}", "timmy-tui config path")


def _sqlite_address(url: SplitResult, name: str) -> QueueAddress:
    path = Path("/" + unquote(url.path).lstrip("/"))
    if url.netloc or url.query or url.fragment or path == Path("/") or "\0" in str(path) or path.parts[1] == "~":
        raise WorkerError("queue.url: sqlite:// wants an absolute path", "sqlite:///absolute/path/queue.db")
    return QueueAddress("sqlite", name, path, None, clean(str(path)))


def _redis_address(url: SplitResult, text: str, name: str) -> QueueAddress:
    if url.scheme == "unix":
        if not url.path.strip("/"):
            raise WorkerError("queue.url: unix:// wants the path of a socket", "unix:///path/to/redis.sock")
        shown = f"unix://{url.path}"
    else:
        if not re.fullmatch(r"/?\d*", url.path):
            raise WorkerError("queue.url: the database of a Redis queue is a number", "redis://host:port/0")
        port = f":{url.port}" if url.port else ""
        host = url.hostname or "localhost"
        shown = f"{url.scheme}://{f'[{host}]' if ':' in host else host}{port}{url.path}"
    if url.username or url.password:
        shown = shown.replace("://", "://***@", 1)
    return QueueAddress("redis", name, None, text, clean(shown))


def read_queue(address: QueueAddress, host: str = "") -> QueueView:
    """Count the waiting tasks and read the beats; may block for seconds. Raises :class:`QueueUnreadable`.

    With ``host`` the tasks that only that host's worker takes count as well.
    """
    return _read_sqlite(address) if address.kind == "sqlite" else _read_redis(address, host)


def read_value(address: QueueAddress, key: str) -> bytes | None:
    """The raw value of one key of the queue, left where it is. Raises :class:`QueueUnreadable`."""
    if address.kind == "redis":
        with _redis(address) as client:
            value = client.hget(f"huey.results.{address.redis_name}", key)
            return value if isinstance(value, bytes) else None
    with _sqlite(address) as connection:
        row = (
            connection
            and connection.execute("SELECT value FROM kv WHERE queue = ? AND key = ?", (address.name, key)).fetchone()
        )
    return bytes(row[0]) if row and isinstance(row[0], bytes) else None


@contextmanager
def _sqlite(address: QueueAddress) -> Iterator[sqlite3.Connection | None]:
    """A read-only connection; None when no task was ever queued."""
    path = address.path or Path()
    try:
        if not path.exists() or path.stat().st_size == 0:
            yield None
            return
        uri = f"file:{quote(os.fsencode(path))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=QUEUE_TIMEOUT_S)) as connection:
            connection.text_factory = lambda raw: raw.decode(errors="replace")
            yield connection
    except sqlite3.Error as error:
        raise QueueUnreadable(_told(path, error)) from None
    except OSError as error:
        raise QueueUnreadable(f"{clean(path.name)}: {clean_error(error.strerror or error)}") from None


def _read_sqlite(address: QueueAddress) -> QueueView:
    with _sqlite(address) as connection:
        if connection is None:
            return QueueView(0, ())
        (pending,) = connection.execute("SELECT count(*) FROM task WHERE queue = ?", (address.name,)).fetchone()
        rows = connection.execute(
            "SELECT value FROM kv WHERE queue = ? AND key >= ? AND key < ? AND length(value) <= ? LIMIT ?",
            (address.name, BEAT_PREFIX, _after(BEAT_PREFIX), BEAT_MAX_BYTES, BEATS_LIMIT),
        ).fetchall()
        (bad,) = connection.execute(
            "SELECT count(*) FROM kv WHERE queue = ? AND key >= ? AND key < ?",
            (address.name, BAD_PREFIX, _after(BAD_PREFIX)),
        ).fetchone()
    return QueueView(pending, _beats(value for (value,) in rows), bad)


def _after(prefix: str) -> str:
    """The first text that sorts behind all that begin with ``prefix``."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _told(path: Path, error: sqlite3.Error) -> str:
    """SQLite's message in the operator's words."""
    message, name = str(error), clean(path.name)
    if "locked" in message or "busy" in message:
        return f"{name} is locked by another process"
    if "not a database" in message or "malformed" in message:
        return f"{name} is damaged or no SQLite file"
    if "no such table" in message or "no such column" in message:
        return f"{name} holds no Huey queue"
    return f"{name}: {clean_error(message)}"


@contextmanager
def _redis(address: QueueAddress) -> Iterator[redis.Redis]:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise QueueUnreadable("the redis package is missing; install timmy-tui[redis]") from None
    try:
        with closing(
            redis.Redis.from_url(
                address.url or "",
                socket_timeout=QUEUE_TIMEOUT_S,
                socket_connect_timeout=QUEUE_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
            )
        ) as client:
            yield client
    except redis.exceptions.TimeoutError:
        raise QueueUnreadable(f"no answer from {address.shown} within {QUEUE_TIMEOUT_S:g} s") from None
    except redis.exceptions.AuthenticationError:
        raise QueueUnreadable(f"{address.shown} refused the login; check the password in queue.url") from None
    except (redis.exceptions.RedisError, ValueError, TypeError, OSError) as error:
        if "refused" in str(error):
            raise QueueUnreadable(f"nothing listens at {address.shown}; is redis-server running?") from None
        raise QueueUnreadable(f"{address.shown}: {clean_error(error)}") from None


def _read_redis(address: QueueAddress, host: str) -> QueueView:
    with _redis(address) as client:
        pending: int = client.llen(f"huey.redis.{address.redis_name}")
        if host:
            pending += client.llen(address.host_key(host))
        beats = [value for value in _scanned(client, address, BEAT_PREFIX) if len(value) <= BEAT_MAX_BYTES]
        bad = sum(1 for _ in _scanned(client, address, BAD_PREFIX))
    return QueueView(pending, _beats(beats), bad)


def _scanned(client: redis.Redis, address: QueueAddress, prefix: str) -> Iterator[bytes | str]:
    """The values whose keys begin with ``prefix``, as many as a second gives."""
    cursor, deadline = 0, time.monotonic() + QUEUE_TIMEOUT_S
    for _ in range(REDIS_SCAN_ROUNDS):
        cursor, found = client.hscan(f"huey.results.{address.redis_name}", cursor, match=f"{prefix}*", count=1_000)
        if isinstance(found, dict):
            yield from found.values()
        if not cursor or time.monotonic() > deadline:
            break


def _beats(values: Iterable[object]) -> tuple[Beat, ...]:
    """The beats among ``values``; what is none is left out."""
    beats: list[Beat] = []
    for value in values:
        if not isinstance(value, str | bytes):
            continue
        try:
            beat = msgspec.json.decode(value, type=Beat)
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
            continue
        beats.append(
            msgspec.structs.replace(
                beat,
                host=clean(beat.host, limit=80),
                running=None if beat.running is None else clean(beat.running, limit=120),
                tick_id=None if beat.tick_id is None else clean(beat.tick_id, limit=80),
            )
        )
    return tuple(beats)
