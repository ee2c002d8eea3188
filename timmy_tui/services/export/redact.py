"""What must not leave the machine with a dataset: secrets, names of people in paths, e-mail addresses.

The searches are dear and mostly in vain, so each is preceded by a look for a few characters without which it can't
find anything. What is replaced is exactly what the searches alone would replace.
"""

from __future__ import annotations

import re

from timmy_tui.masking import NAME_WORDS, masked, may_hold_secret

_NAME = r"\w(?:[\w.-]*\w)?"
# A path may stand within JSON within a text: its separators are doubled or escaped there.
_WINDOWS_HOME = re.compile(rf"[A-Za-z]:[\\/]{{1,4}}Users[\\/]{{1,4}}{_NAME}", re.IGNORECASE)
_HOME = re.compile(rf"\\?/(?:home|Users)\\?/{_NAME}")
_ROOT = re.compile(r"(?<![\w.-])\\?/root(?![\w.-])")
# Begins only where a run of such characters begins: linear, however long the run is.
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}")

# Letters that a search without regard to case takes for the "i", "s" and "k" of a word.
_LOOKALIKES = ("\u0130", "\u0131", "\u017f", "\u212a")
_LOOKALIKE_BYTES = tuple(letter.encode() for letter in _LOOKALIKES)
_LOOKALIKE_ESCAPES = tuple(f"\\u{ord(letter):04x}".encode() for letter in _LOOKALIKES)
_ASCII_ESCAPE = re.compile(rb"\\u00[0-7]")

_PLACES = ("/home", "/users", "\\users", "/root")

_PLACES_IN_A_LINE = (b"@", b"/home", b"/root", b"\\users", b"/users")

REMEMBERED_TEXTS = 5_000
REMEMBERED_CHARACTERS = 64


class Redactor:
    """Redacts the texts of one export. ``home`` is the folder of whoever exports."""

    def __init__(self, home: str) -> None:
        home = home.rstrip("/")
        self._home = home if len(home) > 1 else ""
        self._own_home = re.compile(re.escape(self._home) + r"(?![\w.-])") if self._home else None
        plain = self._home.isascii() and self._home.isprintable() and not set(self._home) & {'"', "\\"}
        self._home_bytes = self._home.encode() if plain and self._home else None
        self._any_line = not plain
        self._remembered: dict[str, str] = {}

    def text(self, text: str) -> str:
        """``text`` without secrets, homes and addresses."""
        if len(text) > REMEMBERED_CHARACTERS:
            return self._redacted(text)
        # Most short texts of a log are its keys and a few words, again and again.
        known = self._remembered.get(text)
        if known is None:
            known = self._redacted(text)
            if len(self._remembered) < REMEMBERED_TEXTS:
                self._remembered[text] = known
        return known

    def _redacted(self, text: str) -> str:
        lowered = text.lower()
        certain = text.isascii() or not any(letter in text for letter in _LOOKALIKES)
        text = masked(text)
        if "@" in text:
            text = _EMAIL.sub("<email>", text)
        if not certain or any(place in lowered for place in _PLACES):
            text = _ROOT.sub("~", _HOME.sub("~", _WINDOWS_HOME.sub("~", text)))
        if self._own_home is not None and self._home in text:
            text = self._own_home.sub("~", text)
        return text

    def thoroughly(self, text: str) -> str:
        """What :meth:`text` gives, without its short cuts."""
        text = _EMAIL.sub("<email>", masked(text))
        text = _ROOT.sub("~", _HOME.sub("~", _WINDOWS_HOME.sub("~", text)))
        return text if self._own_home is None else self._own_home.sub("~", text)

    def may_touch(self, line: bytes) -> bool:
        """Whether anything in a line of JSON could be redacted; False is certain."""
        lowered = line.lower()
        if self._any_line or any(sign in lowered for sign in _PLACES_IN_A_LINE):
            return True
        if self._home_bytes is not None and self._home_bytes in line:
            return True
        if not line.isascii() and any(letter in line for letter in _LOOKALIKE_BYTES):
            return True
        if b"\\" in line and _hides_something(line, lowered):
            return True
        return may_hold_secret(lowered)

    def tree(self, tree: dict[str, object]) -> dict[str, object]:
        """A JSON object with every text in it redacted, keys too; a value below a secret's name is masked."""
        root: dict[str, object] = {}
        # Not recursive: a log may be nested as deeply as its decoder bears.
        left: list[tuple[object, dict[str, object] | list[object]]] = [(tree, root)]
        while left:
            branch, redacted = left.pop()
            if isinstance(branch, dict) and isinstance(redacted, dict):
                for key, value in branch.items():
                    redacted[_free_key(redacted, self.text(key))] = self._value(value, left, key)
            elif isinstance(branch, list) and isinstance(redacted, list):
                redacted.extend(self._value(value, left) for value in branch)
        return root

    def _value(
        self, value: object, left: list[tuple[object, dict[str, object] | list[object]]], key: str = ""
    ) -> object:
        if isinstance(value, str):
            return self._under(key, self.text(value)) if key else self.text(value)
        if isinstance(value, dict | list):
            redacted: dict[str, object] | list[object] = {} if isinstance(value, dict) else []
            left.append((value, redacted))
            return redacted
        return value

    def _under(self, key: str, value: str) -> str:
        """``password: hunter2`` is a secret, also where name and value are a key and its value."""
        lowered = key.lower()
        if key.isascii() and not any(word in lowered for word in (*NAME_WORDS, "authorization", "cookie")):
            return value
        named = f"{key}:"
        told = masked(named + value)
        return told[len(named) :] if told.startswith(named) else value


def _free_key(tree: dict[str, object], key: str) -> str:
    """Two keys may become one by redaction; neither value is lost."""
    if key not in tree:
        return key
    number = 2
    while f"{key}_{number}" in tree:
        number += 1
    return f"{key}_{number}"


def _hides_something(line: bytes, lowered: bytes) -> bool:
    """Escapes for what could as well stand there as it is: signs of ASCII, slashes, lookalikes."""
    if b"\\/" in line:
        return True
    if b"\\u" not in line:
        return False
    return any(escape in lowered for escape in _LOOKALIKE_ESCAPES) or _ASCII_ESCAPE.search(line) is not None
