"""The order of rows: as few neighbours as possible with the same text.

TRL's KTO takes the completion of the row before for its KL term, and reads rows as the file has them; a neighbour
with the same completion says nothing (facts/annotation.md §4).
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Sequence

_NONE = -1


def arranged(keys: Sequence[int]) -> list[int]:
    """The indexes of ``keys`` in an order with the fewest equal neighbours; else as near to the given one as it goes.

    With ``n`` keys of which ``m`` are the most frequent one, ``max(0, 2·m - n - 1)`` equal neighbours are left, and
    no order has fewer. A key is taken before its turn only where one must be: because the one whose turn it is equals
    the last, or because more than half of what is left has that key.
    """
    queues = _Queues(keys)
    order: list[int] = []
    last: int | None = None
    while len(order) < len(keys):
        key = queues.majority(len(keys) - len(order))
        if key is None or key == last:
            key = queues.next_turn(last)
        order.append(queues.take(key))
        last = key
    return order


def equal_neighbours(keys: Sequence[int]) -> int:
    """How many keys equal the one before."""
    return sum(keys[index] == keys[index - 1] for index in range(1, len(keys)))


def fewest_equal_neighbours(keys: Sequence[int]) -> int:
    """How many equal neighbours no order can avoid."""
    most = max(Counter(keys).values(), default=0)
    return max(0, 2 * most - len(keys) - 1)


class _Queues:
    """The indexes of each key, waiting in their order. Plain numbers: there may be a key for each of 100,000 rows."""

    def __init__(self, keys: Sequence[int]) -> None:
        self._keys = keys
        self._head: dict[int, int] = {}
        self._left = Counter(keys)
        self._behind = array("q", [_NONE]) * len(keys)
        for index in range(len(keys) - 1, -1, -1):
            self._behind[index] = self._head.get(keys[index], _NONE)
            self._head[keys[index]] = index
        self._turns = sorted(self._head.values())  # so it is a heap
        self._most = [(-count, key) for key, count in self._left.items() if count > 1]
        heapq.heapify(self._most)

    def take(self, key: int) -> int:
        """The first index of ``key``, which no longer waits."""
        index = self._head[key]
        self._head[key] = self._behind[index]
        self._left[key] -= 1
        if self._head[key] != _NONE:
            heapq.heappush(self._turns, self._head[key])
        return index

    def majority(self, waiting: int) -> int | None:
        """The key of more than half of the ``waiting`` indexes, if it came more than once at first."""
        while self._most and -self._most[0][0] != self._left[self._most[0][1]]:
            _, key = heapq.heappop(self._most)
            if self._left[key]:
                heapq.heappush(self._most, (-self._left[key], key))
        return self._most[0][1] if self._most and -2 * self._most[0][0] > waiting else None

    def next_turn(self, last: int | None) -> int:
        """The key whose turn it is; ``last`` only when nothing else waits."""
        passed: int | None = None
        while self._turns:
            index = heapq.heappop(self._turns)
            key = self._keys[index]
            if self._head[key] != index:
                continue  # taken before its turn
            if key != last:
                if passed is not None:
                    heapq.heappush(self._turns, passed)
                return key
            passed = index
        if last is None:
            raise AssertionError("nothing waits")
        return last
