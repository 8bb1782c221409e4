"""The audit of each session, once, after its close, beside the deciding thread."""

from __future__ import annotations

from datetime import datetime, timedelta

from loguru import logger

from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH
from smabot.domain.bot_records import BotState, Event
from smabot.domain.calendar import NEVER, Session
from smabot.domain.frozen_classes import replace
from smabot.engine.auditing.audit_table import Audit, audit_records
from smabot.engine.auditing.own_records import Span, own_records
from smabot.engine.auditing.statement import Statement, ask_statement
from smabot.errors import BrokerError
from smabot.hooks.account_activities import tells_activities
from smabot.hooks.ports import Broker, Clock, Journal, goes_by_itself
from smabot.settings.model import Config
from smabot.system.background_query import BackgroundQuery

AFTER_CLOSE = timedelta(minutes=10)
"""How long after the close a broker whose market goes on by itself is asked."""
ASK_AGAIN = timedelta(minutes=10)
AUDITED = ("core", "audited_until")
"""The value that says until when sessions are audited: the last one's close."""
BOOKED_IN = timedelta(minutes=1)
"""How long after a comparison its movements of cash are booked."""
MOST_TRIES = 3
MOST_NAMED = 3
"""Differences that the event names."""


class SessionAudit:
    """Compares each session's fills and cash with the broker's, and writes an event about it.

    Nothing waits for it. The account's cash of now is compared only while nothing is traded.
    """

    def __init__(
        self,
        config: Config,
        book: Book,
        journal: Journal,
        broker: Broker,
        clock: Clock,
        question: BackgroundQuery[Statement],
    ) -> None:
        self._config = config
        self._book = book
        self._journal = journal
        self._broker = broker
        self._clock = clock
        self._question = question
        self._after = AFTER_CLOSE if goes_by_itself(broker) else timedelta(0)
        self._is_on = config.audit and tells_activities(broker)
        self._asked: tuple[int, Session, Span] | None = None
        self._session: Session | None = None
        self._tries = 0
        self._due = EPOCH

    @property
    def due_at(self) -> datetime:
        """When `update` has something to do, by the feed's clock; long ago where it waits for an answer."""
        if not self._is_on:
            return NEVER
        return self._due if self._asked is None else EPOCH

    def _now(self) -> datetime:
        """Return until when the bot has seen what happened: a paced feed may be ahead of it."""
        return min(self._clock.now(), self._book.now)

    @property
    def begins(self) -> bool:
        """Whether `update` asks the broker: a session has closed that was not audited."""
        if not self._is_on or self._asked is not None or self._now() < self._due:
            return False
        self._session = self._due_session()
        return self._session is not None

    def update(self) -> bool:
        """Ask where a session is due, and take the answers; returns whether it wrote an event."""
        if self._session is not None:
            session, self._session = self._session, None
            self._begin(session)
        return self._asked is not None and self._question.answered and self._take(*self._asked)

    def _begin(self, session: Session) -> None:
        account = self._book.account
        begin = self._audited_until() or (account.bound_at if account is not None else session.open)
        span = Span.from_time(self._journal, begin, session.close)
        self._asked = self._book.changes, session, span
        self._question.begin(
            lambda: ask_statement(self._broker, span.orders_since, span.cash_since)
        )

    def _due_session(self) -> Session | None:
        """Return the last session that has closed, where it was not audited; also find when the next is due."""
        now, calendar = self._now(), self._book.calendar
        coming = calendar.next_session(now - self._after)
        self._due = coming.close + self._after if coming is not None else now + ASK_AGAIN
        closed = [each for each in calendar.sessions if each.close + self._after <= now]
        account = self._book.account
        if not closed or account is None or closed[-1].close <= account.bound_at:
            return None
        audited = self._audited_until()
        return closed[-1] if audited is None or audited < closed[-1].close else None

    def _audited_until(self) -> datetime | None:
        row = self._book.row(BotState, *AUDITED)
        return None if row is None else datetime.fromisoformat(row.value)

    def _take(self, changes: int, session: Session, span: Span) -> bool:
        self._asked = None
        try:
            statement = self._question.take_answer()
        except BrokerError as error:
            logger.info("the session's audit waits: {}", error)
            self._due = self._now() + ASK_AGAIN
            return False
        seen = {each.broker_order_id for each in statement.executions}
        own = own_records(self._journal, span, seen)
        moved = tuple(each for each in statement.activities if span.has_day(each.booked_on))
        statement = replace(statement, activities=moved)
        still = changes == self._book.changes and not self._book.calendar.session_at(self._now())
        found = audit_records(
            own, statement, self._config.bot, cash=still, foreign=self._config.foreign
        )
        if self._tries < MOST_TRIES and any(each.is_late for each in found.differences):
            self._tries, self._due = self._tries + 1, self._now() + BOOKED_IN
            return False
        self._tries = 0
        at = self._book.now if self._after else session.close
        self._book.apply(audit_event(found, session, at))
        self._book.apply(BotState(*AUDITED, session.close.isoformat()))
        return True


def audit_event(found: Audit, session: Session, now: datetime) -> Event:
    """Return the event that says how a session's audit ended."""
    day = session.date.isoformat()
    if found.agrees:
        return Event(now, "audit_agreed", day, f"{found.told()}: all agree with the broker's")
    named = [
        f"{each.kind} {each.what}: {each.here} here, {each.there} at the broker"
        for each in found.differences[:MOST_NAMED]
    ]
    if len(found.differences) > MOST_NAMED:
        named.append(f"and {len(found.differences) - MOST_NAMED} more")
    return Event(now, "audit_differs", day, f"{'; '.join(named)}: see `smabot audit`", grave=True)
