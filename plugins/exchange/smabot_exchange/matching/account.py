"""The account's money: what it is opened with, what it holds, and what its figures mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from smabot.provider import ZERO, Side
from smabot_exchange.matching.costs import Costs
from smabot_exchange.matching.orders import average

ONE = Decimal(1)
_TWO = Decimal(2)
_CHEAPEST_LONG = Decimal("2.5")
_CHEAPEST_SHORT = Decimal(5)
_MAINTENANCE = Decimal("0.3")
_SHORTING_EQUITY = Decimal(2000)
"""Accounts below may not sell short (docs.alpaca.markets/us/docs/margin-and-short-selling)."""


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """What an account is opened with.

    ``cash`` in US dollars; ``max_volume_share``: the maximum share of a bar's volume that an order
    may take;
    ``multiplier``: buying power is this times equity, less what is invested and held. Above 1 it is
    a margin account, which may sell short, as Alpaca's paper accounts are; with 1 a cash account.
    ``half_spread``: US dollars a share between a bar's prices, the mid prices, and the bid or the ask;
    ``costs``: slippage, commissions and fees.
    """

    cash: Decimal = Decimal(100_000)
    max_volume_share: Decimal = Decimal("0.1")
    multiplier: Decimal = _TWO
    half_spread: Decimal = ZERO
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True, slots=True)
class RequestedTerms:
    """The terms that the settings name; None leaves one to the ledger, or in a new ledger to `AccountTerms`.

    ``costs``: those that are named, by the names of `Costs`.
    """

    cash: Decimal | None = None
    max_volume_share: Decimal | None = None
    multiplier: Decimal | None = None
    half_spread: Decimal | None = None
    costs: Mapping[str, Decimal] = field(default_factory=dict)

    @classmethod
    def exactly(cls, terms: AccountTerms) -> RequestedTerms:
        return cls(**asdict(terms))

    def for_new_ledger(self, half_spread: Decimal = ZERO) -> AccountTerms:
        """Return the terms that a new ledger is opened with; ``half_spread`` is that of its data."""
        default = AccountTerms()
        return AccountTerms(
            default.cash if self.cash is None else self.cash,
            default.max_volume_share if self.max_volume_share is None else self.max_volume_share,
            default.multiplier if self.multiplier is None else self.multiplier,
            half_spread if self.half_spread is None else self.half_spread,
            Costs(**self.costs),
        )


@dataclass(frozen=True, slots=True)
class ExchangePosition:
    """Shares held of a symbol, and what they cost by average cost, US dollars.

    Both are negative for shares sold short.
    """

    symbol: str
    qty: Decimal
    cost: Decimal

    @property
    def avg_price(self) -> Decimal:
        return average(self.cost, self.qty)

    def traded(self, side: Side, qty: Decimal, price: Decimal) -> ExchangePosition:
        """Return it after a trade, which may turn it from long to short or back."""
        change = qty * side.sign
        left = self.qty + change
        if self.qty * change >= 0:
            return ExchangePosition(self.symbol, left, self.cost + change * price)
        if left * self.qty >= 0:
            return ExchangePosition(self.symbol, left, self.cost * left / self.qty)
        return ExchangePosition(self.symbol, left, left * price)


class EquityHistoryPoint(NamedTuple):
    """The account's worth at a time (UTC), and what it gained since the first point; US dollars."""

    time: datetime
    equity: Decimal
    profit_loss: Decimal


@dataclass(frozen=True, slots=True)
class LastDay:
    """The account at the close of the session before, US dollars."""

    equity: Decimal
    maintenance_margin: Decimal


class AccountState(NamedTuple):
    """The account's money at last prices, US dollars. ``short_market_value`` is negative.

    Margins follow docs.alpaca.markets/us/docs/margin-and-short-selling: half of a position's value
    to open it (all of it in a cash account), 30 % to keep it, more for cheap shares.
    """

    cash: Decimal
    long_market_value: Decimal
    short_market_value: Decimal
    maintenance_margin: Decimal
    held_for_orders: Decimal
    multiplier: Decimal
    last_day: LastDay

    @property
    def equity(self) -> Decimal:
        return self.cash + self.long_market_value + self.short_market_value

    @property
    def buying_power(self) -> Decimal:
        """What new orders may cost."""
        return self._power(self.multiplier)

    @property
    def regt_buying_power(self) -> Decimal:
        """The same by Regulation T, overnight: twice the equity at most."""
        return self._power(min(self.multiplier, _TWO))

    @property
    def initial_margin(self) -> Decimal:
        gross = self.long_market_value - self.short_market_value
        return gross / min(self.multiplier, _TWO)

    @property
    def last_equity(self) -> Decimal:
        return self.last_day.equity

    @property
    def last_maintenance_margin(self) -> Decimal:
        return self.last_day.maintenance_margin

    @property
    def shorting_enabled(self) -> bool:
        return self.multiplier > 1 and self.equity >= _SHORTING_EQUITY

    def _power(self, multiplier: Decimal) -> Decimal:
        gross = self.long_market_value - self.short_market_value
        return max(multiplier * self.equity - gross - self.held_for_orders, ZERO)


class MarketValues(NamedTuple):
    """What holdings are worth, and the equity they demand, US dollars; shorts are worth less than 0."""

    long: Decimal
    short: Decimal
    maintenance: Decimal


def market_values(priced: Iterable[tuple[Decimal, Decimal]]) -> MarketValues:
    """Return the values of signed quantities and their prices."""
    long = short = maintenance = ZERO
    for qty, price in priced:
        value = qty * price
        if qty > 0:
            long += value
            maintenance += value * (ONE if price < _CHEAPEST_LONG else _MAINTENANCE)
        elif price < _CHEAPEST_SHORT:
            short += value
            maintenance += max(-value, -qty * _CHEAPEST_LONG)
        else:
            short += value
            maintenance += max(-value * _MAINTENANCE, -qty * _CHEAPEST_SHORT)
    return MarketValues(long, short, maintenance)
