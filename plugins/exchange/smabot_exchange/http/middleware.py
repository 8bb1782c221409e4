"""What every request passes: keys, the quota, the limit on its size; and the headers of its answer.

https://docs.alpaca.markets/docs/authentication, https://alpaca.markets/support/usage-limit-api-calls
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smabot_exchange.http.answers import (
    NOT_FOUND,
    TOO_LARGE,
    TOO_MANY,
    TOO_MANY_FOR_DATA,
    UNAUTHORIZED,
    answer,
)
from smabot_exchange.http.rate_limit import QuotaAnswer
from smabot_exchange.http.venue import Venue

ADMIN = "/_exchange"
"""Calls to the exchange itself, which Alpaca does not have; the quota does not count them."""

DATA = ("/v2/stocks/", "/v1/corporate-actions")
"""The Market Data API, whose errors have no code."""

Header = tuple[bytes, bytes]


class AccessMiddleware:
    """ASGI middleware; websockets pass it, they are authenticated by their own messages.

    Some clients of the streams end the path with a slash, which means the same.
    """

    def __init__(self, app: ASGIApp, venue: Venue) -> None:
        self.app = app
        self.venue = venue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            scope["path"] = scope["path"].rstrip("/")
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        added: list[Header] = [(b"x-request-id", request_id.encode())]

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        key_id = headers.get(b"apca-api-key-id", b"").decode("latin-1")
        secret = headers.get(b"apca-api-secret-key", b"").decode("latin-1")
        if not self.venue.keys.match(key_id, secret):
            await answer(UNAUTHORIZED, 401)(scope, receive, send_on)
            return
        scope["state"]["key_id"] = key_id
        admin = scope["path"].startswith(ADMIN)
        if admin and not self.venue.admin:
            await answer(NOT_FOUND, 404)(scope, receive, send_on)
            return
        if self.venue.quota is not None and not admin:
            allowance = self.venue.quota.take(key_id)
            added += _rate_headers(allowance)
            if not allowance.granted:
                body = TOO_MANY_FOR_DATA if scope["path"].startswith(DATA) else TOO_MANY
                await answer(body, 429)(scope, receive, send_on)
                return
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.venue.largest_body:
            await answer(TOO_LARGE, 413)(scope, receive, send_on)
            return
        await self.app(scope, receive, send_on)


def _rate_headers(allowance: QuotaAnswer) -> Iterable[Header]:
    yield b"x-ratelimit-limit", str(allowance.limit).encode()
    yield b"x-ratelimit-remaining", str(allowance.remaining).encode()
    yield b"x-ratelimit-reset", str(allowance.reset).encode()
