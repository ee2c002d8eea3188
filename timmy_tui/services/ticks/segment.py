"""One file of the tick log as arrays: where each tick stands and what a timeline needs of it."""

from __future__ import annotations

from array import array
from datetime import tzinfo
from math import nan
from pathlib import Path

from timmy_tui.services.ticks.cursor import TailLine
from timmy_tui.services.ticks.glued import taken_apart
from timmy_tui.services.ticks.growing import GrowingFile
from timmy_tui.services.ticks.parse import BadLine, at_of, by_model, decode_head, severity_of
from timmy_tui.services.ticks.records import Severity

SEVERITY_CODES: tuple[Severity, ...] = ("ok", "warning", "critical", "fallback", "unknown")
_CODE_OF = {word: code for code, word in enumerate(SEVERITY_CODES)}

BY_MODEL = 8


class Segment(GrowingFile):
    """The ticks of one file, in file order: 29 bytes each."""

    def __init__(self, path: Path, zone: tzinfo | None, seen: set[int]) -> None:
        """``seen`` holds the contents of all segments."""
        super().__init__(path)
        self.bad_lines = 0
        self.offsets = array("q")
        self.lengths = array("L")
        self.times = array("d")
        """Unix seconds; NaN where a tick has none."""
        self.flags = array("B")
        """The severity's code in the low three bits, then ``BY_MODEL``."""
        self.contents = array("q")
        """The hash of each line, to know a repeated one and to see that a place still holds its tick."""
        self._zone = zone
        self._seen = seen

    def __len__(self) -> int:
        return len(self.offsets)

    def _take(self, lines: list[TailLine]) -> None:
        seen = self._seen
        zone = self._zone
        for line, facts in taken_apart(lines, lambda line: decode_head(line.data)):
            data = line.data
            if isinstance(facts, BadLine):
                self.bad_lines += 1
                continue
            content = hash(data)
            if content in seen:
                continue
            seen.add(content)
            at = at_of(facts, zone)
            flags = _CODE_OF[severity_of(facts)]
            if by_model(facts):
                flags |= BY_MODEL
            self.offsets.append(line.offset)
            self.lengths.append(len(data))
            self.times.append(nan if at is None else at)
            self.flags.append(flags)
            self.contents.append(content)
