"""What is traded and when: assets, clock and calendar.

https://docs.alpaca.markets/reference/get-v2-assets-1, …/getclock-1, …/getcalendar-1
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot.calendar import EXCHANGE_ZONE, Session
from smabot.errors import ConfigError
from smabot_exchange.exchange import Exchange
from smabot_exchange.orders import Refusal
from smabot_exchange.wire import shapes
from smabot_exchange.wire.answers import answer, bad_parameter
from smabot_exchange.wire.query import Query
from smabot_exchange.wire.symbols import symbol_of
from smabot_exchange.wire.venue import Venue

_LONG_WEEKEND = 7
"""Days within which a session follows any date."""
_AFTER_HOURS = timedelta(hours=4)
_FRIDAY = 4


def routes(venue: Venue) -> list[Route]:
    """Return the routes of assets, clock and calendar."""
    exchange = venue.exchange

    async def assets(request: Request) -> Response:
        query = Query(request)
        attributes = query.names("attributes")
        listed = [
            asset
            for asset in map(shapes.asset, exchange.symbols)
            if query.text("status") in (None, "all", asset["status"])
            and query.text("asset_class") in (None, asset["class"])
            and query.text("exchange") in (None, asset["exchange"])
            and (not attributes or set(attributes) & set(asset["attributes"]))
        ]
        return answer(listed)

    async def asset(request: Request) -> Response:
        text = request.path_params["symbol"]
        symbol = symbol_of(venue, text)
        if symbol not in exchange.symbols:
            raise Refusal(404, 40410000, f"asset not found for {text}")
        return answer(shapes.asset(symbol))

    def clock(_: Request) -> Response:
        return answer(_clock(exchange))

    def calendar(request: Request) -> Response:
        query = Query(request)
        known = exchange.calendar.sessions
        start, end = query.day("start"), query.day("end")
        found = _sessions(known, start or known[0].date, end or known[-1].date)
        return answer(_days(found))

    return [
        Route("/v2/assets", assets, methods=["GET"]),
        Route("/v2/assets/{symbol}", asset, methods=["GET"]),
        Route("/v2/clock", clock, methods=["GET"]),
        Route("/v2/calendar", calendar, methods=["GET"]),
    ]


def _clock(exchange: Exchange) -> dict[str, Any]:
    now = exchange.now
    today = now.astimezone(EXCHANGE_ZONE).date()
    ahead = _sessions(exchange.calendar.sessions, today, today + timedelta(_LONG_WEEKEND))
    return {
        "timestamp": shapes.local(now),
        "is_open": exchange.is_open,
        "next_open": shapes.local(next(s.open for s in ahead if s.open > now)),
        "next_close": shapes.local(next(s.close for s in ahead if s.close > now)),
    }


def _sessions(known: Sequence[Session], start: date, end: date) -> list[Session]:
    """Return the sessions from a date to another, also beyond the tape, both included."""
    if known[0].date <= start and end <= known[-1].date:
        return [session for session in known if start <= session.date <= end]
    from smabot_exchange.sessions import regular_sessions

    try:
        return regular_sessions(start, end)
    except ConfigError as error:
        raise bad_parameter(str(error)) from error


def _days(sessions: Sequence[Session]) -> list[dict[str, Any]]:
    """Return sessions with New York's times. Each settles at the next, the last the next weekday."""
    days = []
    for index, session in enumerate(sessions):
        opens, closes = (t.astimezone(EXCHANGE_ZONE) for t in (session.open, session.close))
        if index + 1 < len(sessions):
            settles = sessions[index + 1].date
        else:
            settles = _next_weekday(session.date)
        days.append(
            {
                "date": session.date.isoformat(),
                "open": f"{opens:%H:%M}",
                "close": f"{closes:%H:%M}",
                "session_open": "0400",
                "session_close": f"{closes + _AFTER_HOURS:%H%M}",
                "settlement_date": settles.isoformat(),
            }
        )
    return days


def _next_weekday(day: date) -> date:
    return day + timedelta(max(1, 7 - day.weekday()) if day.weekday() >= _FRIDAY else 1)
