"""What the bot made of a session, once that has closed: told to plugins by `after_commit`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from smabot.domain.calendar import Calendar, Session
from smabot.domain.frozen_classes import frozen
from smabot.domain.order_terms import Status
from smabot.domain.records import ZERO, EquityPoint, Fill, Order, Position
from smabot.domain.unearned_changes import outside_changes

NEVER_SENT = frozenset({Status.BLOCKED, Status.ABANDONED})


@frozen
class ClosedSession:
    """A session's figures by its trading date, as they were when it was told. Money in US dollars.

    ``equity`` is the last one known, at ``equity_at`` UTC: before ``close`` where the bot was down then.
    ``change`` counts from the equity before the date (a first day: from its first point), without deposits
    and withdrawals. ``orders`` counts all that were made, ``blocked`` and ``rejected`` those among them.
    ``fills`` counts orders that filled, ``realized_pnl`` is net of fees. ``positions`` are signed shares by
    symbol.
    """

    date: date
    close: datetime
    equity: Decimal
    equity_at: datetime
    change: Decimal
    realized_pnl: Decimal
    orders: int = 0
    blocked: int = 0
    rejected: int = 0
    fills: int = 0
    positions: tuple[tuple[str, Decimal], ...] = ()


def closed_session(rows: Any, calendar: Calendar, session: Session) -> ClosedSession | None:
    """Return the figures of a session, from the database; None where no bot ran in it."""
    begin = calendar.begin_of(session.date)

    def on_date(kind: type, column: str) -> list[Any]:
        some = rows.rows(kind, since=(column, begin), newest_by=column)
        return [
            each for each in some if calendar.trading_date(getattr(each, column)) == session.date
        ]

    points = on_date(EquityPoint, "time")
    if not any(point.time > session.open for point in points):
        return None
    orders, fills = on_date(Order, "created_at"), on_date(Fill, "time")
    last, opening = points[-1], _point_before(rows, begin) or points[0]
    moved = outside_changes(rows, opening.time)
    external = sum((m.from_outside for m in moved if opening.time < m.time <= last.time), ZERO)
    return ClosedSession(
        session.date,
        session.close,
        last.equity,
        last.time,
        last.equity - opening.equity - external,
        sum((fill.realized_pnl for fill in fills), ZERO),
        len(orders),
        sum(order.status in NEVER_SENT for order in orders),
        sum(order.status is Status.REJECTED for order in orders),
        len({fill.client_order_id for fill in fills}),
        _shares(rows.rows(Position)),
    )


def _point_before(rows: Any, begin: datetime) -> EquityPoint | None:
    found = rows.rows(EquityPoint, until=("time", begin), newest_by="time", limit=2)
    before = [point for point in found if point.time < begin]
    return before[-1] if before else None


def _shares(positions: Iterable[Position]) -> tuple[tuple[str, Decimal], ...]:
    shares: dict[str, Decimal] = {}
    for position in positions:
        shares[position.symbol] = shares.get(position.symbol, ZERO) + position.qty
    return tuple((symbol, qty) for symbol, qty in sorted(shares.items()) if qty)
