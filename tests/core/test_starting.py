"""What a start tells, what an operator's word does while no bot runs, and what is accepted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.bot_records import Block, Command, Event
from smabot.domain.order_terms import Status
from smabot.domain.records import (
    Account,
    Bar,
    Batch,
    EquityPoint,
    Fill,
    Order,
    OrderUpdate,
    Position,
    Signal,
)
from smabot.engine.start.offline_command import apply_command_offline
from smabot.engine.start.recovery import recover
from smabot.engine.start.startup_reconciliation import accept_broker_state, compare_with_broker
from smabot.errors import PluginError, UnknownOutcome
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import BrokerOrder
from smabot.hooks.recovery_answers import Recovery, RecoveryStep
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config
from smabot.testing.fake_bot import FakeBot
from smabot.testing.fake_exchange import FakeExchange

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
D = Decimal


def bars(symbol: str = "SPY", count: int = 10) -> list[Bar]:
    return [
        Bar(symbol, OPEN + n * MINUTE, 100.0 + n, 100.5 + n, 99.5 + n, 100.0 + n, 1000)
        for n in range(count)
    ]


def position(strategy: str, symbol: str, qty: int) -> Position:
    return Position(strategy, symbol, D(qty), D(qty * 100), D(100), D(0), OPEN)


class Buyer:
    """Buys at the bar of 14:32."""

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        return Signal.long(bar) if bar.time == OPEN + 2 * MINUTE else None


# -- positions that nobody closes ------------------------------------------------------------------


def test_a_start_tells_of_positions_that_nobody_closes() -> None:
    exchange = FakeExchange([*bars("SPY"), *bars("IBM")])
    bot = FakeBot(exchange, buyer=Buyer)
    bot.journal.commit(
        [
            position("", "SPY", 3),
            position("gone", "SPY", 4),
            position("buyer", "IBM", 5),
            position("buyer", "SPY", 6),
            position("gone", "IBM", 0),
            position("", "IBM", 0),
        ]
    )
    with bot.opened(symbols=("SPY",)) as session:
        recover(session)
        nobodys, other_symbol, other_plugin = sorted(session.report.notes)
    assert nobodys.startswith("3 SPY belong to no strategy")
    assert "smabot flatten --symbol SPY" in nobodys
    assert other_symbol.startswith("buyer holds 5 IBM")
    assert other_plugin.startswith("gone holds 4 SPY")


def test_a_start_on_positions_that_are_attended_to_tells_nothing() -> None:
    bot = FakeBot(FakeExchange(bars()), buyer=Buyer)
    bot.play(5)
    with bot.opened() as session:
        recover(session)
        assert session.report.notes == []
        assert session.book.holding("buyer", "SPY") == 10


# -- accept ----------------------------------------------------------------------------------------


class Watching:
    """Notes what it is told of, and when by the book's clock."""

    def __init__(self, told: list[tuple[str, datetime]]) -> None:
        self._told = told

    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> RecoveryStep:
        self._told.append(("start", recovery.book.now))
        return RecoveryStep("nothing")

    @hookimpl
    def on_fill(self, fill: Fill, book: Book) -> None:
        self._told.append(("fill", book.now))


def test_plugins_see_the_start_before_what_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that counts from where it was restored would else count from nothing."""
    told: list[tuple[str, datetime]] = []
    exchange = FakeExchange(bars())
    bot = FakeBot(exchange, buyer=Buyer, watching=lambda: Watching(told))
    bot.play(3)
    told.clear()
    exchange.next(0)
    exchange.next(0)
    commits: list[Any] = []
    commit = bot.journal.commit
    monkeypatch.setattr(bot.journal, "commit", lambda *rows: commits.append(commit(*rows)))
    with bot.opened() as session:
        found = compare_with_broker(session)
        assert found is not None
        accept_broker_state(session, found)
    assert [what for what, _ in told] == ["start", "fill"]
    assert told[-1] == ("fill", OPEN + 5 * MINUTE)
    assert [(p.strategy, p.qty) for p in bot.rows(Position)] == [("buyer", 10)]
    assert len(commits) == 1


# -- a command while no bot runs -------------------------------------------------------------------


class Counting:
    """Counts its command, and fails at another one."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self.counted = 0

    @hookimpl
    def open_journal(self) -> MemoryJournal:
        return self._journal

    @hookimpl
    def on_command(self, command: Command, book: Book) -> str | None:
        if command.verb == "fail":
            raise KeyError("no such thing")
        if command.verb != "count":
            return None
        self.counted += 1
        return f"equity {book.equity():f}"


LAST = OPEN + 7 * MINUTE
WALL = datetime(2026, 8, 1, tzinfo=UTC)


@pytest.fixture
def journal() -> MemoryJournal:
    journal = MemoryJournal()
    journal.commit(
        [
            Account("1", "fake", D(1000), D(2000), OPEN),
            position("buyer", "SPY", 10),
            EquityPoint(OPEN, D(1), D(1), D(0), D(0)),
            EquityPoint(LAST, D(2), D(1), D(1), D(0)),
        ],
        bars(),
    )
    return journal


@pytest.fixture
def counting(journal: MemoryJournal) -> Counting:
    return Counting(journal)


def given(counting: Counting, command: Command) -> str:
    plugins = Plugins()
    plugins.register("counting", counting)
    plugins.check()
    return apply_command_offline(Config(), plugins, command, lambda: WALL)


def test_it_counts_from_the_time_that_the_bot_has_seen_last(
    journal: MemoryJournal, counting: Counting
) -> None:
    """The feed's time, not the wall's: the bot's own day and blocks go by it."""
    assert given(counting, Command("1", "halt", "news", WALL)).startswith("halted")
    (block,) = journal.rows(Block)
    assert (block.reason, block.since, block.until) == ("news", LAST, None)
    assert [(e.kind, e.time) for e in journal.rows(Event)] == [("halt", LAST)]
    assert [c.applied_at for c in journal.rows(Command)] == [LAST]


def test_plugins_see_the_account_at_its_last_prices(counting: Counting) -> None:
    assert given(counting, Command("1", "count", "", WALL)) == "equity 2090.0"


def test_one_that_was_carried_out_is_only_answered(
    journal: MemoryJournal, counting: Counting
) -> None:
    command = Command("1", "count", "", WALL)
    first = given(counting, command)
    assert given(counting, command) == first
    assert counting.counted == 1


def test_those_that_wait_for_a_bot_come_first(journal: MemoryJournal, counting: Counting) -> None:
    journal.send(Command("1", "halt", "news", WALL))
    journal.send(Command("2", "count", "", WALL))
    given(counting, Command("2", "count", "", WALL))
    assert counting.counted == 1
    given(counting, Command("3", "resume", "", WALL))
    assert [(c.id, bool(c.applied_at)) for c in journal.rows(Command)] == [
        ("1", True), ("2", True), ("3", True),
    ]  # fmt: skip
    assert [b.until for b in journal.rows(Block)] == [LAST]


def test_a_plugin_that_fails_at_it_is_named_and_the_failure_kept(
    journal: MemoryJournal, counting: Counting
) -> None:
    with pytest.raises(PluginError, match="counting"):
        given(counting, Command("1", "fail", "", WALL))
    (row,) = journal.rows(Command)
    assert row.applied_at == LAST
    assert "no such thing" in row.answer


# -- a connection that comes back ------------------------------------------------------------------


class Hiding(FakeExchange):
    """A remote exchange that loses answers, and shows no order until it is told to."""

    stepped = False
    lookups = (0.01, 3600.0)
    visibility_delay = None
    shows = False
    reconcile = None  # type: ignore[assignment]

    def submit(self, order: Order) -> OrderUpdate:
        super().submit(order)
        raise UnknownOutcome("the answer was lost")

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return super().order(client_order_id) if self.shows else None


def test_unanswered_orders_are_looked_up_at_once_when_the_connection_is_back() -> None:
    exchange = Hiding(bars())
    bot = FakeBot(exchange, buyer=Buyer)
    with bot.started() as engine:
        for _ in range(3):
            batch = exchange.next(0)
            assert batch is not None
            engine.take(batch)
        (order,) = engine.book.open_orders()
        assert order.status is Status.UNKNOWN
        exchange.shows = True
        engine.take(Batch(exchange.now()))
        assert engine.book.open_orders()[0].status is Status.UNKNOWN
        engine.take(Batch(exchange.now(), resync=True))
        assert engine.book.open_orders()[0].status is Status.ACCEPTED
    assert [order.status for order in bot.rows(Order)] == [Status.ACCEPTED]
