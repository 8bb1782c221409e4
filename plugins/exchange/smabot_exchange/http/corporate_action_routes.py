"""Corporate actions that the data list. https://docs.alpaca.markets/reference/corporateactions-1

``start`` and ``end`` are process dates, as at Alpaca; the data have ex-dates alone, which count as these, too.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot.provider import EXCHANGE_ZONE, CorporateAction
from smabot_exchange.http.answers import MarketDataRefused, answer
from smabot_exchange.http.query import Query
from smabot_exchange.http.venue import Venue
from smabot_exchange.json_forms.action_json import by_kind, kind_of

PATH = "/v1/corporate-actions"
DEFAULT_LIMIT, LONGEST_PAGE = 100, 1_000
TYPES = (
    "forward_split", "reverse_split", "unit_split", "stock_dividend", "cash_dividend", "spin_off",
    "cash_merger", "stock_merger", "stock_and_cash_merger", "redemption", "name_change",
    "worthless_removal", "rights_distribution", "contract_adjustment", "partial_call", "reorganization",
)  # fmt: skip
FILTERS = ("symbols", "cusips", "types", "start", "end")


def routes(venue: Venue) -> list[Route]:
    """Return the route of the list."""
    exchange = venue.exchange

    def corporate_actions(request: Request) -> Response:
        query = Query(request, MarketDataRefused)
        today = exchange.now.astimezone(EXCHANGE_ZONE).date()
        ids = query.names("ids")
        if ids and any(query.text(name) for name in FILTERS):
            raise MarketDataRefused("ids can't be used with other filters")
        types = query.names("types") or TYPES
        for kind in types:
            if kind not in TYPES:
                raise MarketDataRefused(f"invalid type: {kind}")
        symbols = {symbol.upper() for symbol in query.names("symbols")} or None
        since, until = query.day("start") or today, query.day("end") or today
        if ids:
            symbols, since, until = None, date.min, date.max
        if since > until:
            raise MarketDataRefused("end should not be before start")
        found = [
            listed.action
            for listed in exchange.corporate_actions(symbols, since, until)
            if kind_of(listed.action) in types
            and (not ids or listed.action.action_id in ids)
            and not query.names("cusips")
        ]
        descending = query.choice("sort", ("asc", "desc"), "asc") == "desc"
        found.sort(key=_place, reverse=descending)
        if (token := query.text("page_token")) is not None:
            last = _read_token(token)
            found = [a for a in found if (_place(a) < last if descending else _place(a) > last)]
        limit = query.whole("limit", DEFAULT_LIMIT, LONGEST_PAGE)
        page = found[:limit]
        following = _write_token(page[-1]) if len(found) > limit else None
        return answer({"corporate_actions": by_kind(page), "next_page_token": following})

    return [Route(PATH, corporate_actions, methods=["GET"])]


def _place(action: CorporateAction) -> tuple[str, str]:
    return action.ex_date.isoformat(), action.action_id


def _write_token(last: CorporateAction) -> str:
    return urlsafe_b64encode("|".join(_place(last)).encode()).decode()


def _read_token(token: str) -> tuple[str, str]:
    try:
        day, _, identity = urlsafe_b64decode(token).decode().partition("|")
        date.fromisoformat(day)
    except (binascii.Error, ValueError):
        raise MarketDataRefused("invalid page_token") from None
    return day, identity
