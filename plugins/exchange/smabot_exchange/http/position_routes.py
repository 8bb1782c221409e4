"""Positions by REST. https://docs.alpaca.markets/reference/getallopenpositions and neighbours."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot_exchange.exchange import Exchange
from smabot_exchange.http.answers import answer, bad_parameter
from smabot_exchange.http.query import Query
from smabot_exchange.http.symbols import symbol_of
from smabot_exchange.http.venue import Venue
from smabot_exchange.json_forms import trading_json
from smabot_exchange.matching.account import ExchangePosition
from smabot_exchange.matching.orders import RequestRefused, asset_id, plain, rounded


def routes(venue: Venue) -> list[Route]:
    """Return the routes under ``/v2/positions``."""
    exchange = venue.exchange

    def named(request: Request) -> str:
        return symbol_of(venue, request.path_params["symbol"])

    async def every(_: Request) -> Response:
        return answer([position(exchange, holding) for holding in exchange.positions()])

    async def one(request: Request) -> Response:
        return answer(position(exchange, exchange.position(named(request))))

    async def close(request: Request) -> Response:
        query = Query(request)
        qty, percentage = query.amount("qty"), query.amount("percentage")
        if qty is not None and percentage is not None:
            raise bad_parameter("only one of qty or percentage is allowed")
        order = exchange.close_position(named(request), qty, percentage)
        return answer(trading_json.order(order, answered=True))

    async def close_all(request: Request) -> Response:
        closed = exchange.close_all(Query(request).flag("cancel_orders"))
        return answer(
            [
                {
                    "symbol": symbol,
                    "status": status,
                    "body": outcome.body()
                    if isinstance(outcome, RequestRefused)
                    else trading_json.order(outcome, answered=True),
                }
                for symbol, status, outcome in closed
            ],
            207,
        )

    return [
        Route("/v2/positions", every, methods=["GET"]),
        Route("/v2/positions", close_all, methods=["DELETE"]),
        Route("/v2/positions/{symbol}", one, methods=["GET"]),
        Route("/v2/positions/{symbol}", close, methods=["DELETE"]),
    ]


def position(exchange: Exchange, holding: ExchangePosition) -> dict[str, Any]:
    """Return a position at last prices. Its day's gain is counted from the close before."""
    symbol, qty, cost = holding.symbol, holding.qty, holding.cost
    price = exchange.last_price(symbol)
    before = exchange.previous_close(symbol)
    value = qty * price
    gain, today = value - cost, qty * (price - before)
    return {
        "asset_id": str(asset_id(symbol)),
        "symbol": symbol,
        "exchange": trading_json.LISTED_ON,
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": plain(qty),
        "avg_entry_price": plain(holding.avg_price),
        "side": "long" if qty > 0 else "short",
        "market_value": plain(value),
        "cost_basis": plain(rounded(cost)),
        "unrealized_pl": plain(rounded(gain)),
        "unrealized_plpc": trading_json.ratio(gain, abs(cost)),
        "unrealized_intraday_pl": plain(today),
        "unrealized_intraday_plpc": trading_json.ratio(today, abs(qty * before)),
        "current_price": plain(price),
        "lastday_price": plain(before),
        "change_today": trading_json.ratio(price - before, before),
        "qty_available": plain(exchange.available(symbol)),
    }
