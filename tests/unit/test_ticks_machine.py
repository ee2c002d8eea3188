"""Promise 3: every complete line of a tick log is shown exactly once, whatever happens to its files.

The model writes real files as a worker, logrotate, an editor and an operator would, and keeps three sets: what *must*
be shown by the next reading, what *may* be (it was lost to the path before anyone looked), and what never was written.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from timmy_tui.services.ticks.log import HeartbeatStore

EVENING = datetime(2026, 11, 20, 23, 50, tzinfo=UTC)

NEWLINES = st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b"\n \n"])


class LogFile:
    """One inode that a writer holds open."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.seen_by_reader = False
        self.unread: set[str] = set()
        self.torn: tuple[str, bytes] | None = None
        """The id and the missing end of a line that was begun."""

    def write(self, data: bytes) -> None:
        assert os.write(self.fd, data) == len(data)


class TickLogMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ticks"))
        self.now = EVENING
        self.serial = 0
        self.file: LogFile | None = None
        self.followed: list[LogFile] = []
        """Files that left the path and that the reader had open: late lines in them are still shown."""
        self.written: dict[str, bytes] = {}
        self.must: set[str] = set()
        self.store = self.new_store()

    def new_store(self) -> HeartbeatStore:
        return HeartbeatStore(
            self.folder, every_s=600, clock=lambda: self.now.timestamp(), zone=UTC, monotonic=lambda: 0.0
        )

    @property
    def path(self) -> Path:
        return self.folder / f"ticks_{self.now:%Y%m%d}.jsonl"

    def current(self) -> LogFile:
        if self.file is None:
            self.file = LogFile(self.path)
        return self.file

    def new_line(self, padding: int) -> tuple[str, bytes]:
        self.serial += 1
        tick_id = f"t{self.serial}"
        line = json.dumps({"tick_id": tick_id, "timestamp": self.now.isoformat(), "prompt": "x" * padding}).encode()
        self.written[tick_id] = line
        return tick_id, line

    def finished(self, file: LogFile, tick_id: str) -> None:
        file.unread.add(tick_id)
        self.must.add(tick_id)

    def finish_torn(self, file: LogFile, newline: bytes = b"\n") -> None:
        if file.torn is not None:
            tick_id, rest = file.torn
            file.torn = None
            file.write(rest + newline)
            self.finished(file, tick_id)

    def left_the_path(self, file: LogFile) -> None:
        """What nobody had read of a file that nobody had opened is lost to a follower of the path."""
        if file.seen_by_reader:
            self.followed.append(file)
        else:
            self.must -= file.unread
        file.unread = set()
        self.file = None

    @rule(count=st.integers(1, 3), newline=NEWLINES, padding=st.sampled_from([0, 0, 3, 1500]))
    def write(self, count: int, newline: bytes, padding: int) -> None:
        file = self.current()
        self.finish_torn(file, newline)
        for _ in range(count):
            tick_id, line = self.new_line(padding)
            file.write(line + newline)
            self.finished(file, tick_id)

    @rule(cut=st.floats(0.01, 0.99))
    def partial(self, cut: float) -> None:
        file = self.current()
        self.finish_torn(file)
        tick_id, line = self.new_line(5)
        length = max(1, int(len(line) * cut))
        file.write(line[:length])
        file.torn = tick_id, line[length:]

    @precondition(lambda self: self.written)
    @rule(pick=st.integers(0, 1_000))
    def repeat_a_line(self, pick: int) -> None:
        file = self.current()
        self.finish_torn(file)
        tick_id = list(self.written)[pick % len(self.written)]
        file.write(self.written[tick_id] + b"\n")
        self.finished(file, tick_id)

    @rule(line=st.sampled_from([b"garbage", b"[]", b"{}", b'{"tick_id": 0', b"\xff\xfe", b"\x00\x00"]))
    def write_garbage(self, line: bytes) -> None:
        file = self.current()
        self.finish_torn(file)
        file.write(line + b"\n")

    @precondition(lambda self: self.file is not None and self.path.exists())
    @rule()
    def rotate(self) -> None:
        assert self.file is not None
        self.path.rename(self.folder / f"{self.path.name}.{self.serial}-{len(self.followed)}")
        self.left_the_path(self.file)

    @precondition(lambda self: self.file is not None and self.path.exists())
    @rule()
    def delete(self) -> None:
        assert self.file is not None
        self.path.unlink()
        self.left_the_path(self.file)

    @precondition(lambda self: self.file is not None and self.path.exists())
    @rule(regrown=st.integers(0, 6), hole=st.booleans())
    def copytruncate(self, regrown: int, hole: bool) -> None:
        file = self.file
        assert file is not None
        size = os.fstat(file.fd).st_size
        os.ftruncate(file.fd, 0)
        self.must -= file.unread
        file.unread, file.torn = set(), None
        if hole:  # as a writer without O_APPEND leaves one
            tick_id, line = self.new_line(0)
            with open(self.path, "r+b", buffering=0) as writer:
                os.pwrite(writer.fileno(), line + b"\n", size)
            self.finished(file, tick_id)
        if regrown:
            self.write(regrown, b"\n", 0)

    @rule()
    def relink(self) -> None:
        before = self.file
        self.serial += 1
        target = self.folder / f"target-{self.serial}"
        link = self.folder / "link"
        file = LogFile(target)
        link.symlink_to(target)
        link.replace(self.path)
        if before is not None:
            self.left_the_path(before)
        self.file = file

    @precondition(lambda self: self.followed)
    @rule(pick=st.integers(0, 1_000))
    def write_late(self, pick: int) -> None:
        near = self.followed[-5:]
        file = near[pick % len(near)]
        self.finish_torn(file)
        tick_id, line = self.new_line(0)
        file.write(line + b"\n")
        self.must.add(tick_id)

    @precondition(lambda self: self.now == EVENING)
    @rule()
    def midnight(self) -> None:
        self.read()
        if self.file is not None:
            self.left_the_path(self.file)
        self.now = EVENING + timedelta(minutes=20)

    @rule()
    def kill(self) -> None:
        self.store.close()
        self.store = self.new_store()
        for file in self.followed:
            os.close(file.fd)
        self.followed = []
        if self.file is not None:
            self.file.seen_by_reader = False
            self.file.unread = set(self.present(self.path))
        self.must = {tick_id for day in self.days() for tick_id in self.present(day)}

    def days(self) -> list[Path]:
        return [path for path in self.folder.glob("ticks_????????.jsonl") if path.exists()]

    def present(self, path: Path) -> set[str]:
        """The ticks that stand complete in a file, by a reader that knows nothing of the product's."""
        found = set()
        for raw in path.read_bytes().split(b"\n")[:-1]:
            try:
                tree = json.loads(raw.strip(b"\0 \r"))
            except ValueError:
                continue
            if isinstance(tree, dict) and "tick_id" in tree:
                found.add(tree["tick_id"])
        return found

    @rule()
    def read(self) -> None:
        reading = self.store.read()
        shown = Counter(head.tick_id for head in reading.recent)

        assert max(shown.values(), default=1) == 1, f"shown twice: {shown.most_common(3)}"
        assert not self.must - shown.keys(), f"not shown: {self.must - shown.keys()}"
        assert shown.keys() <= self.written.keys()
        if self.path.exists():
            tail = self.path.read_bytes().rpartition(b"\n")[2]
            assert reading.incomplete_line == bool(tail.strip(b"\0"))
        if self.file is not None:
            self.file.seen_by_reader = True
            self.file.unread = set()
        assert self.store.read() is reading

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self.read()
        finally:
            self.store.close()
            for file in [*self.followed, *([self.file] if self.file else [])]:
                os.close(file.fd)
            shutil.rmtree(self.folder)


TestTickLog = TickLogMachine.TestCase
TestTickLog.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
