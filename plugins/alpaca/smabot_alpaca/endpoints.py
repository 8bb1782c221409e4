"""Where the APIs are: Alpaca's paper and live ones, or all at one address."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from smabot.provider import ConfigError
from smabot_alpaca.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses without a slash at their end. ``loopback``: they never leave this machine."""

    trading: str
    data: str
    trading_stream: str
    data_stream: str
    loopback: bool = False

    @property
    def host(self) -> str:
        """The trading API's host, for messages."""
        return urlsplit(self.trading).netloc


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """What it takes to open a stream: where it is, and the key. ``loopback``: it is on this machine;
    ``by_minutes``: it belongs to an exchange whose clock moves in whole minutes."""

    url: str
    key: Credentials
    loopback: bool
    by_minutes: bool = False


def alpaca(feed: str, *, live: bool) -> Endpoints:
    """Return Alpaca's own: https://docs.alpaca.markets/docs/getting-started-with-trading-api"""
    from alpaca.common.enums import BaseURL

    trading = BaseURL.TRADING_LIVE if live else BaseURL.TRADING_PAPER
    stream = BaseURL.TRADING_STREAM_LIVE if live else BaseURL.TRADING_STREAM_PAPER
    return Endpoints(
        trading.value,
        BaseURL.DATA.value,
        stream.value,
        f"{BaseURL.MARKET_DATA_STREAM.value}/v2/{feed}",
    )


def at(url: str, feed: str) -> Endpoints:
    """Return those of a server that speaks all of Alpaca's APIs at one address.

    Raises ConfigError when it is no such address: keys travel in clear only on this machine.
    """
    remedy = "give scheme, host and port alone, as http://127.0.0.1:8100"
    if "@" in url:
        raise ConfigError(f"url holds a name or password; {remedy}; keys have their own settings")
    try:
        parts = urlsplit(url.rstrip("/"))
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"url {url!r}: {error}: {remedy}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"url {url!r}: is not an address: {remedy}")
    if parts.path or parts.query or parts.fragment:
        raise ConfigError(f"url {url!r}: has extra parts: {remedy}")
    loopback = _is_loopback(host)
    if parts.scheme == "http" and not loopback:
        raise ConfigError(f"url {url!r}: keys would travel unencrypted: use https")
    base = f"{parts.scheme}://{parts.netloc}"
    stream = base.replace("http", "ws", 1)
    return Endpoints(base, base, f"{stream}/stream", f"{stream}/v2/{feed}", loopback)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
