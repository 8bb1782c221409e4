"""What came to the account or left it without being earned, by time: adjustments, and moved cash."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from heapq import merge
from operator import attrgetter
from typing import Any, Protocol

from smabot.domain.book_view import BookView
from smabot.domain.cash_movements import CashMovement
from smabot.domain.records import Adjustment

CENT = Decimal("0.01")


class OutsideChange(Protocol):
    """A row that may have changed what the account is worth without a profit or loss."""

    @property
    def time(self) -> datetime:
        """When it changed the account here, by the feed's clock, UTC."""
        ...

    @property
    def from_outside(self) -> Decimal:
        """US dollars that came, negative: went."""
        ...


def cash_differs(book: BookView, cash: Decimal) -> bool:
    """Whether a broker's cash differs from the book's by a cent or more."""
    return book.account is not None and abs(cash - book.account.cash) >= CENT


def outside_changes(
    rows: Any, since: datetime | None = None, adjustments: Iterable[Adjustment] | None = None
) -> list[OutsideChange]:
    """Return the changes that a journal has, oldest first; with ``since`` those from then on.

    ``adjustments``: those that were read already, oldest first.
    """
    begin = {} if since is None else {"since": ("time", since)}
    if adjustments is None:
        adjustments = rows.rows(Adjustment, newest_by="time", **begin)
    begin = {} if since is None else {"since": ("seen_at", since)}
    moved = rows.rows(CashMovement, newest_by="seen_at", **begin)
    return list(merge(adjustments, moved, key=attrgetter("time")))
