"""The names of files in a diff: quoted as git quotes them, with ``a/`` and ``b/`` before them or not."""

from __future__ import annotations

import re

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_PART = re.compile(r"\\([0-7]{3})|\\(.)|([^\\]+)|\\$", re.DOTALL)
_ESCAPES = {"a": b"\a", "b": b"\b", "t": b"\t", "n": b"\n", "v": b"\v", "f": b"\f", "r": b"\r"}

_PREFIXES = frozenset("abciow12")
"""Git's own: a and b; with ``diff.mnemonicPrefix`` also commit, index, object, work tree, 1 and 2."""

NO_FILE = "/dev/null"

Names = tuple[str, str]


def file_name(text: str) -> str:
    """The name that ``text`` begins with: what stands in quotes, else all before a tab (a time, or nothing)."""
    quoted = _QUOTED.match(text)
    return _unquoted(quoted[0]) if quoted is not None else text.partition("\t")[0]


def header_names(text: str) -> Names:
    """The two names of ``diff --git``, which stand there with nothing but a blank between them."""
    quoted = _QUOTED.match(text)
    if quoted is not None:
        return _unquoted(quoted[0]), file_name(text[quoted.end() :].lstrip(" "))
    behind = text.find(' "')
    if behind >= 0 and text.endswith('"'):
        return text[:behind], file_name(text[behind + 1 :])
    middle = len(text) // 2
    if text[middle : middle + 1] == " ":
        old, new = text[:middle], text[middle + 1 :]
        if old.partition("/")[2] == new.partition("/")[2]:  # the usual: one name, two prefixes of one length
            return old, new
    if text.count(" ") == 1:
        old, _, new = text.partition(" ")
        return old, new
    old, found, new = text.rpartition(" b/")
    return (old, f"b/{new}") if found else (text, text)


def without_prefixes(names: Names | None, header: Names | None) -> Names:
    """The old and the new name, from the lines ``---`` and ``+++`` or else from the header, without prefixes."""
    if names is None:
        names = header or ("", "")
    old, new = names
    prefixed = _prefixed(*(header if header is not None and NO_FILE in names else names))
    if header is None and NO_FILE in names:  # nothing to compare with
        prefixed = old.startswith("a/") or new.startswith("b/")
    if not prefixed:
        return old, new
    return (old if old == NO_FILE else old[2:]), (new if new == NO_FILE else new[2:])


def _prefixed(old: str, new: str) -> bool:
    """Whether both begin with a letter of git's, each with its own."""
    both = old[1:2] == "/" and new[1:2] == "/"
    return both and old[0] in _PREFIXES and new[0] in _PREFIXES and old[0] != new[0]


def _unquoted(text: str) -> str:
    """A name in C's quotes, with the bytes of what is not ASCII as octal numbers."""
    name = bytearray()
    for part in _PART.finditer(text[1:-1]):
        octal, escaped, plain = part.groups()
        if octal is not None:
            name.append(int(octal, 8) & 0xFF)
        elif escaped is not None:
            name += _ESCAPES.get(escaped) or escaped.encode("utf-8", "replace")
        elif plain is not None:
            name += plain.encode("utf-8", "replace")
    return name.decode("utf-8", "replace")
