"""Where a process can die: every boundary that a bot in this process crosses, by name, and the kills armed there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from smabot.testing.kill_points import Killed


class Points:
    """Counts the points that are reached, and kills at the one that is armed."""

    def __init__(self, on_kill: Callable[[str], None]) -> None:
        """``on_kill``: called with the point's name before the process dies there."""
        self.visited: Counter[str] = Counter()
        self._armed = ""
        self._left = 0
        self._on_kill = on_kill

    def arm(self, name: str, nth: int = 1) -> None:
        """Kill at the so many-th time that a point is reached from now on."""
        self._armed, self._left = name, nth

    def disarm(self) -> None:
        self._armed = ""

    @property
    def armed(self) -> str:
        return self._armed

    def reach(self, name: str) -> None:
        """Raise Killed where a kill is armed."""
        self.visited[name] += 1
        if name != self._armed:
            return
        self._left -= 1
        if self._left <= 0:
            self._armed = ""
            self._on_kill(name)
            raise Killed(name)
