"""Safe text and humanised figures.

Textual hands control codes to the terminal as they are (terminal-safety, §6), so every string from outside the
program passes :func:`clean` where it enters a service. What was there stays visible; nothing of it acts.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime

from timmy_tui.masking import masked

LINE_LIMIT = 300
"""Characters kept of a one-line string: a name, a title, an error."""

BLOCK_LIMIT = 100_000
"""Characters kept of a text block: a prompt, a response, a message."""

TREE_DEPTH = 24
"""Levels kept of a JSON tree that is shown."""

TREE_NODES = 2_000
"""Values kept of a JSON tree that is shown."""

MARKS_PER_LETTER = 3
"""Combining marks kept behind one character; some scripts need two, a flood has hundreds."""

# Printable to Python, yet blank or width-changing on a terminal: fillers, joiners and variation selectors.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_EMOJI_PARTS = re.compile("[\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff]")
# No combining mark of any script is a word character, so a flood of them is a run of this. Other signs match as well:
# they only take the slower way.
_MARK_RUN = re.compile(r"[^\w\s\x00-\x7f]{4,}")


def _visible(character: str) -> str:
    """The visible form of one character that must not reach a terminal as it is: ``^[``, ``<9B>``, ``<U+202E>``."""
    code = ord(character)
    if code < 0x20:
        return "^" + chr(code + 0x40)
    if code == 0x7F:
        return "^?"
    if 0x80 <= code < 0xA0:
        return f"<{code:02X}>"
    if unicodedata.category(character) == "Zs":
        return " "
    return f"<U+{code:04X}>"


def _is_pictograph(character: str) -> bool:
    return unicodedata.category(character) in ("So", "Sm", "Sk", "Po")


def _escape(text: str, *, multiline: bool) -> str:
    out: list[str] = []
    marks = 0
    for index, character in enumerate(text):
        if character == "\n":
            out.append("\n" if multiline else "⏎")
        elif character == "\t":
            out.append(" ")
        elif unicodedata.category(character) in ("Mn", "Me") and not _INVISIBLE.match(character):
            marks += 1
            if marks <= MARKS_PER_LETTER:
                out.append(character)
            elif marks == MARKS_PER_LETTER + 1:
                out.append("<marks>")
            continue
        elif "\U0001f1e6" <= character <= "\U0001f1ff":
            out.append(chr(ord(character) - 0x1F1E6 + ord("A")))  # terminals disagree on the width of flags
        elif character in "\ufe0f\u200d" or "\U0001f3fb" <= character <= "\U0001f3ff":
            # Emoji glue changes widths from terminal to terminal; the picture before it says enough.
            if not ((index and _is_pictograph(text[index - 1])) or text[max(0, index - 2) : index].endswith("\ufe0f")):
                out.append(_visible(character))
        elif character.isprintable() and not _INVISIBLE.match(character):
            out.append(character)
        else:
            out.append(_visible(character))
        marks = 0
    return "".join(out)


def clean(text: str, *, limit: int = LINE_LIMIT, multiline: bool = False) -> str:
    """``text`` made safe to show: controls, C1, bidi, zero-width, tag and surrogate codes become visible text.

    ``multiline`` keeps newlines (CRLF as one) and widens tabs; otherwise the result is one row. At most ``limit``
    characters of the source are kept, and a mark tells how many were left out.
    """
    cut = ""
    if len(text) > limit:
        cut = f"… (+{len(text) - limit:,} characters)" if multiline else "…"
        text = text[:limit]
    if multiline:
        text = text.replace("\r\n", "\n").replace("\t", "    ")
    if (text.replace("\n", "") if multiline else text).isprintable() and (
        text.isascii() or not (_INVISIBLE.search(text) or _EMOJI_PARTS.search(text) or _MARK_RUN.search(text))
    ):
        return text + cut
    return _escape(text, multiline=multiline) + cut


def clean_error(error: BaseException | str, *, limit: int = LINE_LIMIT) -> str:
    """One safe line for an error: the text of ``error`` (its type's name when it has none), secrets masked."""
    text = error if isinstance(error, str) else (str(error) or type(error).__name__)
    return clean(masked(text[: limit * 4].strip()), limit=limit)


Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def clean_tree(value: object, *, depth: int = TREE_DEPTH, nodes: int = TREE_NODES) -> Json:
    """A JSON value made safe to show: strings and keys cleaned, at most ``depth`` levels and ``nodes`` values.

    What is left out is named where it was (``… 3 more``, ``… deeper``). Anything that is not JSON becomes its text.
    """
    budget = [nodes]
    return _clean_branch(value, depth, budget)


def _clean_branch(value: object, depth: int, budget: list[int]) -> Json:
    budget[0] -= 1
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**18 else clean(f"{value:e}" if abs(value) < 10**300 else "huge number")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return clean(value, limit=4_000, multiline=True)
    if isinstance(value, dict | list) and depth <= 0:
        return "… deeper"
    if isinstance(value, dict):
        branch: dict[str, Json] = {}
        for key, item in value.items():
            if budget[0] <= 0:
                branch["…"] = f"… {len(value) - len(branch)} more"
                break
            branch[clean(str(key), limit=120)] = _clean_branch(item, depth - 1, budget)
        return branch
    if isinstance(value, list):
        items: list[Json] = []
        for item in value:
            if budget[0] <= 0:
                items.append(f"… {len(value) - len(items)} more")
                break
            items.append(_clean_branch(item, depth - 1, budget))
        return items
    return clean(str(value))


def bytes_text(size_bytes: int | None) -> str:
    """``11.0 GB``, ``274 MB``: decimal units as Ollama prints; at most seven cells; ``?`` for an unknown size."""
    if size_bytes is None:
        return "?"
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < (999.5 if unit in ("B", "kB") else 999.95):
            return f"{size:.0f} {unit}" if unit in ("B", "kB") or size >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def count_text(count: int | None) -> str:
    """``0``, ``932``, ``1.2k``, ``48.0k``, ``412k``, ``1.3M``: five characters at most; ``?`` for unknown."""
    if count is None:
        return "?"
    value = float(count)
    for unit in ("", "k", "M", "G", "T"):
        if abs(value) < 999.5 or unit == "T":
            if not unit:
                return str(count)
            return f"{value:.0f}{unit}" if abs(value) >= 99.95 else f"{value:.1f}{unit}"
        value /= 1000
    return f"{value:.0f}T"


def context_text(tokens: int | None) -> str:
    """A context length as people write it: ``64k`` (binary) for 65,536, ``8k`` for 8,192, ``200k`` for 200,000."""
    if tokens is None:
        return "?"
    if tokens >= 1024 and tokens % 1024 == 0:
        return f"{tokens // 1024}k"
    return f"{round(tokens / 1000)}k" if tokens >= 10_000 else str(tokens)


def span_text(seconds: float) -> str:
    """A length of time in its largest unit: ``0 s``, ``12 s``, ``3 m``, ``5 h``, ``2 d``."""
    if not math.isfinite(seconds):
        return "?"
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} m"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)} h"
    return f"{int(seconds // 86400)} d"


def countdown_text(seconds: float) -> str:
    """What is left, calmly: ``42s``, ``1m 58s``, then whole minutes (``4m``, ``59m``), ``1h 03m``, ``2d 04h``.

    Seconds show only below two minutes, where they matter: a console that is open all day should move little.
    """
    if not math.isfinite(seconds):
        return "?"
    whole = max(0, math.ceil(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s" if whole < 120 else f"{whole // 60}m"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def timer_text(seconds: float) -> str:
    """A short countdown or stopwatch: ``0:41``, ``6:12``, ``1:02:03``."""
    if not math.isfinite(seconds):
        return "?"
    whole = max(0, math.ceil(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def duration_text(duration_ms: float | None) -> str:
    """``3 ms``, ``1.8 s``, ``42 s``, ``2m 05s``; ``?`` for unknown."""
    if duration_ms is None or not math.isfinite(duration_ms):
        return "?"
    if duration_ms < 999.5:
        return f"{duration_ms:.0f} ms"
    if duration_ms < 9_950:
        return f"{duration_ms / 1000:.1f} s"
    if duration_ms < 59_500:
        return f"{duration_ms / 1000:.0f} s"
    whole_s = round(duration_ms / 1000)
    return f"{whole_s // 60}m {whole_s % 60:02d}s"


def clock_text(moment: datetime) -> str:
    """The time of day of ``moment`` in its own zone: ``14:03:48``."""
    return f"{moment:%H:%M:%S}"


def local_moment(at: float | None) -> datetime | None:
    """``at`` (Unix seconds) in local time; None for None and for what no calendar has."""
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def moment_text(at: float | None, pattern: str, *, unknown: str = "?") -> str:
    """``at`` (Unix seconds) in local time as ``pattern`` says (``%H:%M``); ``unknown`` for what no calendar has."""
    moment = local_moment(at)
    return unknown if moment is None else moment.strftime(pattern)


def percent_text(share: float) -> str:
    """A share of 0…1 as ``96 %``; never 0 or 100 for what is not wholly so."""
    if not math.isfinite(share):
        return "?"
    percent = share * 100
    if 0 < percent < 1:
        return "<1 %"
    if 99 < percent < 100:
        return ">99 %"
    return f"{math.floor(percent + 0.5)} %"
