"""Thins a curve of any length to what a chart can show, while it is read, so that no peak and no fall is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Merge = Callable[[Sequence[T]], list[T]]

MOST = 500
"""Half of the most buckets that a curve has."""


class Thinned(Generic[T]):
    """A curve whose points come one by one. Buckets of as many points each are merged when they are too many.

    A curve of at most ``2 * most`` points stays as it is.
    """

    def __init__(self, merge: Merge[T], most: int = MOST) -> None:
        """``merge`` returns the points that stand for those of a bucket, in their order."""
        self._merge, self._most = merge, most
        self._buckets: list[list[T]] = []
        self._width, self._filled = 1, 1

    def take(self, point: T) -> None:
        if self._filled == self._width:
            if len(self._buckets) == 2 * self._most:
                self._halve()
            self._buckets.append([])
            self._filled = 0
        self._buckets[-1].append(point)
        self._filled += 1
        if self._filled == self._width > 1:
            self._buckets[-1] = self._merge(self._buckets[-1])

    @property
    def points(self) -> list[T]:
        """The points that are left, in their order."""
        return [point for bucket in self._buckets for point in bucket]

    def _halve(self) -> None:
        pairs = zip(self._buckets[::2], self._buckets[1::2], strict=True)
        self._buckets = [self._merge([*one, *other]) for one, other in pairs]
        self._width = self._filled = 2 * self._width


def extremes(*measures: Callable[[T], Any]) -> Merge[T]:
    """Return what keeps of a bucket's points the first, the last, and one that has the most of each measure."""

    def merge(points: Sequence[T]) -> list[T]:
        last = len(points) - 1
        places = {max(range(last + 1), key=lambda n: of(points[n])) for of in measures}
        return [points[place] for place in sorted({0, *places, last})]

    return merge
