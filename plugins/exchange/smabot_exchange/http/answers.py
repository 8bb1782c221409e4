"""Answers in JSON, and the errors among them.

The Trading API's errors carry a code and a message (`RequestRefused`), the Market Data API's a message.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from smabot_exchange.as_seen.behaviours import AsSeen
from smabot_exchange.matching.orders import RequestRefused

_log = logging.getLogger(__name__)

UNAUTHORIZED = {"message": "unauthorized."}
FORBIDDEN = {"message": "forbidden."}
TOO_MANY = {"code": 42910000, "message": "rate limit exceeded"}
TOO_MANY_FOR_DATA = {"message": "too many requests."}
TOO_LARGE = {"code": 41310000, "message": "request body is too large"}
NOT_FOUND = {"code": 40410000, "message": "endpoint not found."}
NOT_ALLOWED = {"code": 40510000, "message": "method not allowed"}
OWN_CALLS = "/_exchange"
GONE = 410
INTERNAL = {"code": 50010000, "message": "internal server error occurred"}


class MarketDataRefused(Exception):
    """The Market Data API says no."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def answer(content: Any, status: int = 200) -> Response:
    """Return content as JSON; Decimals and times must have become text before."""
    return Response(orjson.dumps(content), status, media_type="application/json")


def nothing() -> Response:
    return Response(status_code=204)


def bad_parameter(message: str) -> RequestRefused:
    """Return the refusal of a parameter or field that can't be understood."""
    return RequestRefused(422, 40010001, message)


def on_refusal(as_seen: AsSeen) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what answers a refusal, in the words that were seen at Alpaca."""

    async def on_refusal(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestRefused)
        status, body = as_seen.refusal(error.status, error.body())
        return answer(body, status)

    return on_refusal


async def on_data_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, MarketDataRefused)
    return answer({"message": error.message}, error.status)


async def on_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    bodies = {404: NOT_FOUND, 405: NOT_ALLOWED, 413: TOO_LARGE}
    body = bodies.get(error.status_code, {"message": error.detail})
    response = answer(body, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def on_failure(request: Request, error: Exception) -> Response:
    """The exchange itself failed; what it was doing may or may not be in the ledger."""
    _log.error("%s %s: %s", request.method, request.url.path, error or type(error).__name__)
    return answer(INTERNAL, 500)


async def on_stopped(request: Request, error: Exception) -> Response:
    """The exchange has failed before. Its own calls say so, its clients only see a broken server."""
    if request.url.path.startswith(OWN_CALLS):
        return answer({"message": str(error)}, GONE)
    return await on_failure(request, error)
