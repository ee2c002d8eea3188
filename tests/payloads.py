"""Text that attacks a terminal or whoever reads it, by name: the 24 classes of facts/terminal-safety.md.

Every sink that shows foreign text must survive all of them; import :data:`PAYLOADS`, or :data:`LINES` where a newline
has a meaning of its own (YAML keys, file names).
"""

from __future__ import annotations

PAYLOADS: dict[str, str] = {
    # 1 clipboard
    "osc52-bel": "\x1b]52;c;SEk=\x07",
    "osc52-st": "\x1b]52;c;SEk=\x1b\\",
    # 2 title
    "title": "\x1b]0;PWNED\x07",
    "title-st": "\x1b]2;PWNED\x1b\\",
    # 3 link
    "link": "\x1b]8;;http://e.example\x1b\\good\x1b]8;;\x1b\\",
    # 4 notifications and files
    "osc9": "\x1b]9;hi\x07",
    "osc777": "\x1b]777;notify;a;b\x07",
    "osc1337": "\x1b]1337;File=name=eA==;inline=1:eA==\x07",
    # 5 never ended
    "open-osc": "\x1b]52;c;AAAA",
    "open-dcs": "\x1bPq#0;2;0;0;0",
    # 6 movement and erasure
    "clear": "\x1b[2J\x1b[H",
    "up": "\x1b[10A",
    "home": "\x1b[1;1HHIJACKED",
    # 7 modes
    "leave-alt": "\x1b[?1049l",
    "show-cursor": "\x1b[?25h",
    "mouse-off": "\x1b[?1003l",
    "paste-off": "\x1b[?2004l",
    # 8 what a terminal types back
    "dsr": "\x1b[6n",
    "da": "\x1b[c",
    "title-report": "\x1b[21t",
    "decrqss": '\x1bP$q"p\x1b\\',
    "enq": "e\x05nq",
    # 9 reset and character sets
    "reset": "\x1bc",
    "charset": "\x1b(0",
    "shift-out": "s\x0eo",
    # 10 eight-bit controls
    "c1-csi": "\x9b2J",
    "c1-osc": "\x9d52;c;SEk=\x9c",
    "c1-dcs": "\x90q",
    # 11 strings and passthrough
    "tmux": "\x1bPtmux;\x1b\x1b]52;c;SEk=\x07\x1b\\",
    "kitty": "\x1b_Ga=T,f=100;eA==\x1b\\",
    "pm": "\x1b^pm\x1b\\",
    "sos": "\x1bXsos\x1b\\",
    # 12 other controls
    "controls": "A\x00B\x08C\x7fD\x0b\x0c",
    "return": "safe\rEVIL",
    "substitute": "a\x1ab",
    # 13 a colour without end
    "long-sgr": "\x1b[" + "1;" * 100_000 + "m",
    # 14 direction
    "rlo": "\u202egnp.exe",
    "isolate": "\u2066ab\u2069",
    "rlm": "a\u200fb",
    "alm": "a\u061cb",
    # 15 invisible
    "zero-width": "a\u200bb",
    "tag": "t\U000e0041g",
    "bom": "b\ufeffm",
    "soft-hyphen": "s\u00adh",
    "word-joiner": "w\u2060j",
    # 16 line separators
    "separators": "a\u2028b\u2029c\x85d",
    # 17 width
    "combining": "Z" + "\u0301" * 500,
    "family": "\U0001f468\u200d\U0001f469\u200d\U0001f467 fam",
    "heart": "\u2764\ufe0f",
    "wide": "漢字",
    "flag": "\U0001f1f3\U0001f1f1",
    # 18 no characters
    "surrogate": "s\ud800s",
    "noncharacter": "n\uffffn",
    "private": "p\ue0b0p",
    # 19 look-alikes
    "homoglyph": "раураl",
    # 20 markup
    "close-tag": "[/b]",
    "close-any": "[/]",
    "todo": "[TODO] x",
    "broken-tag": "[b +",
    "colour": "[red]x[/red]",
    "action": "[@click=app.quit]x[/]",
    "markup-link": "[link=file:///etc]x[/link]",
    "variable": "[$error]y",
    "backslash": "a\\[b]",
    # 21 Markdown
    "image": "![](http://t.example/?q)",
    "script": "[x](javascript:alert)",
    "fence": "```never closed",
    "quotes": ">" * 10_000,
    # 22 huge
    "huge": "h" * 1_000_000,
    "digits": "9" * 100_000,
    # 23 paths and YAML
    "path": "../../x",
    "yaml": "\nkey: v",
    # 24 secrets
    "key": "sk-abcdefgh12345678",
    "bearer": "Bearer abcdefgh12345678",
}

MARKUP = ("close-tag", "close-any", "todo", "broken-tag", "colour", "action", "markup-link", "variable", "backslash")
"""Shown letter by letter; nothing of it is a colour, a link or an action."""

ENCODABLE = {name: text for name, text in PAYLOADS.items() if name != "surrogate"}
"""What UTF-8 can hold: files, SQLite, YAML."""

SHORT = {name: text for name, text in ENCODABLE.items() if len(text) <= 600}
"""What fits into a name; ``combining`` is the longest."""

LINES = {name: text for name, text in SHORT.items() if "\n" not in text}
