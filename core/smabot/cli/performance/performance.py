"""The performance of an account over a span, from what a bot has stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from smabot.cli.performance import ratios
from smabot.cli.performance.price_costs import price_costs
from smabot.cli.records.equity_history import (
    CurveSummary,
    EquityDay,
    equity_days,
    point_before,
    points,
)
from smabot.cli.records.record_filters import Span, rows_within
from smabot.domain.order_terms import Status
from smabot.domain.records import ZERO, Adjustment, EquityPoint, Fill, Order
from smabot.domain.risk_answers import read_checks
from smabot.domain.round_trips import RoundTrip, TradeStatistics, round_trips
from smabot.domain.unearned_changes import outside_changes

ENDED = (Status.CANCELED, Status.EXPIRED)


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The largest fall of equity from a peak, as a fraction of the peak. Times in UTC."""

    depth: Decimal
    peak: datetime | None
    bottom: datetime | None
    recovered: datetime | None
    """When equity was at the peak's height again; None: not within the span."""


@dataclass(frozen=True, slots=True)
class Performance:
    """What an account has made. Money in US dollars, times in UTC, fractions where it says so.

    Returns are of whole sessions, without what was deposited or withdrawn; `ratios` defines what is made
    of them.
    """

    begin: EquityPoint
    end: EquityPoint
    days: Sequence[EquityDay]
    drawdown: Drawdown
    gained: Decimal | None
    """Return over the span, as a fraction."""
    exposure: float
    """Fraction of the points of equity at which something was held."""
    invested: float
    """Mean worth of what was held, as a fraction of equity."""
    fills: Sequence[Fill]
    trips: Sequence[RoundTrip]
    still_held: int
    """Positions that were still open at the end."""
    orders: Counter[Status]
    unfilled: int
    """Orders that the broker ended without a fill."""
    blocked_by: Mapping[str, int]
    """Orders that each check blocked: an order may have failed several."""
    price_costs: Decimal | None
    """Spread and slippage of market orders, US dollars; None where they are not known (`price_costs`)."""

    @classmethod
    def of(
        cls,
        rows: Any,
        span: Span = Span(),  # noqa: B008
        watch: Callable[[CurveSummary], None] = lambda curve: None,
    ) -> Performance | None:
        """Return the performance that a journal has kept; None where the span has no point of equity.

        It counts from the last point before the span, and a round trip by when it was closed. ``watch``
        sees the curve at each of its points.
        """
        adjustments = rows_within(rows, Adjustment, "time", Span(until=span.until))
        outside = outside_changes(rows, adjustments=adjustments)
        curve, held, invested = CurveSummary(outside, point_before(rows, span)), 0, 0.0
        for point in points(rows, span):
            curve.take(point)
            watch(curve)
            if point.positions_value:
                held += 1
                invested += (
                    float(abs(point.positions_value) / point.equity) if point.equity else 0.0
                )
        if curve.begin is None or curve.last is None:
            return None
        fills = rows_within(rows, Fill, "time", Span(until=span.until))
        trips, still_held = round_trips(fills, adjustments)
        if (since := span.since) is not None:
            fills = [fill for fill in fills if fill.time >= since]
            trips = [trip for trip in trips if trip.closed_at >= since]
        orders = rows_within(rows, Order, "created_at", span)
        return cls(
            begin=curve.begin,
            end=curve.last,
            days=equity_days(rows, span, outside),
            drawdown=Drawdown(curve.drawdown, curve.fell_from, curve.fell_to, curve.recovered_at),
            gained=curve.gained,
            exposure=held / curve.count,
            invested=invested / curve.count,
            fills=fills,
            trips=trips,
            still_held=len(still_held),
            orders=Counter(order.status for order in orders),
            unfilled=sum(order.status in ENDED and not order.filled_qty for order in orders),
            blocked_by=_blocked_by(orders),
            price_costs=price_costs(rows, fills),
        )

    @property
    def returns(self) -> list[float]:
        """Each session's return, as a fraction; none where equity fell to 0 or below."""
        if self.broke:
            return []
        return [
            float(day.change / (day.end.equity - day.change - day.deposits)) for day in self.days
        ]

    @property
    def broke(self) -> bool:
        """Whether equity fell to 0 or below at the begin or the end of a session."""
        begins = (day.end.equity - day.change - day.deposits for day in self.days)
        return min((*begins, self.end.equity), default=ZERO) <= 0

    @property
    def all_blocked(self) -> bool:
        """Whether there were orders, and risk checks blocked each of them."""
        return 0 < self.orders[Status.BLOCKED] == sum(self.orders.values())

    @property
    def statistics(self) -> TradeStatistics:
        return TradeStatistics.of(self.trips)

    @property
    def holding_time(self) -> timedelta | None:
        """The mean time from a round trip's first fill to its last, nights included."""
        if not self.trips:
            return None
        held = sum((trip.closed_at - trip.opened_at for trip in self.trips), timedelta())
        return held / len(self.trips)

    @property
    def traded(self) -> Decimal:
        """What was bought and sold, in all."""
        return sum((fill.qty * fill.price for fill in self.fills), ZERO)

    @property
    def fees(self) -> Decimal:
        """What was charged for the fills, in all."""
        return sum((fill.fees for fill in self.fills), ZERO)

    @property
    def turnover(self) -> float | None:
        """What was traded in a year at this pace, by the mean equity of the sessions' ends."""
        equity = sum((day.end.equity for day in self.days), ZERO)
        if equity <= 0:
            return None
        return float(self.traded / equity) * ratios.SESSIONS_A_YEAR

    @property
    def annual_return(self) -> float | None:
        return ratios.annual_return(self.returns)

    @property
    def volatility(self) -> float | None:
        return ratios.volatility(self.returns)

    @property
    def sharpe(self) -> float | None:
        return ratios.sharpe(self.returns)

    @property
    def sortino(self) -> float | None:
        return ratios.sortino(self.returns)

    @property
    def calmar(self) -> float | None:
        return ratios.calmar(self.returns, float(self.drawdown.depth))


def _blocked_by(orders: Sequence[Order]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for order in orders:
        if order.status is Status.BLOCKED:
            failed = [check.name for check in read_checks(order.checks) if not check.passed]
            found.update([*dict.fromkeys(failed)] or ["not sent in time"])
    return dict(found.most_common())
