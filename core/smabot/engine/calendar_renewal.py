"""The calendar never ends before the run does: it is read again while it still reaches far enough.

Its next sessions are kept in the database, where screens read them.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH
from smabot.domain.bot_records import Event
from smabot.domain.calendar import Calendar, end_of, new_york_date
from smabot.domain.coming_sessions import sessions_row
from smabot.errors import BrokerError
from smabot.hooks.ports import Broker, Clock
from smabot.system.background_query import BackgroundQuery

AHEAD = timedelta(days=45)
"""So far ahead sessions have to be known."""
EVERY = timedelta(days=1)
ASK_AGAIN = timedelta(hours=1)
"""After a question that was not answered."""


class CalendarRenewal:
    """Reads the broker's calendar again in time, once a day at most."""

    def __init__(
        self, book: Book, broker: Broker, clock: Clock, question: BackgroundQuery[Calendar]
    ) -> None:
        self._book = book
        self._broker = broker
        self._clock = clock
        self._question = question
        self._look_at = EPOCH
        self._kept_for: date | None = None
        self._same_day_until = EPOCH

    def update(self) -> None:
        """Ask where that is due, and take the answer; keep the sessions around each new trading date."""
        now, book = self._clock.now(), self._book
        if now >= self._look_at or self._question.under_way:
            self._renew(now)
        if book.now >= self._same_day_until:
            self._keep_sessions(book)

    @property
    def due_at(self) -> datetime:
        """When `update` has something to do; the beginning of time where it waits for an answer."""
        return EPOCH if self._question.under_way else min(self._look_at, self._same_day_until)

    def _keep_sessions(self, book: Book) -> None:
        self._same_day_until = end_of(new_york_date(book.now))
        day = book.trading_date
        if day != self._kept_for:
            self._kept_for = day
            if row := sessions_row(book.calendar, day):
                book.apply(row)

    def _renew(self, now: datetime) -> None:
        if self._question.answered:
            self._take(now)
        if now < self._look_at or self._question.under_way:
            return
        self._look_at = now + EVERY
        end = self._book.calendar.end
        if end is not None and end - now < AHEAD:
            self._question.begin(self._broker.calendar)
            if self._question.answered:
                self._take(now)

    def _take(self, now: datetime) -> None:
        book = self._book
        try:
            book.calendar.extend(self._question.take_answer())
            self._kept_for, self._same_day_until = None, EPOCH
        except BrokerError as error:
            self._look_at = now + ASK_AGAIN
            text = f"it ends {book.calendar.end:%Y-%m-%d}, and can't be read again: {error}"
            book.apply(Event(book.now, "calendar_ends", "", text, grave=True))
