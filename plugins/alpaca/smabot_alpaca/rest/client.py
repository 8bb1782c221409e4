"""Alpaca's REST APIs: every request once, with a timeout, and every outcome by its name.

alpaca-py's client carries them, without its models, its retries (it sends a POST again) and its
endless patience.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal
from json import loads
from typing import Any

from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from loguru import logger
from requests import ConnectionError as RequestsConnectionError
from requests import ConnectTimeout, Response, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, ProxyError

from smabot.provider import BrokerError, KeyRefused, NotSent, UnknownOutcome
from smabot_alpaca.credentials import Credentials
from smabot_alpaca.endpoints import Endpoints
from smabot_alpaca.machine import REAL, Machine
from smabot_alpaca.rest.rate_limit import TOO_MANY, RateLimiter, RateLimitFull, Urgency
from smabot_alpaca.settings import AlpacaSettings

ALPACA_LIMIT = 200
"""Requests a minute: https://alpaca.markets/support/usage-limit-api-calls"""
REPEAT_AFTER = 0.25
ADMIN = "/_exchange"
"""Calls to an embedded exchange itself; no limit counts them."""
DATA = "/v2/stocks/"
"""Market data, whose numbers are doubles; those of all other answers keep every digit."""
UNDECIDED_STATUSES = (408, 409, 425, 429)
"""Of the refusing statuses those that do not say what became of the request."""
RETRY_SECONDS = 1.0
"""Seconds to wait before an address that could not be reached is tried again."""
KEY_REFUSALS = (
    "forbidden",
    "unauthorized",
    "request is not authorized",
    "access key verification failed",
)
"""What a 403 says that is about the key, and not about what was asked for."""
LONGEST_READ_WAIT = 120.0
"""Seconds that a read waits at most for room under the rate limit."""
_KEY_KINDS = (
    "a paper account's key is for paper trading, a live account's for --live, and each is void once "
    "a new one was made"
)


class RequestRefused(BrokerError):
    """A clear no: HTTP status, Alpaca's code (None where it gives none) and message, whole body."""

    def __init__(self, status: int, body: Mapping[str, Any], hint: str = "") -> None:
        self.status = status
        self.code = body.get("code")
        self.message = str(body["message"])
        self.body = body
        extra = [f"{name} {value}" for name, value in body.items() if name not in _NAMED]
        text = f"{status} {self.message}" + (f" ({', '.join(extra)})" if extra else "")
        super().__init__(text + hint)


class RequestUnauthorized(RequestRefused, KeyRefused):
    """The key is refused: whatever was asked for, it was not done."""


class _ConnectionBroke(BrokerError):
    """A GET failed on the way: asking again may help."""


_NAMED = ("code", "message")


class RestClient:
    """The trading and the data API. Safe to use from several threads."""

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        settings: AlpacaSettings,
        machine: Machine = REAL,
    ) -> None:
        self.machine = machine
        self._trading = _Api(endpoints.trading, endpoints, credentials, settings, machine)
        self._data = self._trading
        if endpoints.data != endpoints.trading:
            self._data = _Api(endpoints.data, endpoints, credentials, settings, machine)

    def trading(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        urgency: Urgency = Urgency.READ,
    ) -> Any:
        """Send a request, as ``GET /v2/account``, and return the JSON of its answer.

        What is no more urgent than a read waits for room under the rate limit, as long as the server
        says within `LONGEST_READ_WAIT`; anything else is sent at once or not at all. A GET that broke on
        the way is sent once more, anything else never is. None: the answer was empty.

        Raises RequestUnauthorized when the key is refused, RequestRefused for another clear no, NotSent
        when it certainly was not sent, and else UnknownOutcome, or for a GET BrokerError, which changes
        nothing whatever became of it.
        """
        return self._trading.ask(method, path, params or json, urgency)

    def data(
        self, path: str, params: Mapping[str, Any] | None = None, urgency: Urgency = Urgency.READ
    ) -> Any:
        """GET from the data API, as `trading` does."""
        return self._data.ask("GET", path, params, urgency)

    @property
    def allowance(self) -> tuple[int | None, int | None]:
        """Requests a minute that the trading API allows, and what is left of them."""
        return self._trading.allowance

    def close(self) -> None:
        self._trading.close()
        self._data.close()


class _ExactNumbers(Response):
    """An answer whose numbers keep every digit. A class, as a method put in would keep its own answer alive."""

    def json(self, **options: Any) -> Any:
        return super().json(**{"parse_float": Decimal, **options})


class _Api:
    """One address, and the requests that may still be made there."""

    def __init__(
        self,
        base: str,
        endpoints: Endpoints,
        credentials: Credentials,
        settings: AlpacaSettings,
        machine: Machine,
    ) -> None:
        self._machine = machine
        self._host = base.partition("://")[2]
        self._request_timeout = settings.request_timeout
        self._hint = f": {self._host} did not accept the key of {credentials.source}; " + (
            "give the one that the exchange was started with" if endpoints.loopback else _KEY_KINDS
        )
        self._wait_logged_until = 0.0
        self._log_lock = threading.Lock()
        most = settings.requests_per_minute
        own = None if endpoints.loopback else ALPACA_LIMIT
        self._limiter = RateLimiter(
            most or own, fixed=most is not None, clock=machine.seconds,
            wall=lambda: machine.wall().timestamp(), condition=machine.condition,
        )  # fmt: skip
        self._client = client = RESTClient(
            base,
            credentials.key_id.get_secret_value(),
            credentials.secret_key.get_secret_value(),
            raw_data=True,
        )
        client._retry = 0
        session = client._session
        # The environment's proxy is not for loopback.
        session.trust_env = machine.on_network and not endpoints.loopback
        timeouts = settings.connect_timeout, settings.request_timeout
        session.mount(base, machine.http_adapter(*timeouts))
        session.hooks["response"].append(self._note_answer)

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None, urgency: Urgency) -> Any:
        """Send a request; a GET that breaks on the way once more, a read when there is room for it."""
        longest = LONGEST_READ_WAIT if method == "GET" and urgency >= Urgency.READ else 0.0
        deadline = self._machine.seconds() + longest
        while True:
            try:
                return self._ask_twice(method, path, data, urgency)
            except RateLimitFull as full:
                if self._machine.seconds() + full.wait > deadline:
                    raise
                if urgency is not Urgency.BULK:  # which waits every minute
                    self._log_wait(full.wait)
                self._machine.sleep(full.wait)

    def _ask_twice(
        self, method: str, path: str, data: Mapping[str, Any] | None, urgency: Urgency
    ) -> Any:
        try:
            return self._limited(method, path, data, urgency)
        except _ConnectionBroke:
            self._machine.sleep(REPEAT_AFTER)
            return self._limited(method, path, data, urgency)

    def _log_wait(self, seconds: float) -> None:
        """Warn once for all requests that wait for the same."""
        until = self._machine.seconds() + seconds
        with self._log_lock:
            news = until > self._wait_logged_until + 1
            if news:
                self._wait_logged_until = until
        if news:
            logger.warning("alpaca: the rate limit is used up: waiting {:.0f} s, as {} asks", max(seconds, 1), self._host)  # fmt: skip

    @property
    def allowance(self) -> tuple[int | None, int | None]:
        return self._limiter.allowance

    def close(self) -> None:
        self._client._session.close()

    def _limited(
        self, method: str, path: str, data: Mapping[str, Any] | None, urgency: Urgency
    ) -> Any:
        if path.startswith(ADMIN):
            return self._send(method, path, data)
        self._limiter.acquire(urgency, self._request_timeout if urgency >= Urgency.READ else 0.0)
        try:
            return self._send(method, path, data)
        finally:
            self._limiter.release()

    def _send(self, method: str, path: str, data: Mapping[str, Any] | None) -> Any:
        what = f"{method} {path} at {self._host}"
        lost: type[BrokerError] = _ConnectionBroke if method == "GET" else UnknownOutcome
        version, slash, rest = path.removeprefix("/").partition("/")
        try:
            return self._client._request(
                method, slash + rest, dict(data) if data else None, api_version=version
            )
        except APIError as error:
            raise self._failure(error.status_code, str(error), what, lost, path) from None
        except ConnectTimeout:
            raise NotSent(f"{self._host} can't be reached: no connection", RETRY_SECONDS) from None
        except Timeout:
            slow = UnknownOutcome if method != "GET" else BrokerError
            raise slow(f"{what}: no answer within {self._request_timeout:g} s") from None
        except RequestsConnectionError as error:
            if (reason := _not_connected(error)) is not None:
                raise NotSent(f"{self._host} can't be reached: {reason}", RETRY_SECONDS) from None
            raise lost(f"{what}: the connection broke before the answer came") from None
        except (ValueError, RecursionError):
            raise lost(f"{what}: the answer can't be read") from None
        except (OSError, HTTPError) as error:
            raise lost(f"{what}: {type(error).__name__}") from None

    def _failure(
        self, status: int, text: str, what: str, lost: type[BrokerError], path: str
    ) -> BrokerError:
        """Return the error for an answer that is none of success."""
        body = _json_object(text)
        message = body.get("message")
        said = f"{what}: {status} {message or 'without a reason'}"
        if status == TOO_MANY and lost is _ConnectionBroke:
            return RateLimitFull(said, max(self._limiter.seconds_until_room(Urgency.READ), 1.0))
        if status in UNDECIDED_STATUSES:
            return UnknownOutcome(said) if lost is UnknownOutcome else BrokerError(said)
        if 400 <= status < 500 and isinstance(message, str):
            if _is_about_the_key(status, message):
                kind = RequestRefused if path.startswith(ADMIN) else RequestUnauthorized
                return kind(status, body, self._hint)
            return RequestRefused(status, body)
        return lost(said)

    def _note_answer(self, response: Response, **_: Any) -> None:
        if not (response.request.path_url or "").startswith(DATA):
            response.__class__ = _ExactNumbers
        self._limiter.update_from_answer(response.status_code, response.headers)


def _is_about_the_key(status: int, message: str) -> bool:
    return status == 401 or (status == 403 and message.lower().strip(" .") in KEY_REFUSALS)


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _not_connected(error: RequestsConnectionError) -> str | None:
    """Return why no connection was made; None when there was one, so that the request may be out."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    if isinstance(reason, ProxyError):
        return "the proxy refuses the connection"
    return str(reason).rpartition(": ")[2] if isinstance(reason, NewConnectionError) else None
