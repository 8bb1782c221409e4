"""Finds the sessions that have closed and of which plugins are still to be told, each once over restarts."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, datetime, timedelta
from operator import attrgetter

from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH
from smabot.domain.bot_records import BotState
from smabot.domain.calendar import Session
from smabot.domain.closed_sessions import ClosedSession, closed_session
from smabot.domain.records import EquityPoint
from smabot.hooks.ports import Journal

CORE, TOLD_DATE = "core", "session_told"
"""Where ``bot_state`` has the newest trading date that was told."""
LAST_FILLS = timedelta(minutes=2)
"""So long after a close its last fills are waited for."""


class SessionCloses:
    """Knows which trading date is to be told next. Times are the feed's."""

    def __init__(self, journal: Journal, book: Book) -> None:
        self._journal = journal
        self._book = book
        told = journal.row(BotState, CORE, TOLD_DATE)
        self._told = None if told is None else date.fromisoformat(told.value)
        self._due_at = EPOCH

    def take(self, *, at_end: bool = False) -> ClosedSession | None:
        """Return the next session that has closed and in which a bot ran; None where there is none.

        ``at_end``: the run ends, and no fill is waited for.
        """
        now = self._book.now
        if now == EPOCH or (now < self._due_at and not at_end):
            return None
        while (session := self._next()) is not None:
            self._due_at = session.close + LAST_FILLS
            if now < (session.close if at_end else self._due_at) or not self._all_committed():
                return None
            self._told = session.date
            if (found := closed_session(self._journal, self._book.calendar, session)) is not None:
                self._due_at = EPOCH
                return found
        return None

    @staticmethod
    def told(closed: ClosedSession) -> BotState:
        """Return the row that keeps a session as told."""
        return BotState(CORE, TOLD_DATE, closed.date.isoformat())

    def _next(self) -> Session | None:
        """Return the session after the last one that was told; at first the newest that has equity."""
        calendar = self._book.calendar
        if self._told is None:
            newest = self._newest_point()
            self._told = calendar.trading_date(newest or self._book.now) - timedelta(days=1)
        place = bisect_right(calendar.sessions, self._told, key=attrgetter("date"))
        return calendar.sessions[place] if place < len(calendar.sessions) else None

    def _all_committed(self) -> bool:
        """Whether no minute still waits for its commit."""
        point, newest = self._book.point, self._newest_point()
        return point is None or (newest is not None and newest >= point.time)

    def _newest_point(self) -> datetime | None:
        newest = self._journal.rows(EquityPoint, newest_by="time", limit=1)
        return newest[-1].time if newest else None
