"""The settings of ``[plugin.exchange]``: the account that a new ledger is opened with, and what trading costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

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
    slippage: Decimal | None = Field(None, ge=0, le=100)
    """US dollars a share that each fill is worse than the bid or the ask. Not set: 0."""
    slippage_of_range: Decimal | None = Field(None, ge=0, le=1)
    """The fraction of the bar's high less its low that each fill is worse, too. Not set: 0."""
    costs: Literal["none", "alpaca"] | None = None
    """Commissions and fees by name, `alpaca` for those of Alpaca; the settings below change single ones."""
    commission_per_share: Decimal | None = Field(None, ge=0, le=100)
    """US dollars."""
    commission_per_order: Decimal | None = Field(None, ge=0, le=10_000)
    """US dollars, of an order that fills."""
    commission_minimum: Decimal | None = Field(None, ge=0, le=10_000)
    """US dollars, the least commission of an order that fills."""
    sec_fee_rate: Decimal | None = Field(None, ge=0, le=1)
    """The SEC's fee for each dollar sold."""
    taf_per_share: Decimal | None = Field(None, ge=0, le=100)
    """FINRA's trading activity fee for each share sold, US dollars."""
    taf_maximum: Decimal | None = Field(None, ge=0, le=10_000)
    """The most of it that an order pays, US dollars; 0: any amount."""
    cat_per_share: Decimal | None = Field(None, ge=0, le=100)
    """The fee for the Consolidated Audit Trail for each share, US dollars."""
