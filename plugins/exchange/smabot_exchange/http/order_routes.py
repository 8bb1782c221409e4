"""Orders by REST. https://docs.alpaca.markets/reference/postorder and its neighbours."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot.provider import ZERO, Side
from smabot_exchange.as_seen.behaviours import SeenRefusal
from smabot_exchange.http.answers import answer, bad_parameter, nothing
from smabot_exchange.http.order_requests import order_change, order_request
from smabot_exchange.http.query import Query, body_of, identity
from smabot_exchange.http.symbols import symbol_of
from smabot_exchange.http.venue import Venue
from smabot_exchange.json_forms import trading_json
from smabot_exchange.json_forms.order_as_seen import answer_as_seen
from smabot_exchange.matching.order_states import OrderStatus
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderClass,
    OrderFilter,
    OrderRequest,
    RequestRefused,
)

DEFAULT_LIMIT = 50
LONGEST_LIST = 500


def routes(venue: Venue) -> list[Route]:
    """Return the routes under ``/v2/orders``."""
    exchange = venue.exchange

    def shape(order: ExchangeOrder, *, answered: bool = False) -> dict[str, Any]:
        legged = order.order_class is not OrderClass.SIMPLE
        legs = exchange.legs(order) if legged else ()
        return trading_json.order(order, legs, answered=answered)

    def neighbour(query: Query, name: str) -> int | None:
        """Return the ``seq`` of the order that a page follows or precedes."""
        text = query.text(name)
        if text is None:
            return None
        found = identity(text)
        if found is None:
            raise bad_parameter(f"{name} {text} is not a valid uuid")
        return exchange.order(found).seq

    async def submit(request: Request) -> Response:
        body = await body_of(request, venue.largest_body)
        wanted = order_request(body, symbol_of(venue, body.get("symbol")))
        check_as_seen(venue.as_seen.position_intent_refused, wanted.position_intent is not None)
        check_permitted(venue, wanted)
        event = exchange.submit(wanted)
        request.state.lost = event.order.hidden
        return answer(answer_as_seen(venue.as_seen, shape(event.order, answered=True)))

    async def find(request: Request) -> Response:
        query = Query(request)
        nested = query.flag("nested")
        side = query.choice("side", ("buy", "sell", ""), "")
        after, before = neighbour(query, "after_order_id"), neighbour(query, "before_order_id")
        if after is not None and before is not None:
            raise bad_parameter("after_order_id and before_order_id are mutually exclusive")
        since = query.nanoseconds("after")
        if since is not None and venue.as_seen.after_includes:
            since -= 1
        orders = exchange.find_orders(
            OrderFilter(
                status=query.choice("status", ("open", "closed", "all"), "open"),  # type: ignore[arg-type]
                after=since,
                until=query.nanoseconds("until"),
                symbols=[name.upper() for name in query.names("symbols")] or None,
                side=Side(side) if side else None,
                limit=query.whole("limit", DEFAULT_LIMIT, LONGEST_LIST),
                newest_first=query.choice("direction", ("asc", "desc"), "desc") == "desc",
                after_seq=after,
                before_seq=before,
                parents_only=nested,
            )
        )
        return answer([shape(order) if nested else trading_json.order(order) for order in orders])

    async def one(request: Request) -> Response:
        order = exchange.order(order_id(request))
        return answer(shape(order) if Query(request).flag("nested") else trading_json.order(order))

    async def one_by_client_id(request: Request) -> Response:
        client_order_id = request.query_params.get("client_order_id")
        if not client_order_id:
            raise bad_parameter("client_order_id is required")
        return answer(trading_json.order(exchange.order_by_client_id(client_order_id)))

    async def replace(request: Request) -> Response:
        body = await body_of(request, venue.largest_body)
        change, replaced = order_change(body), order_id(request)
        if refusal := venue.as_seen.leg_replacement_refused:
            check_as_seen(refusal, exchange.order(replaced).status is OrderStatus.HELD)
        return answer(shape(exchange.replace(replaced, change), answered=True))

    async def cancel(request: Request) -> Response:
        exchange.cancel(order_id(request))
        return nothing()

    async def cancel_all(_: Request) -> Response:
        canceled = exchange.cancel_all()
        return answer([{"id": str(order), "status": status} for order, status in canceled], 207)

    return [
        Route("/v2/orders", submit, methods=["POST"]),
        Route("/v2/orders", find, methods=["GET"]),
        Route("/v2/orders", cancel_all, methods=["DELETE"]),
        Route("/v2/orders:by_client_order_id", one_by_client_id, methods=["GET"]),
        Route("/v2/orders/{order_id}", one, methods=["GET"]),
        Route("/v2/orders/{order_id}", replace, methods=["PATCH"]),
        Route("/v2/orders/{order_id}", cancel, methods=["DELETE"]),
    ]


def order_id(request: Request) -> UUID:
    """Return the order id in a path. Raises RequestRefused when it is none."""
    text = request.path_params["order_id"]
    found = identity(text)
    if found is None:
        raise bad_parameter(f"order_id {text} is not a valid uuid")
    return found


def check_as_seen(refusal: SeenRefusal | None, concerned: bool) -> None:
    """Raises RequestRefused where a request is refused that the exchange would grant by itself."""
    if refusal is not None and concerned:
        extra = dict.fromkeys(refusal.fields, "")
        raise RequestRefused(refusal.status, refusal.code or 0, refusal.message, **extra)


def check_permitted(venue: Venue, wanted: OrderRequest) -> None:
    """Raises RequestRefused for an order that the account's configuration forbids."""
    configuration = venue.configuration
    fraction = wanted.notional is not None or (wanted.qty is not None and wanted.qty % 1 != ZERO)
    if fraction and not configuration.fractional_trading:
        raise RequestRefused(403, 40310000, "account is not eligible to trade fractional shares")
    if configuration.no_shorting and wanted.side is Side.SELL:
        held = {position.symbol: position.qty for position in venue.exchange.positions()}
        if (wanted.qty or ZERO) > max(held.get(wanted.symbol, ZERO), Decimal(0)):
            raise RequestRefused(403, 40310000, "account is not allowed to short")
