"""Movements of cash that the broker tells of and the database does not have yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from loguru import logger

from smabot.domain.book import Book
from smabot.domain.book_view import BookView
from smabot.domain.bot_records import BotState, Event
from smabot.domain.calendar import new_york_date
from smabot.domain.cash_movements import CashMovement
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Adjustment
from smabot.errors import BrokerError
from smabot.hooks.account_activities import CashActivity, tells_activities
from smabot.hooks.ports import Rows

LATE = timedelta(days=14)
"""How much later than it is dated an activity may appear, or another one be dated that appeared before it."""
COUNTED_FROM = ("core", "cash_counted_from")
"""The value that says since when movements of cash are counted."""
MICROSECOND = timedelta(microseconds=1)


def begin_counting(book: Book, broker: Any, now: datetime) -> bool:
    """Note the movements that were there before the bot counts any: the account's cash has them.

    At the first start with a broker that tells them; returns whether this is it. A later one tries again
    where they can't be read.
    """
    if not tells_activities(broker) or book.row(BotState, *COUNTED_FROM) is not None:
        return False
    try:
        found = broker.cash_activities(new_york_date(now) - LATE)
    except BrokerError as error:
        logger.warning("movements of cash are not explained in this run: {}", error)
        return False
    for each in found:
        book.apply(movement_of(each, now, counted=False))
    book.apply(BotState(*COUNTED_FROM, now.isoformat()))
    return True


def cash_since(book: BookView, journal: Rows) -> date | None:
    """Return the date since which new activities may be booked; None where none are counted."""
    if book.row(BotState, *COUNTED_FROM) is None or book.account is None:
        return None
    newest = journal.rows(CashMovement, newest_by="booked_on", limit=1)
    booked = [min(each.booked_on, new_york_date(each.seen_at)) for each in newest]
    return max([new_york_date(book.account.bound_at), *booked]) - LATE


def unbooked(
    found: Iterable[CashActivity], journal: Rows, now: datetime
) -> tuple[CashMovement, ...]:
    """Return the movements that the database does not have, oldest first."""
    new = {each.activity_id: each for each in found}
    if not new:
        return ()
    known = journal.rows(CashMovement, where={"activity_id": list(new)})
    for row in known:
        del new[row.activity_id]
    return tuple(movement_of(each, now) for each in new.values())


def booking(rows: Sequence[object], book: Book, journal: Rows) -> list[object]:
    """Return what a comparison has found, as it is to be applied: movements and adjustments have events beside them.

    Each adjustment gets a time of its own, where the feed's clock may stand still.
    """
    if not rows:
        return []
    newest = journal.rows(Adjustment, newest_by="time", limit=1)
    account = book.account.account_id if book.account is not None else ""
    booked: list[object] = []
    for row in rows:
        if isinstance(row, Adjustment):
            book.now = max([book.now, *(each.time + MICROSECOND for each in newest)])
            row = replace(row, time=book.now)
            newest = [row]
            booked += [adjustment_event(row, account), row]
            continue
        if isinstance(row, CashMovement) and row.counted:
            booked.append(Event(book.now, "cash_moved", row.symbol or account, told(row)))
        booked.append(row)
    return booked


def told(row: CashMovement) -> str:
    """Return a movement in words."""
    what = f"{row.kind} of {row.amount:+,.2f}" + (f" of {row.symbol}" if row.symbol else "")
    more = f": {row.description}" if row.description else ""
    return f"{what}, booked on {row.booked_on}{more}"


def adjustment_event(row: Adjustment, account: str) -> Event:
    """Return the event that tells of an adjustment: of its symbol, or of the account for cash alone."""
    parts = [f"{row.qty:+f} shares of {row.strategy or 'no strategy'}"] if row.symbol else []
    parts += [f"{row.cash:+,.2f} cash"] if row.cash else []
    text = f"{', '.join(parts)}: {row.reason}"
    return Event(row.time, "adjustment", row.symbol or account, text)


def movement_of(activity: CashActivity, now: datetime, *, counted: bool = True) -> CashMovement:
    """Return the row that books an activity."""
    return CashMovement(
        activity.activity_id, activity.kind, activity.amount, activity.symbol, activity.booked_on,
        activity.description, now, counted,
    )  # fmt: skip
