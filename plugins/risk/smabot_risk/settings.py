"""The settings of both plugins, under ``risk.circuit_breaker`` and ``risk.daily_limits``."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from smabot.api import A_YEAR, ZERO, Order, Settings

MOST = 1_000_000_000_000
"""Of anything that a limit counts: beyond it a limit is a slip of the pen."""


class RiskSettings(Settings):
    """Settings of a plugin that blocks orders."""

    block: Literal["entries", "all"] = "entries"
    """``entries`` lets orders pass that only reduce a position; ``all`` traps positions."""

    def exempts_order(self, order: Order) -> bool:
        """Whether this plugin does not check an order."""
        return order.reduces and self.block == "entries"


class CircuitBreakerSettings(RiskSettings):
    """What trips the breaker; 0 switches a cause off."""

    max_failures: int = Field(5, ge=0, le=1_000_000)
    """Submissions that fail in a row."""
    max_session_drawdown: Decimal = Field(Decimal("0.05"), ge=0, lt=1)
    """Fraction lost since the session opening equity."""
    max_peak_drawdown: Decimal = Field(Decimal("0.10"), ge=0, lt=1)
    """Fraction lost since the highest equity."""
    cool_down_minutes: int = Field(0, ge=0, le=A_YEAR)
    """Minutes of exchange time after which a tripped breaker resets itself; 0: never."""


class DailyLimitsSettings(RiskSettings):
    """The limits; 0 switches one off. Money in US dollars."""

    max_trades: int = Field(200, ge=0, le=MOST)
    """Orders with a fill."""
    max_orders: int = Field(500, ge=0, le=MOST)
    max_orders_per_symbol: int = Field(100, ge=0, le=MOST)
    max_order_qty: Decimal = Field(ZERO, ge=0, le=MOST)
    """Shares of one entry."""
    max_order_notional: Decimal = Field(Decimal(25_000), ge=0, le=MOST)
    """The value of one entry, at its limit price, else at the last price."""
    max_loss: Decimal = Field(Decimal(2000), ge=0, le=MOST)
    """Realized and unrealized, against the equity that the date began with."""
    max_loss_fraction: Decimal = Field(ZERO, ge=0, lt=1)
    """The same as a fraction of that equity."""
    max_exposure: Decimal = Field(Decimal(100_000), ge=0, le=MOST)
    """Positions and open entries at last prices, all symbols together."""
    max_exposure_per_symbol: Decimal = Field(Decimal(25_000), ge=0, le=MOST)
