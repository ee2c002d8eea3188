"""JSON objects in a text that is mostly something else, found in time that grows with the text's length.

``json.JSONDecoder.raw_decode`` at every brace takes quadratic time on nested or broken braces; models repeat
themselves for thousands of tokens. Here a bracket that was once tried is never tried again: JSON reads the same
wherever its reading began, unless it began inside what another reading took for a string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Span = tuple[int, int]
KeyKinds = Mapping[str, str]
"""Keys, each with the first character of its value: ``{"actions": "[", "severity": '"'}``."""

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
"""Raw line ends inside a string are let through: models write them."""
_SPACE = re.compile(r"[ \t\r\n]*+")
_SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null")
_OPENING = re.compile(r'\{(?=[ \t\r\n]*+["}])')
"""A brace that may begin an object."""

_KEY, _VALUE, _AFTER = range(3)


class _Frame:
    """One open bracket."""

    __slots__ = ("is_object", "key", "kinds", "start", "state")

    def __init__(self, start: int, is_object: bool) -> None:
        self.start = start
        self.is_object = is_object
        self.state = _KEY if is_object else _VALUE
        self.key = ""
        self.kinds: dict[str, str] = {}


def find_objects(text: str, shape: KeyKinds) -> tuple[Span, ...]:
    """The spans of all complete objects that have every key of ``shape`` with that kind of value, in order.

    One inside another, or inside a string of another, is left out.
    """
    reading = _Reading(text, shape)
    place = 0
    while (opening := _OPENING.search(text, place)) is not None:
        start = opening.start()
        end = reading.ends[start] if start in reading.ends else reading.read(start)
        place = end or start + 1
    return _outermost(reading.found)


def _outermost(spans: list[Span]) -> tuple[Span, ...]:
    kept: list[Span] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return tuple(kept)


class _Reading:
    def __init__(self, text: str, shape: KeyKinds) -> None:
        self.text = text
        self.shape = shape
        self.found: list[Span] = []
        self.ends: dict[int, int | None] = {}
        """The end of each object that was begun to read; None for one that came to no end."""

    def read(self, start: int) -> int | None:
        """The end of the object at ``start``, None when it is none."""
        text = self.text
        frames = [_Frame(start, True)]
        self.ends[start] = None
        place = start + 1
        while True:
            space = _SPACE.match(text, place)
            place = space.end() if space else place
            character = text[place : place + 1]
            frame = frames[-1]
            if character == ("}" if frame.is_object else "]") and self._may_close(frame, place):
                place += 1
                self._close(frame, place)
                frames.pop()
                if not frames:
                    return place
                frames[-1].state = _AFTER
            elif frame.state == _AFTER:
                if character != ",":
                    return None
                frame.state = _KEY if frame.is_object else _VALUE
                place += 1
            elif frame.state == _KEY:
                after = self._key(frame, place)
                if after is None:
                    return None
                place = after
            else:
                if frame.is_object and frame.key in self.shape:
                    frame.kinds[frame.key] = character
                if character == "[" or (character == "{" and place not in self.ends):
                    frames.append(_Frame(place, character == "{"))
                    if character == "{":
                        self.ends[place] = None
                    place += 1
                    continue
                after = self._value(character, place)
                if after is None:
                    return None
                frame.state = _AFTER
                place = after

    def _may_close(self, frame: _Frame, place: int) -> bool:
        """After a value, or right behind the opening; never after a comma."""
        if frame.state == _AFTER:
            return True
        before = _SPACE.match(self.text, frame.start + 1)
        return before is not None and before.end() == place

    def _close(self, frame: _Frame, end: int) -> None:
        if not frame.is_object:
            return
        self.ends[frame.start] = end
        if frame.kinds == self.shape:
            self.found.append((frame.start, end))

    def _value(self, character: str, place: int) -> int | None:
        """The end of a string, a scalar, or an object that was read before."""
        if character == "{":
            return self.ends[place]
        token = (_STRING if character == '"' else _SCALAR).match(self.text, place)
        return token.end() if token else None

    def _key(self, frame: _Frame, place: int) -> int | None:
        """Read ``"key":``; the place behind it."""
        name = _STRING.match(self.text, place)
        if name is None:
            return None
        space = _SPACE.match(self.text, name.end())
        colon = space.end() if space else name.end()
        if self.text[colon : colon + 1] != ":":
            return None
        frame.key = self.text[place + 1 : name.end() - 1]
        frame.state = _VALUE
        return colon + 1
