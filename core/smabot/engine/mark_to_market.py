"""Values the account at each minute, before anybody decides on it, and after fills."""

from __future__ import annotations

from datetime import datetime, timedelta

from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH
from smabot.domain.equity_bounds import EquityBounds
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
        self._bounds: EquityBounds | None = None
        """Within them no plugin needs to be told; None: all are told."""

    def end_calm(self) -> None:
        """Something else than bars has come, or was decided: tell the plugins of the next point in any case."""
        self._bounds = None

    def mark_minute(self, time: datetime, *, calm: bool = False) -> None:
        """Value the account at a minute's close, whatever was valued since it ended.

        ``calm``: nothing but bars has come since the minute before, so that bounds may hold.
        """
        last = self._book.point
        at = last.time if last is not None and last.time > time else time
        self._mark(at, keep=self._keeps_all or self._due(at), calm=calm and self._keeps_all)

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

    def _mark(self, time: datetime, *, keep: bool, calm: bool = False) -> None:
        """Value the account and tell the plugins, unless bounds hold; ``keep`` makes it a point of the curve."""
        book = self._book
        account = book.account
        if account is None:
            return
        cash, value = account.cash, book.positions_value()
        point = EquityPoint(time, cash + value, cash, value, book.realized_pnl())
        if keep and not book.apply(point):
            return
        if calm and self._bounds is not None and self._bounds.holds(point.equity, time):
            return
        bounds = self._plugins.on_equity(point, book)
        self._bounds = bounds if calm else None
