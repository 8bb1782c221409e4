"""What blocks entries or all orders: an operator's halt, a trip, a limit."""

from __future__ import annotations

from datetime import datetime

from smabot.domain.bot_records import HALT, Block


class KnownBlocks:
    """Blocks by plugin and scope."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str], Block] = {}
        self.ignored: frozenset[str] = frozenset()
        """Plugins whose blocks the operator ignores in this run (`--ignore-block`)."""

    def holding(self, now: datetime, *, reduces: bool) -> list[Block]:
        """Return the blocks that now stop an entry, or (``reduces``) an exit, by plugin and scope.

        Not in the order in which they were set: reasons made of them are the same after a restart.
        """
        if not self.all:
            return []
        scopes = ("all",) if reduces else ("all", "entries")
        return [
            block
            for _, block in sorted(self.all.items())
            if block.scope in scopes and block.holds(now) and block.plugin not in self.ignored
        ]

    @property
    def halted(self) -> str:
        """Why an operator halted entries; empty when none did."""
        halt = self.all.get((HALT, "entries"))
        return halt.reason if halt is not None and halt.until is None else ""
