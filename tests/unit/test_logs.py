"""The program's own log: private, bounded, without secrets, and never a reason to fail."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from timmy_tui.services.logs import KEPT_FILES, MAX_BYTES, PrivateFileHandler, open_log


@pytest.fixture(autouse=True)
def own_root_logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The root logger as it is in a fresh process, given back afterwards."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    yield
    for handler in root.handlers:
        handler.close()
    root.setLevel(level)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "timmy" / "logs" / "timmy-tui.log"


def own_handlers() -> list[PrivateFileHandler]:
    """Ours among the root's handlers; pytest adds its own to catch what is logged."""
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, PrivateFileHandler)]


def test_the_file_and_its_folders_are_private(path: Path) -> None:
    assert open_log(path) is None
    logging.getLogger("timmy").info("hello")
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path.parent.parent, path.parent, path)] == [
        0o700,
        0o700,
        0o600,
    ]
    assert "INFO timmy: hello" in path.read_text()


def test_opening_it_twice_is_once(path: Path) -> None:
    open_log(path)
    assert open_log(path) is None
    assert len(own_handlers()) == 1


def test_neither_a_secret_nor_a_control_code_is_logged(path: Path) -> None:
    open_log(path)
    try:
        raise ValueError("api_key=abcdef123456 \x1b[2J")
    except ValueError:
        logging.getLogger("timmy").exception("Bearer %s", "abcdef123456")
    text = path.read_text()
    assert "123456" not in text
    assert "\x1b" not in text
    assert "Traceback" in text
    assert "^[[2J" in text


def test_requests_are_not_logged(path: Path) -> None:
    open_log(path)
    logging.getLogger("httpx").info("GET http://me:secret@h/")
    assert path.read_text() == ""


def test_it_is_rotated_and_stays_private(path: Path) -> None:
    open_log(path)
    for _ in range(KEPT_FILES + 3):
        logging.getLogger("timmy").info("x" * (MAX_BYTES // 20))
        for handler in own_handlers():
            handler.doRollover()
    files = sorted(path.parent.iterdir())
    assert len(files) == KEPT_FILES + 1
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_where_it_cannot_be_written_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    note = open_log(tmp_path / "file" / "logs" / "x.log")
    assert note is not None
    assert note.startswith("no log: ")
    logging.getLogger("timmy").error("goes nowhere")
