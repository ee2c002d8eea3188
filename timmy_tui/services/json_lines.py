"""One JSON value on one line, also for readers that take more signs than a newline for the end of one."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(rb"\xe2\x80[\xa8\xa9]|\xc2\x85")
_ESCAPES = {b"\xe2\x80\xa8": b"\\u2028", b"\xe2\x80\xa9": b"\\u2029", b"\xc2\x85": b"\\u0085"}


def one_line(line: bytes) -> bytes:
    """JSON with U+2028, U+2029 and U+0085 escaped: they stand in strings alone, and several loaders split lines there.

    What the JSON says stays the same (facts/annotation.md, Answers of models).
    """
    if line.isascii():
        return line
    return _SEPARATORS.sub(lambda found: _ESCAPES[found[0]], line)
