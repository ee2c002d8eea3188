"""What a terminal typed, as messages for the app: only what is known to be a key, the mouse, a paste or an answer.

Textual's own parser types a sequence that it does not know as single keys, raises for legal ones of kitty's protocol
and takes any size of a window for true (facts/terminal-safety.md, Input). Nothing unknown passes here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from weakref import WeakSet

from textual import constants, events, messages
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._keyboard_protocol import MODIFIER_FUNCTIONAL_KEYS
from textual._xterm_parser import IS_ITERM, XTermParser
from textual.message import Message

from timmy_tui.input_grammar import ESC, InputGrammar, Piece

_log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 2.0
"""How long an answer to a question of ours is waited for; what comes later was not asked for."""

ALONE_S = 0.03
"""Two keys of a person are further apart (DESIGN §7)."""

PASTE_KEYS, PASTE_DISTINCT = 16, 4
"""From here on the keys of one read are a paste that came without brackets: nobody types so far ahead."""

LARGEST_WINDOW = (2_000, 1_000)
"""Columns and rows that a terminal may report: a wall of screens with the smallest font has fewer."""

SYNCHRONISED_OUTPUT, IN_BAND_RESIZE = "2026", "2048"

_LONGEST_NUMBER = 7
_KEY = re.compile(r"\x1b\[(?P<codes>[\d:;]*)(?P<final>[u~A-FHPQRSZ])")
_MOUSE = re.compile(r"\x1b\[<\d{1,4};-?\d{1,5};-?\d{1,5}[Mm]")
_MODE = re.compile(r"\x1b\[\?(?P<mode>\d{1,5});(?P<setting>\d)\$y")
_WINDOW = re.compile(
    r"\x1b\[48;(\d{1,6})(?::[\d:]*)?;(\d{1,6})(?::[\d:]*)?;(\d{1,6})(?::[\d:]*)?;(\d{1,6})(?::[\d:]*)?t"
)
_F3 = re.compile(r"\x1b\[1;(\d{1,2})R")
_RELEASE = "3"
_INTRODUCERS = "[]^_"

_together: WeakSet[events.Key] = WeakSet()
_crowded: WeakSet[events.Key] = WeakSet()
_pasted: WeakSet[events.Key] = WeakSet()


def together(key: events.Key) -> bool:
    """Whether another key came in the same read: what it meant was decided before anything could be seen of it."""
    return key in _together


def crowded(key: events.Key) -> bool:
    """Whether another key came in the same read, or within :data:`ALONE_S` before: no person answers so fast."""
    return key in _crowded


def pasted(key: events.Key) -> bool:
    """Whether the key is part of what looks like a paste without brackets."""
    return key in _pasted


class InputWall(XTermParser):
    """Stands where Textual's parser stands: characters in, messages out. Of the parser it uses the tables."""

    def __init__(self, debug: bool = False, *, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(debug)
        self._grammar = InputGrammar()
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._resizes_in_band = False
        self._last_key_at = float("-inf")
        self._told_dropped = 0

    def ask(self, mode: str) -> None:
        """A question about a terminal's mode was just written: its answer is one."""
        self._asked[mode] = self._clock()

    @property
    def waits(self) -> bool:
        """Whether :meth:`tick` has something to end soon."""
        return self._grammar.waits

    def feed(self, data: str) -> Iterable[Message]:
        """The messages of one read."""
        self.debug_log(f"FEED {data!r}")
        if not data:
            return
        now = self._clock()
        yield from self._marked(self._messages(self._grammar.read(data, now)), now)

    def tick(self) -> Iterable[Message]:
        """The messages of what waited for its rest in vain."""
        now = self._clock()
        yield from self._marked(self._messages(self._grammar.expire(now)), now)

    def _messages(self, pieces: Iterable[Piece]) -> Iterator[Message]:
        for piece in pieces:
            try:
                yield from self._of_piece(piece)
            except (ValueError, OverflowError, ArithmeticError) as error:  # a table or a number of Textual's parser
                _log.warning("input dropped: %r: %s", piece.text[:80], error)

    def _marked(self, found: Iterable[Message], now: float) -> list[Message]:
        """All messages of one read at once, so that the first key of it knows of the others."""
        result = list(found)
        if self._grammar.dropped != self._told_dropped:
            _log.info("%d sequences of the terminal that are no input were dropped", self._grammar.dropped)
            self._told_dropped = self._grammar.dropped
        keys = [one for one in result if isinstance(one, events.Key) and one.key not in MODIFIER_FUNCTIONAL_KEYS]
        if not keys:
            return result
        if len(keys) > 1:
            for key in keys:
                _together.add(key)
        if len(keys) > 1 or now - self._last_key_at < ALONE_S:
            for key in keys:
                _crowded.add(key)
        self._last_key_at = now
        if len(keys) >= PASTE_KEYS:
            printable = {one.character for one in keys if one.is_printable}
            if len(printable) >= PASTE_DISTINCT:
                for key in keys:
                    _pasted.add(key)
        return result

    def _of_piece(self, piece: Piece) -> Iterator[Message]:
        if piece.kind == "text":
            for character in piece.text:
                if character != "\ufffd":
                    yield from self._sequence_to_key_events(character)
        elif piece.kind == "escape":
            yield events.Key("escape", ESC)
        elif piece.kind == "paste":
            yield events.Paste(piece.text.replace("\x00", ""))
        else:
            yield from self._of_sequence(piece.text)

    def _of_sequence(self, sequence: str) -> Iterator[Message]:
        if sequence == f"{ESC}[I":
            yield events.AppFocus()
        elif sequence == f"{ESC}[O":
            yield events.AppBlur()
        elif _MOUSE.fullmatch(sequence):
            mouse = self.parse_mouse_code(sequence)
            if mouse is not None:
                yield mouse
        elif mode := _MODE.fullmatch(sequence):
            yield from self._of_mode(mode["mode"], int(mode["setting"]))
        elif window := _WINDOW.fullmatch(sequence):
            yield from self._of_window(*(int(number) for number in window.groups()))
        else:
            yield from self._of_key(sequence)

    def _of_key(self, sequence: str) -> Iterator[Message]:
        """What a table or kitty's protocol knows as a key; anything else is nothing."""
        if len(sequence) == 2 and sequence not in ANSI_SEQUENCES_KEYS:
            if sequence[1] in _INTRODUCERS:  # the rest of a reply is still on its way
                self._drop(sequence)
            elif sequence[1].isprintable():
                yield from self._sequence_to_key_events(sequence[1], alt=True)
            return
        # Some terminals report the cursor as others send shift and F3; nobody asks for the cursor here.
        if sequence.endswith("R") and not (sequence in ANSI_SEQUENCES_KEYS or _F3.fullmatch(sequence)):
            self._drop(sequence)
            return
        known = sequence if sequence in ANSI_SEQUENCES_KEYS else _plain_report(sequence)
        if known is None:
            self._drop(sequence)
            return
        for key in self._sequence_to_key_events(known):
            if key.key and key.key != "<ignore>":
                yield key

    def _of_mode(self, mode: str, setting: int) -> Iterator[Message]:
        asked_at = self._asked.pop(mode, float("-inf"))
        if self._clock() - asked_at > ANSWER_WITHIN_S:
            self._grammar.dropped += 1
        elif mode == SYNCHRONISED_OUTPUT and setting > 0:
            yield messages.TerminalSupportsSynchronizedOutput()
        elif mode == IN_BAND_RESIZE and constants.SMOOTH_SCROLL and not IS_ITERM:
            answer = messages.InBandWindowResize.from_setting_parameter(setting)
            self._resizes_in_band = answer.supported
            yield answer

    def _of_window(self, rows: int, columns: int, pixel_height: int, pixel_width: int) -> Iterator[Message]:
        """The window's size, where the terminal was told to report it so and says something possible."""
        possible = 0 < columns <= LARGEST_WINDOW[0] and 0 < rows <= LARGEST_WINDOW[1]
        if not (possible and self._resizes_in_band):
            self._grammar.dropped += 1
            return
        resize = events.Resize.from_dimensions((columns, rows), (pixel_width, pixel_height))
        self.terminal_size = resize.size
        # Without pixels the mouse would be divided by zero.
        has_pixels = pixel_width >= columns and pixel_height >= rows
        self.terminal_pixel_size = resize.pixel_size if has_pixels else None
        self.mouse_pixels = has_pixels
        yield resize

    def _drop(self, sequence: str) -> None:
        self._grammar.dropped += 1
        self.debug_log(f"dropped={sequence!r}")


def _plain_report(sequence: str) -> str | None:
    """A key's report without what Textual can't read: alternate keys and event types; None = no press of a key.

    ``CSI code[:shifted[:base]] ; modifiers[:event] ; text u`` (sw.kovidgoyal.net/kitty/keyboard-protocol).
    """
    match = _KEY.fullmatch(sequence)
    if match is None:
        return None
    fields = match["codes"].split(";")
    if len(fields) > 3 or any(len(number) > _LONGEST_NUMBER for field in fields for number in field.split(":")):
        return None
    code = fields[0].partition(":")[0]
    modifiers, _, event = (fields[1] if len(fields) > 1 else "").partition(":")
    text = fields[2] if len(fields) > 2 else ""
    if event.partition(":")[0] == _RELEASE or (modifiers and not 1 <= int(modifiers) <= 256):
        return None
    if match["final"] == "u" and not (code and _is_character(int(code))):
        return None
    if not all(_is_text(int(number)) for number in text.split(":") if number):
        return None
    text = ":".join(number for number in text.split(":") if number)
    rest = f";{modifiers or 1};{text}" if text else f";{modifiers}" if modifiers else ";1"
    return f"{ESC}[{code or '1'}{rest}{match['final']}"


def _is_character(code: int) -> bool:
    return code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF


def _is_text(code: int) -> bool:
    return _is_character(code) and code >= 0x20 and not 0x7F <= code <= 0x9F
