"""What forbids an entry at the moment it leaves, by what was committed before (rule 4)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from smabot.domain.book import Book
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Status
from smabot.domain.records import Order, SignalState
from smabot.settings.model import Config
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.shares import bar_in_new_shares, followed_splits

MOMENT = timedelta(seconds=2)


class EntryRules:
    """Each rule answers why an entry may not leave now."""

    def __init__(self, journal: Database, most_orders: int) -> None:
        """``most_orders``: of a trading date; 0: any."""
        self._journal = journal
        self._most_orders = most_orders

    def broken_by(
        self, entry: Order, book: Book, config: Config, now: datetime, *, counted: bool
    ) -> Iterator[tuple[str, str]]:
        """Yield the rules that an entry breaks, each with why.

        ``entry`` is as committed, ``counted``: whether the plugin that counts orders is part of the run.
        """
        if entry.cancel_requested_at is not None:
            yield "4 cancel", "though its cancel was requested"
        state = self._journal.row(SignalState, entry.strategy, entry.symbol)
        if state is not None and state.target == 0:
            yield "4 wanted", f"though {entry.strategy} wants flat"
        decided = entry.bar_time + MINUTE
        life = config.max_bar_age + (MINUTE if entry.collared else timedelta(0))
        if now - entry.created_at >= life + MOMENT or entry.created_at - decided >= life + MINUTE:
            yield "4 fresh", f"{now - decided} after its bar"
        if counted and (text := self._too_many(entry, book)):
            yield "4 limit", text
        if text := self._second_bar_missing(entry, config):
            yield "4 collar", text
        if text := self._beside_unknown(entry):
            yield "4 unknown", text
        session = book.calendar.session_at(decided)
        least = timedelta(minutes=config.last_entry_minutes)
        if least and (session is None or session.close - decided < least):
            yield "4 session", "which can only fill in a later session"

    def _too_many(self, entry: Order, book: Book) -> str:
        day_of = book.calendar.trading_date
        today = day_of(entry.created_at)
        before = [
            order
            for order in self._journal.rows(Order)
            if order.status is not Status.BLOCKED
            and order.created_at < entry.created_at
            and day_of(order.created_at) == today
        ]
        if self._most_orders and len(before) >= self._most_orders:
            return f"after {len(before)} orders on {today}, max_orders is {self._most_orders}"
        return ""

    def _second_bar_missing(self, entry: Order, config: Config) -> str:
        """A close outside the price collar may be a bad print: another bar has to agree with it."""
        newest = self._journal.windows(2, [entry.symbol])
        followed = followed_splits(self._journal)
        bars = [bar_in_new_shares(bar, followed) for minute in newest for bar in minute]
        if len(bars) < 2 or not config.price_collar or bars[-1].time != entry.bar_time:
            return ""
        before, at = bars
        if abs(at.close - before.close) <= float(config.price_collar) * before.close:
            return ""
        return f"on a bar that went from {before.close} to {at.close}, before a second one"

    def _beside_unknown(self, entry: Order) -> str:
        for other in self._journal.rows(Order, where={"status": [Status.UNKNOWN]}):
            known_since = other.updated_at or other.created_at
            if (
                other.symbol == entry.symbol
                and other.client_order_id != entry.client_order_id
                and known_since < entry.created_at
            ):
                return f"though it is unknown whether the broker has {other.client_order_id}"
        return ""
