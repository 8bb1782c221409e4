"""Kills at chosen points of a bot that runs in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Killed(BaseException):
    """The process is dead: whoever catches it may only throw the bot away."""


class KillSwitch:
    """Counts points where a process can die, and kills at the one that was chosen."""

    def __init__(self) -> None:
        self._left: int | None = None

    def arm(self, points: int) -> None:
        """Kill at the so many-th point from now."""
        self._left = points

    def disarm(self) -> None:
        self._left = None

    def point(self, name: str) -> None:
        """Raise Killed where it is time."""
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0:
            self._left = None
            raise Killed(name)


class MortalJournal:
    """A journal whose process may die before and after each commit."""

    def __init__(self, journal: Any, switch: KillSwitch) -> None:
        self._journal = journal
        self._switch = switch

    def commit(self, rows: Sequence[Any], bars: Sequence[Any] = ()) -> None:
        self._switch.point("before a commit")
        self._journal.commit(rows, bars)
        self._switch.point("after a commit")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)
