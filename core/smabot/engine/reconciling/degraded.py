"""The degraded state: entries wait while the broker can not be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from loguru import logger

from smabot.domain.frozen_classes import replace
from smabot.hooks.recovery_answers import Conflict

CONFIRMED = timedelta(seconds=20)
"""A far broker's conflict counts when it is there so long: its positions and orders may be 10 s apart
(https://github.com/alpacahq/Alpaca-API/issues/276)."""


class Degraded:
    """Why the broker has not confirmed what is held; logged once when it begins and once when it ends."""

    def __init__(self) -> None:
        self.why = ""
        """Empty while there is none."""
        self._told = False
        self._suspected: dict[Conflict, datetime] = {}

    def begin(self, why: str) -> None:
        self.why = why
        if not self._told:
            self._told = True
            logger.warning(
                "entries are paused: the broker does not confirm the bot's positions: {}", why
            )

    def end(self) -> None:
        self.why = ""
        self._suspected.clear()
        if self._told:
            self._told = False
            logger.info("the broker confirms the bot's positions: entries resume")

    def conflict_lasts(self, conflicts: Sequence[Conflict], now: datetime) -> bool:
        """Whether the broker has said the same of any of them for long enough."""
        before, same = self._suspected, [replace(conflict, remedy=()) for conflict in conflicts]
        self._suspected = {conflict: before.get(conflict, now) for conflict in same}
        return now - min(self._suspected.values()) >= CONFIRMED
