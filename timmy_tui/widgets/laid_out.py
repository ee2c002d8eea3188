"""Long texts as rows that are kept: laid out once, cheap to hold, and ready to be searched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from timmy_tui.widgets.line import Line, Span, plain


class LaidOut(Sequence[Line]):
    """The rows of a text in one width, with what is looked at to find something in them.

    A row is held as one plain tuple of strings. Of those the garbage collector lets go; of lines and spans it would
    walk through every one, a quarter of a second at a time for 80,000 rows.
    """

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._rows: list[tuple[str, ...]] = []
        self.folded: list[str] = []
        """Each row's text, case folded."""
        for content in lines:
            self._rows.append(tuple(chain.from_iterable(content)))
            self.folded.append(plain(content).casefold())

    def extend(self, other: LaidOut) -> None:
        """Put the rows of ``other`` behind these."""
        self._rows.extend(other._rows)
        self.folded.extend(other.folded)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Line:  # type: ignore[override]
        parts = self._rows[index]
        return tuple(Span(parts[at], parts[at + 1]) for at in range(0, len(parts), 2))


Layout = Callable[[int], LaidOut]
"""Lays a long text out for a width in cells; called in a thread."""


class KeptLines:
    """A part of a text that is laid out again only when what it shows, or the width, has changed."""

    def __init__(self) -> None:
        self._of: tuple[object, int] | None = None
        self._lines: Sequence[Line] = ()

    def lines(self, shown: object, width: int, lay_out: Callable[[int], Sequence[Line]]) -> Sequence[Line]:
        """The lines of ``lay_out`` for ``width``; ``shown`` is compared with what it was the last time."""
        if self._of != (shown, width):
            self._of, self._lines = (shown, width), lay_out(width)
        return self._lines
