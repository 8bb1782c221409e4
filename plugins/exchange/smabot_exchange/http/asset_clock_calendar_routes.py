"""What is traded and when: assets, clock and calendar, which is that of the data and the days after.

https://docs.alpaca.markets/reference/get-v2-assets-1, …/getclock-1, …/getcalendar-1
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot.provider import EXCHANGE_ZONE, Session
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.answers import answer
from smabot_exchange.http.query import Query
from smabot_exchange.http.symbols import symbol_of
from smabot_exchange.http.venue import Venue
from smabot_exchange.json_forms import trading_json
from smabot_exchange.matching.orders import RequestRefused

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
            for asset in map(trading_json.asset, exchange.symbols)
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
            raise RequestRefused(404, 40410000, f"asset not found for {text}")
        return answer(trading_json.asset(symbol))

    async def clock(_: Request) -> Response:
        return answer(_clock(exchange))

    async def calendar(request: Request) -> Response:
        query = Query(request)
        start, end = query.day("start") or date.min, query.day("end") or date.max
        days = _days(exchange.calendar.sessions)
        return answer([day for session, day in days if start <= session.date <= end])

    return [
        Route("/v2/assets", assets, methods=["GET"]),
        Route("/v2/assets/{symbol}", asset, methods=["GET"]),
        Route("/v2/clock", clock, methods=["GET"]),
        Route("/v2/calendar", calendar, methods=["GET"]),
    ]


def _clock(exchange: Exchange) -> dict[str, Any]:
    now, sessions = exchange.now, exchange.calendar.sessions
    return {
        "timestamp": trading_json.local(now),
        "is_open": exchange.is_open,
        "next_open": trading_json.local(next(s.open for s in sessions if s.open > now)),
        "next_close": trading_json.local(next(s.close for s in sessions if s.close > now)),
    }


def _days(sessions: Sequence[Session]) -> Iterator[tuple[Session, dict[str, Any]]]:
    """Yield sessions with New York's times. Each settles at the next, the last the next weekday."""
    following = [session.date for session in sessions[1:]] + [_next_weekday(sessions[-1].date)]
    for session, settles in zip(sessions, following, strict=True):
        opens, closes = (t.astimezone(EXCHANGE_ZONE) for t in (session.open, session.close))
        yield (
            session,
            {
                "date": session.date.isoformat(),
                "open": f"{opens:%H:%M}",
                "close": f"{closes:%H:%M}",
                "session_open": "0400",
                "session_close": f"{closes + _AFTER_HOURS:%H%M}",
                "settlement_date": settles.isoformat(),
            },
        )


def _next_weekday(day: date) -> date:
    return day + timedelta(7 - day.weekday() if day.weekday() >= _FRIDAY else 1)
