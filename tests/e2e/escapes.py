"""What a stream of terminal output consists of: text and escape sequences. Strict: the unknown is a finding."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ESCAPE = re.compile(
    r"\x1b(?:\[(?P<parameters>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\](?P<osc>[^\x07\x1b]*)(?P<osc_end>\x07|\x1b\\)"
    r"|(?P<other>.?))",
    re.DOTALL,
)

# Textual's own repertoire: what an app without any foreign text writes (facts/textual.md §3).
MODES = frozenset({"7", "25", "1000", "1003", "1004", "1006", "1015", "1049", "2004", "2026", "2048"})
_SGR = re.compile(r"[0-9]{0,3}(?:;[0-9]{1,3})*\Z")
_PLACE = re.compile(r"[0-9]{1,4};[0-9]{1,4}\Z")
_POINTER = re.compile(r"22;[a-z-]*\Z")
"""OSC 22: the shape of the mouse pointer."""

_INVISIBLE = re.compile(
    "[\x00-\x09\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufe0f\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Everything that acts or hides, but for CR, LF and ESC."""


def strangers(output: str) -> list[str]:
    """Each escape sequence or character that Textual would not write of its own accord, as a Python literal."""
    found = [repr(match.group()) for match in _ESCAPE.finditer(output) if not _is_own(match)]
    found.extend(repr(character) for character in _INVISIBLE.findall(_ESCAPE.sub("", output)))
    return found


def kinds(output: str) -> set[str]:
    """The kinds of sequences in ``output``: ``SGR``, ``CUP``, the modes and every other one as it is."""
    return {_kind(match) for match in _ESCAPE.finditer(output)}


def texts(output: str) -> Iterator[str]:
    """What stands between the sequences."""
    return (text for text in _ESCAPE.split(output) if text)


def _is_own(match: re.Match[str]) -> bool:
    if match["osc"] is not None:
        return bool(_POINTER.match(match["osc"]))
    if match["final"] is None:
        return False
    parameters, between, final = match["parameters"], match["between"], match["final"]
    if between:
        return match.group() in ("\x1b[?2026$p", "\x1b[?2048$p")
    if final == "m":
        return bool(_SGR.match(parameters))
    if final == "H":
        return bool(_PLACE.match(parameters))
    if final in "hl":
        return parameters[:1] == "?" and parameters[1:] in MODES
    return match.group() in ("\x1b[>25u", "\x1b[<u")


def _kind(match: re.Match[str]) -> str:
    if match["final"] == "m" and _is_own(match):
        return "SGR"
    if match["final"] == "H" and _is_own(match):
        return "CUP"
    if match["osc"] is not None and _is_own(match):
        return "OSC 22"
    return match.group()
