"""The queue's address, and a look into real queues that changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from huey import RedisHuey, SqliteHuey
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.config import Config, QueueConfig, Settings
from timmy_tui.services.worker.queue import (
    QueueAddress,
    QueueUnreadable,
    WorkerError,
    parse_queue,
    read_queue,
)
from timmy_tui.services.worker.records import BEAT_PREFIX, Beat


def settings(home: Path, url: str = "sqlite", name: str = "timmy") -> Settings:
    return Settings(
        config=Config(queue=QueueConfig(url=url, name=name)),
        timmy_home=home,
        hermes_home=home,
        config_path=home / "tui.yaml",
        ollama_host="",
    )


def address(url: str, **env: str) -> QueueAddress:
    return parse_queue(settings(Path("/home/me/.timmy"), url), env)


def beat(at: float, host: str = "mbp", pid: int = 7, running: str | None = None) -> tuple[str, bytes]:
    value = Beat(at=at, host=host, pid=pid, running=running)
    return f"{BEAT_PREFIX}{host}:{pid}", msgspec.json.encode(value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite", "/home/me/.timmy/queue.db"),
        (" sqlite ", "/home/me/.timmy/queue.db"),
        ("sqlite:///var/lib/q.db", "/var/lib/q.db"),
        ("sqlite:////var/lib/q.db", "/var/lib/q.db"),
        ("sqlite:///with%20space/q.db", "/with space/q.db"),
    ],
)
def test_a_sqlite_queue_is_an_absolute_file(url: str, path: str) -> None:
    found = address(url)
    assert (found.kind, found.path, found.url, found.shown) == ("sqlite", Path(path), None, path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://localhost", "redis://localhost"),
        ("rediss://:hunter2@box.example:6380/2", "rediss://***@box.example:6380/2"),
        ("redis://me:hunter2@10.0.0.1", "redis://***@10.0.0.1"),
        ("redis://hunter2@10.0.0.1", "redis://***@10.0.0.1"),
        ("redis://h/0?password=hunter2", "redis://h/0"),
        ("redis://[::1]:6379/1", "redis://[::1]:6379/1"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis://:${PASSWORD}@h/0", "redis://***@h/0"),
    ],
)
def test_a_redis_queue_is_shown_without_its_password(url: str, shown: str) -> None:
    found = address(url, PASSWORD="hunter2")
    assert (found.kind, found.path, found.shown) == ("redis", None, shown)
    assert found.url == url.replace("${PASSWORD}", "hunter2")
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "queue.db",
        "/abs/queue.db",
        "sqlite://queue.db",
        "sqlite://relative/queue.db",
        "sqlite:///",
        "sqlite:///~/queue.db",
        "sqlite:///q.db?mode=rw",
        "redis://:hunter2/with/slash@host",
        "redis://:hunter2@host:port/0",
        "redis://:hunter2@host/first",
        "redis://[::1",
        "unix://",
        "amqp://me:hunter2@host",
        "redis:hunter2",
        "redis://:${UNSET}@host",
        "me:hunter2@host",
    ],
)
def test_nonsense_is_refused_with_the_accepted_forms_and_without_the_url(url: str) -> None:
    with pytest.raises(WorkerError) as caught:
        address(url)
    assert "queue.url" in caught.value.message
    assert "hunter2" not in caught.value.message + caught.value.hint


@given(st.text(max_size=40) | st.from_regex(r"(sqlite|redis|unix)://?/?.{0,20}", fullmatch=True))
def test_any_text_is_an_address_or_refused(url: str) -> None:
    try:
        found = address(url)
    except WorkerError:
        return
    assert found.path is None or found.path.is_absolute()
    assert found.shown.isprintable()


def test_the_name_in_redis_keys_is_cut_as_huey_cuts_it(tmp_path: Path) -> None:
    for name in ("timmy-tui", "a_b.c", "Ümläut 9"):
        found = parse_queue(settings(tmp_path, "redis://127.0.0.1:1", name))
        assert f"huey.redis.{found.redis_name}" == RedisHuey(name, url=found.url).storage.queue_key


def test_a_queue_that_nobody_made_yet_is_empty_and_stays_unmade(tmp_path: Path) -> None:
    view = read_queue(parse_queue(settings(tmp_path)))
    assert (view.pending, view.beats) == (0, ())
    assert list(tmp_path.iterdir()) == []


def test_tasks_and_beats_of_a_real_queue_are_seen_and_left_there(tmp_path: Path) -> None:
    huey = SqliteHuey("timmy", filename=str(tmp_path / "queue.db"))
    other = SqliteHuey("other", filename=str(tmp_path / "queue.db"))

    @huey.task()
    def nothing() -> None: ...

    @other.task()
    def elsewhere() -> None: ...

    for _ in range(3):
        nothing()
    nothing.schedule(delay=3600)
    elsewhere()
    huey.put("result-of-something", {"pickled": True})
    for key, value in (beat(1.0), beat(2.0, pid=8, running="tick\x1b[2J")):
        huey.storage.put_data(key, value)
    other.storage.put_data(*beat(99.0, pid=9))

    for _ in range(2):
        view = read_queue(parse_queue(settings(tmp_path)))
        assert view.pending == 4
        assert [(found.at, found.pid, found.running) for found in view.beats] == [
            (1.0, 7, None),
            (2.0, 8, "tick^[[2J"),
        ]
    assert huey.pending_count() == 4


@pytest.mark.parametrize(
    "value",
    [b"", b"\x80\x05K\x01.", b"{}", b"[1]", b'{"at":"x","host":"h","pid":1}', b"[" * 5000, b"\xff", b"x" * 20_000],
)
def test_what_is_no_beat_is_left_out(tmp_path: Path, value: bytes) -> None:
    huey = SqliteHuey("timmy", filename=str(tmp_path / "queue.db"))
    huey.storage.put_data(f"{BEAT_PREFIX}bad:1", value)
    huey.storage.put_data(*beat(5.0))
    assert [found.at for found in read_queue(parse_queue(settings(tmp_path))).beats] == [5.0]


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    code = f"cos\nsystem\n(S'touch {trap}'\ntR.".encode()
    huey = SqliteHuey("timmy", filename=str(tmp_path / "queue.db"))
    huey.storage.enqueue(code)
    huey.storage.put_data(f"{BEAT_PREFIX}evil:1", code)
    view = read_queue(parse_queue(settings(tmp_path)))
    assert (view.pending, view.beats) == (1, ())
    assert not trap.exists()


def test_a_wal_queue_is_read_beside_a_writer_but_a_locked_one_says_so(tmp_path: Path) -> None:
    SqliteHuey("timmy", filename=str(tmp_path / "queue.db"))
    writer = sqlite3.connect(tmp_path / "queue.db")
    writer.execute("BEGIN EXCLUSIVE")
    assert read_queue(parse_queue(settings(tmp_path))).pending == 0
    writer.rollback()
    writer.execute("PRAGMA journal_mode=DELETE")
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(QueueUnreadable, match=r"queue\.db is locked by another process"):
        read_queue(parse_queue(settings(tmp_path)))
    writer.close()


def test_a_damaged_a_foreign_and_an_impossible_file_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(QueueUnreadable, match="damaged or no SQLite file"):
        read_queue(parse_queue(settings(tmp_path)))
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cats (name)")
    connection.close()
    with pytest.raises(QueueUnreadable, match="holds no Huey queue"):
        read_queue(parse_queue(settings(tmp_path)))
    path.unlink()
    path.mkdir()
    with pytest.raises(QueueUnreadable, match=r"queue\.db: "):
        read_queue(parse_queue(settings(tmp_path)))


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Redis server of our own on a free port, without a file."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on this machine")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "hunter2"],
        cwd=tmp_path_factory.mktemp("redis"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "Ready to accept connections" in line:
                break
        yield port
    finally:
        process.kill()
        process.communicate()


def test_a_real_redis_queue_is_counted_and_its_beats_read(tmp_path: Path, redis_port: int) -> None:
    url = f"redis://:hunter2@127.0.0.1:{redis_port}/0"
    huey = RedisHuey("timmy-tui", url=url)

    @huey.task()
    def nothing() -> None: ...

    nothing()
    nothing()
    huey.storage.conn.hset(huey.storage.result_key, mapping={f"result{n}": "x" * 100 for n in range(5000)})
    huey.storage.put_data(*beat(3.0, running="tick"))
    view = read_queue(parse_queue(settings(tmp_path, url, "timmy-tui")))
    assert view.pending == 2
    assert [(found.at, found.running) for found in view.beats] == [(3.0, "tick")]
    assert huey.pending_count() == 2


def test_redis_refusals_are_one_line_without_the_password(tmp_path: Path, redis_port: int) -> None:
    wrong = parse_queue(settings(tmp_path, f"redis://:letmein99@127.0.0.1:{redis_port}/0"))
    with pytest.raises(QueueUnreadable, match="refused the login") as caught:
        read_queue(wrong)
    assert "letmein99" not in str(caught.value)
    strange = parse_queue(settings(tmp_path, f"redis://:hunter2@127.0.0.1:{redis_port}/99"))
    with pytest.raises(QueueUnreadable, match="out of range"):
        read_queue(strange)


def test_a_redis_queue_of_another_kind_is_told(tmp_path: Path, redis_port: int) -> None:
    url = f"redis://:hunter2@127.0.0.1:{redis_port}/0"
    RedisHuey("other", url=url).storage.conn.set("huey.redis.other", "text")
    with pytest.raises(QueueUnreadable, match="WRONGTYPE"):
        read_queue(parse_queue(settings(tmp_path, url, "other")))


def test_a_dead_redis_is_told_without_its_password(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"redis://:hunter2@127.0.0.1:{closed.getsockname()[1]}/0"
        with pytest.raises(QueueUnreadable, match="nothing listens") as caught:
            read_queue(parse_queue(settings(tmp_path, url)))
    assert "hunter2" not in str(caught.value)


async def test_a_redis_that_never_answers_is_given_up_soon(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        with pytest.raises(QueueUnreadable, match="no answer from"):
            await asyncio.to_thread(read_queue, parse_queue(settings(tmp_path, url)))


def test_without_the_redis_package_the_command_that_mends_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(QueueUnreadable, match=r"install timmy-tui\[redis\]"):
        read_queue(parse_queue(settings(tmp_path, "redis://127.0.0.1:1")))
