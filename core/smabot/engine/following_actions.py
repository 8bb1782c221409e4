"""Learns of splits and changes of name a session ahead, and lets the book follow them when they are due."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH
from smabot.domain.bot_records import Event
from smabot.domain.calendar import NEVER, end_of, new_york_date
from smabot.domain.corporate_actions import ActionKind, CorporateAction
from smabot.domain.frozen_classes import replace
from smabot.domain.records import ZERO, Adjustment, Position
from smabot.errors import BrokerError
from smabot.hooks.optional_ports import ActionsBroker, announces_actions
from smabot.hooks.ports import Broker, Clock
from smabot.system.background_query import BackgroundQuery

AHEAD = timedelta(days=10)
"""So far ahead they are asked for."""
BACK = timedelta(days=30)
"""So far back at least: bars of that time may warm strategies up."""
LATE = timedelta(minutes=5)
"""After its session's open a split is late that the broker has not followed."""
EVERY = timedelta(hours=6)
ASK_AGAIN = timedelta(hours=1)
"""After a question that was not answered."""


class Announced(NamedTuple):
    """What a broker lists of some symbols, with ex-dates of a span, both ends included."""

    actions: Collection[CorporateAction]
    symbols: frozenset[str]
    since: date
    until: date

    def lacks(self, known: CorporateAction) -> bool:
        """Whether an action is not listed that would be."""
        if known.symbol not in self.symbols or not self.since <= known.ex_date <= self.until:
            return False
        return all(each.action_id != known.action_id for each in self.actions)


class CorporateActions:
    """Asks the broker four times a day, and applies what is due between two steps' decisions."""

    def __init__(
        self,
        book: Book,
        broker: Broker,
        clock: Clock,
        symbols: Collection[str],
        question: BackgroundQuery[Announced],
    ) -> None:
        self._book = book
        self._broker = broker if announces_actions(broker) else None
        self._clock = clock
        self._symbols = frozenset(symbols)
        self._question = question
        self._look_at = NEVER if self._broker is None else clock.now() + EVERY
        """The start has asked already."""
        self._next_due = EPOCH
        self._told: dict[str, datetime] = {}
        """When an operator was told last that the broker has not followed a split."""

    def update(self) -> None:
        """Ask where that is due, and take the answer."""
        if self._broker is None:
            return
        now = self._clock.now()
        if self._question.answered:
            self._take(now)
        if now >= self._look_at and not self._question.under_way:
            self._look_at = now + EVERY
            self._question.begin(_question(self._broker, self._book, self._symbols, now))
            if self._question.answered:
                self._take(now)

    def follow(self) -> bool:
        """Let the book follow what is due; returns whether prices are now in other shares."""
        now = self._book.now
        if now < self._next_due:
            return False
        due = self._book.splits.due(now)
        split = [follow_action(self._book, action) for action in due]
        for action in self._book.splits.open():
            if action.kind is ActionKind.RENAME or not action.applied_at:
                continue
            if now >= (late_at := self._late_at(action)):
                self._told[action.action_id] = late_at
                self._book.apply(late_event(action, late_at))
        self._note_next(now)
        return any(split)

    @property
    def due_at(self) -> datetime:
        """When `update` or `follow` has something to do."""
        if self._question.under_way or self._book.splits.is_awaited(self._book.now):
            return EPOCH
        return min(self._look_at, self._next_due)

    def _note_next(self, now: datetime) -> None:
        waiting = [
            self._late_at(each) if each.applied_at else each.effective_at
            for each in self._book.splits.open()
        ]
        self._next_due = min(waiting, default=now + EVERY)

    def _late_at(self, action: CorporateAction) -> datetime:
        """Return when an operator is told next that the broker has not followed: once in each session."""
        told = self._told.get(action.action_id)
        since = max(action.effective_at, self._book.now)
        if told is not None:
            since = max(since, end_of(new_york_date(told)))
        session = self._book.calendar.next_session(since)
        return (since + EVERY if session is None else session.open) + LATE

    def _take(self, now: datetime) -> None:
        try:
            learn_actions(self._book, self._question.take_answer(), now)
        except BrokerError as error:
            self._look_at = now + ASK_AGAIN
            self._book.apply(unread_event(self._book, error))
        self._next_due = EPOCH


def read_actions(book: Book, broker: Broker, symbols: Collection[str], now: datetime) -> None:
    """Ask the broker now, and let the book learn what it says. An unread answer costs an event."""
    if not announces_actions(broker):
        return
    try:
        learn_actions(book, _question(broker, book, symbols, now)(), now)
    except BrokerError as error:
        book.now = max(book.now, now)
        book.apply(unread_event(book, error))


def learn_actions(book: Book, announced: Announced, now: datetime) -> None:
    """Keep actions that are new, or whose terms have changed before they were followed; drop those that are not
    announced any more."""
    for known in book.splits.open():
        if known.applied_at is None and announced.lacks(known):
            book.apply(replace(known, confirmed_at=now))
            text = f"{known.text}: the broker does not announce it any more"
            book.apply(Event(max(now, book.now), "split_withdrawn", known.symbol, text))
    for action in sorted(announced.actions, key=lambda each: (each.ex_date, each.action_id)):
        terms = replace(action, seen_at=None, applied_at=None, confirmed_at=None)
        before = book.splits.all.get(action.action_id)
        if before is not None and (before.applied_at or replace(before, seen_at=None) == terms):
            continue
        if action.new_shares <= 0 or action.old_shares <= 0:
            continue
        book.apply(replace(terms, seen_at=now))
        if action.effective_at > now:
            book.apply(Event(max(now, book.now), "split_announced", action.symbol, action.text))


def follow_action(book: Book, action: CorporateAction) -> bool:
    """Let positions and prices follow an action; returns whether it was a split.

    Shares that were traded since its ex-date began are in new shares already.
    """
    now = book.now
    if action.kind is ActionKind.RENAME:
        _follow_rename(book, action)
        return False
    held = _held_before(book, action)
    book.apply(replace(action, applied_at=now, confirmed_at=None if held else now))
    for position in held:
        change = action.new_qty(position.qty) - position.qty
        at, who, why = action.effective_at, position.strategy, action.text
        book.apply(Adjustment(at, who, action.symbol, change, ZERO, why))
    if held:
        before = sum((position.qty for position in held), ZERO)
        text = f"{action.text}: {_shares(before)} are {_shares(book.net(action.symbol))}; nothing is traded until the broker follows"
        book.apply(Event(now, "split", action.symbol, text))
    return True


def _follow_rename(book: Book, action: CorporateAction) -> None:
    """Move what is held to the new symbol, at its cost."""
    now, held = book.now, _held_before(book, action)
    book.apply(replace(action, applied_at=now, confirmed_at=None if held else now))
    for position in held:
        at, signed = action.effective_at, position.cost * (1 if position.qty > 0 else -1)
        price, why = position.avg_price, action.text
        gone = Adjustment(at, position.strategy, action.symbol, -position.qty, price, why, signed)
        come = Adjustment(
            at, position.strategy, action.new_symbol, position.qty, price, why, -signed
        )
        book.apply(gone)
        book.apply(come)
    text = f"{action.text}: name {action.new_symbol} in `symbols`, and run smabot again to trade it"
    book.apply(Event(now, "renamed", action.symbol, text, grave=True))


def _held_before(book: Book, action: CorporateAction) -> list[Position]:
    positions = book.in_symbol(action.symbol).values()
    return sorted(
        (each for each in positions if each.qty and each.updated_at < action.effective_at),
        key=lambda each: each.strategy,
    )


def late_event(action: CorporateAction, at: datetime) -> Event:
    """Return the event of a split that the broker has not followed when its session opened."""
    text = (
        f"the market is open, and the broker has not followed the {action.text}: nothing is bought or sold in it until "
        "it has; if it takes a week, the difference is a conflict"
    )
    return Event(at, "split_awaited", action.symbol, text, grave=True)


def unread_event(book: Book, error: BrokerError) -> Event:
    """Return the event of actions that could not be read."""
    text = f"splits can't be read: {error}; one that is not known stops the bot by a conflict"
    return Event(book.now, "actions_unread", "", text)


def _question(
    broker: ActionsBroker, book: Book, symbols: Collection[str], now: datetime
) -> Callable[[], Announced]:
    known = book.point.time if book.point is not None else now
    since, until = new_york_date(min(known, now - BACK)), new_york_date(now + AHEAD)
    asked = sorted({*symbols, *book.at_risk()})
    return lambda: Announced(
        broker.corporate_actions(asked, since, until), frozenset(asked), since, until
    )


def _shares(qty: Decimal) -> str:
    return f"{qty.normalize():f} shares"
