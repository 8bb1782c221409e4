"""What forbids an exit at the moment it leaves (rules 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from smabot.domain.book import Book
from smabot.domain.order_terms import Status
from smabot.domain.records import ZERO, Order, Position
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.step_rules import OPEN_AT_BROKER

LOST_AFTER = timedelta(minutes=1)


class ExitRules:
    """Each rule answers why an exit may not leave now."""

    def __init__(self, journal: Database) -> None:
        self._journal = journal

    def broken_by(self, exit_: Order, book: Book, now: datetime) -> Iterator[tuple[str, str]]:
        """Yield the rules that an exit breaks, each with why. ``exit_`` is as committed."""
        for other in book.working(exit_.symbol):
            in_the_way = not other.reduces and other.status in OPEN_AT_BROKER
            if in_the_way and other.cancel_requested_at is None:
                yield "6 way", f"and would meet our own {other.client_order_id}"
        position = self._journal.row(Position, exit_.strategy, exit_.symbol)
        held = position.qty if position is not None else ZERO
        selling = sum((abs(other.open_qty) for other in self._exits_beside(exit_, now)), ZERO)
        if selling > -held * exit_.side.sign:
            yield "5 exits", f"so that {selling} are being sold, and {held} are held"

    def _exits_beside(self, exit_: Order, now: datetime) -> Iterator[Order]:
        """Yield a holding's exits that may still sell, this one too: not one that was canceled a while ago and
        may never have arrived."""
        where = {"strategy": exit_.strategy, "symbol": exit_.symbol, "reduces": True}
        for order in self._journal.rows(Order, where=where):
            asked = order.cancel_requested_at
            lost = asked is not None and now - asked >= LOST_AFTER
            if not (lost and order.status is Status.UNKNOWN):
                yield order
