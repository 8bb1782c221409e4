"""Nothing held goes without a price: asks for those that no bar brings, once a minute in a session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH, STALE
from smabot.domain.bot_records import Event
from smabot.domain.calendar import MINUTE, NEVER
from smabot.domain.records import ZERO, Mark
from smabot.engine.gate import Standing
from smabot.errors import BrokerError
from smabot.hooks.optional_ports import PricedFeed
from smabot.hooks.ports import Feed
from smabot.system.background_query import BackgroundQuery

NO_PRICE, PRICE_AGAIN = "no_price", "price_again"
"""The kinds of events; their subject is the symbol."""
ASK_AGAIN = timedelta(seconds=10)
"""After a question that was not answered."""


class PriceRequests:
    """Watches the age of the price of all that is held or ordered.

    A symbol without a bar for `STALE` is asked for; where that gives no price either, entries are
    blocked for as long as it is held. It is asked for at the first step of a minute at which it is due,
    so that a process that was started again asks at the same moments.
    """

    def __init__(
        self, book: Book, feed: Feed, standing: Standing, question: BackgroundQuery[list[Mark]]
    ) -> None:
        self._book = book
        self._feed = feed
        self._standing = standing
        self._question = question
        self._asked: list[str] = []
        self._asked_in = self._not_before = self._fresh_until = EPOCH
        self._changes = -1
        """The book's count of changes when nothing was stale before ``_fresh_until``."""
        self._without: set[str] = set()

    def is_now(self, time: datetime) -> bool:
        """Whether a step of that time is of the current minute, so that no bars follow that it lacks."""
        return self._feed.now() - time < MINUTE

    def update(self) -> bool:
        """Ask where that is due, and take the answer; returns whether it gave a price."""
        now, book = self._feed.now(), self._book
        if now < self._fresh_until and book.changes == self._changes:
            return False
        priced = self._take(now) if self._question.answered else False
        if self._question.under_way or now < self._not_before:
            return priced
        stale = [s for s in book.at_risk() if book.age(_bar_end(book, s), now) >= STALE]
        minute = now.replace(second=0, microsecond=0)
        if stale and minute == self._asked_in and set(stale) <= set(self._asked):
            return priced
        self._asked, self._asked_in = stale, minute
        if not stale:
            if self._without:
                self._judge(now, "")
            self._note_freshness(now)
            return priced
        self._question.begin(self._ask)
        return (self._take(now) if self._question.answered else False) or priced

    def _note_freshness(self, now: datetime) -> None:
        """Note until when nothing that is held or ordered now can get stale: ages count from a session's open."""
        book, at_risk = self._book, self._book.at_risk()
        self._changes, self._fresh_until = book.changes, NEVER
        if at_risk:
            oldest, session = now, book.calendar.session_at(now)
            if session is not None:
                ends = [_bar_end(book, symbol) or session.open for symbol in at_risk]
                oldest = max(min(ends), session.open)
            self._fresh_until = oldest + STALE

    def _ask(self) -> list[Mark]:
        if not isinstance(self._feed, PricedFeed):
            raise BrokerError("this feed can't be asked for a price")
        return self._feed.prices(self._asked)

    def _take(self, now: datetime) -> bool:
        try:
            marks, why = self._question.take_answer(), "the broker has none"
        except BrokerError as error:
            marks, why = [], str(error)
            self._asked_in, self._not_before = EPOCH, now + ASK_AGAIN
        news = [self._book.apply(mark) for mark in marks]
        self._judge(now, why)
        return any(news)

    def _judge(self, now: datetime, why: str) -> None:
        """Say which symbols are held without a price, and what that blocks."""
        book = self._book
        without = [s for s in self._asked if book.net(s) and book.stale(s, now)]
        for symbol in sorted(set(without) - self._without):
            text = f"no price since {_since(book, symbol)}, and none can be had: {why}"
            book.apply(Event(book.now, NO_PRICE, symbol, text, grave=True))
        for symbol in sorted(self._without.difference(without)):
            price = book.price(symbol) or ZERO
            text = f"it has a price again: {price.normalize():f}"
            book.apply(Event(book.now, PRICE_AGAIN, symbol, text))
        self._without = set(without)
        self._standing.unpriced = _unpriced(book, without)


def _unpriced(book: Book, symbols: Sequence[str]) -> str:
    if not symbols:
        return ""
    more = f" and {len(symbols) - 1} more" if len(symbols) > 1 else ""
    return f"{symbols[0]}{more}, which is held, has no price since {_since(book, symbols[0])}"


def _since(book: Book, symbol: str) -> str:
    time = book.priced_at(symbol)
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "the start"


def _bar_end(book: Book, symbol: str) -> datetime | None:
    bar = book.last.get(symbol)
    return bar.end if bar else None
