"""Opens what a run needs: the journal with its lock, the broker, the feed, and the restored book."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from smabot.domain.book import Book
from smabot.domain.calendar import Calendar
from smabot.domain.records import Account
from smabot.engine.following_actions import read_actions
from smabot.engine.start.book_restore import restore_book
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.followed_symbols import followed_symbols, symbols_with_prices
from smabot.engine.start.startup_report import StartupReport, StartupStep
from smabot.errors import ConfigError, counted
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import BrokerAccount
from smabot.settings.model import Config
from smabot.system.paths import file_exists


def open_session(
    config: Config, plugins: Plugins, show: Callable[[StartupStep], None] = lambda step: None
) -> BotSession:
    """Take the lock, open the journal, connect broker and feed, and restore the Book.

    Raises LockHeld, ConfigError, BrokerError. Changes nothing but the schema.
    """
    session = BotSession(config, plugins, Book(collar=config.price_collar), StartupReport(show))
    try:
        _open_journal(session)
        _connect(session)
        _load(session)
    except BaseException:
        session.close()
        raise
    return session


def _open_journal(session: BotSession) -> None:
    with session.report.step("journal") as found:
        in_memory = session.config.in_memory
        journal = MemoryJournal() if in_memory else session.plugins.open_journal(session.config)
        if journal is None:
            journal = MemoryJournal()
            session.report.notes.append(
                "NOTHING IS SAVED: no journal plugin is loaded. A kill loses all state, but an "
                "exchange's ledger keeps its own"
            )
        session.journal = journal
        found.append(journal.location)


def _connect(session: BotSession) -> None:
    config, plugins = session.config, session.plugins
    with session.report.step("connect") as found:
        _refuse_missing_ledger(session)
        session.broker = broker = plugins.open_broker(config)
        session.feed = feed = plugins.open_feed(config)
        expected = plugins.expected
        session.book.calendar = expected(Calendar, "broker", "calendar()", broker.calendar())
        expected(datetime, "feed", "now()", feed.now())
        tradable = expected(tuple, "feed", "tradable()", feed.tradable(config.symbols))
        session.symbols = session.enterable = tradable
        session.report.notes += feed.notes
        account = expected(BrokerAccount, "broker", "account()", broker.account())
        session.account = account
        found.append(f"{broker.name} account {account.account_id}, equity {account.equity:,.2f}")


def _refuse_missing_ledger(session: BotSession) -> None:
    """Raise ConfigError where the paper exchange's ledger of this database is gone.

    The exchange would create another one, of another account, in its place. Where the ledger's
    write-ahead log is left, the exchange says so.
    """
    config, journal = session.config, session.journal
    if config.url is not None or config.live or journal is None:
        return
    ledger = config.ledger_path
    bound = journal.rows(Account)
    if any(each.broker == "exchange" for each in bound) and not (
        file_exists(ledger, f"ledger {ledger}") or Path(f"{ledger}-wal").exists()
    ):
        raise ConfigError(
            f"ledger {ledger}: is not there, but the database {config.db} was made with one: put the "
            "ledger back, name it with --ledger, or start over with another --db; if the database was "
            "made with --url, give the --url"
        )


def _load(session: BotSession) -> None:
    book, journal = session.book, session.opened().journal
    with session.report.step("load") as found:
        restore_book(book, journal, session.plugins)
        session.symbols = followed_symbols(session)
        for minute in journal.windows(1, symbols_with_prices(session)):
            book.restore(minute)
        _, broker, feed = session.opened()
        # last, as restoring drops what waits for a commit
        read_actions(book, broker, session.symbols, feed.now())
        open_orders = len(book.open_orders())
        held = sum(1 for position in book.positions.values() if position.qty)
        found.append(
            f"{counted(open_orders, 'open order')}, {counted(held, 'position')}, "
            f"{counted(len(book.signals), 'last signal')}"
        )
        if book.halted:
            found.append(f"halted: {book.halted}")
