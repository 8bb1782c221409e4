"""Where the bot trades: Alpaca's live or paper account, a server at a given address, or an exchange
that is started for it. And what broker and feed share of the connection."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import SecretStr

from smabot.provider import BrokerError, Calendar, Config, ConfigError, OrderUpdate
from smabot_alpaca import credentials, endpoints
from smabot_alpaca.clock import ExchangeClock, MarketClock, WallClock
from smabot_alpaca.credentials import Credentials
from smabot_alpaca.endpoints import Endpoints, StreamAddress
from smabot_alpaca.machine import REAL, Machine
from smabot_alpaca.order_json import UNREADABLE, parse_time
from smabot_alpaca.rest.account import read_calendar
from smabot_alpaca.rest.client import ADMIN, RequestRefused, RestClient
from smabot_alpaca.settings import AlpacaSettings

GET_KEYS = (
    "set APCA_API_KEY_ID and APCA_API_SECRET_KEY, or key_id and secret_key in "
    "[default.plugin.alpaca] of .secrets.toml"
)
ANSWERS_KEPT = 1000


def connect(
    config: Config, settings: AlpacaSettings, environ: Mapping[str, str] = os.environ
) -> AlpacaConnection:
    """Decide where to trade, and connect.

    Raises ConfigError when the settings contradict each other, BrokerError when there is no answer.
    """
    key = credentials.find(settings, environ)
    if config.live:
        for name in ("url", "data"):
            if getattr(config, name) is not None:
                raise ConfigError(f"--live trades real money at Alpaca: leave out --{name}")
        if key is None:
            raise ConfigError(f"--live needs a live account's API key: {GET_KEYS}")
        key.check_account_kind(live=True)
        return AlpacaConnection(endpoints.alpaca(settings.feed, live=True), key, settings)
    if config.url is not None:
        if config.data is not None:
            raise ConfigError("--url and --data: the server replays its own data; leave one out")
        there = endpoints.at(config.url, settings.feed)
        if key is None and not there.loopback:
            raise ConfigError(f"--url {config.url} needs an API key: {GET_KEYS}")
        return AlpacaConnection(there, key or credentials.LOOPBACK, settings)
    if key is not None and config.data is None:
        key.check_account_kind(live=False)
        return AlpacaConnection(endpoints.alpaca(settings.feed, live=False), key, settings)
    return _embedded(config, settings)


def connect_to_data(
    settings: AlpacaSettings, url: str | None, environ: Mapping[str, str] = os.environ
) -> AlpacaConnection:
    """Connect for market data alone: at Alpaca, or at a server at ``url``. Any account's key will do.

    Raises ConfigError without a key, BrokerError when there is no answer.
    """
    key = credentials.find(settings, environ)
    there = endpoints.alpaca(settings.feed, live=False)
    if url is not None:
        there = endpoints.at(url, settings.feed)
        key = key or (credentials.LOOPBACK if there.loopback else None)
    if key is None:
        raise ConfigError(f"Alpaca gives data for an API key, also a paper account's: {GET_KEYS}")
    return AlpacaConnection(there, key, settings)


def _embedded(config: Config, settings: AlpacaSettings) -> AlpacaConnection:
    try:
        from smabot_exchange.embedded import start
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("smabot_exchange"):
            raise
        raise ConfigError(
            "no paper exchange is installed: install smabot-exchange, or, to trade at Alpaca, "
            + GET_KEYS
        ) from None
    exchange = start(config)
    try:
        key = Credentials(
            SecretStr(exchange.key_id), SecretStr(exchange.secret_key), "the built-in exchange"
        )
        return AlpacaConnection(endpoints.at(exchange.url, settings.feed), key, settings, exchange)
    except BaseException:
        exchange.close()
        raise


class Closable(Protocol):
    def close(self) -> None: ...


class AlpacaConnection:
    """What broker and feed share; closed when both are.

    ``exchange`` is what an exchange of smabot says of itself, None at Alpaca.

    Threads share four of its parts:

    - ``rest`` is safe for all of them.
    - ``order_answers`` is a queue of what REST answered about orders: request threads append, the
      deciding thread takes from the left and compares it with the trade stream. It is bounded, as a
      broker may run without a feed.
    - ``clock`` is moved by the deciding thread alone; request threads read it.
    - ``calendar`` is extended by whichever thread asks the broker for it and only grows; the deciding
      thread and the streams' thread read it.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        settings: AlpacaSettings,
        embedded: Closable | None = None,
        machine: Machine = REAL,
    ) -> None:
        self.endpoints = endpoints
        self.credentials = credentials
        self.settings = settings
        self.machine = machine
        self.rest = RestClient(endpoints, credentials, settings, machine)
        self.calendar = Calendar()
        self.order_answers: deque[OrderUpdate] = deque(maxlen=ANSWERS_KEPT)
        self.closed = False
        self._embedded = embedded
        self._users: set[object] = set()
        try:
            self.exchange = self._ask_exchange() if endpoints.loopback else None
        except BaseException:
            self.rest.close()
            raise
        self.clock: MarketClock = WallClock(machine)
        if self.exchange is not None:
            self.clock = ExchangeClock(parse_time(self.exchange["time"]))

    @property
    def name(self) -> str:
        return "alpaca" if self.exchange is None else "exchange"

    @property
    def stepped(self) -> bool:
        """Whether the exchange's clock moves only when the feed asks for the next minute."""
        return self.exchange is not None and bool(self.exchange["clock"] == "stepped")

    @property
    def by_minutes(self) -> bool:
        """Whether the exchange's clock moves in whole minutes."""
        return self.exchange is not None and self.exchange["clock"] in ("stepped", "paced")

    @property
    def waits_for_client(self) -> bool:
        """Whether the first subscription may start the exchange's clock."""
        return self.exchange is not None and bool(self.exchange["clock"] == "paced")

    def stream_address(self, url: str) -> StreamAddress:
        """Return how to open the stream at one of the endpoints' addresses."""
        return StreamAddress(url, self.credentials, self.endpoints.loopback, self.by_minutes)

    def refresh_calendar(self) -> Calendar:
        """Read the sessions around this year into ``calendar``, and return it. Raises BrokerError."""
        self.calendar.extend(read_calendar(self.rest, self.clock.now().year))
        return self.calendar

    def _ask_exchange(self) -> dict[str, Any] | None:
        """Return what the exchange says of itself; None when it is another kind of server."""
        try:
            answer = self.rest.trading("GET", ADMIN)
        except RequestRefused as refusal:
            if refusal.status == 404:
                return None
            raise
        except BrokerError as error:
            if self._embedded is not None:
                raise
            raise BrokerError(
                f"{error}: is `smabot exchange serve` running there, and --url right?"
            ) from None
        try:
            parse_time(answer["time"])
            return {**answer, "clock": str(answer["clock"])}
        except UNREADABLE:
            raise BrokerError(
                f"{self.endpoints.host} does not answer as an exchange of smabot does"
            ) from None

    def add_user(self, user: object) -> None:
        self._users.add(user)

    def remove_user(self, user: object) -> None:
        """Close the connection where nothing uses it any more."""
        self._users.discard(user)
        if not self._users and not self.closed:
            self.closed = True
            self.rest.close()
            if self._embedded is not None:
                self._embedded.close()
