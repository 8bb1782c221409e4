"""The rule itself, bar by bar: O(1) a bar, and exact."""

from __future__ import annotations

SCALE = 1_000_000
"""Prices are counted in millionths of a dollar: sums of integers are exact, however long they run."""


class Crossover:
    """Two moving averages of one symbol over a ring of its last ``slow`` prices.

    What is kept is ``fast average − slow average``, times ``fast × slow`` to stay an integer.
    """

    __slots__ = ("_difference", "_fast", "_missing", "_next", "_prices", "_slow")

    def __init__(self, fast: int, slow: int) -> None:
        self._fast = fast
        self._slow = slow
        self._prices = [0] * slow
        self._next = 0
        self._missing = slow
        self._difference = 0

    def add(self, close: float) -> int:
        """Take in the next close. Return 1 when fast crosses above slow, -1 when below, else 0."""
        price = round(close * SCALE)
        prices, place, slow, fast = self._prices, self._next, self._slow, self._fast
        before = self._difference
        # A place below 0 counts from the end: the ring's size is slow.
        now = before + (price - prices[place - fast]) * slow - (price - prices[place]) * fast
        self._difference = now
        prices[place] = price
        self._next = place + 1 if place + 1 < slow else 0

        if self._missing:
            self._missing -= 1
            return 0
        if now > 0 >= before:
            return 1
        if now < 0 <= before:
            return -1
        return 0
