"""What the doctor says of one thing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from timmy_tui.masking import masked
from timmy_tui.text import clean

FindingState = Literal["ok", "missing", "broken", "note"]


class Finding(Struct, frozen=True):
    """One thing that was looked at. Strings have passed ``text.clean``."""

    topic: str
    state: FindingState
    """``broken`` needs a hand; ``missing`` can be added; ``note`` is good to know."""
    text: str
    mend: str = ""
    """What to do: a command where there is one."""


def finding(topic: str, state: FindingState, text: str, mend: str = "") -> Finding:
    """A finding whose strings are safe to show, without secrets."""
    return Finding(clean(topic, limit=60), state, clean(masked(text)), clean(masked(mend)))


def healthy(findings: Iterable[Finding]) -> bool:
    """Nothing is broken; what is merely missing is the operator's choice."""
    return all(entry.state != "broken" for entry in findings)
