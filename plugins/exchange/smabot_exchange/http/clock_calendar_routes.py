"""The clock and the calendar, in both of Alpaca's versions.

https://docs.alpaca.markets/reference/legacyclock, legacycalendar, clock-1, calendar-1. The calendar is that
of the data where they have sessions, elsewhere that of the New York Stock Exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot.provider import EXCHANGE_ZONE, Session
from smabot_exchange.http import market_hours
from smabot_exchange.http.answers import answer
from smabot_exchange.http.market_hours import MARKETS, Market
from smabot_exchange.http.query import Query
from smabot_exchange.http.venue import Venue
from smabot_exchange.json_forms import trading_json
from smabot_exchange.matching.orders import RequestRefused

_WEEK = timedelta(days=7)

Shown = Callable[[datetime], str]


def routes(venue: Venue) -> list[Route]:
    """Return the routes of clock and calendar. Starlette runs those of many days in threads."""
    exchange = venue.exchange

    async def clock(_: Request) -> Response:
        return answer(_clock(venue))

    async def clocks(request: Request) -> Response:
        query = Query(request, _invalid)
        codes = query.names("markets")
        moment = query.time("time")
        if moment is None:
            moment = venue.clock_driver.now()
        markets = [_market(code) for code in codes] or MARKETS
        return answer({"clocks": [_clock_of(venue, market, moment) for market in markets]})

    def calendar(request: Request) -> Response:
        query = Query(request)
        start, end = query.day("start") or date.min, query.day("end") or date.max
        by = query.choice("date_type", ("trading", "settlement"), "trading")
        return answer(_days(venue, start, end, by_settlement=by == "settlement"))

    def calendar_of(request: Request) -> Response:
        query = Query(request, _invalid)
        market = _market(request.path_params["market"])
        today = venue.clock_driver.now().astimezone(EXCHANGE_ZONE).date()
        start = query.day("start") or today
        end = query.day("end") or start + _WEEK
        zone = query.text("timezone")
        if zone not in (None, "UTC"):
            raise _invalid(f"invalid timezone: {zone}")
        shown = _utc if zone else trading_json.local
        days = market_hours.sessions(exchange, start, end)
        settles = market_hours.settlement(exchange, days)
        listed = [_hours(day, on, shown) for day, on in zip(days, settles, strict=True)]
        return answer({"market": _named(market), "calendar": listed})

    return [
        Route("/v2/clock", clock, methods=["GET"]),
        Route("/v2/calendar", calendar, methods=["GET"]),
        Route("/v3/clock", clocks, methods=["GET"]),
        Route("/v3/calendar/{market}", calendar_of, methods=["GET"]),
    ]


def _invalid(message: str) -> RequestRefused:
    """Return the refusal of a parameter by the newer calls."""
    return RequestRefused(400, 40010001, message)


def _market(code: str) -> Market:
    found = market_hours.market_of(code)
    if found is None:
        known = ", ".join(name for market in MARKETS for name in (market.acronym, market.mic))
        raise _invalid(f"invalid market: {code}; this exchange knows {known}")
    return found


def _clock(venue: Venue) -> dict[str, Any]:
    moment = venue.clock_driver.now()
    opens, closes = _next(venue, moment)
    return {
        "timestamp": trading_json.local(moment),
        "is_open": venue.exchange.is_open_at(moment),
        "next_open": trading_json.local(opens),
        "next_close": trading_json.local(closes),
    }


def _clock_of(venue: Venue, market: Market, moment: datetime) -> dict[str, Any]:
    exchange = venue.exchange
    phase = market_hours.phase(exchange, moment)
    opens, closes = _next(venue, moment)
    today = moment.astimezone(EXCHANGE_ZONE).date()
    return {
        "market": _named(market),
        "timestamp": trading_json.local(moment),
        "is_market_day": bool(market_hours.sessions(exchange, today, today)),
        "next_market_open": trading_json.local(opens),
        "next_market_close": trading_json.local(closes),
        "phase": phase.name,
        "phase_until": trading_json.local(phase.until),
    }


def _next(venue: Venue, moment: datetime) -> tuple[datetime, datetime]:
    """Return the next open and the next close; beyond the calendar's end the instant itself."""
    ahead = market_hours.next_sessions(venue.exchange, moment)
    opens = next((session.open for session in ahead if session.open > moment), moment)
    return opens, ahead[0].close if ahead else moment


def _days(venue: Venue, start: date, end: date, *, by_settlement: bool) -> list[dict[str, Any]]:
    """Return days with New York's times; ``by_settlement`` those whose trades settle in the span."""
    exchange = venue.exchange
    first = start - _WEEK if by_settlement and start > date.min + _WEEK else start
    days = market_hours.sessions(exchange, first, end)
    found = []
    for session, settles in zip(days, market_hours.settlement(exchange, days), strict=True):
        if not start <= (settles if by_settlement else session.date) <= end:
            continue
        found.append(_day(session, settles))
    return found


@lru_cache(maxsize=16_384)
def _day(session: Session, settles: date) -> dict[str, Any]:
    """Return a day as the older calendar shows it."""
    opens, closes = (time.astimezone(EXCHANGE_ZONE) for time in (session.open, session.close))
    return {
        "date": session.date.isoformat(),
        "open": f"{opens:%H:%M}",
        "close": f"{closes:%H:%M}",
        "session_open": "0400",
        "session_close": f"{closes + market_hours.AFTER_HOURS:%H%M}",
        "settlement_date": settles.isoformat(),
    }


def _hours(session: Session, settles: date, shown: Shown) -> dict[str, Any]:
    """Return a day as the newer calendar shows it."""
    return {
        "date": session.date.isoformat(),
        "pre_start": shown(market_hours.pre_open(session)),
        "pre_end": shown(session.open),
        "core_start": shown(session.open),
        "core_end": shown(session.close),
        "post_start": shown(session.close),
        "post_end": shown(market_hours.post_close(session)),
        "settlement_date": settles.isoformat(),
    }


def _named(market: Market) -> dict[str, str]:
    return {
        "acronym": market.acronym,
        "name": market.name,
        "mic": market.mic,
        "timezone": EXCHANGE_ZONE.key,
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
