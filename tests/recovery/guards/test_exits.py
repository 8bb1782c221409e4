"""An exit closes a position, and nothing else: it never opens one, and it leaves when it can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.disagreement import Disagreement
from smabot.hookspecs import hookimpl
from smabot.records import (
    Event,
    Order,
    OrderIntent,
    OrderType,
    RefusalCause,
    Side,
    Signal,
    Status,
)
from smabot_exchange.orders import ExchangeOrder, OrderRequest
from smabot_exchange.orders import OrderType as Kind

LONG, FLAT = 1, 0
BUY, SELL = Side.BUY, Side.SELL
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
HELD_AT = 4
"""By this minute an entry of minute 2 has filled."""


def minute(number: float) -> datetime:
    return OPEN + timedelta(minutes=number)


@pytest.fixture
def calm(make_world: Any, limits: Any) -> Any:
    """Two symbols that stand still, and no limits."""
    return make_world({"SPY": [100.0] * 90, "IBM": [50.0] * 90}, **limits())


# -- what happens at the exchange --------------------------------------------------------------------


def exchange(bot: Any) -> Any:
    return bot.session.broker._exchange


def by_hand(bot: Any, side: Side, qty: int, limit: int | None = None) -> ExchangeOrder:
    """An order in SPY that is not the bot's."""
    kind = Kind.MARKET if limit is None else Kind.LIMIT
    price = None if limit is None else Decimal(limit)
    order: ExchangeOrder = (
        exchange(bot).submit(OrderRequest("SPY", side, Decimal(qty), kind, price)).order
    )
    return order


def until(bot: Any, number: int) -> None:
    """Let the bot live until a minute is over."""
    while bot.session.feed.now() < minute(number):
        bot.live()


def there(bot: Any, symbol: str = "SPY") -> int:
    """What the account holds."""
    return sum(int(p.qty) for p in exchange(bot).positions() if p.symbol == symbol)


class Watch:
    """What the account held after each fill, and the sizes of the exits that were asked for."""

    def __init__(self, bot: Any) -> None:
        self.levels: list[int] = []
        self._exchange = exchange(bot)
        self._exchange.listen(self._told)

    def _told(self, events: Any) -> None:
        self.levels += [int(event.position_qty) for event in events if event.execution is not None]

    @property
    def lowest(self) -> int:
        return min(self.levels, default=0)


@contextmanager
def ends_in_conflict() -> Iterator[Any]:
    with pytest.raises(Disagreement) as caught:
        yield caught
    assert caught.value.exit_code == 6


def exits(world: Any, *statuses: Status) -> list[Order]:
    return [o for o in world.rows(Order) if o.reduces and (not statuses or o.status in statuses)]


def sizes(world: Any) -> list[tuple[int, str]]:
    """The exits in short: how many shares were asked for, and what became of it."""
    return [(int(o.qty), o.status.value) for o in exits(world)]


def kinds(world: Any) -> list[str]:
    return sorted(event.kind for event in world.rows(Event))


# -- never a short by accident -------------------------------------------------------------------------


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
@pytest.mark.parametrize("sold", [10, 3])
@pytest.mark.parametrize("at", [-1, 0], ids=["a minute before", "in the same minute"])
def test_shares_sold_by_hand_end_the_run_before_the_exit_can_sell_them_again(
    calm: Any, alive: Any, foreign: str, sold: int, at: int
) -> None:
    """The hand's sale fills in the minute in which the strategy's exit is decided, or before it."""
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm, foreign=foreign) as bot:
        watch = Watch(bot)
        until(bot, 7 + at)
        by_hand(bot, SELL, sold)
        with ends_in_conflict():
            until(bot, 10)
        assert bot.session.feed.now() == minute(8 + at)
        assert (watch.lowest, there(bot)) == (10 - sold, 10 - sold)
    assert exits(calm, Status.FILLED, Status.ACCEPTED) == []
    assert kinds(calm) == ["conflict", "external_activity"]
    with calm.opened(foreign=foreign) as session:
        assert [int(p.qty) for p in session.broker.positions()] == ([] if sold == 10 else [7])


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_hand_that_takes_the_exits_place_does_not_make_the_account_short(
    make_world: Any, limits: Any, alive: Any, foreign: str, killed: bool
) -> None:
    """The exit is open and has not filled; somebody cancels it and sells the shares himself."""
    bars: list[float | None] = [100.0] * 8 + [None] * 3 + [100.0] * 40
    world = make_world({"SPY": bars, "IBM": [50.0] * 51}, **limits())
    world.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(world, foreign=foreign) as bot:
        watch = Watch(bot)
        until(bot, 9)
        (exit_,) = bot.session.book.open_orders()
        at_exchange = exchange(bot)
        at_exchange.cancel(at_exchange.order_by_client_id(exit_.client_order_id).id)
        by_hand(bot, SELL, 10)
        if not killed:
            with ends_in_conflict():
                until(bot, 20)
        assert (watch.lowest, there(bot)) == ((10, 10) if killed else (0, 0))
    if killed:
        world.pass_by(4)
        with ends_in_conflict(), alive(world, foreign=foreign):
            pass
    with world.opened() as session:
        assert session.broker.positions() == []


@pytest.mark.parametrize(
    ("sold", "asked"),
    [(10, [(10, "rejected")]), (3, [(10, "rejected"), (7, "filled"), (3, "rejected")])],
)
@pytest.mark.parametrize("foreign", ["ignore", "conflict"])
def test_a_hands_resting_sale_that_fills_after_the_exit_was_asked_for(
    make_world: Any, limits: Any, alive: Any, foreign: str, sold: int, asked: list[Any]
) -> None:
    world = make_world({"SPY": [100.0] * 8 + [110.0] * 40}, **limits())
    world.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(world, foreign=foreign) as bot:
        watch = Watch(bot)
        until(bot, 6)
        by_hand(bot, SELL, sold, limit=105)
        with ends_in_conflict():
            until(bot, 12)
        assert (bot.session.feed.now(), watch.lowest, there(bot)) == (minute(9), 0, 0)
    assert sizes(world) == asked


@pytest.mark.parametrize("killed", [False, True])
def test_an_exit_sells_exactly_ours_of_what_is_held_beside_it(
    calm: Any, alive: Any, killed: bool
) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 9): FLAT})
    with alive(calm, foreign="ignore") as bot:
        until(bot, 6)
        by_hand(bot, BUY, 5)
        until(bot, 8 if killed else 14)
        assert bot.session.book.net("SPY") == (10 if killed else 0)
    if killed:
        with alive(calm, foreign="ignore") as bot:
            until(bot, 14)
    assert sizes(calm) == [(10, "filled")]
    assert kinds(calm) == ["external_activity"]
    with calm.opened(foreign="ignore") as session:
        assert [int(p.qty) for p in session.broker.positions()] == [5]


def test_shares_bought_by_hand_are_a_conflict_unless_they_are_to_be_ignored(
    calm: Any, alive: Any
) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 9): FLAT})
    with alive(calm) as bot:
        until(bot, 6)
        by_hand(bot, BUY, 5)
        with ends_in_conflict():
            until(bot, 14)


def test_an_exit_that_the_account_contradicts_is_compared_and_made_anew(
    calm: Any, limits: Any, alive: Any
) -> None:
    """The broker's view of the account lags: the refusal is no failure, and the exit goes again."""
    calm.settings |= limits({"max_failures": 1})
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT}, t={("IBM", 12): LONG})
    with alive(calm) as bot:
        until(bot, 7)
        watch = Watch(bot)
        with lagging(bot, -10):
            until(bot, 8)
        assert [o.status for o in bot.session.book.open_orders()] == [Status.ACCEPTED]
        until(bot, 14)
        assert watch.lowest == 0
    assert sizes(calm) == [(10, "rejected"), (10, "filled")]
    first, second = exits(calm)
    assert (first.cause, second.attempt) == (RefusalCause.POSITION, 2)
    assert first.created_at == second.created_at
    assert calm.held() == {("t", "IBM"): 10}, "the breaker is armed"
    assert kinds(calm) == ["refused_exit"]


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
def test_an_exit_that_the_account_contradicts_for_good_ends_in_a_conflict(
    calm: Any, limits: Any, alive: Any, foreign: str
) -> None:
    """Shares leave the account with no order that tells of it."""
    calm.settings |= limits({"max_failures": 1})
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm, foreign=foreign) as bot:
        until(bot, 7)
        exchange(bot).adjust("SPY", Decimal(-10), Decimal(100))
        with ends_in_conflict():
            until(bot, 8)
        assert there(bot) == 0
    assert sizes(calm) == [(10, "rejected")]
    assert kinds(calm) == ["conflict", "refused_exit"]
    assert calm.accept() == 0
    calm.play(20)
    assert (calm.held(), len(exits(calm))) == ({}, 1)


@contextmanager
def lagging(bot: Any, qty: int) -> Iterator[None]:
    """The account lacks shares while the next order comes in."""
    send = bot.line._send

    def lacking(orders: Any) -> Any:
        exchange(bot).adjust("SPY", Decimal(qty), Decimal(100))
        try:
            return send(orders)
        finally:
            exchange(bot).adjust("SPY", Decimal(-qty), Decimal(100))
            bot.line._send = send

    bot.line._send = lacking
    yield
    assert bot.line._send is send


# -- an own entry in the way -----------------------------------------------------------------------------


class Rests:
    """A strategy's sizer: it buys at a limit below the market."""

    def __init__(self, strategy: str = "b", limit: int = 90) -> None:
        self._strategy, self._limit = strategy, Decimal(limit)

    @hookimpl
    def on_signal(self, signal: Signal) -> OrderIntent | None:
        if signal.strategy != self._strategy or not signal.target:
            return None
        return OrderIntent(signal.symbol, BUY, Decimal(10), OrderType.LIMIT, self._limit)


class Told:
    """Keeps what becomes of a strategy's orders, as plugins are told."""

    def __init__(self, strategy: str) -> None:
        self._strategy = strategy
        self.told: list[tuple[str, str]] = []

    @hookimpl
    def on_order(self, order: Order) -> None:
        if order.strategy == self._strategy:
            self.told.append((order.status.value, order.reason))


GOES_BEFORE = "an exit of the symbol goes before it"


@pytest.mark.parametrize("killed", [False, True])
def test_another_strategys_resting_entry_gives_way_to_an_exit(
    calm: Any, alive: Any, killed: bool
) -> None:
    calm.follow(
        a={("SPY", 2): LONG, ("SPY", 9): FLAT},
        b={("SPY", 5): LONG, ("SPY", 15): FLAT, ("SPY", 18): LONG},
    )
    calm.strategies |= {"rests": Rests(), "told": (told := Told("b"))}
    with alive(calm) as bot:
        until(bot, 8)
        assert [(o.strategy, o.status) for o in bot.session.book.open_orders()] == [
            ("b", Status.ACCEPTED)
        ]
        if not killed:
            until(bot, 10)
            assert [o.strategy for o in bot.session.book.open_orders()] == ["a"]
            until(bot, 11)
    if killed:
        with alive(calm) as bot:
            until(bot, 11)
    assert calm.held() == {}
    assert sizes(calm) == [(10, "filled")]
    entry, exit_ = [order for order in calm.rows(Order) if order.created_at > minute(5)]
    assert (entry.status, entry.reason) == (Status.CANCELED, GOES_BEFORE)
    assert entry.cancel_requested_at == exit_.created_at == minute(10)
    assert told.told[-1] == ("canceled", GOES_BEFORE)
    with alive(calm) as bot:
        until(bot, 17)
        assert bot.session.book.open_orders() == [], "no entry before its next signal"
        until(bot, 20)
        assert [o.strategy for o in bot.session.book.open_orders()] == ["b"]
    assert [o.status for o in calm.rows(Order)].count(Status.REJECTED) == 0


def test_an_exit_and_another_strategys_entry_of_one_bar(
    calm: Any, alive: Any, orders_of: Any
) -> None:
    calm.follow(a={("SPY", 2): LONG, ("SPY", 9): FLAT}, b={("SPY", 9): LONG})
    calm.strategies |= {"rests": Rests(), "told": (told := Told("b"))}
    with alive(calm) as bot:
        until(bot, 15)
    assert orders_of(calm)[1:] == [("a", "sell", "filled", 10), ("b", "buy", "blocked", 0)]
    assert len(told.told) == 1
    assert "would meet the exit" in told.told[0][1]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("limit", [90, None], ids=["limit", "market"])
def test_an_entry_decided_after_the_exit_is_blocked_here_not_refused_there(
    make_world: Any, limits: Any, alive: Any, orders_of: Any, killed: bool, limit: int | None
) -> None:
    world = make_world({"SPY": [100.0] * 60}, volume=10, **limits())
    world.follow(a={("SPY", 2): LONG, ("SPY", 20): FLAT}, b={("SPY", 23): LONG})
    if limit:
        world.strategies["rests"] = Rests()
    with alive(world) as bot:
        until(bot, 22 if killed else 40)
    if killed:
        with alive(world) as bot:
            until(bot, 40)
    assert orders_of(world)[1:] == [("a", "sell", "filled", 10), ("b", "buy", "blocked", 0)]
