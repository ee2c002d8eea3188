"""A framed list over any sequence, drawn row by row as it comes into view."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.message import Message

from timmy_tui.widgets.line import EMPTY, Line
from timmy_tui.widgets.pane import Pane, View

DrawRow = Callable[[str, int], Line]
"""Draws the row of a key in a width."""


class ListPane(Pane):
    """Rows named by keys; only those in view are ever drawn, so that 100,000 cost no more than 20."""

    class Moved(Message):
        """The operator moved the cursor."""

    def __init__(self, name: str, *, id: str) -> None:
        super().__init__(0, name, id=id)
        self._keys: Sequence[str] = ()
        self._draw: DrawRow = lambda key, width: EMPTY
        self._head: Sequence[Line] = ()
        self._empty: Sequence[Line] = ()
        self._status: Line = EMPTY

    def fill(
        self,
        keys: Sequence[str],
        draw: DrawRow,
        look: View,
        *,
        head: Sequence[Line] = (),
        empty: Sequence[Line] = (),
        status: Line = EMPTY,
    ) -> None:
        """Show these rows."""
        self._keys, self._draw, self.look = keys, draw, look
        self._head, self._empty, self._status = head, empty, status
        self.redraw()

    def head(self, width: int, height: int) -> Sequence[Line]:
        return self._head

    def keys(self) -> Sequence[str]:
        return self._keys

    def entry(self, key: str, width: int) -> Sequence[Line]:
        return (self._draw(key, width),)

    def empty(self, width: int) -> Sequence[Line]:
        return self._empty

    def status_line(self) -> Line:
        return self._status

    def _select(self, keys: Sequence[str], index: int) -> None:
        super()._select(keys, index)
        self.post_message(self.Moved())


class NumberedKeys(Sequence[str]):
    """Keys for a list of ``count`` rows, newest (highest number) first, without holding them."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return str(self._count - 1 - index % self._count)

    def index(self, value: str, start: int = 0, stop: int | None = None) -> int:
        """Where ``value`` stands; ValueError when it does not."""
        number = int(value) if value.isdigit() else -1
        if not 0 <= number < self._count:
            raise ValueError(value)
        return self._count - 1 - number
