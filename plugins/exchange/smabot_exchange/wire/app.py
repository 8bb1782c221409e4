"""The application: Alpaca's Trading API v2 and Market Data API v2 on an exchange."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from smabot.errors import BrokerError
from smabot_exchange.orders import Refusal
from smabot_exchange.turns import Stopped
from smabot_exchange.wire import (
    account,
    admin,
    data_stream,
    market_data,
    orders,
    positions,
    reference,
    trade_stream,
)
from smabot_exchange.wire.answers import (
    DataError,
    on_data_error,
    on_failure,
    on_http_error,
    on_refusal,
    on_stopped,
)
from smabot_exchange.wire.fault_requests import Faults
from smabot_exchange.wire.gate import Gate
from smabot_exchange.wire.venue import Venue


def create_app(venue: Venue) -> Starlette:
    """Return the application of a venue. Whoever serves it closes the exchange."""
    return Starlette(
        routes=[
            *orders.routes(venue),
            *positions.routes(venue),
            *account.routes(venue),
            *reference.routes(venue),
            *market_data.routes(venue),
            *trade_stream.routes(venue),
            *data_stream.routes(venue),
            *admin.routes(venue),
        ],
        middleware=[Middleware(Gate, venue=venue), Middleware(Faults, venue=venue)],
        exception_handlers={
            Refusal: on_refusal,
            DataError: on_data_error,
            HTTPException: on_http_error,
            Stopped: on_stopped,
            BrokerError: on_failure,
            Exception: on_failure,
        },
    )
