"""The one-cell signs that carry state together with a word and a colour, and their ASCII stand-ins."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class Glyphs(Struct, frozen=True):
    """One set of signs. Each is exactly one cell wide in every common font."""

    ok: str
    warning: str
    critical: str
    fallback: str
    unknown: str
    off: str
    half: str
    paused: str
    stale: str
    cloud: str
    arrow: str
    changed: str
    skipped: str
    edited: str
    preferred: str
    bar_full: str
    bar_empty: str
    spark: str
    fills: str
    """Whole cells of a stacked column, one for each series: told apart without a colour."""
    frame: str
    """Top left, horizontal, top right, vertical, bottom right, bottom left."""
    ellipsis: str
    dot: str
    more: str
    cursor: str

    def severity(self, severity: str) -> str:
        """The sign of a severity; anything but the four known words is unknown."""
        return {
            "ok": self.ok,
            "warning": self.warning,
            "critical": self.critical,
            "fallback": self.fallback,
        }.get(severity, self.unknown)


UNICODE = Glyphs(
    ok="●",
    warning="▲",
    critical="✖",
    fallback="◌",
    unknown="?",
    off="○",
    half="◐",
    paused="⏸",
    stale="~",
    cloud="☁",
    arrow="→",
    changed="≠",
    skipped="–",
    edited="±",
    preferred="»",
    bar_full="█",
    bar_empty="░",
    spark="▁▂▃▄▅▆▇█",
    fills="█▓▒░▞",
    frame="╭─╮│╯╰",
    ellipsis="…",
    dot="·",
    more="▾",
    cursor="▎",
)

ASCII = Glyphs(
    ok="o",
    warning="!",
    critical="X",
    fallback="~",
    unknown="?",
    off=".",
    half="%",
    paused="=",
    stale="-",
    cloud="c",
    arrow=">",
    changed="#",
    skipped="-",
    edited="e",
    preferred="p",
    bar_full="#",
    bar_empty=".",
    spark="._-=+*%#",
    fills="#@x./",
    frame="+-+|++",
    ellipsis="~",
    dot="-",
    more="v",
    cursor=">",
)

PLAIN = str.maketrans(
    {
        **{
            sign: plain
            for signs, plains in zip(msgspec.structs.astuple(UNICODE), msgspec.structs.astuple(ASCII), strict=True)
            for sign, plain in zip(signs, plains, strict=True)
            if not sign.isascii()
        },
        # Textual's own frames, guides and scroll bars, and what stands in our sentences.
        **dict.fromkeys("│┃║▎▏▕▊▋▌▍▐", "|"),
        **dict.fromkeys("─━═▔", "-"),
        **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛┣┫", "+"),
        **dict.fromkeys("█▇▆▅▉", "#"),
        **dict.fromkeys("“”", '"'),
        "◂": "<",
        "▸": ">",
        "←": "<",
        "↓": "v",
        "↑": "^",
        "⏎": "$",
        "×": "x",
        "▶": ">",
        "▼": "v",
    }
)
"""Every sign that this console or Textual draws, with its stand-in: all are one cell wide."""
