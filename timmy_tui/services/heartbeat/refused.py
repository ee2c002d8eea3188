"""What a refused answer warned of: the parser stays strict, and the alarm is not lost."""

from __future__ import annotations

import re
from collections.abc import Iterable

from timmy_tui.masking import masked
from timmy_tui.text import clean

QUOTE_LENGTH = 240
LOOKED_AT = 200_000

_ALARM = re.compile(r"(?<![\w|])(?:(?P<critical>critical|crit|ALERT)|warning|warn)(?![\w|])", re.IGNORECASE)
_BREAK = re.compile(r"[\n{}]|(?<=[.!?])\s")


def alarm_in(answers: Iterable[str], prompt: str) -> str | None:
    """A quote, safe to show, of the gravest thing that refused answers said; None where none said critical or warning.

    Words that stand in a line of ``prompt`` are the question's and not the answer's.
    """
    asked = {line.strip() for line in prompt.splitlines()}
    gravest: tuple[bool, str] | None = None
    for answer in answers:
        lines = answer[:LOOKED_AT].splitlines()
        said = "\n".join(line for line in lines if line.strip() not in asked)
        for found in _ALARM.finditer(said):
            critical = found["critical"] is not None
            if gravest is None or critical > gravest[0]:
                gravest = critical, _around(said, found.start(), found.end())
    return None if gravest is None else gravest[1]


def _around(text: str, start: int, end: int) -> str:
    """The sentence, or the object, that the word stands in."""
    first = max((found.end() for found in _BREAK.finditer(text, max(0, start - QUOTE_LENGTH), start)), default=0)
    first = max(first, start - QUOTE_LENGTH // 2, 0)
    after = _BREAK.search(text, end)
    object_end = text.find("}", end, end + QUOTE_LENGTH)
    last = object_end if object_end >= 0 else after.start() if after is not None else len(text)
    return clean(masked(" ".join(text[first:last].split())), limit=QUOTE_LENGTH)
