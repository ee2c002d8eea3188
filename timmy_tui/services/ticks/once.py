"""Each tick once: a writer may repeat a line, and a disturbed file is read again from its start."""

from __future__ import annotations


class Once:
    """Remembers by content what was given out. The same ``tick_id`` with other content is another tick."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def tick(self, data: bytes) -> bool:
        """Whether this tick's line comes for the first time."""
        return self._first(hash(data))

    def knows(self, data: bytes) -> bool:
        """Whether this line was given out."""
        return hash(data) in self._seen

    def bad(self, offset: int, data: bytes) -> bool:
        """Whether this bad line does. Equal ones at two places are two: no id says that they are the same."""
        return self._first(hash((offset, data)))

    def _first(self, key: int) -> bool:
        known = len(self._seen)
        self._seen.add(key)
        return len(self._seen) != known
