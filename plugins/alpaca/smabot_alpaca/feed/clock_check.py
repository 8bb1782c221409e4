"""Notices a machine's clock that is wrong: old bars are not decided on, and nothing else would say so."""

from __future__ import annotations

from datetime import datetime, timedelta

from loguru import logger

LATE, EARLY = timedelta(seconds=45), timedelta(seconds=5)
"""So far from its minute's end a bar of the stream comes only where this machine's clock is wrong."""


class ClockCheck:
    """Warns once where bars come at a time at which they can't."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled

    def compare(self, end: datetime, arrived: datetime) -> None:
        """Compare a bar's minute's end with its arrival by this machine's clock."""
        late = arrived - end
        if not self._enabled or -EARLY <= late <= LATE:
            return
        self._enabled = False
        side = "after" if late > LATE else "before"
        logger.warning(
            "alpaca: a bar came {:.0f} s {} its minute's end by this machine's clock: set it by NTP, "
            "bars older than max_bar_age_minutes are not decided on",
            abs(late.total_seconds()), side,
        )  # fmt: skip
