"""Reconciliation at the start: compare database and broker, refuse on a conflict, accept on demand."""

from __future__ import annotations

from datetime import datetime

from smabot.domain.book import Book
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Account, Batch
from smabot.engine.loop import Engine
from smabot.engine.reconciling.cash_activities import begin_counting, booking
from smabot.engine.reconciling.cash_reading import CashReading
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.bot_session import BotSession
from smabot.engine.transaction import Watcher
from smabot.errors import AccountBlocked
from smabot.hooks.ports import Broker
from smabot.hooks.recovery_answers import Reconciliation


def compare_with_broker(session: BotSession) -> Reconciliation | None:
    """Ask the plugins how database and broker differ; changes neither.

    The first start binds the book to the broker's account. None: no plugin compares.
    """
    _, broker, feed = session.opened()
    now = feed.now()
    begun = begin_counting(session.book, broker, now)
    recovery = session.recovery()
    _bind_account(session.book, recovery.broker, now)
    if not begun:
        movements = CashReading(recovery).movements(broker, None)
        recovery = replace(recovery, movements=movements)
    return session.plugins.reconcile(recovery)


def accept_broker_state(session: BotSession, found: Reconciliation) -> None:
    """Make the database agree with the broker, in one transaction that all plugins see.

    Each adjustment has a time of its own, where the feed's clock may stand still, and an event beside it.
    """
    journal, broker, feed = session.opened()
    engine = Engine(
        session.config, session.plugins, session.book, journal, broker, feed, session.symbols
    )
    book = session.book
    book.now = max(book.now, feed.now())
    session.plugins.on_startup_recover(session.recovery())
    conflicts = [row for conflict in found.conflicts for row in conflict.remedy]
    remedies = booking((*conflicts, *found.booked, *found.remedy), book, journal)
    engine.adopt(found.updates, remedies)


def reconciled_engine(session: BotSession, watch: Watcher | None) -> Engine:
    """Return an engine whose book has the broker's news.

    Raises ReconciliationConflict, and AccountBlocked where the account may not trade.
    """
    _refuse_blocked_account(session)
    journal, broker, feed = session.opened()
    engine = Engine(
        session.config,
        session.plugins,
        session.book,
        journal,
        broker,
        feed,
        session.symbols,
        watch,
        session.enterable,
        session.surroundings,
    )
    begun_at = feed.now()
    result = _reconcile(session)
    with session.report.step("plugins") as found:
        _recover_plugins(session, result, found)
        _refuse_blocked_account(session)  # it may have been blocked since the broker was connected
        engine.comparison.note_agreement(begun_at)
        engine.book_cash(result.booked if result else ())
        engine.process(Batch(feed.now(), updates=result.updates if result else ()))
        if result is not None and result.followed:
            engine.adopt((), result.followed)
        if session.book.splits.open():
            engine.compare()  # the start's own comparison was in shares of before a split
    return engine


def _refuse_blocked_account(session: BotSession) -> None:
    account = session.account
    if account is not None and account.blocked:
        raise AccountBlocked(f"account {account.account_id} may not trade: {account.blocked}")


def _reconcile(session: BotSession) -> Reconciliation | None:
    with session.report.step("reconcile") as found:
        result = compare_with_broker(session)
        if result is None:
            found.append("OFF: no plugin compares the database with the broker")
        else:
            agreed = [] if result.conflicts else ["agrees with the broker"]
            found += result.notes or agreed or ["disagrees with the broker"]
    return result


def _recover_plugins(session: BotSession, result: Reconciliation | None, found: list[str]) -> None:
    """Let the plugins recover. Raises ReconciliationConflict on theirs and those of the comparison."""
    conflicts = list(result.conflicts) if result else []
    session.book.now = max(session.book.now, session.opened().feed.now())
    for name, answer in session.plugins.on_startup_recover(session.recovery()):
        found.append(f"{name} {answer.restored}")
        conflicts += answer.conflicts
    if conflicts:
        raise ReconciliationConflict(conflicts)


def _bind_account(book: Book, broker: Broker, now: datetime) -> None:
    """At the first start, bind the database to the broker's account and its cash."""
    if book.account is None:
        account = broker.account()
        book.apply(Account(account.account_id, broker.name, account.cash, account.cash, now))
