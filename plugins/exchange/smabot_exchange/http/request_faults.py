"""Faults of REST: what happens to requests and answers on their way."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smabot_exchange.faults.fault_kinds import (
    ConnectionReset,
    ErrorAnswer,
    KeysRefused,
    OrderHidden,
    RateLimit,
    SlowAnswer,
    StuckCancel,
    UnknownStatus,
)
from smabot_exchange.faults.fault_plan import Occasion
from smabot_exchange.faults.market_kinds import LostAnswer
from smabot_exchange.http.answers import FORBIDDEN, TOO_MANY, UNAUTHORIZED, answer
from smabot_exchange.matching.orders import ExchangeOrder, RequestRefused

if TYPE_CHECKING:
    from smabot_exchange.http.venue import Venue

ORDERS = "/v2/orders"
BY_CLIENT_ID = "/v2/orders:by_client_order_id"

_KINDS = (
    ErrorAnswer,
    ConnectionReset,
    SlowAnswer,
    RateLimit,
    KeysRefused,
    OrderHidden,
    StuckCancel,
    UnknownStatus,
    LostAnswer,
)
_ONE_ORDER = re.compile(r"/v2/orders/([0-9a-fA-F-]{36})")
_POSITION = re.compile(r"/v2/positions/([A-Z.]+)")
_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"


class FaultMiddleware:
    """ASGI middleware inside of `AccessMiddleware`: only requests that may be made meet faults."""

    def __init__(self, app: ASGIApp, venue: Venue) -> None:
        self._app = app
        self._venue = venue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        venue = self._venue
        if (
            scope["type"] != "http"
            or scope["path"].startswith("/_exchange")
            or not (venue.faults.any(*_KINDS) or venue.broadcast.visibility.may_differ)
        ):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        await _FaultyRequest(self._app, venue, scope, receive, send, body).run()


class _FaultyRequest:
    """One request that may meet a fault."""

    def __init__(
        self, app: ASGIApp, venue: Venue, scope: Scope, receive: Receive, send: Send, body: bytes
    ) -> None:
        self._app = app
        self._venue = venue
        self._scope = scope
        self._receive = receive
        self._send = send
        self._body = body
        self._path: str = scope["path"]
        self._method: str = scope["method"]
        self._occasion = self._occasion_of_request()

    async def run(self) -> None:
        if await self._before():
            return
        response = await self._call_application()
        visibility, now = self._venue.broadcast.visibility, self._venue.exchange.now
        if response.status_code == 200 and self._path.startswith(ORDERS):
            shown = orjson.loads(response.body)
            if self._method == "POST":
                visibility.register(shown, now)
            response = self._as_shown(response, shown)
        if not await self._after():
            await response(self._scope, self._receive, self._send)

    async def _before(self) -> bool:
        """Apply the faults that come before; return whether they end the request."""
        plan, occasion = self._venue.faults, self._occasion
        if refused := plan.first(KeysRefused, occasion):
            body = UNAUTHORIZED if refused.status == 401 else FORBIDDEN
            await answer(body, refused.status)(self._scope, self._receive, self._send)
            return True
        if limit := plan.first(RateLimit, occasion):
            headers = {
                "x-ratelimit-limit": "200",
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": str(round(time.time() + limit.reset_seconds)),
            }
            if limit.retry_after is not None:
                headers["retry-after"] = str(limit.retry_after)
            response = answer(TOO_MANY, 429)
            response.headers.update(headers)
            await response(self._scope, self._receive, self._send)
            return True
        if await self._fail_request("before"):
            return True
        order = self._order() if self._method == "DELETE" else None
        if order is not None and order.open and (stuck := plan.first(StuckCancel, occasion)):
            self._venue.broadcast.show_cancel_pending(order.id, stuck.minutes)
            await Response(status_code=204)(self._scope, self._receive, self._send)
            return True
        return False

    async def _after(self) -> bool:
        if await self._fail_request("after"):
            return True
        if self._scope["state"].get("lost"):
            await self._venue.tcp_connections.reset_request(self._scope, self._receive)
            return True
        return False

    async def _fail_request(self, when: str) -> bool:
        plan, occasion = self._venue.faults, self._occasion
        if hang := plan.first(SlowAnswer, occasion, when=when):
            await self._venue.wait(hang.seconds)
        if error := plan.first(ErrorAnswer, occasion, when=when):
            await _error_answer(error)(self._scope, self._receive, self._send)
            return True
        if plan.first(ConnectionReset, occasion, when=when):
            await self._venue.tcp_connections.reset_request(self._scope, self._receive)
            return True
        return False

    async def _call_application(self) -> Response:
        """Return the application's answer, which is not sent yet."""
        sent: list[Message] = []
        unread = [{"type": "http.request", "body": self._body, "more_body": False}]

        async def receive() -> Message:
            return unread.pop() if unread else await self._receive()

        async def keep(message: Message) -> None:
            sent.append(message)

        await self._app(self._scope, receive, keep)
        response = Response(b"".join(m.get("body", b"") for m in sent[1:]), sent[0]["status"])
        response.raw_headers = sent[0]["headers"]
        return response

    def _as_shown(self, response: Response, shown: Any) -> Response:
        """Return the answer with its orders as they are to be shown."""
        visibility, now = self._venue.broadcast.visibility, self._venue.exchange.now
        if not visibility.may_differ:
            return response
        if isinstance(shown, list):
            kept = [
                order
                for order in shown
                if "id" not in order or not visibility.hides(order, listed=True)
            ]
            return answer([visibility.as_shown(o, now) if _is_order(o) else o for o in kept])
        if not _is_order(shown):
            return response
        if self._method == "GET" and visibility.hides(shown):
            asked = self._occasion.client_order_id if self._path == BY_CLIENT_ID else shown["id"]
            body = {"code": 40410000, "message": f"order not found for {asked}"}
            status, body = self._venue.as_seen.refusal(404, body)
            return answer(body, status)
        return answer(visibility.as_shown(shown, now))

    # -- what it is about --------------------------------------------------------------------------

    def _occasion_of_request(self) -> Occasion:
        symbol = client_order_id = ""
        query = self._scope.get("query_string", b"").decode("latin-1")
        if self._method == "POST" and self._path == ORDERS:
            try:
                asked = orjson.loads(self._body)
                symbol = str(asked.get("symbol", ""))
                client_order_id = str(asked.get("client_order_id", ""))
            except (ValueError, AttributeError):
                pass  # the application refuses it
        elif found := _POSITION.match(self._path):
            symbol = found[1]
        elif self._path == BY_CLIENT_ID:
            client_order_id = parse_qs(query).get("client_order_id", [""])[0]
        if (order := self._order(client_order_id)) is not None:
            symbol, client_order_id = order.symbol, order.client_order_id
        return Occasion(
            f"{self._method} {self._path} {query} {client_order_id}",
            self._venue.exchange.now,
            self._method,
            self._path,
            symbol,
            client_order_id,
        )

    def _order(self, client_order_id: str = "") -> ExchangeOrder | None:
        """Return the order that the request names, where there is one."""
        exchange = self._venue.exchange
        try:
            if found := _ONE_ORDER.fullmatch(self._path):
                return exchange.order(UUID(found[1]))
            if client_order_id and self._path == BY_CLIENT_ID:
                return exchange.order_by_client_id(client_order_id)
        except (RequestRefused, ValueError):
            pass  # the application answers that
        return None


def _is_order(item: Any) -> bool:
    return isinstance(item, dict) and "client_order_id" in item and "status" in item


def _error_answer(error: ErrorAnswer) -> Response:
    words = {500: "500 Internal Server Error", 504: "504 Gateway Time-out"}
    text = words.get(error.status, str(error.status))
    if error.html:
        return Response(_PAGE.format(text), error.status, media_type="text/html")
    return answer({"code": error.status * 100_000 + 10_000, "message": text}, error.status)


async def _read(receive: Receive) -> bytes:
    """Return a request's body; `AccessMiddleware` has seen to its size."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return b"".join(chunks)
