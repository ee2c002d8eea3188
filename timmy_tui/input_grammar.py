"""What a terminal types, cut into whole pieces: characters, escape sequences, pastes (ECMA-48; xterm's ctlseqs).

A reply of the terminal looks like keys to whoever reads it character by character. Here a sequence is whole or it is
nothing: one that is torn over several reads waits for its rest, one that never ends is given up by the clock, and none
grows beyond a bound (facts/terminal-safety.md, Input).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

ESC = "\x1b"

PIECE_LIMIT = 128
"""Characters of an escape sequence that any terminal has a use for; a longer one is read to its end and dropped."""

PASTE_LIMIT = 1_000_000
"""Characters of one paste that are kept."""

LONE_ESCAPE_S = 0.1
"""How long what follows ``ESC`` may be away: then it was the key."""

TORN_S = 0.5
"""How long the rest of a sequence may be away."""

TORN_MOST_S = 3.0
"""How long a sequence may take in all: whoever types meanwhile is heard again after it."""

PASTE_IDLE_S = 1.0
"""How long a paste may pause before its end is taken for lost."""

PASTE_MOST_S = 10.0
"""How long a paste may take in all while it comes in single characters, as keys do."""

PASTE_BEGIN, PASTE_END = f"{ESC}[200~", f"{ESC}[201~"

_PLAIN = re.compile(r"[^\x1b\x80-\x9f\udc80-\udcff]+")
_PARAMETERS = re.compile(r"[\x30-\x3f]*[\x20-\x2f]*")
_RXVT_SHIFTED = re.compile(r"\x1b\[\d{1,2}\$")
"""Ended by what is an intermediate elsewhere: only what follows could tell, and nothing does."""

_STRING_STOP = re.compile("[\x07\x1b\x9c\x18\x1a]")

_STRING_BEGINS = frozenset("P]X^_")
"""DCS, OSC, SOS, PM, APC: text up to ST or BEL."""

_C1 = {
    "\x8f": "O",
    "\x90": "P",
    "\x98": "X",
    "\x9b": "[",
    "\x9d": "]",
    "\x9e": "^",
    "\x9f": "_",
}
"""The introducers in one character, as a terminal in 8-bit mode sends them."""


class Piece(NamedTuple):
    """One whole thing that came in."""

    kind: Literal["text", "sequence", "escape", "paste"]
    text: str


class InputGrammar:
    """Cuts what is read into pieces. All times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._held = ""
        """The begin of a sequence whose rest is not here yet."""
        self._string = self._overlong = False
        """Inside a string, or inside a sequence beyond the bound: everything up to its end is dropped."""
        self._paste: list[str] | None = None
        self._paste_length = 0
        self._began_at = self._heard_at = 0.0
        self._last_read_length = 0
        self.dropped = 0
        """How many sequences were dropped since the begin."""

    @property
    def waits(self) -> bool:
        """Whether something is open that the clock may have to end."""
        return bool(self._held) or self._string or self._overlong or self._paste is not None

    def read(self, characters: str, now: float) -> Iterator[Piece]:
        """The pieces of what was read. A byte that is no UTF-8 stands there as a lone surrogate."""
        yield from self.expire(now)
        if not self.waits:
            self._began_at = now
        self._heard_at, self._last_read_length = now, len(characters)
        rest, self._held = self._held + characters, ""
        while rest:
            open_before = self.waits
            piece, rest = self._step(rest)
            if piece is not None:
                yield piece
            if self.waits and not open_before:
                self._began_at = now
            if self._held:
                break

    def expire(self, now: float) -> Iterator[Piece]:
        """End what has waited too long."""
        if not self.waits:
            return
        idle_s, total_s = now - self._heard_at, now - self._began_at
        if self._paste is not None:
            if idle_s >= PASTE_IDLE_S or (total_s >= PASTE_MOST_S and self._last_read_length <= 2):
                self._held = ""
                yield self._pasted()
        elif self._string or self._overlong:
            if idle_s >= TORN_S or total_s >= TORN_MOST_S:
                self._string = self._overlong = False
                self._held = ""
        elif len(self._held) <= 2:
            if idle_s >= LONE_ESCAPE_S:
                held, self._held = self._held, ""
                yield Piece("escape", held) if held == ESC else Piece("sequence", held)
        elif idle_s >= TORN_S or total_s >= TORN_MOST_S:
            self._held = ""
            self.dropped += 1

    def _step(self, rest: str) -> tuple[Piece | None, str]:
        """The next piece, if there is one, and what follows it."""
        if self._paste is not None:
            return self._in_paste(rest)
        if self._string:
            return None, self._in_string(rest)
        if self._overlong:
            return None, self._in_overlong(rest)
        first = rest[0]
        if first == ESC:
            return self._after_escape(rest)
        if first in _C1:
            return self._after_escape(ESC + _C1[first] + rest[1:])
        if "\udc80" <= first <= "\udcff":
            control = chr(ord(first) - 0xDC00)
            if control in _C1:
                return self._after_escape(ESC + _C1[control] + rest[1:])
            return Piece("text", "\ufffd"), rest[1:]
        if "\x80" <= first <= "\x9f":
            return None, rest[1:]
        plain = _PLAIN.match(rest)
        assert plain is not None  # every other character is handled above
        return Piece("text", plain[0]), rest[plain.end() :]

    def _after_escape(self, rest: str) -> tuple[Piece | None, str]:
        if len(rest) == 1:
            self._held = rest
            return None, ""
        second = rest[1]
        if second == ESC:
            return Piece("escape", ESC), rest[1:]
        if second == "[":
            return self._control_sequence(rest)
        if second in _STRING_BEGINS:
            if len(rest) == 2:  # alt and that key, or the begin of a string
                self._held = rest
                return None, ""
            self._string = True
            self.dropped += 1
            return None, rest[2:]
        if second == "O":
            if len(rest) == 2:
                self._held = rest
                return None, ""
            if rest[2] == ESC or not "\x20" < rest[2] < "\x7f":
                return Piece("sequence", rest[:2]), rest[2:]
            return Piece("sequence", rest[:3]), rest[3:]
        if "\udc80" <= second <= "\udcff":
            return Piece("escape", ESC), rest[1:]
        return Piece("sequence", rest[:2]), rest[2:]

    def _control_sequence(self, rest: str) -> tuple[Piece | None, str]:
        parameters = _PARAMETERS.match(rest, 2)
        assert parameters is not None  # it may be empty
        end = parameters.end()
        if end == 2 and rest[2:3] == "[":  # the Linux console's function keys: ESC [ [ A
            if len(rest) < 4:
                self._held = rest
                return None, ""
            return Piece("sequence", rest[:4]), rest[4:]
        if end >= PIECE_LIMIT:
            self._overlong = True
            self.dropped += 1
            return None, rest[end:]
        if end == len(rest):
            if _RXVT_SHIFTED.fullmatch(rest):
                return Piece("sequence", rest), ""
            self._held = rest
            return None, ""
        final = rest[end]
        if not "\x40" <= final <= "\x7e":
            self.dropped += 1
            # The sequence is broken off; a control that broke it is still one.
            return None, rest[end:]
        if final == "M" and end == 2:  # X10 mouse: three characters follow
            if len(rest) < 6:
                self._held = rest
                return None, ""
            return None, rest[6:]
        sequence = rest[: end + 1]
        if sequence == PASTE_BEGIN:
            self._paste, self._paste_length = [], 0
            return None, rest[end + 1 :]
        return Piece("sequence", sequence), rest[end + 1 :]

    def _in_string(self, rest: str) -> str:
        """What follows the string's end; an ``ESC`` that does not begin an ST ends it too, as it does in xterm."""
        stop = _STRING_STOP.search(rest)
        if stop is None:
            return ""
        if stop[0] != ESC:
            self._string = False
            return rest[stop.end() :]
        if stop.end() == len(rest):  # torn in the middle of its end
            self._held = ESC
            return ""
        self._string = False
        return rest[stop.end() + 1 :] if rest[stop.end()] == "\\" else rest[stop.start() :]

    def _in_overlong(self, rest: str) -> str:
        parameters = _PARAMETERS.match(rest)
        assert parameters is not None  # it may be empty
        end = parameters.end()
        if end == len(rest):
            return ""
        self._overlong = False
        return rest[end + 1 :] if "\x40" <= rest[end] <= "\x7e" else rest[end:]

    def _in_paste(self, rest: str) -> tuple[Piece | None, str]:
        at = rest.find(PASTE_END)
        if at >= 0:
            self._keep(rest[:at])
            return self._pasted(), rest[at + len(PASTE_END) :]
        # The begin of the end may stand at the end.
        torn = next((n for n in range(len(PASTE_END) - 1, 0, -1) if rest.endswith(PASTE_END[:n])), 0)
        self._keep(rest[: len(rest) - torn])
        self._held = rest[len(rest) - torn :]
        return None, ""

    def _keep(self, text: str) -> None:
        assert self._paste is not None
        text = text[: PASTE_LIMIT - self._paste_length]
        self._paste_length += len(text)
        self._paste.append(text)

    def _pasted(self) -> Piece:
        text, self._paste = "".join(self._paste or ()), None
        return Piece("paste", text)
