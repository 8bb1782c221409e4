"""Faults of the market itself: what it does to orders and symbols, whichever way a client reaches it."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from smabot.provider import A_YEAR
from smabot_exchange.faults.fault_bases import A_MILLION, BarFault, Fault, OrderFault
from smabot_exchange.matching.activity_notes import ActivityNote, activity_note


class FrozenCancel(OrderFault):
    """Accepts a cancel, shows `pending_cancel`, and the order neither fills nor ends."""

    kind = "frozen_cancel"

    partial: bool = True
    """Only where a part of the order has filled."""
    minutes: int | None = Field(None, ge=1, le=A_YEAR)
    """The order is canceled after so many minutes of the exchange; without: never."""


class LeftAtClose(OrderFault):
    """Leaves a DAY order in another state at the close instead of ending it."""

    kind = "left_at_close"

    value: Literal["done_for_day", "calculated", "stopped", "suspended"] = "done_for_day"
    """The state; the order does not fill in it, and ends by a cancel alone."""


class RejectedLater(OrderFault):
    """Accepts an order and rejects it later; until then it does not fill."""

    kind = "rejected_later"

    minutes: int = Field(1, ge=1, le=A_YEAR)
    """So many minutes of the exchange later."""


class StuckPending(OrderFault):
    """Leaves an order in `pending_new`, in which it does not fill."""

    kind = "stuck_pending"

    minutes: int | None = Field(None, ge=1, le=A_YEAR)
    """For so many minutes of the exchange; without: until it is canceled or its day ends."""


class LostAnswer(OrderFault):
    """Accepts an order, loses the answer, and hides the order for a while; then it works as any."""

    kind = "lost_answer"

    minutes: int = Field(2, ge=1, le=A_YEAR)
    """It is hidden, and does not fill, for so many minutes of the exchange."""


class TradingHalt(Fault):
    """Halts trading in a symbol from a minute on: orders are taken, and nothing trades."""

    kind = "halt"
    patterns: ClassVar[tuple[str, ...]] = ("symbol",)

    symbol: str
    minutes: int | None = Field(None, ge=1, le=A_YEAR)
    """For so many minutes of the exchange; without: for good."""
    times: int | None = Field(1, ge=1, le=A_MILLION)


class AccountFlag(Fault):
    """Sets a flag of the account from a minute on: no order is taken."""

    kind = "account_flag"

    flag: Literal["trading_blocked", "account_blocked", "trade_suspended_by_user"] = (
        "trading_blocked"
    )
    minutes: int | None = Field(None, ge=1, le=A_YEAR)
    """For so many minutes of the exchange; without: until it is lifted."""
    times: int | None = Field(1, ge=1, le=A_MILLION)


class CashTransfer(Fault):
    """Cash comes (a deposit, a dividend) or goes (a withdrawal, a fee), at a minute's end."""

    kind = "cash_moved"

    amount: Decimal
    """US dollars; negative: it goes."""
    activity_type: str | None = Field(None, pattern="^[A-Z]{2,10}$")
    """Alpaca's code of its activity, as `DIV`, `INT`, `FEE` or `JNLC`; by default `CSD` or `CSW`."""
    symbol: str = ""
    """The symbol that pays it; empty: none."""
    description: str = ""
    listed_after: int = Field(0, ge=0, le=A_YEAR)
    """So many minutes of the exchange later the account's activities list it."""
    listed: bool = True
    """Whether the account's activities ever list it."""
    times: int | None = Field(1, ge=1, le=A_MILLION)

    @property
    def activity(self) -> ActivityNote:
        return activity_note(
            self.amount, self.activity_type, self.symbol, self.description,
            self.listed_after if self.listed else None,
        )  # fmt: skip


class BarWrong(BarFault):
    """Sends a bar with one value that is wrong."""

    model_config = ConfigDict(allow_inf_nan=True)

    kind = "bar_wrong"

    field: Literal["open", "high", "low", "close", "volume", "vwap"] = "close"
    value: float = 0.0
    """Also ``nan`` and ``inf``."""
    rest: bool = False
    """Whether REST has the wrong one, too; without: REST has the right one."""
