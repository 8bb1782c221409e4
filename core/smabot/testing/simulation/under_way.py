"""What is under way where a process is killed: circumstances, by what is committed and by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import attrgetter

from smabot.domain.bot_records import HALT, Block
from smabot.domain.calendar import Calendar
from smabot.domain.order_terms import OPEN, Status
from smabot.domain.records import EquityPoint, Order, Position, SignalState
from smabot.engine.execution.flattening import FLATTEN
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.limits_oracle import BREAKER

CIRCUMSTANCES = (
    "halt in force", "breaker tripped", "flatten not done", "command being carried out", "entries paused",
    "entry waits", "exit waits", "new date", "session just opened", "session just closed",
    "quiet minutes wait",
)  # fmt: skip
"""All there are. An order waits that has not left, or is not answered; a date is new until equity is valued in it."""
AFTER_OPEN, AFTER_CLOSE = timedelta(minutes=5), timedelta(minutes=61)
WAITING = (Status.PENDING, Status.UNKNOWN)


def circumstances(
    database: Database,
    calendar: Calendar,
    now: datetime,
    *,
    command_read: bool,
    paused: bool,
    uncommitted: bool,
) -> tuple[str, ...]:
    """Return those that hold now, in their order.

    ``command_read``: the process has read a command and not committed it; ``paused``: entries wait, as the
    broker has not confirmed positions; ``uncommitted``: quiet minutes wait for a later commit.
    """
    blocked = {block.plugin for block in database.rows(Block) if block.holds(now)}
    opened = database.rows(Order, where={"status": OPEN})
    waiting = {order.reduces for order in opened if order.status in WAITING}
    session, earlier = calendar.session_at(now), calendar.session_at(now - AFTER_CLOSE)
    holds = {
        "halt in force": HALT in blocked,
        "breaker tripped": BREAKER in blocked,
        "flatten not done": any(_flattened(database, opened)),
        "command being carried out": command_read,
        "entries paused": paused,
        "entry waits": False in waiting,
        "exit waits": True in waiting,
        "new date": _is_new_date(database, calendar, now),
        "session just opened": session is not None and now < session.open + AFTER_OPEN,
        "session just closed": session is None and earlier is not None,
        "quiet minutes wait": uncommitted,
    }
    return tuple(name for name in CIRCUMSTANCES if holds[name])


def _flattened(database: Database, opened: list[Order]) -> Iterator[bool]:
    """Yield whether something is held or open, for each holding that the operator wants flat."""
    held = {(each.strategy, each.symbol) for each in database.rows(Position) if each.qty}
    busy = held | {(order.strategy, order.symbol) for order in opened}
    for state in database.rows(SignalState):
        if state.last_signal == FLATTEN:
            yield (state.strategy, state.symbol) in busy


def _is_new_date(database: Database, calendar: Calendar, now: datetime) -> bool:
    """Whether the UTC date, or the trading date, is another one than that of the newest point of equity."""
    newest = max(database.rows(EquityPoint), key=attrgetter("time"), default=None)
    if newest is None:
        return False
    of = calendar.trading_date
    return newest.time.date() != now.date() or of(newest.time) != of(now)
