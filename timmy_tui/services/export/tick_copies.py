"""The tick logs once more, each labelled decision with its ``dpo_label``."""

from __future__ import annotations

import json

import msgspec

from timmy_tui.services.export.redact import Redactor
from timmy_tui.services.ticks.parse import BadLine, decode_tree

LABEL_KEY = "dpo_label"


class TickCopier:
    """Copies lines of a tick log; what need not change stays the very same bytes."""

    def __init__(self, redactor: Redactor | None) -> None:
        self._redactor = redactor

    def copied(self, line: bytes, chosen: bool | None, *, may_redact: bool) -> bytes | None:
        """``line`` with its label and without what must not leave the machine; None for one that can't be copied.

        ``may_redact`` is what :meth:`Redactor.may_touch` says of it.
        """
        redactor = self._redactor if may_redact else None
        if redactor is None and chosen is None:
            return line
        label = "chosen" if chosen else "rejected"
        if redactor is None and LABEL_KEY.encode() not in line and b"\\u" not in line and _is_strict(line):
            return b'%s, "%s": "%s"}' % (line[:-1], LABEL_KEY.encode(), label.encode())
        tree = decode_tree(line)
        if isinstance(tree, BadLine):
            return None
        copy = tree if redactor is None else redactor.tree(tree)
        if chosen is not None:
            copy[LABEL_KEY] = label
        elif copy == tree:
            return line
        return _encoded(copy, strict=_is_strict(line))


def _is_strict(line: bytes) -> bool:
    """The line is one JSON object from its first byte to its last."""
    try:
        return line.endswith(b"}") and isinstance(msgspec.json.decode(line, type=msgspec.Raw), msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _encoded(tree: dict[str, object], *, strict: bool) -> bytes | None:
    """``tree`` as a line. What was no strict JSON (NaN, lone surrogates) stays so, in the words of Python's encoder."""
    try:
        if strict:
            return msgspec.json.encode(tree)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        pass
    try:
        return json.dumps(tree, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return None
