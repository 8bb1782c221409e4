"""What symbols are worth by REST, where no bar says it: the latest trade, or the position's own price.

``GET /v2/stocks/trades/latest`` (https://docs.alpaca.markets/reference/stocklatesttrades-1) knows one
exchange's trades on the free plan, IEX's; ``current_price`` of a position knows all of them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from smabot.provider import STALE, Mark
from smabot_alpaca.order_json import UNREADABLE, UnreadableAnswer, parse_decimal, parse_time
from smabot_alpaca.rest.account import read_positions
from smabot_alpaca.rest.bar_history import in_batches
from smabot_alpaca.rest.client import RestClient

PATH = "/v2/stocks/trades/latest"


def latest_prices(
    rest: RestClient, feed: str, symbols: Collection[str], now: datetime
) -> list[Mark]:
    """Return the latest price of each symbol that has one. Raises BrokerError."""
    trades = _trades(rest, feed, sorted(symbols))
    quiet = [s for s in symbols if s not in trades or now - trades[s][1] >= STALE]
    positions = {p.symbol: p.price for p in read_positions(rest)} if quiet else {}
    marks = []
    for symbol in sorted(symbols):
        held_at = positions.get(symbol) if symbol in quiet else None
        if held_at is not None and held_at > 0:
            marks.append(Mark(symbol, held_at, now, "position"))
        elif symbol in trades:
            marks.append(Mark(symbol, trades[symbol][0], now, "trade"))
    return marks


def _trades(rest: RestClient, feed: str, symbols: list[str]) -> dict[str, tuple[Decimal, datetime]]:
    found: dict[str, tuple[Decimal, datetime]] = {}
    for batch in in_batches(symbols):
        answer = rest.data(PATH, {"symbols": ",".join(batch), "feed": feed})
        try:
            for symbol, trade in (answer["trades"] or {}).items():
                price = parse_decimal(trade["p"])
                if price is not None and price > 0:
                    found[symbol] = price, parse_time(trade["t"])
        except UNREADABLE as error:
            raise UnreadableAnswer(f"the latest trades can't be read: {error!r}") from error
    return found
