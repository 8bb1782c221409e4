"""What a client of the stock data stream has subscribed to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

CHANNELS = (
    "trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds",
    "corrections", "cancelErrors",
)  # fmt: skip
"""All there are; corrections and cancelErrors come with trades, no client asks for them."""

REQUESTABLE = CHANNELS[:7]
EVERYTHING = "*"

_NONE: frozenset[str] = frozenset()


class TooManySymbols(Exception):
    """More symbols than the key may have."""


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """The symbols of each channel; ``*`` stands for all."""

    symbols: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def of(self, channel: str) -> frozenset[str]:
        return self.symbols.get(channel, _NONE)

    def wants(self, channel: str) -> bool:
        return bool(self.symbols.get(channel))

    def plus(self, asked: Mapping[str, Collection[str]], most: int | None) -> Subscriptions:
        """Return these and more. Raises TooManySymbols when they name more than ``most`` symbols."""
        changed = {
            channel: self.of(channel) | frozenset(asked.get(channel, ())) for channel in REQUESTABLE
        }
        named = frozenset().union(*changed.values()) - {EVERYTHING}
        if most is not None and len(named) > most:
            raise TooManySymbols
        return Subscriptions(changed)

    def minus(self, asked: Mapping[str, Collection[str]]) -> Subscriptions:
        """Return these without some; ``*`` takes away ``*`` only."""
        return Subscriptions(
            {
                channel: self.of(channel) - frozenset(asked.get(channel, ()))
                for channel in REQUESTABLE
            }
        )

    def acknowledgement(self, asked: Iterable[str] = ()) -> dict[str, Sequence[str]]:
        """Return all of them, as the server acknowledges them.

        Channels that were ``asked`` for and don't exist here are empty.
        """
        lists = {channel: sorted(self.of(channel)) for channel in REQUESTABLE}
        absent: dict[str, list[str]] = {name: [] for name in asked if name not in CHANNELS}
        return {**absent, **lists, "corrections": lists["trades"], "cancelErrors": lists["trades"]}


def asked_for(message: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the symbols a message names, by channel, also by channels that don't exist here.

    Raises ValueError when it is malformed.
    """
    found: dict[str, list[str]] = {}
    for channel in message:
        if channel == "action":
            continue
        symbols = message[channel]
        if not isinstance(symbols, list) or not all(
            isinstance(symbol, str) and symbol for symbol in symbols
        ):
            raise ValueError(f"{channel} is not a channel with a list of symbols")
        found[channel] = symbols
    return found
