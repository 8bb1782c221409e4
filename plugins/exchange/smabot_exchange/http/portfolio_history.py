"""The account's worth over time. https://docs.alpaca.markets/reference/getaccountportfoliohistory-1"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from smabot.provider import EXCHANGE_ZONE, Calendar
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.answers import bad_parameter
from smabot_exchange.http.query import Query

STEPS = {
    "1min": timedelta(minutes=1),
    "5min": timedelta(minutes=5),
    "15min": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
_NAMES = {"1min": "1Min", "5min": "5Min", "15min": "15Min", "1h": "1H", "1d": "1D"}
_PERIOD = re.compile(r"(\d{1,3})([DWMA])", re.IGNORECASE)
_DAYS = {"D": 1, "W": 7, "M": 30, "A": 365}
_DAY = STEPS["1d"]
_TICK = timedelta(microseconds=1)


def portfolio_history(exchange: Exchange, query: Query) -> dict[str, Any]:
    """Return equity and gains window by window, at most up to now.

    Windows of less than a day bear their start, days the midnight (UTC) after them.
    """
    start, end = _span(exchange, query)
    length = end - start
    fitting = "1min" if length < 7 * _DAY else "15min" if length < 30 * _DAY else "1d"
    timeframe = query.choice("timeframe", tuple(STEPS), fitting)
    if timeframe != "1d" and length > 31 * _DAY:
        raise bad_parameter("timeframe must be 1D for periods of more than 30 days")
    step = STEPS[timeframe]
    points = exchange.equity_history(start, end, step)
    base = points[0].equity - points[0].profit_loss if points else exchange.account().equity
    return {
        "timestamp": [_label(exchange.calendar, point.time, step) for point in points],
        "equity": [float(point.equity) for point in points],
        "profit_loss": [float(point.profit_loss) for point in points],
        "profit_loss_pct": [
            round(float(point.profit_loss / base), 8) if base else None for point in points
        ],
        "base_value": float(base),
        "base_value_asof": (start - _TICK).astimezone(EXCHANGE_ZONE).date().isoformat(),
        "timeframe": _NAMES[timeframe],
    }


def _span(exchange: Exchange, query: Query) -> tuple[datetime, datetime]:
    """Return what is asked for: two of ``start``, ``end`` and ``period``, a month up to now."""
    start, end = query.time("start"), query.time("end")
    last_day = query.day("date_end")
    period = query.text("period")
    if start is not None and end is not None and period is not None:
        raise bad_parameter("only two of start, end and period are allowed")
    if last_day is not None:
        end = _midnight(last_day + timedelta(1))
    length = _length(period or "1M")
    now = exchange.now
    if start is None:
        until = min(end or now, now)
        today = (until - _TICK).astimezone(EXCHANGE_ZONE).date()
        start = _midnight(today - length + timedelta(1))
        return start, until
    if end is None:
        end = start + length if period is not None else now
    return start, min(end, now)


def _length(period: str) -> timedelta:
    found = _PERIOD.fullmatch(period)
    if found is None or not int(found[1]):
        raise bad_parameter(f"invalid period: {period}")
    return int(found[1]) * _DAYS[found[2].upper()] * _DAY


def _label(calendar: Calendar, end: datetime, step: timedelta) -> int:
    """Return the time of the window that ends at an instant, seconds since 1970."""
    if step == _DAY:
        following = end.astimezone(EXCHANGE_ZONE).date() + timedelta(1)
        return int(datetime.combine(following, time(), UTC).timestamp())
    session = calendar.session_at(end - _TICK)
    if session is None:
        return int((end - step).timestamp())
    return int((session.open + (end - _TICK - session.open) // step * step).timestamp())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), EXCHANGE_ZONE).astimezone(UTC)
