"""Cash that came to the account or left it without a trade, as the broker's account activities tell it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from smabot.domain.tables import record

_NOTHING = Decimal(0)


class CashKind(StrEnum):
    """Why cash moved. Dividends, interest and fees are the account's profit or loss; the rest is none."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    JOURNAL = "journal"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    FEE = "fee"
    OTHER = "other"

    @property
    def earned(self) -> bool:
        """Whether it is profit or loss of the account. It is never that of a trade."""
        return self in (CashKind.DIVIDEND, CashKind.INTEREST, CashKind.FEE)


@record(table="cash_movements", key=("activity_id",), restore=False)
class CashMovement:
    """One movement of cash, by the broker's id of its activity: it counts once, however often it is reported.

    ``amount`` is signed, US dollars; ``symbol`` is empty where it is of none. ``booked_on`` is the broker's
    date, ``seen_at`` when the bot took it over, by the feed's clock, UTC. Not ``counted``: it had moved the
    cash before the bot began to count, and changed nothing here.
    """

    activity_id: str
    kind: CashKind
    amount: Decimal
    symbol: str
    booked_on: date
    description: str
    seen_at: datetime
    counted: bool = True

    @property
    def time(self) -> datetime:
        """When it changed the account here."""
        return self.seen_at

    @property
    def from_outside(self) -> Decimal:
        """What the account is worth more by it and has not earned: a deposit; negative: a withdrawal."""
        return self.amount if self.counted and not self.kind.earned else _NOTHING
