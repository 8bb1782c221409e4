"""Splits and changes of name: what becomes of a symbol's shares on its ex-date."""

from __future__ import annotations

from datetime import UTC, date, datetime
from datetime import time as clock_time
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from smabot.domain.calendar import EXCHANGE_ZONE
from smabot.domain.tables import record

SHARE = Decimal("1E-9")
"""The smallest part of a share that brokers keep."""


class ActionKind(StrEnum):
    """What a corporate action does to a symbol's shares."""

    SPLIT = "split"
    """Shares are split, or merged; stock dividends are splits too."""
    RENAME = "rename"
    """The shares have another symbol."""


@record(table="corporate_actions", key=("action_id",))
class CorporateAction:
    """A corporate action of a symbol, and how far the bot and its broker have followed it.

    From ``ex_date`` on, in New York, the symbol is traded in new shares: of ``old_shares`` before it there are
    ``new_shares`` after it. ``new_symbol`` is what a renamed symbol is called since.

    ``seen_at`` is when the bot learned of it, ``applied_at`` when its books followed, and ``confirmed_at`` when
    the broker was seen to have followed, too: all UTC, by the feed's clock. With ``confirmed_at`` alone the broker
    has withdrawn it.
    """

    action_id: str
    symbol: str
    kind: ActionKind
    ex_date: date
    new_shares: Decimal = Decimal(1)
    old_shares: Decimal = Decimal(1)
    new_symbol: str = ""
    seen_at: datetime | None = None
    applied_at: datetime | None = None
    confirmed_at: datetime | None = None

    @property
    def effective_at(self) -> datetime:
        """When prices and shares are those after it: the midnight in New York that begins ``ex_date``, UTC."""
        return datetime.combine(self.ex_date, clock_time(), EXCHANGE_ZONE).astimezone(UTC)

    @property
    def ratio(self) -> Decimal:
        """New shares for one old share."""
        return self.new_shares / self.old_shares

    def new_qty(self, qty: Decimal) -> Decimal:
        """Return what a number of shares is after it, to a billionth of a share."""
        return whole_or_parts(qty * self.new_shares / self.old_shares)

    def old_qty(self, qty: Decimal) -> Decimal:
        """Return what a number of shares was before it."""
        return whole_or_parts(qty * self.old_shares / self.new_shares)

    @property
    def text(self) -> str:
        """It in words."""
        if self.kind is ActionKind.RENAME:
            return f"{self.symbol} is {self.new_symbol} from {self.ex_date} on"
        return f"{self.new_shares:f}:{self.old_shares:f} split of {self.symbol} on {self.ex_date}"


def whole_or_parts(qty: Decimal) -> Decimal:
    """Return a number of shares as whole ones where it is, else to a billionth of a share."""
    return plain_shares(qty.quantize(SHARE))


def plain_shares(qty: Decimal) -> Decimal:
    """Return a number of shares as a restart reads it: sums of fractions have zeros at their end, and texts say so."""
    whole = qty.to_integral_value()
    return whole if whole == qty else qty.normalize()


def whole_shares(qty: Decimal) -> Decimal:
    """Return a number of shares without its fraction."""
    return qty.quantize(Decimal(1), ROUND_DOWN)
