"""Values the account at each minute, before anybody decides on it, and after fills."""

from __future__ import annotations

from datetime import datetime, timedelta

from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH
from smabot.domain.records import EquityPoint
from smabot.hooks.plugins import Plugins


class MarkToMarket:
    """Makes points of the equity curve: one a minute that has a bar, and one after fills
    and prices that were asked for."""

    def __init__(self, book: Book, plugins: Plugins, every_minutes: int) -> None:
        self._book = book
        self._plugins = plugins
        self._every = timedelta(minutes=every_minutes)
        self._keeps_all = every_minutes == 1

    def mark_minute(self, time: datetime) -> None:
        """Value the account at a minute's close, whatever was valued since it ended."""
        last = self._book.point
        at = last.time if last is not None and last.time > time else time
        self._mark(at, keep=self._keeps_all or self._due(at))

    def mark_at(self, time: datetime) -> None:
        """Value the account after fills of that time, or where prices were asked for."""
        last = self._book.point
        self._mark(max(time, last.time) if last else time, keep=True)

    def _due(self, time: datetime) -> bool:
        """Whether a minute's point is kept; always where it replaces one of the same time."""
        last, every = self._book.point, self._every
        if last is None or time == last.time:
            return True
        return (time - EPOCH) // every > (last.time - EPOCH) // every

    def _mark(self, time: datetime, *, keep: bool) -> None:
        """Value the account and call `on_equity`; ``keep`` makes it a point of the curve."""
        book = self._book
        account = book.account
        if account is None:
            return
        cash, value = account.cash, book.positions_value()
        point = EquityPoint(time, cash + value, cash, value, book.realized_pnl())
        if not keep or book.apply(point):
            self._plugins.on_equity(point, book)
