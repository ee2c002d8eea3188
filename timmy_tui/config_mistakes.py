"""msgspec's validation messages in the words of a person who edits the file."""

from __future__ import annotations

import difflib
import re
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`(?: - at `\$(?P<at>[^`]*)`)?")
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<at>[^`]*)`)?$", re.DOTALL)
_EXPECTED = re.compile(
    r"Expected `(?P<kind>\w+)(?: \| null)?`(?:, got `(?P<got>\w+)`)?(?: (?P<sign>[<>]=?) (?P<bound>\S+))?"
)
_CHOICE = re.compile(r"Invalid enum value (?P<value>.*)", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")

_KINDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "keys and values",
    "null": "nothing",
    "datetime": "a date with a time",
    "date": "a date",
}
_BOUNDS = {">": "more than", ">=": "at least", "<": "less than", "<=": "at most"}


def explained(message: str, kind: type[Struct]) -> str:
    """``message`` for a person: the place first, what was expected there, the nearest known key.

    ``kind`` is the struct that was being read.
    """
    unknown = _UNKNOWN_FIELD.match(message)
    if unknown:
        at = (unknown["at"] or "").lstrip(".")
        key = f"{at}.{unknown['field']}" if at else unknown["field"]
        known = _fields_at(kind, at)
        near = difflib.get_close_matches(unknown["field"], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"unknown key {key!r}; {hint}"
    place = _PLACE.match(message)
    at = (place["at"] or "").lstrip(".") if place else ""
    what = _in_words(place["what"] if place else message, kind, at)
    return f"{at}: {what}" if at else what


def _in_words(message: str, kind: type[Struct], at: str) -> str:
    """What msgspec says of one value, for a person: ``expected a number, found text``."""
    if expected := _EXPECTED.fullmatch(message):
        words = f"expected {_KINDS.get(expected['kind'], expected['kind'])}"
        if expected["got"]:
            quote = "; put it in quotes" if expected["kind"] == "str" and expected["got"] != "null" else ""
            return f"{words}, found {_KINDS.get(expected['got'], expected['got'])}{quote}"
        if expected["sign"]:
            bound = expected["bound"].removesuffix(".0")
            between = " of" if expected["sign"] in (">=", "<=") else ""
            return f"{words}{between} {_BOUNDS[expected['sign']]} {bound}"
        return words
    if choice := _CHOICE.fullmatch(message):
        known = _choices_at(kind, at)
        return f"{choice['value']} is none of {', '.join(known)}" if known else f"unknown value {choice['value']}"
    if missing := _MISSING.fullmatch(message):
        return f"the key {missing['field']!r} is missing"
    if message == "Invalid RFC3339 encoded date":
        return "expected a date such as 2026-11-01"
    return f"{message[:1].lower()}{message[1:]}"


def _choices_at(kind: type[Struct], at: str) -> list[str]:
    """The words that may stand at the key path ``at``."""
    parent, _, name = at.rpartition(".")
    struct = _struct_at(kind, parent)
    hint = get_type_hints(struct).get(name) if struct is not None else None
    return [str(word) for word in get_args(hint)] if get_origin(hint) is Literal else []


def _fields_at(kind: type[Struct], at: str) -> list[str]:
    """The known keys of the struct that stands at ``at`` (``providers[0].models``) inside ``kind``."""
    struct = _struct_at(kind, at)
    return [field.name for field in msgspec.structs.fields(struct)] if struct is not None else []


def _struct_at(kind: type[Struct], at: str) -> type[Struct] | None:
    current: object = kind
    for step in filter(None, re.split(r"\.|\[[^\]]*\]", at)):
        if not (isinstance(current, type) and issubclass(current, Struct)):
            return None
        current = _struct_in(get_type_hints(current).get(step))
    return current if isinstance(current, type) and issubclass(current, Struct) else None


def _struct_in(hint: object) -> object:
    """The struct type inside ``list[X]``, ``X | None`` or ``X``."""
    if isinstance(hint, type) and get_origin(hint) is None:
        return hint
    found = [_struct_in(part) for part in get_args(hint)]
    return next((part for part in found if isinstance(part, type) and issubclass(part, Struct)), None)
