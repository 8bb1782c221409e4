"""Symbols as clients write them: a ticker or an asset's id."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from smabot_exchange.http.answers import bad_parameter
from smabot_exchange.http.query import identity
from smabot_exchange.http.venue import Venue
from smabot_exchange.matching.orders import asset_id


def symbol_of(venue: Venue, text: object) -> str:
    """Return the ticker that a client means; whether it is traded here the exchange decides.

    Raises RequestRefused when there is none.
    """
    if not isinstance(text, str) or not text.strip():
        raise bad_parameter("symbol is required")
    found = identity(text) if len(text) >= len("00000000000000000000000000000000") else None
    if found is None:
        return text.strip().upper()
    return _tickers(venue.exchange.symbols).get(found, text)


@lru_cache(maxsize=4)
def _tickers(symbols: tuple[str, ...]) -> dict[UUID, str]:
    return {asset_id(symbol): symbol for symbol in symbols}
