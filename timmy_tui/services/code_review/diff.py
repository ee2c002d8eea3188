"""A unified diff as records: git's own format and that of ``diff -u``, with whatever stands around it.

Lines in a hunk are counted, as ``patch`` does: a removed ``-- a/file`` is no header, and the signature of a mail no
removed line. Nothing that can stand in a text makes the parser fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from msgspec import Struct

from timmy_tui.services.code_review.file_names import NO_FILE, file_name, header_names, without_prefixes
from timmy_tui.text import clean

Status = Literal["added", "deleted", "modified", "renamed", "copied"]
Sign = Literal[" ", "+", "-", "\\"]

PATH_LIMIT = 4_096
SUBMODULE_MODE = "160000"

_HUNK = re.compile(r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@(.*)")
_COLOURED = re.compile(r"^(?:\x1b\[[0-9;]*[mK])+(?:diff |--- |@@ )", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]")
_SUBMODULE = re.compile(r"Submodule (.+?) (?:[0-9a-f]{7,}\.{2,3}[0-9a-f]{7,}|contains )")


class DiffLine(NamedTuple):
    """One line of a hunk, with its numbers in the two files."""

    sign: Sign
    """``\\`` says that the line before it has no newline at its end; its text is the whole remark."""
    old: int | None
    new: int | None
    text: str
    """As it stands in the file, without its ``\\n``."""


class Hunk(Struct, frozen=True):
    """Changed lines with a few around them."""

    old_start: int
    new_start: int
    section: str
    """What git says behind the numbers: the function."""
    lines: tuple[str, ...]
    """Each with its sign before it."""

    def numbered(self) -> Iterator[DiffLine]:
        """The lines with their numbers."""
        old, new = self.old_start, self.new_start
        for line in self.lines:
            sign, text = line[0], line[1:]
            if sign == "+":
                yield DiffLine("+", None, new, text)
                new += 1
            elif sign == "-":
                yield DiffLine("-", old, None, text)
                old += 1
            elif sign == "\\":
                yield DiffLine("\\", None, None, line)
            else:
                yield DiffLine(" ", old, new, text)
                old += 1
                new += 1


class FileDiff(Struct, frozen=True):
    """What happens to one file."""

    path: str
    """The new name (of a deleted file the old one), safe to show, without ``b/``."""
    old_path: str
    status: Status
    hunks: tuple[Hunk, ...] = ()
    binary: bool = False
    submodule: bool = False
    combined: bool = False
    """The diff of a merge against several parents (``@@@``), whose hunks are not read."""
    mode_changed: bool = False

    @property
    def is_unreadable(self) -> bool:
        """It has changes, and none of them can be read."""
        return self.combined or self.binary or self.why_not_reviewed == "no changed lines"

    @property
    def why_not_reviewed(self) -> str:
        """Why it has no lines to review; empty when it has."""
        if self.combined:
            return "a merge's combined diff"
        if self.submodule:
            return "a submodule"
        if self.binary:
            return "binary"
        if self.status == "deleted":
            return "deleted"
        if any(line[:1] in "+-" for hunk in self.hunks for line in hunk.lines):
            return ""
        if self.status in ("renamed", "copied"):
            return f"{self.status} without a change"
        return "only its mode changed" if self.mode_changed else "no changed lines"


class Diff(Struct, frozen=True):
    """The files in the diff's order; one that several commits change is there several times."""

    files: tuple[FileDiff, ...]
    notes: tuple[str, ...] = ()
    """What made no sense, one safe line each."""


def parse_diff(text: str) -> Diff:
    """Read ``text``; never fails. Colours of ``git diff --color`` are taken out."""
    if _COLOURED.search(text):
        text = _COLOUR.sub("", text)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return _Parser(lines).parsed()


class _Draft:
    """A file whose diff is being read."""

    def __init__(self, *, header: str | None = None, combined: str | None = None) -> None:
        self.header = None if header is None else header_names(header)
        self.combined = combined
        self.names: tuple[str, str] | None = None
        """As they stand behind ``---`` and ``+++``."""
        self.moved: dict[str, str] = {}
        """``from`` and ``to`` of a rename or a copy; these have no prefix."""
        self.status: Status = "modified"
        self.binary = False
        self.submodule = False
        self.mode_changed = False
        self.hunks: list[Hunk] = []
        self.missing = 0
        """Lines that the hunks' heads announce and that did not come."""

    def made(self) -> FileDiff:
        old, new = self._paths()
        status = self.status
        if self.header is None and self.hunks and self.combined is None:
            # `diff -N` names a missing file like any other, but it has no lines.
            if old == NO_FILE or self.hunks[0].old_start == 0:
                status = "added"
            elif new == NO_FILE or self.hunks[0].new_start == 0:
                status = "deleted"
        shown = old if new == NO_FILE else new
        return FileDiff(
            path=clean(shown, limit=PATH_LIMIT) or "?",
            old_path=clean(new if old == NO_FILE else old, limit=PATH_LIMIT),
            status=status,
            hunks=tuple(self.hunks),
            binary=self.binary,
            submodule=self.submodule,
            combined=self.combined is not None,
            mode_changed=self.mode_changed,
        )

    def _paths(self) -> tuple[str, str]:
        if self.combined is not None:
            return self.combined, self.combined
        if len(self.moved) == 2:
            return self.moved["from"], self.moved["to"]
        return without_prefixes(self.names, self.header)


class _Parser:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.place = 0
        self.draft: _Draft | None = None
        self.files: list[FileDiff] = []
        self.notes: list[str] = []
        self.nameless = 0
        """Hunks that stand behind no file's name."""

    def parsed(self) -> Diff:
        while self.place < len(self.lines):
            line = self.lines[self.place].removesuffix("\r")
            self.place += 1
            self._outside(line)
        self._finish()
        if self.nameless:
            self._note(f"changes of no file: {self.nameless:,}, not reviewed")
        return Diff(tuple(self.files), tuple(self.notes))

    def _finish(self) -> None:
        if self.draft is None:
            return
        file = self.draft.made()
        self.files.append(file)
        if self.draft.missing:
            self._note(f"{file.path}: {self.draft.missing:,} lines that its hunks announce are missing")
        self.draft = None

    def _begin(self, draft: _Draft) -> _Draft:
        self._finish()
        self.draft = draft
        return draft

    def _outside(self, line: str) -> None:
        """A line that stands in no hunk."""
        draft = self.draft
        if line.startswith("diff --git "):
            self._begin(_Draft(header=line[len("diff --git ") :]))
        elif line.startswith(("diff --cc ", "diff --combined ")):
            self._begin(_Draft(combined=file_name(line.split(" ", 2)[2])))
        elif line.startswith("diff -"):
            self._finish()
        elif draft is not None and draft.combined is not None:
            return
        elif line.startswith("--- ") and self._next().startswith("+++ "):
            self._named(line)
        elif (hunk := _HUNK.match(line)) is not None:
            self._hunk(hunk)
        elif line.startswith("Binary files ") and line.endswith(" differ"):
            self._binary(line)
        elif line == "GIT binary patch" and draft is not None:
            draft.binary = True
        elif (found := _SUBMODULE.match(line)) is not None:
            draft = self._begin(_Draft())
            draft.names = (found[1], found[1])
            draft.submodule = True
            self._finish()
        elif line.startswith("* Unmerged path "):
            self._note(f"{line[2:]}: not reviewed")
        elif draft is not None and draft.header is not None and not draft.hunks:
            _extended(draft, line)

    def _next(self) -> str:
        return self.lines[self.place] if self.place < len(self.lines) else ""

    def _named(self, line: str) -> None:
        draft = self.draft
        if draft is None or draft.names is not None or draft.hunks or draft.binary:
            draft = self._begin(_Draft())
        draft.names = (file_name(line[4:]), file_name(self._next()[4:].removesuffix("\r")))
        self.place += 1

    def _binary(self, line: str) -> None:
        if self.draft is None or self.draft.header is None or self.draft.hunks:
            old, _, new = line.removeprefix("Binary files ").removesuffix(" differ").partition(" and ")
            self._begin(_Draft()).names = (file_name(old), file_name(new or old))
        assert self.draft is not None
        self.draft.binary = True

    def _hunk(self, head: re.Match[str]) -> None:
        old_start, new_start = int(head[1]), int(head[3])
        old_left = 1 if head[2] is None else int(head[2])
        new_left = 1 if head[4] is None else int(head[4])
        lines: list[str] = []
        while self.place < len(self.lines):
            line = self.lines[self.place]
            sign = line[:1]
            if sign == "\\":
                lines.append(line.removesuffix("\r"))
            elif not (old_left > 0 or new_left > 0):
                break
            elif sign == "+" and new_left > 0:
                new_left -= 1
                lines.append(line)
            elif sign == "-" and old_left > 0:
                old_left -= 1
                lines.append(line)
            elif (sign == " " or line in ("", "\r")) and old_left > 0 and new_left > 0:
                old_left -= 1
                new_left -= 1
                # Mail programs and some diffs leave the blank of an empty line out.
                lines.append(line if sign == " " else " " + line)
            else:
                break
            self.place += 1
        if self.draft is None:
            self.nameless += 1
            return
        self.draft.missing += old_left + new_left
        self.draft.hunks.append(Hunk(old_start, new_start, head[5].strip(), tuple(lines)))

    def _note(self, text: str) -> None:
        self.notes.append(clean(text))


def _extended(draft: _Draft, line: str) -> None:
    """One of the lines that git writes between the names and the hunks."""
    if line.startswith("new file mode "):
        draft.status = "added"
    elif line.startswith("deleted file mode "):
        draft.status = "deleted"
    elif line.startswith("old mode "):
        draft.mode_changed = True
    else:
        for kind, status in (("rename", "renamed"), ("copy", "copied")):
            for end in ("from", "to"):
                if line.startswith(f"{kind} {end} "):
                    draft.moved[end] = file_name(line[len(kind) + len(end) + 2 :])
                    draft.status = "renamed" if status == "renamed" else "copied"
    if line.endswith(f" {SUBMODULE_MODE}"):
        draft.submodule = True
