"""Boundaries and faults that can't come together, with the reason."""

from __future__ import annotations

from collections.abc import Collection

from smabot.testing.simulation.fault_kinds import NEAR
from smabot.testing.simulation.themes import HOOKS, Theme

_FAILING = "plugin fails in "
"""How the name of a fault in a hook begins."""


class Reach:
    """What can come together with the plugins and faults that are played with."""

    def __init__(self, hooks: Collection[str] = HOOKS, faults: Collection[str] = ()) -> None:
        """``hooks``: those that some plugin has; ``faults``: as of ``--faults``, empty: all."""
        self._hooks = frozenset(hooks)
        self._faults = frozenset(faults)

    def why_not(self, theme: Theme) -> str:
        """Return why a boundary is never reached with a fault on a line; empty where it is."""
        point, fault, line = theme
        if self._faults and fault.name not in self._faults:
            return "--faults leaves the fault out"
        for hook in (point.partition(" ")[2], fault.name.removeprefix(_FAILING)):
            if hook in HOOKS and hook not in self._hooks:
                return f"no plugin that is played with has the hook {hook}"
        if line == NEAR and point == "taken from the feed: nothing":
            return "an exchange in the bot's process always has something for it"
        return ""
