"""Round trips: a strategy's position in a symbol from flat to flat, and how often they win.

Profit is that of the fills, by average cost: a partial exit belongs to the round trip that it is part of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from heapq import merge

from smabot.domain.order_terms import Side
from smabot.domain.records import MICRO, ZERO, Adjustment, Fill, Holding


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A position that was opened and closed. Times in UTC, prices and P&L in US dollars.

    ``side`` opened it. ``qty`` shares were opened in all, at ``entry_price`` on average, and closed at
    ``exit_price``: after a split in it, both in shares of after the split. ``fills`` counts fills and
    adjustments.
    """

    strategy: str
    symbol: str
    side: Side
    qty: Decimal
    entry_price: Decimal
    exit_price: Decimal
    realized_pnl: Decimal
    opened_at: datetime
    closed_at: datetime
    fills: int


def round_trips(
    fills: Iterable[Fill], adjustments: Iterable[Adjustment] = ()
) -> tuple[list[RoundTrip], list[Holding]]:
    """Return the round trips, in the order of their ends, and the holdings that are still open.

    Both must come oldest first, and from the beginning: a position that was opened before the first fill
    looks as if its exit had opened it. An order that turns a position around ends one and begins another.
    """
    open_trips: dict[Holding, _Trip] = {}
    closed: list[RoundTrip] = []
    rows: Iterable[Fill | Adjustment] = merge(fills, adjustments, key=lambda row: row.time)
    for row in rows:
        holding = (row.strategy, row.symbol)
        trip = open_trips.get(holding)
        if isinstance(row, Adjustment) and not row.price:  # a split, or cash alone
            if trip is not None:
                trip.split(row.qty)
            continue
        qty = row.qty * row.side.sign if isinstance(row, Fill) else row.qty
        if not qty:
            continue
        trip = trip or _Trip(row.time)
        left = trip.take(qty, row.price, row.realized_pnl)
        open_trips[holding] = trip
        if not trip.held:
            closed.append(trip.closed(holding, row.time))
            del open_trips[holding]
        if left:
            open_trips[holding] = _Trip(row.time)
            open_trips[holding].take(left, row.price, ZERO)
    return closed, list(open_trips)


class _Trip:
    """A position that is open: signed shares, and what was opened and closed of it so far."""

    def __init__(self, opened_at: datetime) -> None:
        self.held = ZERO
        self._opened_at = opened_at
        self._fills = 0
        self._entered = self._exited = ZERO
        self._paid = self._got = ZERO
        self._realized = ZERO

    def take(self, qty: Decimal, price: Decimal, realized: Decimal) -> Decimal:
        """Take signed shares in; returns those that are beyond what was to close."""
        self._fills += 1
        self._realized += realized
        if qty * self.held >= 0:
            self._entered += qty
            self._paid += qty * price
            self.held += qty
            return ZERO
        closing = max(qty, -self.held) if qty < 0 else min(qty, -self.held)
        self._exited += closing
        self._got += closing * price
        self.held += closing
        return qty - closing

    def split(self, change: Decimal) -> None:
        """Count what was traded before a split in shares of after it; what was paid and got stays."""
        if not self.held:
            return
        factor = (self.held + change) / self.held
        self._entered *= factor
        self._exited *= factor
        self.held += change

    def closed(self, holding: Holding, at: datetime) -> RoundTrip:
        return RoundTrip(
            *holding,
            side=Side.BUY if self._entered > 0 else Side.SELL,
            qty=abs(self._entered).quantize(MICRO),
            entry_price=(self._paid / self._entered).quantize(MICRO),
            exit_price=(self._got / self._exited).quantize(MICRO),
            realized_pnl=self._realized,
            opened_at=self._opened_at,
            closed_at=at,
            fills=self._fills,
        )


@dataclass(frozen=True, slots=True)
class TradeStatistics:
    """How often round trips win, and what they make, in US dollars; None where there is nothing to divide by.

    One that makes nothing is neither won nor lost.
    """

    round_trips: int
    wins: int
    losses: int
    won: Decimal
    lost: Decimal
    """Below 0, or 0."""

    @classmethod
    def of(cls, trips: Sequence[RoundTrip]) -> TradeStatistics:
        wins = [trip.realized_pnl for trip in trips if trip.realized_pnl > 0]
        losses = [trip.realized_pnl for trip in trips if trip.realized_pnl < 0]
        return cls(len(trips), len(wins), len(losses), sum(wins, ZERO), sum(losses, ZERO))

    @property
    def win_rate(self) -> Decimal | None:
        """The fraction of round trips that were won."""
        return _ratio(Decimal(self.wins), self.round_trips)

    @property
    def profit_factor(self) -> Decimal | None:
        """What the winners won for each dollar that the losers lost; None without losers."""
        return _ratio(self.won, -self.lost)

    @property
    def average_trade(self) -> Decimal | None:
        return _ratio(self.won + self.lost, self.round_trips)

    @property
    def average_win(self) -> Decimal | None:
        return _ratio(self.won, self.wins)

    @property
    def average_loss(self) -> Decimal | None:
        return _ratio(self.lost, self.losses)


def _ratio(amount: Decimal, by: Decimal | int) -> Decimal | None:
    return (amount / by).quantize(MICRO) if by else None
