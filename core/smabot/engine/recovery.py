"""Starting is recovering: the one path from records and the broker to a ready engine.

A first start is a recovery from nothing. Every step is timed and told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from smabot.domain.bar_checks import is_valid_bar
from smabot.domain.blocks import ignore, require_guards
from smabot.domain.book import Book
from smabot.domain.book_view import ASKED_FOR
from smabot.domain.calendar import MINUTE, Calendar
from smabot.domain.records import (
    OPEN,
    Account,
    Adjustment,
    Bar,
    Batch,
    Block,
    BotState,
    Command,
    EquityPoint,
    Event,
    Mark,
    Order,
    Position,
    SignalState,
)
from smabot.domain.tables import table_of
from smabot.engine.commit import Watcher
from smabot.engine.dispatcher import Dispatcher
from smabot.engine.loop import Engine
from smabot.engine.operator_commands import CORE_VERBS, carry_out, expiry
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.errors import AccountBlocked, ConfigError
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Broker, BrokerAccount, Feed, Journal, Rows
from smabot.hooks.specifications import Reconciliation, Recovery
from smabot.settings.model import Config
from smabot.system.wall_clock import Wall, utc_now

CORE_STATE: tuple[type, ...] = (Account, Position, SignalState, BotState, Block, Mark)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the startup: its name, what it found, and how long it took."""

    name: str
    found: str
    milliseconds: float


@dataclass(slots=True)
class Session:
    """What a start opened, in the order of opening; `close` gives it back."""

    config: Config
    plugins: Plugins
    book: Book
    tell: Callable[[Step], None] = lambda step: None
    journal: Journal | None = None
    broker: Broker | None = None
    feed: Feed | None = None
    account: BrokerAccount | None = None
    """The broker's, when it was connected to."""
    symbols: tuple[str, ...] = ()
    """Those whose bars come: what is held or has open orders first, then those that may be entered."""
    enterable: tuple[str, ...] = ()
    """Those of them that may be entered, as the settings name them."""
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    wall: Wall = utc_now
    ignored_blocks: tuple[str, ...] = ()
    """Plugins that are not part of the run, and whose blocks hold no order of it all the same."""
    dispatcher: Dispatcher | None = None
    """Who carries requests to the broker; None: threads to a remote one."""

    def close(self) -> None:
        """Close feed, broker and journal. Safe to call at any stage, and twice."""
        for name in ("feed", "broker", "journal"):
            opened = getattr(self, name)
            setattr(self, name, None)
            if opened is not None:
                opened.close()

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time a step; what is appended to the list is what it found."""
        found: list[str] = []
        begun = perf_counter()
        yield found
        done = Step(name, "; ".join(found), (perf_counter() - begun) * 1000)
        self.steps.append(done)
        self.tell(done)

    def recovery(self) -> Recovery:
        """What plugins may look at."""
        journal, broker, feed = _opened(self)
        return Recovery(self.config, self.book, journal, broker, feed, self.symbols)

    def steps_json(self) -> str:
        """The steps as JSON, for the ``runs`` table."""
        return json.dumps(
            [{"step": s.name, "found": s.found, "ms": round(s.milliseconds, 1)} for s in self.steps]
        )


def open_session(
    config: Config, plugins: Plugins, tell: Callable[[Step], None] = lambda step: None
) -> Session:
    """Take the lock, open the journal, connect broker and feed, and restore the Book.

    Raises LockHeld, ConfigError, BrokerError. Changes nothing but the schema.
    """
    session = Session(config, plugins, Book(collar=config.price_collar), tell)
    try:
        _open(session)
    except BaseException:
        session.close()
        raise
    return session


def recover(session: Session, watch: Watcher | None = None) -> Engine:
    """Reconcile, warm up, fill the gap and subscribe; returns the engine, ready.

    Raises RiskHalt where a block holds whose plugin is not part of the run, and ReconciliationConflict on any
    conflict; then nothing has been changed.
    """
    _, _, feed = _opened(session)
    _ignore_blocks(session)
    require_guards(session.book, session.plugins.names)
    engine = _agreed(session, watch)
    with _silent_on_failure(engine):
        with session.step("warm") as found:
            _warm(session, found)
        with session.step("backfill") as found:
            found.append(f"{_fill_gap(session, engine)} bars")
        session.notes += _unattended(session)
        with session.step("subscribe") as found:
            engine.resume()
            engine.process(Batch(feed.now()))
            feed.subscribe(session.symbols)
            found.append(f"{len(session.symbols)} symbols")
    return engine


def recover_orders(session: Session, command: Command, watch: Watcher | None = None) -> Engine:
    """Reconcile, take up what is at work and carry a command out; returns the engine, ready.

    It is told of no bars, so that no strategy decides: the next `recover` finds them as a gap.
    The command counts as given when it is sent here, for a start may take longer than it stands.
    Raises ReconciliationConflict on any conflict; then nothing has been changed.
    """
    journal, _, feed = _opened(session)
    _ignore_blocks(session)
    engine = _agreed(session, watch)
    with _silent_on_failure(engine), session.step("subscribe") as found:
        if seen := _seen(session.book):
            feed.catch_up(seen)
        feed.subscribe(())
        now = session.wall()
        journal.send(replace(command, created_at=now, expires_at=expiry(command.verb, now)))
        engine.resume()
        engine.process(Batch(feed.now()))
        found.append("order updates only")
    return engine


def _ignore_blocks(session: Session) -> None:
    _, _, feed = _opened(session)
    session.book.now = max(session.book.now, feed.now())
    ignore(session.book, session.ignored_blocks, session.plugins.names)


@contextmanager
def _silent_on_failure(engine: Engine) -> Iterator[None]:
    """Let nothing leave any more when a start fails."""
    try:
        yield
    except BaseException:
        engine.close()
        raise


def compare(session: Session) -> Reconciliation | None:
    """Ask the plugins how database and broker differ; changes neither.

    At the first start the book is bound to the broker's account. None: no plugin compares.
    """
    _, broker, feed = _opened(session)
    _bind_account(session.book, broker, feed.now())
    return session.plugins.reconcile(session.recovery())


def accept(session: Session, found: Reconciliation) -> None:
    """Make the database agree with the broker, in one transaction that all plugins see.

    Each adjustment has a time of its own, where the feed's clock may stand still.
    """
    journal, broker, feed = _opened(session)
    engine = Engine(
        session.config, session.plugins, session.book, journal, broker, feed, session.symbols
    )
    book = session.book
    book.now = max(book.now, feed.now())
    session.plugins.on_startup_recover(session.recovery())
    conflicts = [row for conflict in found.conflicts for row in conflict.remedy]
    newest = journal.rows(Adjustment, newest_by="time", limit=1)
    remedies: list[Any] = []
    for row in (*conflicts, *found.remedy):
        if isinstance(row, Adjustment):
            book.now = max([book.now, *(each.time + MICROSECOND for each in newest)])
            row = replace(row, time=book.now)
            newest = [row]
        remedies.append(row)
    engine.adopt(found.updates, remedies)


def apply_command(config: Config, plugins: Plugins, command: Command, wall: Wall = utc_now) -> str:
    """Carry out an operator's command while no bot runs: restore, apply, commit. Returns the answer.

    Commands that still wait for a bot were given before, and are dealt with first; with one of core's
    own verbs only those of core's own verbs, which need no plugin but the journal's. One that a bot
    has carried out already is only answered. Raises PluginError when a plugin fails at this one, and
    LockHeld while a bot runs.
    """
    session = Session(config, plugins, Book())
    try:
        session.journal = journal = plugins.open_journal(config) or MemoryJournal()
        restore(session.book, journal, plugins)
        point = session.book.point
        session.book.now = point.time if point is not None else wall()
        for minute in journal.windows(1, {p.symbol for p in session.book.positions.values()}):
            session.book.restore(minute)
        done = journal.row(Command, command.id)
        if done is not None and done.applied_at is not None:
            return done.answer
        own = command.verb in CORE_VERBS
        waiting = [
            each
            for each in journal.commands()
            if each.id != command.id and (each.verb in CORE_VERBS or not own)
        ]
        carried = carry_out([*waiting, command], plugins, session.book, wall)
        journal.commit(session.book.drain()[0])
        if command.id in carried.failures:
            raise carried.failures[command.id]
        return carried.answers[command.id]
    finally:
        session.close()


def _open(session: Session) -> None:
    config, plugins, book = session.config, session.plugins, session.book
    with session.step("journal") as found:
        journal = plugins.open_journal(config)
        if journal is None:
            journal = MemoryJournal()
            session.notes.append(
                "NOTHING IS KEPT: no journal plugin is on, a kill forgets all; an exchange's ledger still remembers"
            )
        session.journal = journal
        found.append(journal.location)
    with session.step("connect") as found:
        session.broker = broker = plugins.open_broker(config)
        session.feed = feed = plugins.open_feed(config)
        expected = plugins.expected
        book.calendar = expected(Calendar, "broker", "calendar()", broker.calendar())
        expected(datetime, "feed", "now()", feed.now())
        tradable = expected(tuple, "feed", "tradable()", feed.tradable(config.symbols))
        session.symbols = session.enterable = tradable
        session.notes += feed.notes
        account = expected(BrokerAccount, "broker", "account()", broker.account())
        session.account = account
        found.append(f"{broker.name} account {account.account_id}, equity {account.equity:,.2f}")
    with session.step("load") as found:
        restore(book, journal, plugins)
        session.symbols = _followed(session)
        for minute in journal.windows(1, _watched(session)):
            book.restore(minute)
        open_orders = len(book.open_orders())
        held = sum(1 for position in book.positions.values() if position.qty)
        found.append(
            f"{open_orders} open orders, {held} positions, {len(book.signals)} last signals"
        )


def restore(book: Book, rows: Rows, plugins: Plugins) -> None:
    """Load all state that records hold into an empty book; bars are not among it."""
    book.find_ended_orders_by(lambda client_order_id: rows.row(Order, client_order_id))
    declared = [k for k in plugins.kinds() if table_of(k).restore and k not in (*CORE_STATE, Order)]
    for kind in CORE_STATE:
        book.restore(rows.rows(kind))
    for kind in declared:
        with plugins.at_cost_of(kind):
            book.restore(rows.rows(kind))
    opened = rows.rows(Order, where={"status": OPEN})
    book.restore(sorted(opened, key=lambda order: (order.created_at, order.client_order_id)))
    for state in book.signals.values():
        if state.target == 0 and book.holding(state.strategy, state.symbol):
            where = {"strategy": state.strategy, "symbol": state.symbol}
            book.restore(rows.rows(Order, where=where, newest_by="created_at", limit=1))
    book.restore(rows.rows(EquityPoint, newest_by="time", limit=1))
    if book.point is not None:
        lately = ("time", book.point.time - ASKED_FOR)
        for event in rows.rows(Event, where={"kind": "given_up"}, since=lately):
            order = rows.row(Order, event.subject)
            if order is not None and order.given_up_at is not None:
                book.restore([order])


def _agreed(session: Session, watch: Watcher | None) -> Engine:
    """Return an engine over a book that has the broker's news.

    Raises ReconciliationConflict, and AccountBlocked where the account may not trade.
    """
    config, plugins, book = session.config, session.plugins, session.book
    if session.account is not None and session.account.blocked:
        raise AccountBlocked(
            f"account {session.account.account_id} may not trade: {session.account.blocked}"
        )
    journal, broker, feed = _opened(session)
    engine = Engine(
        config,
        plugins,
        book,
        journal,
        broker,
        feed,
        session.symbols,
        watch,
        session.dispatcher,
        session.wall,
        session.enterable,
    )
    begun_at = feed.now()
    with session.step("reconcile") as found:
        result = compare(session)
        if result is None:
            found.append("OFF: no plugin compares the database with the broker")
        else:
            agreed = [] if result.conflicts else ["agrees with the broker"]
            found += result.notes or agreed or ["disagrees with the broker"]
    with session.step("plugins") as found:
        conflicts = list(result.conflicts) if result else []
        book.now = max(book.now, feed.now())
        for name, answer in plugins.on_startup_recover(session.recovery()):
            found.append(f"{name} {answer.restored}")
            conflicts += answer.conflicts
        if conflicts:
            raise ReconciliationConflict(conflicts)
        engine.comparison.agreed(begun_at)
        engine.process(Batch(feed.now(), updates=result.updates if result else ()))
    return engine


def _followed(session: Session) -> tuple[str, ...]:
    """Return what has to be followed, whatever may be entered: held symbols come first."""
    feed, book = session.feed, session.book
    assert feed is not None
    held = book.at_risk()
    try:
        followed: Sequence[str] = feed.tradable(held) if held else ()
    except ConfigError:
        followed = [symbol for symbol in held if _can_follow(session, feed, symbol)]
    return tuple(dict.fromkeys((*followed, *session.enterable)))


def _can_follow(session: Session, feed: Feed, symbol: str) -> bool:
    try:
        feed.tradable([symbol])
    except ConfigError as error:
        session.notes.append(f"{symbol} is held and no bars come for it: {error}")
        return False
    return True


def _watched(session: Session) -> set[str]:
    held = {position.symbol for position in session.book.positions.values() if position.qty}
    return {*session.symbols, *held}


def _warm(session: Session, found: list[str]) -> None:
    """Play the newest bars of the journal through the strategies, with trading off.

    They decided on these bars before: what they write now is what they wrote then.
    """
    journal, _, feed = _opened(session)
    book, count = session.book, 0
    book.last.clear()
    with book.replaying():
        for minute in journal.windows(max(session.plugins.lookback(), 2), _watched(session)):
            count += len(minute)
            _play(minute, session)
            book.drain()
    if seen := _seen(book):
        feed.catch_up(seen)
    found.append(f"{count} bars of {len(book.last)} symbols")


def _fill_gap(session: Session, engine: Engine) -> int:
    """Fetch the minutes that passed while the bot was down, and what new symbols need to be warm.

    Returns the number of bars.
    """
    book, seen = session.book, _seen(session.book)
    new = [symbol for symbol in session.symbols if symbol not in book.last]
    if seen is None:
        return _meet(session, engine, new, None)
    recently = seen - 2 * MINUTE
    behind = [
        symbol
        for symbol in session.symbols
        if symbol in book.last and book.last[symbol].time < recently
    ]
    count = _meet(session, engine, new, seen) if new else 0
    if behind:
        since = min(book.last[symbol].time for symbol in behind)
        count += _catch_up(session, engine, behind, since, until=seen)
    return count + _catch_up(session, engine, session.symbols, recently)


def _meet(session: Session, engine: Engine, symbols: Sequence[str], until: datetime | None) -> int:
    """Let strategies see the bars before a symbol's first one here; only a fresh one is decided on."""
    _, _, feed = _opened(session)
    config, count = session.config, 0
    bars = max(session.plugins.lookback(), config.max_bar_age_minutes)
    for minute in feed.history(symbols, None, bars):
        end = minute[0].end
        if until is not None and end > until:
            break
        count += len(minute)
        if feed.now() - end < config.max_bar_age:
            engine.process(Batch(end, bars=tuple(minute)))
        else:
            _play(minute, session)
    return count


def _catch_up(
    session: Session,
    engine: Engine,
    symbols: Sequence[str],
    since: datetime,
    until: datetime | None = None,
) -> int:
    """Process the minutes after ``since`` that the journal lacks."""
    _, _, feed = _opened(session)
    last, count = session.book.last, 0
    for minute in feed.history(symbols, since, 0):
        if until is not None and minute[0].end > until:
            break
        bars = tuple(b for b in minute if b.symbol not in last or b.time > last[b.symbol].time)
        if bars:
            count += len(bars)
            engine.process(Batch(bars[0].end, bars=bars))
    return count


def _unattended(session: Session) -> list[str]:
    """Say which holdings nobody will close in this run."""
    notes = []
    for position in session.book.positions.values():
        shares = f"{position.qty:f} {position.symbol}"
        if position.qty and not position.strategy:
            notes.append(
                f"{shares} belong to no strategy: "
                f"`smabot flatten --symbol {position.symbol}` closes all of {position.symbol}"
            )
            continue
        holder = f"{position.strategy} holds {shares}"
        if position.qty and position.strategy not in session.plugins.names:
            notes.append(f"{holder}, but that plugin is not part of this run: nobody closes it")
        elif position.qty and position.symbol not in session.enterable:
            notes.append(
                f"{holder}: it is valued and exited in this run, and not entered again, as "
                f"{position.symbol} is not among the symbols to trade"
            )
    return notes


def _play(minute: Sequence[Bar], session: Session) -> None:
    session.book.apply_bars(minute)
    session.plugins.on_bar([bar for bar in minute if is_valid_bar(bar)], session.book)


def _seen(book: Book) -> datetime | None:
    """Return the end of the newest bar that the journal has."""
    return max((bar.end for bar in book.last.values()), default=None)


def _opened(session: Session) -> tuple[Journal, Broker, Feed]:
    assert session.journal is not None
    assert session.broker is not None
    assert session.feed is not None
    return session.journal, session.broker, session.feed


def _bind_account(book: Book, broker: Broker, now: datetime) -> None:
    """At the first start, bind the database to the broker's account and its cash."""
    if book.account is None:
        account = broker.account()
        book.apply(Account(account.account_id, broker.name, account.cash, account.cash, now))
