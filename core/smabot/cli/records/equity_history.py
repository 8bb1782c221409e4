"""The equity curve by trading dates and as a whole, read in parts: it has a point for each minute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from smabot.cli.records.record_filters import Span, reads_until, rows_within

if TYPE_CHECKING:
    from smabot.domain.records import EquityPoint
    from smabot.domain.unearned_changes import OutsideChange

ZERO = Decimal(0)
INSTANT = timedelta(microseconds=1)
DAYS_AT_ONCE = 30


@dataclass(frozen=True, slots=True)
class EquityDay:
    """A trading date's equity: its last point, and how that differs from the day before's.

    ``change`` is without ``deposits``, which came from outside (negative: withdrawals).
    """

    day: date
    end: EquityPoint
    change: Decimal
    deposits: Decimal


def equity_days(rows: Any, span: Span, outside: Sequence[OutsideChange]) -> list[EquityDay]:
    """Return the days of a span that have equity, oldest first; outside changes come oldest first, too.

    The first one's change counts from the last point before the span, or from its own first point where
    there is none. Reads a point for each day.
    """
    from smabot.domain.calendar import new_york_date

    before, ends = _day_ends(rows, span)
    if before is None:
        return []
    came = [(each.time, each.from_outside) for each in outside if each.from_outside]
    days = []
    for point in ends:
        deposits = sum((cash for at, cash in came if before.time < at <= point.time), ZERO)
        change = point.equity - before.equity - deposits
        days.append(EquityDay(new_york_date(point.time), point, change, deposits))
        before = point
    return days


def points(rows: Any, span: Span) -> Iterator[EquityPoint]:
    """Yield the equity curve's points, oldest first, read some days at a time."""
    from smabot.domain.calendar import end_of, new_york_date
    from smabot.domain.records import EquityPoint

    _, ends = _day_ends(rows, span)
    if not ends or not reads_until(rows):
        yield from rows_within(rows, EquityPoint, "time", span)
        return
    since = span.since
    for place in range(0, len(ends), DAYS_AT_ONCE):
        last = ends[min(place + DAYS_AT_ONCE, len(ends)) - 1]
        yield from rows_within(rows, EquityPoint, "time", Span(since, last.time))
        since = end_of(new_york_date(last.time))


def point_before(rows: Any, span: Span) -> EquityPoint | None:
    """Return the last point before a span, which the span's return counts from; None where there is none."""
    from smabot.domain.records import EquityPoint

    if span.since is None:
        return None
    earlier = Span(until=span.since - INSTANT)
    found: list[EquityPoint] = rows_within(rows, EquityPoint, "time", earlier, limit=1)
    return found[-1] if found else None


def no_equity(rows: Any) -> str:
    """Return that there is no equity among the days asked for, with the days that have some."""
    from smabot.domain.calendar import new_york_date
    from smabot.domain.records import EquityPoint

    first = rows.rows(EquityPoint, limit=1)
    if not first:
        return "no equity yet"
    (last,) = rows.rows(EquityPoint, newest_by="time", limit=1)
    days = new_york_date(first[0].time), new_york_date(last.time)
    return f"no equity in these days: it is stored from {days[0]} to {days[1]}"


def _day_ends(rows: Any, span: Span) -> tuple[EquityPoint | None, list[EquityPoint]]:
    """Return the point that the first day counts from, and the last point of each day; None and no day
    where there is no point."""
    from smabot.domain.calendar import end_of, new_york_date
    from smabot.domain.records import EquityPoint

    if not reads_until(rows):
        return _day_ends_of(rows_within(rows, EquityPoint, "time", Span(until=span.until)), span)
    ends: list[Any] = []
    until = span.until
    while found := rows_within(rows, EquityPoint, "time", Span(until=until), limit=1):
        if span.since is not None and found[0].time < span.since:
            return found[0], ends[::-1]
        ends.append(found[0])
        begin = end_of(new_york_date(found[0].time) - timedelta(days=1))
        until = (max(begin, span.since) if span.since else begin) - INSTANT
    ends.reverse()
    if not ends:
        return None, []
    first_day = Span(span.since, ends[0].time)
    return rows_within(rows, EquityPoint, "time", first_day)[0], ends


def _day_ends_of(
    points: Iterable[EquityPoint], span: Span
) -> tuple[EquityPoint | None, list[EquityPoint]]:
    from smabot.domain.calendar import new_york_date

    before, ends = None, dict[date, "EquityPoint"]()
    for point in points:
        if span.since is not None and point.time < span.since:
            before = point
            continue
        before = before or point
        ends[new_york_date(point.time)] = point
    return before, list(ends.values())


class CurveSummary:
    """Return and largest drawdown of a curve, whose points come one by one, without deposits.

    Both count from the last point before the curve, as a day's change does; a curve that has none
    counts from its own first point.
    """

    def __init__(self, outside: Sequence[OutsideChange], before: EquityPoint | None = None) -> None:
        """``outside``: oldest first. ``before`` is the last point before the curve."""
        self.begin: EquityPoint | None = None
        """The point that return and drawdown count from."""
        self.last: EquityPoint | None = None
        self.count = 0
        self.drawdown = ZERO
        """The largest fall from a peak, as a fraction of the peak."""
        self.fell_from: datetime | None = None
        self.fell_to: datetime | None = None
        self.recovered_at: datetime | None = None
        """When it was as high as that peak again; None: not yet."""
        self._outside = list(reversed(outside))
        self._came = self._own = self._peak = ZERO
        self._peak_at: datetime | None = None
        if before is not None:
            self._begin_at(before)

    def take(self, point: EquityPoint) -> None:
        if self.begin is None:
            self._begin_at(point)
        while self._outside and self._outside[-1].time <= point.time:
            self._came += self._outside.pop().from_outside
        self.last, self.count = point, self.count + 1
        self._own = own = point.equity - self._came
        if own >= self._peak and self.recovered_at is None and self._peak_at == self.fell_from:
            self.recovered_at = point.time if self.drawdown else None
        if own > self._peak:
            self._peak, self._peak_at = own, point.time
        elif self._peak and (fell := (self._peak - own) / self._peak) > self.drawdown:
            self.drawdown, self.fell_from, self.fell_to = fell, self._peak_at, point.time
            self.recovered_at = None

    @property
    def fall(self) -> Decimal:
        """How far the newest point is below the peak, as a fraction of the peak."""
        return (self._peak - self._own) / self._peak if self._peak > 0 else ZERO

    @property
    def gained(self) -> Decimal | None:
        """The return since the beginning, as a fraction; None where equity was 0 then."""
        if self.begin is None or not self.begin.equity:
            return None
        return (self._own - self.begin.equity) / self.begin.equity

    def _begin_at(self, point: EquityPoint) -> None:
        self.begin, self._own = point, point.equity
        self._peak, self._peak_at = point.equity, point.time
        while self._outside and self._outside[-1].time <= point.time:
            self._outside.pop()
