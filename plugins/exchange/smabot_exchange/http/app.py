"""The application: Alpaca's Trading API v2 and Market Data API v2 on an exchange."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from smabot.provider import BrokerError
from smabot_exchange.http import account_routes as account
from smabot_exchange.http import admin_routes as admin
from smabot_exchange.http import asset_routes as assets
from smabot_exchange.http import clock_calendar_routes as clock_calendar
from smabot_exchange.http import corporate_action_routes as corporate_actions
from smabot_exchange.http import market_data_routes as market_data
from smabot_exchange.http import order_routes as orders
from smabot_exchange.http import position_routes as positions
from smabot_exchange.http.answers import (
    MarketDataRefused,
    on_data_error,
    on_failure,
    on_http_error,
    on_refusal,
    on_stopped,
)
from smabot_exchange.http.middleware import AccessMiddleware
from smabot_exchange.http.request_faults import FaultMiddleware
from smabot_exchange.http.venue import Venue
from smabot_exchange.matching.orders import RequestRefused
from smabot_exchange.serialisation import ExchangeStopped
from smabot_exchange.streams import data_stream, trade_stream


def create_app(venue: Venue) -> Starlette:
    """Return the application of a venue. Whoever serves it closes the exchange."""
    return Starlette(
        routes=[
            *orders.routes(venue),
            *positions.routes(venue),
            *account.routes(venue),
            *assets.routes(venue),
            *clock_calendar.routes(venue),
            *market_data.routes(venue),
            *corporate_actions.routes(venue),
            *trade_stream.routes(venue),
            *data_stream.routes(venue),
            *admin.routes(venue),
        ],
        middleware=[
            Middleware(AccessMiddleware, venue=venue),
            Middleware(FaultMiddleware, venue=venue),
        ],
        exception_handlers={
            RequestRefused: on_refusal(venue.as_seen),
            MarketDataRefused: on_data_error,
            HTTPException: on_http_error,
            ExchangeStopped: on_stopped,
            BrokerError: on_failure,
            Exception: on_failure,
        },
    )
