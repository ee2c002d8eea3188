"""The text of a stored message: plain, or parts behind a ``\\x00json:`` mark (facts/hermes.md §10.3)."""

from __future__ import annotations

import json

from timmy_tui.services.hermes.cells import Cell, raw_text
from timmy_tui.text import bytes_text

EMPTY_ANSWER = "(empty)"
"""What Hermes stores for a reply without text (facts/hermes.md §2.4)."""

_PARTS_MARK = "\x00json:"
_NO_JSON = (ValueError, RecursionError)


def content_text(cell: Cell) -> str:
    """The text of ``messages.content``, a short word in the place of each image. Not yet safe to show."""
    text = raw_text(cell)
    if not text.startswith(_PARTS_MARK):
        return text
    text = text.removeprefix(_PARTS_MARK)
    parts = decoded(text)
    if isinstance(parts, str):
        return parts
    if isinstance(parts, list):
        return "\n".join(filter(None, map(_part_text, parts)))
    return _part_text(parts) if isinstance(parts, dict) else text


def answer_text(content: Cell, tool_calls: Cell) -> str | None:
    """The text of an assistant's message that is an answer, not a call of tools, nor empty."""
    if raw_text(tool_calls).strip() not in ("", "[]", "null"):
        return None
    said = content_text(content)
    return None if said.strip() in ("", EMPTY_ANSWER) else said


def decoded(text: str) -> object:
    """The JSON value of ``text``; None when it is no JSON."""
    try:
        return json.loads(text)
    except _NO_JSON:
        return None


def pretty(text: str) -> str:
    """``text`` with its JSON indented; as it is when it is no JSON object or list."""
    value = decoded(text)
    if not isinstance(value, dict | list):
        return text
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except _NO_JSON:
        return text


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    if isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type")
    kind = kind if isinstance(kind, str) else "part"
    if "image" not in kind:
        return f"[{kind}]"
    size_bytes = _inline_bytes(part)
    return f"[image, {bytes_text(size_bytes)}]" if size_bytes else "[image]"


def _inline_bytes(part: dict[str, object]) -> int | None:
    """The size of an image that is stored in base64; None when it is only referred to."""
    inner = part.get("image_url", part.get("source"))
    data = (inner.get("url") or inner.get("data")) if isinstance(inner, dict) else inner
    if not isinstance(data, str) or data.startswith(("http:", "https:", "file:")):
        return None
    return len(data.rpartition(",")[2]) * 3 // 4
