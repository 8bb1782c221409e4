"""All that a report shows, read once from what a bot has stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from smabot.cli.performance.buy_and_hold import BuyAndHold
from smabot.cli.performance.kept_notes import kept_notes
from smabot.cli.performance.performance import ENDED, Performance
from smabot.cli.records.equity_history import DAYS_AT_ONCE, CurveSummary
from smabot.cli.records.record_filters import Span, rows_within
from smabot.cli.report.check_counts import CheckCount, check_counts
from smabot.cli.report.thinning import Merge, Thinned, extremes
from smabot.cli.report.trade_reasons import Reasons, Trade
from smabot.cli.run_outcome import running_id
from smabot.cli.run_settings import Setting, SettingChange, recorded_settings, settings_changes
from smabot.domain.bot_records import Run
from smabot.domain.calendar import MINUTE, end_of
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.order_terms import Status
from smabot.domain.records import Bar, Order
from smabot.hooks.optional_ports import BarRows

UNFILLED = frozenset({Status.BLOCKED, Status.ABANDONED, Status.REJECTED, *ENDED})
"""How an order ends that did not fill."""
MOST_CHARTED = 40
"""Symbols that have a chart of their price: those with the most orders."""
PRICE_POINTS = 5_000
"""Half of the most buckets that all charts of prices have."""


class CurvePoint(NamedTuple):
    """Equity at a time, and how far it is below its peak, as a fraction of the peak."""

    time: datetime
    equity: float
    fall: float


class Share(NamedTuple):
    """The mean exposure of as many points of equity as ``weight``, the last one at ``time``."""

    time: datetime
    mean: float
    weight: int


class PricePoint(NamedTuple):
    """A bar's close, at its end. US dollars."""

    time: datetime
    close: float


@dataclass(frozen=True, slots=True)
class Report:
    """What an account did over a span. Times in UTC; curves are thinned (`smabot.cli.report.thinning`)."""

    performance: Performance
    market: BuyAndHold
    curve: Sequence[CurvePoint]
    exposure: Sequence[Share]
    prices: Mapping[str, Sequence[PricePoint]]
    """Closes by symbol, of those with orders; none where the journal can't return bars."""
    priced: Mapping[str, float]
    """The close that an order without a fill was decided at, by the order's id, where it is known."""
    trades: Sequence[Trade]
    orders: Sequence[Order]
    reasons: Mapping[str, str]
    """Why each order was made, by its id."""
    checks: Sequence[CheckCount]
    runs: Sequence[Run]
    running: str
    """The id of the run that is running now; empty: none."""
    settings: Sequence[Setting] | None
    """Those of the last run that recorded them; None where none did."""
    settings_changes: Sequence[SettingChange]
    kept_notes: Sequence[str]
    """What the backtest that made the database said of its figures."""

    @classmethod
    def of(
        cls,
        rows: Any,
        span: Span = Span(),  # noqa: B008
    ) -> Report | None:
        """Return the report of what a journal has kept; None where the span has no point of equity."""
        curves = _Curves()
        performance = Performance.of(rows, span, curves.take)
        if performance is None:
            return None
        reasons = Reasons(rows, span)
        orders: list[Order] = rows_within(rows, Order, "created_at", span)
        prices = _Prices(rows, orders)
        for minute in _minutes(rows, performance, span):
            prices.take(minute)
        runs: list[Run] = rows.rows(Run, newest_by="run_id")
        recorded = recorded_settings(runs)
        return cls(
            performance=performance,
            market=prices.market,
            curve=curves.equity.points,
            exposure=curves.exposure.points,
            prices={symbol: thinned.points for symbol, thinned in prices.closes.items()},
            priced=prices.found,
            trades=[reasons.of_trip(trip) for trip in performance.trips],
            orders=orders,
            reasons={order.client_order_id: reasons.of_order(order) for order in orders},
            checks=check_counts(orders),
            runs=runs,
            running=running_id(rows),
            settings=recorded[-1][1] if recorded else None,
            settings_changes=list(settings_changes(recorded)),
            kept_notes=kept_notes(rows),
        )

    @property
    def unfilled(self) -> list[Order]:
        """The orders that ended without a fill, oldest first."""
        return [each for each in self.orders if each.status in UNFILLED and not each.filled_qty]


class _Curves:
    """The curves of equity, drawdown and exposure, taken in while the points are read."""

    def __init__(self) -> None:
        self.equity: Thinned[CurvePoint] = Thinned(
            extremes(lambda p: p.equity, lambda p: -p.equity, lambda p: p.fall)
        )
        self.exposure: Thinned[Share] = Thinned(_mean)

    def take(self, curve: CurveSummary) -> None:
        point = curve.last
        assert point is not None
        self.equity.take(CurvePoint(point.time, float(point.equity), float(curve.fall)))
        invested = float(abs(point.positions_value) / point.equity) if point.equity else 0.0
        self.exposure.take(Share(point.time, invested, 1))


def _mean(shares: Sequence[Share]) -> list[Share]:
    weight = sum(each.weight for each in shares)
    mean = sum(each.mean * each.weight for each in shares) / weight
    return [Share(shares[-1].time, mean, weight)]


class _Prices:
    """What is made of the bars: buy-and-hold, the curves of closes, and the closes that orders were decided at."""

    def __init__(self, rows: Any, orders: Sequence[Order]) -> None:
        self.market = BuyAndHold(len(rows.bar_counts()))
        self.market.take_splits(rows.rows(CorporateAction))
        self.found: dict[str, float] = {}
        self._wanted: dict[tuple[str, datetime], list[str]] = {}
        counts: dict[str, int] = {}
        for order in orders:
            counts[order.symbol] = counts.get(order.symbol, 0) + 1
            if order.status in UNFILLED:
                self._wanted.setdefault((order.symbol, order.bar_time), []).append(
                    order.client_order_id
                )
        busiest = sorted(sorted(counts, key=lambda symbol: -counts[symbol])[:MOST_CHARTED])
        most = PRICE_POINTS // max(len(busiest), 10)
        merge: Merge[PricePoint] = extremes(lambda p: p.close, lambda p: -p.close)
        self.closes: dict[str, Thinned[PricePoint]] = {s: Thinned(merge, most) for s in busiest}

    def take(self, minute: Sequence[Bar]) -> None:
        """Take a minute's bars in, oldest minute first."""
        self.market.take(minute)
        for bar in minute:
            if bar.symbol in self.closes:
                self.closes[bar.symbol].take(PricePoint(bar.end, bar.close))
            for order_id in self._wanted.get((bar.symbol, bar.time), ()):
                self.found[order_id] = bar.close


def _minutes(rows: Any, performance: Performance, span: Span) -> Iterator[list[Bar]]:
    """Yield the bars of a span by their minutes, read some days at a time: none where that is not possible."""
    if not isinstance(rows, BarRows):
        return
    since = performance.begin.time - MINUTE
    if span.since is not None:
        since = max(since, span.since)
    last = min(span.until or performance.end.time, performance.end.time) - MINUTE
    days = performance.days
    for place in range(0, len(days), DAYS_AT_ONCE):
        until = min(end_of(days[place : place + DAYS_AT_ONCE][-1].day) - MINUTE, last)
        for _, minute in groupby(rows.bars_within(since, until), key=lambda bar: bar.time):
            yield list(minute)
        since = until + MINUTE
