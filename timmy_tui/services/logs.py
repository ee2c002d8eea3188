"""The program's own logs: one rotated file for the console and one for the worker, private, never a secret.

Rotating is no affair between processes: the one that does not rotate would write on into an old file.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
from io import TextIOWrapper
from pathlib import Path

from timmy_tui.masking import masked
from timmy_tui.text import BLOCK_LIMIT, clean

MAX_BYTES = 1_000_000
KEPT_FILES = 3

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

TALKATIVE = ("httpx", "httpcore", "asyncio", "huey", "watchfiles", "markdown_it")
"""Libraries whose information lines hold addresses or come every second: only their warnings are kept."""


class PrivateFileHandler(logging.handlers.RotatingFileHandler):
    """A rotating file that only its owner can read."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")


class SafeFormatter(logging.Formatter):
    """Records as text without secrets or control codes: a log is read in a terminal, too."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, with its traceback below it."""
        return clean(masked(super().format(record)), limit=BLOCK_LIMIT, multiline=True)


def open_log(path: Path, *, level: int = logging.INFO) -> str | None:
    """Send every logger to the file at ``path``; opening it twice is once.

    A log is never a reason to fail: where it can't be written, nothing is logged and one line says why.
    """
    root = logging.getLogger()
    if any(isinstance(handler, PrivateFileHandler) for handler in root.handlers):
        return None
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = PrivateFileHandler(path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES)
    except OSError as error:
        root.addHandler(logging.NullHandler())
        return f"no log: {clean(str(path))}: {error.strerror}"
    handler.setFormatter(SafeFormatter(FORMAT))
    logging.raiseExceptions = False
    root.addHandler(handler)
    root.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    return None
