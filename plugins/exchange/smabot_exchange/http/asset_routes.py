"""What is traded: the data's symbols. https://docs.alpaca.markets/reference/get-v2-assets-1"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot_exchange.http.answers import answer
from smabot_exchange.http.query import Query
from smabot_exchange.http.symbols import symbol_of
from smabot_exchange.http.venue import Venue
from smabot_exchange.json_forms import trading_json
from smabot_exchange.matching.orders import RequestRefused


def routes(venue: Venue) -> list[Route]:
    """Return the routes under ``/v2/assets``."""
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

    return [
        Route("/v2/assets", assets, methods=["GET"]),
        Route("/v2/assets/{symbol}", asset, methods=["GET"]),
    ]
