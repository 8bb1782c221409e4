"""What time it is for the bot: by the wall clock, or by the clock of a market that is replayed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from smabot.cli.start_steps import read_steps
from smabot.errors import counted

if TYPE_CHECKING:
    from smabot.domain.bot_records import Run
    from smabot.domain.calendar import Calendar, Session

SAME = timedelta(minutes=2)
"""How far the market's clock may be off this machine's and still be the same."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MarketTime:
    """The market's clock. ``now`` is the wall's time where the market follows it, else the bot's own."""

    follows_wall: bool | None
    """None: no run has said yet how far it was off."""
    now: datetime
    session: Session | None
    """The open session, or the next one; None: it is not known."""

    @property
    def is_open(self) -> bool:
        """Whether the exchange is open at this time, as far as is known."""
        return self.session is not None and self.session.open <= self.now


def market_time(
    runs: Iterable[Run], bot_time: datetime, wall: datetime, calendar: Calendar
) -> MarketTime:
    """Return the market's time by what the newest of the runs that got ready found."""
    ready = next((run for run in runs if _offset(run) is not None), None)
    offset = _offset(ready) if ready is not None else None
    follows = None if offset is None else abs(offset) <= SAME
    now = max(wall, bot_time) if follows else bot_time
    return MarketTime(follows, now, calendar.next_session(now))


def started_at(run: Run) -> datetime | None:
    """Return the market's time when a run began to follow it; None while it starts, or in an older row."""
    for step in read_steps(run):
        if text := step.get("market_time"):
            return datetime.fromisoformat(str(text))
    return None


def _offset(run: Run) -> timedelta | None:
    """Return how far the market's clock was ahead of the wall's when a run was ready."""
    market = started_at(run)
    if market is None or run.ready_ms is None:
        return None
    return market - (run.started_at + timedelta(milliseconds=run.ready_ms))


def span_text(span: timedelta) -> str:
    """Return a span in words, in its largest unit: ``40 seconds``, ``2 minutes``, ``3 hours``, ``5 days``."""
    if span < timedelta(minutes=1):
        return counted(max(int(span.total_seconds()), 0), "second")
    if span < HOUR:
        return counted(span // timedelta(minutes=1), "minute")
    if span < 2 * DAY:
        return counted(span // HOUR, "hour")
    return counted(span // DAY, "day")
