"""The application in the process of its clients: no sockets, no threads, on a clock that is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from inspect import iscoroutinefunction
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope

from smabot_exchange.exchange import Exchange
from smabot_exchange.http.app import create_app
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.rate_limit import RequestQuota
from smabot_exchange.http.venue import Venue
from smabot_exchange.streams.tcp_connections import TcpConnections

REQUESTS_A_MINUTE = 200
"""As at Alpaca."""


class InProcessConnections(TcpConnections):
    """Resets a connection by calling what its scope says."""

    def reset(self, scope: Scope) -> None:
        scope["extensions"]["smabot.reset"]()

    def reset_if_open(self, scope: Scope) -> None:
        self.reset(scope)

    async def reset_request(self, scope: Scope, receive: Receive) -> None:
        self.reset(scope)


def in_process_venue(
    exchange: Exchange,
    loop: asyncio.AbstractEventLoop,
    clock: Callable[[], datetime],
    keys: Mapping[str, str],
) -> Venue:
    """Return the venue of an exchange whose streams run in a loop."""
    quota = RequestQuota(REQUESTS_A_MINUTE, clock=lambda: clock().timestamp())
    venue = Venue(exchange, ApiKeys(keys), quota, clock=clock, admin=False)
    venue.broadcast.clients.tcp_connections = InProcessConnections()
    venue.broadcast.attach(loop)
    return venue


def in_process_app(venue: Venue) -> Starlette:
    """Return its application: nothing of it runs in a thread."""
    app = create_app(venue)
    app.router.routes = [_without_thread(route) for route in app.router.routes]
    return app


def _without_thread(route: BaseRoute) -> BaseRoute:
    if not isinstance(route, Route):
        return route
    return Route(route.path, _awaitable(route.endpoint), methods=sorted(route.methods or ()))


def _awaitable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that Starlette awaits; others it calls in threads."""
    if iscoroutinefunction(function):
        return function

    async def call(*values: Any) -> Any:
        return function(*values)

    return call
