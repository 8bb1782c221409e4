"""The settings of ``[plugin.exchange]``: the account that a new ledger is opened with."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from smabot.provider import Settings


class ExchangeSettings(Settings):
    """The account that a new ledger is opened with. A ledger keeps its own terms: what is set here must
    agree with them, what is not set is as the ledger has it."""

    cash: Decimal = Field(Decimal(100_000), gt=0, le=1_000_000_000_000)
    """Cash at the start, US dollars."""
    max_volume_share: Decimal = Field(Decimal("0.1"), gt=0, le=1)
    """The maximum share of a bar's volume that one order may take; at least one share of stock."""
    multiplier: Decimal = Field(Decimal(2), ge=1, le=4)
    """Buying power is this times equity, less what is invested and held for orders. Above 1 the account
    may sell short; 1: a cash account."""
    history: int = Field(0, ge=0, le=2500)
    """The data's first sessions that are the past: the clock starts after them. The simulated market gets so
    many more."""
    half_spread: Decimal | None = Field(None, ge=0, le=100)
    """US dollars a share that each fill costs: bars are mid prices, purchases pay this much more, sales get
    this much less. Not set: 0.01 on the simulated market, 0 on data files and on waves."""
