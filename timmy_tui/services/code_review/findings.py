"""A model's answer to a review: the findings in whatever it wrote around them, each held against the diff."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from timmy_tui.services.answer import said_objects
from timmy_tui.services.code_review.pieces import Part, Piece
from timmy_tui.services.code_review.records import SEVERITIES, CodeReviewError, Finding, Severity
from timmy_tui.services.json_objects import Span, find_objects
from timmy_tui.text import clean

TEXT_LIMIT = 2_000_000
"""Characters looked at."""

FINDINGS_LIMIT = 200
"""Findings kept of one answer; a model that says more repeats itself."""

MESSAGE_LIMIT = 2_000
SUGGESTION_LIMIT = 4_000
LINE_MOST = 10**9

_KINDS: dict[Severity, str] = {
    "info": "info information informational note hint nit nitpick minor low trivial style suggestion",
    "warning": "warning warn medium moderate performance maintainability",
    "error": "error err high major severe bug security",
    "critical": "critical crit blocker fatal urgent highest",
}
_SEVERITIES: dict[str, Severity] = {word: severity for severity, words in _KINDS.items() for word in words.split()}

_NUMBER = re.compile(r"[0-9]{1,9}")
_NO_LIST = re.compile(r"\s*(?:```\w*\s*)?\[\s*\](?:\s*```)?\s*")
_FILE_LINE = re.compile(r"(.+?):([0-9]{1,9})(?::[0-9]+)?")


class Parsed(Struct, frozen=True):
    """What an answer says."""

    findings: tuple[Finding, ...]
    dropped: int
    """Entries that are no findings, or of no file of the piece."""


def parse_findings(text: str, piece: Piece, *, cut: bool = False) -> Parsed:
    """The findings of the last ``{"findings": […]}`` of the answer that ``text`` holds.

    A bare list of findings counts, and of an answer that was ``cut`` at its length limit each whole finding. Raises
    :class:`CodeReviewError` when there is no such thing.
    """
    text = text[:TEXT_LIMIT]
    entries = _entries(text, cut)
    findings: list[Finding] = []
    for entry in entries[:FINDINGS_LIMIT]:
        finding = _finding(entry, piece.parts)
        if finding is not None:
            findings.append(finding)
    return Parsed(merged(findings), len(entries) - len(findings))


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """In order of file and line; of those that say the same of one line, the gravest."""
    kept: dict[tuple[str, int, str], Finding] = {}
    for finding in findings:
        key = (finding.file, finding.line, "".join(filter(str.isalnum, finding.message.casefold())))
        other = kept.get(key)
        if other is None:
            kept[key] = finding
            continue
        graver = max(other, finding, key=_gravity)
        kept[key] = replace(
            graver,
            suggestion=graver.suggestion or other.suggestion or finding.suggestion,
            approximate=other.approximate and finding.approximate,
        )
    return tuple(sorted(kept.values(), key=lambda finding: (finding.file, finding.line, -_gravity(finding))))


def _gravity(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _entries(text: str, cut: bool) -> list[object]:
    """What the answer has in its list, of any type."""
    if not text.strip():
        raise CodeReviewError("the model's answer is empty")
    said, answers = said_objects(text, {"findings": "["})
    if answers:
        listed = _loaded(said, answers[-1])
        found = listed.get("findings") if isinstance(listed, dict) else None
        return found if isinstance(found, list) else []
    if find_objects(text, {"findings": "["}):
        raise CodeReviewError("the model's only list of findings is a part of its thinking")
    # Some leave the object out and write the list, or do not come to its end.
    said, single = said_objects(text, {"message": '"'})
    if single:
        return [_loaded(said, span) for span in single]
    if _NO_LIST.fullmatch(said):
        return []
    if cut:
        raise CodeReviewError("the model's answer was cut at its length limit before the first finding")
    raise CodeReviewError("the model's answer has no list of findings")


def _loaded(text: str, span: Span) -> object:
    try:
        return json.loads(text[span[0] : span[1]], strict=False)
    except (ValueError, RecursionError):
        raise CodeReviewError("the model's list of findings is no valid JSON") from None


def _finding(entry: object, parts: Sequence[Part]) -> Finding | None:
    """One entry as a finding; None for what is none or has no place."""
    if not isinstance(entry, dict):
        return None
    message = _text(entry, "message", "description", "issue", "comment")
    severity = _severity(entry.get("severity"))
    if not message or severity is None:
        return None
    name, line = _place(entry)
    part = _part(name, line, parts)
    if part is None:
        return None
    nearest = _nearest(part, line)
    suggestion = _text(entry, "suggestion", "suggested_fix", "fix")
    return Finding(
        file=part.path,
        line=nearest,
        severity=severity,
        message=clean(" ".join(message.split()), limit=MESSAGE_LIMIT),
        suggestion=clean(suggestion, limit=SUGGESTION_LIMIT, multiline=True) or None,
        approximate=nearest != line,
    )


def _text(entry: Mapping[str, object], *keys: str) -> str:
    return next((value.strip("\n") for key in keys if isinstance(value := entry.get(key), str) and value.strip()), "")


def _severity(value: object) -> Severity | None:
    """The nearest that we have; one that is missing is a warning, for the model found something to say."""
    if value is None:
        return "warning"
    return _SEVERITIES.get(value.strip().lower()) if isinstance(value, str) else None


def _place(entry: Mapping[str, object]) -> tuple[str, int | None]:
    """The file's name and the line, as the entry says them."""
    name = _text(entry, "file", "path", "filename").strip().replace("\\", "/").removeprefix("./")
    line = next((found for key in ("line", "line_number", "start_line") if (found := _line(entry.get(key)))), None)
    told = _FILE_LINE.fullmatch(name)
    if told is not None:
        name, line = told[1], line or int(told[2])
    return name, line


def _line(value: object) -> int | None:
    """``12``, ``12.0``, ``"12"``, ``"L12-15"``; None for what is no line."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if 0 < value <= LINE_MOST else None
    number = _NUMBER.search(value) if isinstance(value, str) else None
    return int(number[0]) or None if number is not None else None


def _part(name: str, line: int | None, parts: Sequence[Part]) -> Part | None:
    """The part of the file that ``name`` means: the same, or the end of it, or with something before it."""
    if not name:
        return parts[0] if len({part.path for part in parts}) == 1 else None
    same = [part for part in parts if part.path == name]
    fitting = same or [part for part in parts if part.path.endswith(f"/{name}") or name.endswith(f"/{part.path}")]
    shown = [part for part in fitting if line is not None and _nearest(part, line) == line]
    if shown or not fitting:
        return shown[0] if shown else None
    return fitting[0] if len({part.path for part in fitting}) == 1 else None


def _nearest(part: Part, line: int | None) -> int:
    if line is None:
        return part.spans[0].first
    return min((span.nearest(line) for span in part.spans), key=lambda near: abs(near - line))
