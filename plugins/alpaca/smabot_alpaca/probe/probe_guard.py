"""Where a probe may run: on paper accounts, and only where it disturbs nobody."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from smabot.provider import BrokerError, Config, ConfigError, is_locked
from smabot_alpaca import credentials, endpoints
from smabot_alpaca.connection import GET_KEYS, AlpacaConnection, connect
from smabot_alpaca.order_json import UNREADABLE
from smabot_alpaca.probe.probe_account import FarPrices, ProbeAccount
from smabot_alpaca.rest.answers import read_answer
from smabot_alpaca.settings import AlpacaSettings

PAPER_NUMBER = "PA"
"""How the numbers of Alpaca's paper accounts begin."""
LIVE_HOST = "api.alpaca.markets"
LEAST_PRICE = Decimal(4)
"""US dollars: below, half of the price would come near a dollar, where prices have other rules."""


def connect_to_paper(config: Config, settings: AlpacaSettings, url: str | None) -> AlpacaConnection:
    """Connect to a paper account, or to the server at ``url``.

    Raises ConfigError where it would be a live one, or a bot runs; BrokerError where nothing answers.
    """
    url = url or config.url
    if config.live:
        raise ConfigError("the probe refuses live accounts: take live out of the settings")
    key = credentials.find(settings)
    if key is not None and key.key_id.get_secret_value().startswith(credentials.LIVE):
        raise ConfigError(
            f"the probe refuses live keys, and the one in {key.source} is one (it begins with "
            f"{credentials.LIVE}): give a paper account's key"
        )
    if key is None and url is None:
        raise ConfigError(f"the probe needs a paper account's key: {GET_KEYS}")
    if url is not None and (urlsplit(url).hostname or "").lower() == LIVE_HOST:
        raise ConfigError(f"--url {url}: is Alpaca's live API, and the probe refuses live accounts")
    if is_locked(config.db):
        raise ConfigError(
            f"a bot runs on {config.db}, and would take the probe's orders for a conflict: stop it first"
        )
    probed = config.model_copy(update={"url": url, "data": None, "broker": "alpaca"})
    return connect(probed, settings)


def open_account(
    connection: AlpacaConnection, symbol: str, now: datetime, *, despite_open: bool
) -> tuple[ProbeAccount, tuple[str, ...]]:
    """Return the account to probe, and what of it no file may show.

    Raises ConfigError where it is a live one, or has orders or a position in the symbol, unless
    ``despite_open``; BrokerError where an answer is missing or can't be read.
    """
    rest = connection.rest
    account = rest.trading("GET", "/v2/account")
    number, identity = str(account.get("account_number", "")), str(account.get("id", ""))
    own_host = connection.endpoints.loopback or connection.endpoints == endpoints.alpaca(
        connection.settings.feed, live=False
    )
    if not own_host and not number.startswith(PAPER_NUMBER):
        raise ConfigError(
            f"{connection.endpoints.host}: the account's number does not begin with {PAPER_NUMBER}, "
            "as those of paper accounts do, and the probe refuses live accounts"
        )
    account_at = ProbeAccount(
        connection,
        symbol,
        _far_prices(connection, symbol),
        rest.trading("GET", "/v2/clock"),
        run=f"{now:%Y%m%dT%H%M%S}",
        shorts=bool(account.get("shorting_enabled")),
    )
    if not despite_open:
        _require_nothing_open(account_at)
    return account_at, tuple(each for each in (number, identity) if each)


def _require_nothing_open(at: ProbeAccount) -> None:
    held, orders = at.held(), at.open_orders()
    found = [
        *([f"{held:f} shares"] if held else []),
        *([f"{len(orders)} open orders"] if orders else []),
    ]
    if found:
        raise ConfigError(
            f"the account has {' and '.join(found)} of {at.symbol}, which change the answers: name "
            "another --symbol, or add --despite-open"
        )


def _far_prices(connection: AlpacaConnection, symbol: str) -> FarPrices:
    """Return prices far from the latest quote, and from the latest trade, where a quote may be missing.

    Raises ConfigError for a symbol that has neither, or costs too little.
    """
    params = {"symbols": symbol, "feed": connection.settings.feed}
    quotes = connection.rest.data("/v2/stocks/quotes/latest", params)
    trades = connection.rest.data("/v2/stocks/trades/latest", params)
    known = read_answer(f"the price of {symbol}", lambda: _known(quotes, trades, symbol))
    if not known:
        raise ConfigError(
            f"{symbol} has no price at {connection.endpoints.host}: name another --symbol"
        )
    if min(known) < LEAST_PRICE:
        raise ConfigError(
            f"{symbol} costs less than {LEAST_PRICE} dollars: name another --symbol, whose half price is "
            "above a dollar"
        )
    return FarPrices.from_market(min(known), max(known))


def _known(quotes: Any, trades: Any, symbol: str) -> list[Decimal]:
    try:
        quote = (quotes.get("quotes") or {}).get(symbol) or {}
        trade = (trades.get("trades") or {}).get(symbol) or {}
    except UNREADABLE as error:
        raise BrokerError(f"the price of {symbol} can't be read: {error!r}") from None
    prices = (quote.get("bp"), quote.get("ap"), trade.get("p"))
    return [Decimal(str(price)) for price in prices if price]
