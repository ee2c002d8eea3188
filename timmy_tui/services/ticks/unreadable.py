"""What a log is of which no line is a tick: told by its first bytes, so that nobody takes it for an empty one."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

LOOKED_AT_BYTES = 65_536

_PREFIXED = re.compile(rb'^[^{\r\n]{8,200}\{.*"tick_id"', re.MULTILINE)


def kind_of(path: Path) -> str | None:
    """What the file at ``path`` seems to be instead of one JSON object a line; None where it can't be said."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            data = os.pread(fd, LOOKED_AT_BYTES, 0)
        finally:
            os.close(fd)
    except OSError:
        return None
    return _kind(data)


def _kind(data: bytes) -> str | None:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data.count(0) * 4 > len(data):
        return "it is UTF-16, not UTF-8"
    if data[:2] == b"\x1f\x8b":
        return "it is compressed (gzip)"
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if b"\n" not in data and data.count(b"\r") > 1:
        return "its lines end with CR alone"
    if text[:1] == b"[":
        return "it is one JSON array, not an object a line"
    first_line = text.split(b"\n", 1)[0].strip()
    if first_line == b"{" or (first_line[:1] == b"{" and re.match(rb'\{\s*"tick_id"\s*:[^{}]*,$', first_line)):
        return "it is pretty-printed: an object takes several lines"
    if _wraps_ticks(first_line) or _PREFIXED.search(text):
        return "something wraps each line, as a log driver does"
    return None


def _wraps_ticks(line: bytes) -> bool:
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(tree, dict) and any(isinstance(value, str) and '"tick_id"' in value for value in tree.values())
