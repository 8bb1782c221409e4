"""Which symbols may be traded: https://docs.alpaca.markets/reference/get-v2-assets-1"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from smabot.provider import BrokerError, ConfigError, suggest
from smabot_alpaca.order_json import required_text
from smabot_alpaca.rest.answers import as_list
from smabot_alpaca.rest.client import RequestRefused, RestClient

FEW = 16
"""Up to so many symbols are asked for one by one: the whole list has some megabytes."""
SHOWN = 10
NOT_FOUND = 404


def check_symbols(
    rest: RestClient, symbols: Sequence[str], place: str, *, all_of_them: bool
) -> tuple[str, ...]:
    """Return the symbols, or with none all that there are where ``all_of_them`` allows it.

    Raises ConfigError that names a symbol which can't be traded, BrokerError.
    """
    if not symbols and not all_of_them:
        raise ConfigError(
            "name the symbols to trade: --symbols SPY,QQQ, or symbols in the settings"
        )
    if symbols and len(symbols) <= FEW:
        assets = rest.machine.each(lambda symbol: _asset(rest, symbol), symbols)
        if all(asset is not None and _tradable(asset) for asset in assets):
            return tuple(symbols)
    known = _assets(rest)
    for symbol in symbols:
        asset = known.get(symbol)
        if asset is None:
            shown = f"; it has {', '.join(list(known)[:SHOWN])}" if len(known) <= SHOWN else ""
            raise ConfigError(
                f"symbol {symbol!r} is not known at {place}{suggest(symbol, known)}{shown}"
            )
        if not _tradable(asset):
            raise ConfigError(
                f"symbol {symbol!r} can't be traded at {place}: it is {asset.get('status')}"
                + ("" if asset.get("tradable") is True else " and not tradable")
            )
    return tuple(symbols) or tuple(name for name, asset in known.items() if _tradable(asset))


def _asset(rest: RestClient, symbol: str) -> dict[str, Any] | None:
    try:
        asset = rest.trading("GET", f"/v2/assets/{quote(symbol, safe='')}")
    except RequestRefused as refusal:
        if refusal.status == NOT_FOUND:
            return None
        raise
    return asset if isinstance(asset, dict) and asset.get("symbol") == symbol else None


def _assets(rest: RestClient) -> dict[str, dict[str, Any]]:
    listed = rest.trading("GET", "/v2/assets", {"asset_class": "us_equity"})
    try:
        named = {required_text(asset, "symbol"): asset for asset in as_list(listed)}
        return dict(sorted(named.items()))
    except (KeyError, TypeError, ValueError) as error:
        raise BrokerError(f"GET /v2/assets can't be read: {error!r}") from error


def _tradable(asset: dict[str, Any]) -> bool:
    return asset.get("tradable") is True and asset.get("status") == "active"
