"""A diff in pieces that fit a model's context, each line with its number in the new file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from timmy_tui.services.code_review.diff import FileDiff, Hunk

BYTES_PER_TOKEN = 3.5
"""Low, to be on the safe side: code has about four characters to a token, other scripts about three bytes."""

OVERLAP_LINES = 3
"""Lines of a hunk that two pieces of it share, so that neither begins in the middle of a thought."""

LINE_LIMIT_BYTES = 4_000
"""A longer line is generated or minified; a model gets its beginning."""

_NUMBER_WIDTH = 6

# What models take for the end of a message and the start of another, when a diff says it.
_TURNS = re.compile(r"<\|(\w{1,40})\|>|<((?:start|end)_of_turn)>")


class Span(Struct, frozen=True):
    """Lines of the new file, both ends included."""

    first: int
    last: int

    def nearest(self, line: int) -> int:
        """The line of these that is nearest to ``line``."""
        return min(max(line, self.first), self.last)


class Part(Struct, frozen=True):
    """What a piece shows of one file."""

    path: str
    text: str
    spans: tuple[Span, ...]
    """The lines that can be named. Where lines were only removed: the line before them."""


class Piece(Struct, frozen=True):
    """One prompt's worth of the diff."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The lines as the model gets them."""
        return "\n".join(part.text for part in self.parts)


def halved(piece: Piece) -> tuple[Piece, Piece] | None:
    """The piece as two that are about half as long, the lines between them in both; None when it can't be smaller."""
    if len(piece.parts) > 1:
        half = len(piece.parts) // 2
        return Piece(piece.parts[:half]), Piece(piece.parts[half:])
    [part] = piece.parts
    head, *lines = part.text.splitlines(keepends=True)
    half = len(lines) // 2
    if half <= OVERLAP_LINES:
        return None
    first, second = lines[:half], lines[half - OVERLAP_LINES :]
    if not _numbers(first) or not _numbers(second):
        return None
    return Piece((_part_of(part.path, head, first),)), Piece((_part_of(part.path, head, second),))


def _numbers(lines: Iterable[str]) -> list[int]:
    return [int(line[:_NUMBER_WIDTH]) for line in lines if line[:_NUMBER_WIDTH].strip().isdigit()]


def _part_of(path: str, head: str, lines: Sequence[str]) -> Part:
    numbers = _numbers(lines)
    return Part(path, head + "".join(lines), (Span(numbers[0], numbers[-1]),))


class Pieces(Struct, frozen=True):
    """The whole diff."""

    pieces: tuple[Piece, ...]
    cut_lines: int
    """Lines of which only the beginning is shown."""


def token_estimate(text: str) -> int:
    """How many tokens ``text`` has at most, most probably."""
    return int(_size(text) / BYTES_PER_TOKEN) + 1


def split_diff(files: Iterable[FileDiff], budget_tokens: int) -> Pieces:
    """The lines of ``files`` in pieces of at most ``budget_tokens``; small files share one, large hunks are split."""
    packing = _Packing(int(budget_tokens * BYTES_PER_TOKEN))
    for file in files:
        packing.add(file)
    return Pieces(packing.closed(), packing.cut_lines)


class _Chunk(Struct, frozen=True):
    """A hunk, or some lines of it."""

    text: str
    span: Span
    size: int


class _Line(Struct, frozen=True, gc=False):
    text: str
    number: int
    """In the new file; of a line that is not in it, the one before."""
    in_new: bool
    changed: bool
    size: int


class _Packing:
    def __init__(self, limit_bytes: int) -> None:
        self.limit = limit_bytes
        self.cut_lines = 0
        self.pieces: list[Piece] = []
        self.parts: list[Part] = []
        self.used = 0

    def add(self, file: FileDiff) -> None:
        head = f"File: {file.path}\n"
        head_size = _size(head)
        chunks: list[_Chunk] = []
        for hunk in file.hunks:
            lines, cut = _rendered(hunk, self._line_limit())
            self.cut_lines += cut
            chunks += _chunks(hunk, lines, self.limit - head_size)
        whole = head_size + sum(chunk.size for chunk in chunks)
        if self.used and self.used + whole > self.limit:
            self._close()  # a file that fits one piece is not torn in two
        ready: list[_Chunk] = []
        self.used += head_size
        for chunk in chunks:
            if ready and self.used + chunk.size > self.limit:
                self._part(file.path, head, ready)
                self._close()
                ready = []
                self.used = head_size
            ready.append(chunk)
            self.used += chunk.size
        if ready:
            self._part(file.path, head, ready)

    def closed(self) -> tuple[Piece, ...]:
        self._close()
        return tuple(self.pieces)

    def _line_limit(self) -> int:
        """So small that the shared lines and one more always have room."""
        return max(16, min(LINE_LIMIT_BYTES, self.limit // (OVERLAP_LINES + 3)))

    def _part(self, path: str, head: str, chunks: Sequence[_Chunk]) -> None:
        text = head + "".join(chunk.text for chunk in chunks)
        self.parts.append(Part(path, text, tuple(chunk.span for chunk in chunks)))

    def _close(self) -> None:
        if self.parts:
            self.pieces.append(Piece(tuple(self.parts)))
        self.parts = []
        self.used = 0


def _chunks(hunk: Hunk, lines: Sequence[_Line], limit: int) -> Iterator[_Chunk]:
    """The hunk whole, or cut between lines; a chunk in which nothing changes that was not in the one before is none."""
    head = f"@@ {hunk.section}\n" if hunk.section else "@@\n"
    head_size = _size(head)
    if head_size > limit // 4:
        head, head_size = "@@\n", 3
    place = 0
    while place < len(lines):
        start = max(0, place - OVERLAP_LINES) if place else 0
        size = head_size + sum(line.size for line in lines[start:place])
        end = place
        while end < len(lines) and (end == place or size + lines[end].size <= limit):
            size += lines[end].size
            end += 1
        if any(line.changed for line in lines[place:end]):
            text = head + "".join(line.text for line in lines[start:end])
            yield _Chunk(text, _span(lines[start:end]), size)
        place = end


def _span(lines: Sequence[_Line]) -> Span:
    numbers = [line.number for line in lines if line.in_new] or [lines[0].number]
    return Span(numbers[0], numbers[-1])


def _rendered(hunk: Hunk, line_limit: int) -> tuple[list[_Line], int]:
    """The lines as a model gets them, and how many of them were cut."""
    # A file that ends its lines with CRLF has the CR in each; it is worth showing only where lines differ in it.
    windows = all(line.endswith("\r") for line in hunk.lines if not line.startswith("\\"))
    rendered: list[_Line] = []
    cut_lines = 0
    last = hunk.new_start
    for line in hunk.numbered():
        shown = line.text.removesuffix("\r") if windows else line.text.replace("\r", "^M")
        shown = _TURNS.sub(lambda turn: f"<¦{turn[1] or turn[2]}¦>", shown)
        if _size(shown) > line_limit:
            shown = shown.encode("utf-8", "replace")[:line_limit].decode("utf-8", "ignore") + "…"
            cut_lines += 1
        if line.new is not None:
            last = line.new
        number = "" if line.new is None else str(line.new)
        text = f"{number:>{_NUMBER_WIDTH}} {'' if line.sign == chr(92) else line.sign}{shown}\n"
        rendered.append(
            _Line(text, max(1, last), in_new=line.new is not None, changed=line.sign in "+-", size=_size(text))
        )
    return rendered, cut_lines


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
