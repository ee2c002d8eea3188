"""Reading a file from its end gives the same lines as reading it from its start."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.ticks.backwards import end_of_lines, lines_backwards
from timmy_tui.services.ticks.cursor import TailLine


def read(path: Path, **limits: int) -> list[TailLine]:
    fd = os.open(path, os.O_RDONLY)
    try:
        return list(lines_backwards(fd, end_of_lines(fd), **limits))
    finally:
        os.close(fd)


@given(
    st.lists(st.sampled_from([b"\n", b"a", b"{bc}", b"\r\n", b"\0", b" ", b"x" * 13]), max_size=40).map(b"".join),
    st.integers(min_value=1, max_value=20),
)
def test_any_file_backwards_is_the_file_forwards(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, block_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("back") / "log"
    path.write_bytes(content)

    found = read(path, block_bytes=block_bytes)

    expected = [line.strip(b"\0 \t\r") for line in content.split(b"\n")[:-1]]
    assert [line.data for line in reversed(found)] == [line for line in expected if line]
    assert all(content[line.offset :].startswith(line.data) for line in found)


@pytest.mark.parametrize("length", [51, 52, 64, 500])
def test_a_line_that_is_too_long_is_one_oversized_line(tmp_path: Path, length: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"{1}\n" + b"x" * length + b"\n{2}\n{3")

    found = read(path, block_bytes=16, max_line_bytes=50)

    assert [(line.offset, line.data, line.oversized) for line in found] == [
        (length + 5, b"{2}", False),
        (4, b"", True),
        (0, b"{1}", False),
    ]


def test_a_line_that_is_too_long_costs_no_more_memory_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"{1}\n" + b"x" * 20_000_000 + b"\n")
    tracemalloc.start()
    try:
        found = read(path, block_bytes=65_536, max_line_bytes=1_000_000)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(line.data, line.oversized) for line in found] == [(b"", True), (b"{1}", False)]
    assert peak_bytes < 6_000_000


def test_only_the_end_is_read_when_only_the_end_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(50_000_000_000)  # sparse: reading it all would take minutes
        file.seek(0, os.SEEK_END)
        file.write(b"\n{1}\n{2}\n")
    fd = os.open(path, os.O_RDONLY)
    lines = lines_backwards(fd, end_of_lines(fd))
    assert [next(lines).data, next(lines).data] == [b"{2}", b"{1}"]
    os.close(fd)
