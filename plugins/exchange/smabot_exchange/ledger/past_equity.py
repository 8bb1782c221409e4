"""The account's worth in the past, from what the ledger says of fills, money and prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from smabot.provider import ZERO, Session
from smabot_exchange.ledger.changes import AccountMovement
from smabot_exchange.matching.account import EquityHistoryPoint


def equity_history(
    opening_cash: Decimal,
    movements: Iterable[AccountMovement],
    price: Callable[[str, datetime], Decimal],
    start: datetime,
    times: Iterable[datetime],
) -> list[EquityHistoryPoint]:
    """Return the worth at ascending times; gains count from ``start``, without what came from outside.

    ``movements`` come by time; a fill bears its minute's start, so that it counts from then on.
    """
    waiting = list(reversed(list(movements)))
    cash, shares, given = opening_cash, defaultdict[str, Decimal](Decimal), ZERO

    def worth(time: datetime) -> Decimal:
        nonlocal cash, given
        while waiting and _before(waiting[-1], time):
            moved = waiting.pop()
            cash += moved.cash
            if moved.symbol is not None:
                shares[moved.symbol] += moved.qty
            if moved.from_outside:
                given += moved.cash
                if moved.symbol is not None:
                    given += moved.qty * price(moved.symbol, time)
        return cash + sum(
            (qty * price(symbol, time) for symbol, qty in shares.items() if qty), ZERO
        )

    base = worth(start)
    given = ZERO
    points = []
    for time in times:
        equity = worth(time)
        points.append(EquityHistoryPoint(time, equity, equity - base - given))
    return points


def equity_times(
    sessions: Iterable[Session], start: datetime, end: datetime, step: timedelta
) -> Iterator[datetime]:
    """Yield each session's times at multiples of ``step`` after its open, and its close."""
    for session in sessions:
        if session.close <= start or session.open >= end:
            continue
        time = session.open + step
        while time < session.close:
            if start < time <= end:
                yield time
            time += step
        if start < session.close <= end:
            yield session.close


def _before(movement: AccountMovement, time: datetime) -> bool:
    return movement.time <= time if movement.from_outside else movement.time < time
