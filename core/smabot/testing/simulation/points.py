"""The kills of a schedule: which boundary of the bot they wait for, and what was known at each of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from smabot.testing.kill_points import Killed

_HOOK = re.compile(
    r"^(before|after) [\w.]+\.(on_\w+|before_submit|may_leave|reconcile|lookback|records|describe)$"
)


@lru_cache(maxsize=4096)
def kind_of(boundary: str) -> str:
    """Return a boundary without what is particular to one run: the plugin."""
    found = _HOOK.match(boundary)
    return f"{found[1]} {found[2]}" if found else boundary


class Points:
    """The `Switch` of a simulation: kills at the boundary that is armed."""

    def __init__(self, on_kill: Callable[[str], None], on_failure: Callable[[str], None]) -> None:
        """``on_kill``: called with the kind of the boundary before the process dies there; ``on_failure``:
        with that at which a plugin fails."""
        self.failing: Counter[str] = Counter()
        """How often the boundary before a hook raises, as a plugin that fails."""
        self._armed: dict[str, int] = {}
        self._dead_at = ""
        self._on_kill = on_kill
        self._on_failure = on_failure

    def arm(self, kind: str, nth: int = 1) -> None:
        """Kill at the so many-th time that a kind of boundary is reached from now on."""
        self._armed[kind] = nth

    def disarm(self) -> dict[str, int]:
        """Kill nowhere from now on; returns the kills that were still to come."""
        armed, self._armed = self._armed, {}
        return armed

    def revive(self) -> None:
        """Begin another process; a kill that is armed stays so."""
        self._dead_at = ""

    def point(self, name: str) -> None:
        """Raise Killed where a kill is armed, and at every boundary of a dead process."""
        if self._dead_at:
            raise Killed(self._dead_at)
        kind = kind_of(name)
        if kind in self._armed:
            self._armed[kind] -= 1
            if self._armed[kind] <= 0:
                del self._armed[kind]
                self._dead_at = kind
                self._on_kill(kind)
                raise Killed(kind)
        if self.failing and self.failing[kind] > 0:
            self.failing[kind] -= 1
            self._on_failure(kind)
            raise PluginFailure(f"{kind}: the plugin fails")


class PluginFailure(RuntimeError):
    """What a plugin raises where a schedule says so."""


def is_caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether an error is what a plugin's caller made of one of a kind."""
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False
