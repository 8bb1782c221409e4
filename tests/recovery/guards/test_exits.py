"""An exit closes a position, and nothing else: it never opens one, and it leaves when it can."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.cli import main
from smabot.domain.bot_records import Command, Event
from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status
from smabot.domain.records import Adjustment, Batch, Order, OrderIntent, Position, Signal
from smabot.engine.execution.flattening import left_over
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.errors import NotSent, PluginError
from smabot.hooks.specifications import hookimpl
from smabot_exchange.faults.market_kinds import FrozenCancel, LeftAtClose
from smabot_exchange.matching.orders import ExchangeOrder, OrderRequest
from smabot_exchange.matching.orders import OrderType as Kind

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
    with pytest.raises(ReconciliationConflict) as caught:
        yield caught
    assert caught.value.exit_code == 6


def rows(of: Any, kind: type) -> list[Any]:
    """The rows of a world, or of a bot that lives in it; orders oldest first."""
    if hasattr(of, "rows"):
        return list(of.rows(kind))
    found: list[Any] = of.session.journal.rows(kind)
    key = (lambda o: (o.created_at, o.client_order_id)) if kind is Order else None
    return sorted(found, key=key) if key else found


def exits(of: Any, *statuses: Status) -> list[Order]:
    return [o for o in rows(of, Order) if o.reduces and (not statuses or o.status in statuses)]


def sizes(of: Any) -> list[tuple[int, str]]:
    """The exits in short: how many shares were asked for, and what became of it."""
    return [(int(o.qty), o.status.value) for o in exits(of)]


def kinds(of: Any) -> list[str]:
    return sorted(event.kind for event in rows(of, Event))


def the_event(of: Any, kind: str) -> Event:
    """The only event of a kind."""
    (event,) = [event for event in rows(of, Event) if event.kind == kind]
    assert isinstance(event, Event)
    return event


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


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
def test_a_hand_that_sells_what_another_strategy_holds_beside_an_exit(
    calm: Any, alive: Any, foreign: str
) -> None:
    """The hand's sale, and the exit that the other strategy decides on, meet in one minute."""
    calm.follow(a={("SPY", 2): LONG, ("SPY", 7): FLAT}, b={("SPY", 2): LONG, ("SPY", 8): FLAT})
    with alive(calm, foreign=foreign) as bot:
        watch = Watch(bot)
        until(bot, 8)
        by_hand(bot, SELL, 10)
        with ends_in_conflict():
            until(bot, 12)
        assert (bot.session.feed.now(), watch.lowest, there(bot)) == (minute(9), 0, 0)
    assert [(o.strategy, o.status) for o in exits(calm) if o.status is not Status.PENDING] == [
        ("a", Status.FILLED)
    ]


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


TAKES_PRIORITY = "an exit in the symbol takes priority"


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
    assert (entry.status, entry.reason) == (Status.CANCELED, TAKES_PRIORITY)
    assert entry.cancel_requested_at == exit_.created_at == minute(10)
    assert told.told[-1] == ("canceled", TAKES_PRIORITY)
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
    assert "would cross the exit" in told.told[0][1]


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


# -- a cancel that is not answered -----------------------------------------------------------------------


def freeze(bot: Any, minutes: int | None = None) -> None:
    """Cancels of partly filled orders are taken, and never end them, or only after some minutes."""
    exchange(bot).faults.add([FrozenCancel(minutes=minutes)])


@pytest.fixture
def partly(make_world: Any, limits: Any) -> Any:
    """Six of an entry's ten shares fill in a minute, and then none for half an hour."""
    bars: list[float | None] = [100.0] * 4 + [None] * 30 + [100.0] * 60
    closes = {"SPY": bars, "IBM": [50.0] * 94}
    return make_world(closes, volume=60, entry_timeout_minutes=0, **limits({"max_failures": 2}))


def wants_out(bot: Any, by: str) -> None:
    """At minute 5, by the strategy's own signal or by the operator."""
    if by == "flatten":
        until(bot, 4)
        bot.session.journal.send(Command("1", "flatten", "", OPEN))
    until(bot, 5)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("by", ["signal", "flatten"])
def test_what_an_entry_has_filled_is_sold_though_its_cancel_never_ends(
    partly: Any, alive: Any, monkeypatch: pytest.MonkeyPatch, by: str, killed: bool
) -> None:
    """At a broker that does not mind an order whose cancel it has taken."""
    monkeypatch.setattr("smabot_exchange.order_entry.check_wash_trade", lambda *given: None)
    partly.follow(
        s={("SPY", 2): LONG} | ({("IBM", 4): FLAT, ("SPY", 3): FLAT} if by == "signal" else {})
    )
    with alive(partly) as bot:
        freeze(bot)
        wants_out(bot, by)
        assert bot.session.book.net("SPY") == 6
        if not killed:
            until(bot, 40)
    if killed:
        with alive(partly) as bot:
            freeze(bot)
            until(bot, 40)
    entry, exit_ = partly.rows(Order)
    assert (entry.status, entry.filled_qty) == (Status.PARTIALLY_FILLED, 6)
    assert (exit_.qty, exit_.status) == (6, Status.FILLED)
    assert exit_.created_at - entry.cancel_requested_at == timedelta(minutes=1)
    assert partly.held() == {}
    assert kinds(partly).count("cancel_unanswered") == 1


@pytest.mark.parametrize("by", ["signal", "flatten"])
@pytest.mark.parametrize("minutes", [None, 20])
def test_an_exit_that_meets_a_frozen_entry_is_refused_and_tried_again_after_pauses(
    partly: Any, alive: Any, by: str, minutes: int | None
) -> None:
    """The exchange counts an order whose cancel it has taken among those that a sale may not meet.

    Nothing but the end of that order helps, so the bot asks again after 1, 2, 4, 8 and 16 minutes;
    each refusal is among the events, and none of them counts as a failing line to the broker.
    """
    partly.follow(s={("SPY", 2): LONG} | ({("SPY", 3): FLAT} if by == "signal" else {}))
    with alive(partly) as bot:
        freeze(bot, minutes)
        wants_out(bot, by)
        until(bot, 60)
        assert bot.session.book.blocking() == [] or by == "flatten"
    asked = exits(partly)
    assert {o.qty for o in asked} == {6}
    begun = asked[0].created_at
    assert [(o.created_at - begun) // timedelta(minutes=1) for o in asked][:6] == [
        0, 1, 3, 7, 15, 31,
    ]  # fmt: skip
    refused = [o for o in asked if o.status is Status.REJECTED]
    assert {o.cause for o in refused} == {RefusalCause.WASH}
    assert kinds(partly).count("refused_exit") == len(refused)
    assert kinds(partly).count("cancel_unanswered") == 1
    assert partly.held() == ({("s", "SPY"): 6} if minutes is None else {})
    assert (asked[-1].status is Status.FILLED) == (minutes is not None)


@pytest.mark.parametrize("restart_at", [5, 6, 12])
def test_a_restart_changes_nothing_while_an_exit_waits_for_a_frozen_entry(
    partly: Any, alive: Any, restart_at: int
) -> None:
    """The pause after a refusal goes on, and the unanswered cancel is not told of again."""
    partly.follow(s={("SPY", 2): LONG, ("SPY", 3): FLAT})
    with alive(partly) as bot:
        freeze(bot)
        until(bot, restart_at)
    with alive(partly) as bot:
        freeze(bot)
        until(bot, 40)
    asked = exits(partly)
    assert [(o.created_at - asked[0].created_at) // timedelta(minutes=1) for o in asked] == [
        0, 1, 3, 7, 15, 31,
    ]  # fmt: skip
    assert [o.attempt for o in asked] == [1, 2, 3, 4, 5, 6]
    assert kinds(partly).count("cancel_unanswered") == 1


def test_a_cancel_that_is_not_answered_is_shown(
    partly: Any, alive: Any, capsys: pytest.CaptureFixture[str], in_tmp: Any
) -> None:
    partly.follow(s={("SPY", 2): LONG, ("SPY", 3): FLAT})
    with alive(partly) as bot:
        freeze(bot)
        until(bot, 8)
        (left,) = left_over(bot.session.book)
        assert (left.qty, "its cancel of 14:34:00 UTC is unanswered" in left.why) == (6, True)
    event = the_event(partly, "cancel_unanswered")
    assert (event.grave, "its cancel of 14:34:00 UTC" in event.text) == (True, True)
    for words in (["status"], ["orders", "--open"]):
        assert main([*words, "--db", str(partly.db)]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert re.search("cancel( is)? unanswered since 2026-03-02 09:34 ET", shown), shown
    given = ["--db", str(partly.db), "--broker", "exchange", "--data", str(partly.tape)]
    assert main(["flatten", "--yes", "--timeout", "20", "--speed", "max", *given]) == 1
    assert "its cancel of 14:34:00 UTC is unanswered" in capsys.readouterr().out


# -- less is free than is held ---------------------------------------------------------------------------


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_free_is_sold_at_once_and_the_rest_as_soon_as_it_is(
    calm: Any, alive: Any, killed: bool
) -> None:
    """Somebody's resting sale holds 4 of the 10 back, until he cancels it."""
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm, foreign="ignore") as bot:
        until(bot, 6)
        resting = by_hand(bot, SELL, 4, limit=500)
        until(bot, 9 if killed else 16)
    if killed:
        with alive(calm, foreign="ignore") as bot:
            until(bot, 16)
    assert calm.held() == {("s", "SPY"): 4}
    assert sizes(calm) == [(10, "rejected"), (6, "filled"), (4, "rejected"), (4, "rejected")]
    with alive(calm, foreign="ignore") as bot:
        exchange(bot).cancel(resting.id)
        until(bot, 30)
        assert there(bot) == 0
    assert sizes(calm)[4:] == [(4, "filled")]
    at = [(o.created_at - OPEN) // timedelta(minutes=1) for o in exits(calm)]
    assert at == [8, 8, 8, 12, 20]


# -- an exit that its close leaves open ------------------------------------------------------------------


EVENING = datetime(2026, 3, 2, 20, 40, tzinfo=UTC)
CLOSE = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
MORNING = datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
LEFT = ["done_for_day", "calculated", "stopped", "suspended"]


@pytest.fixture
def evening(make_world: Any, limits: Any, script: Any) -> Any:
    """Two shares a minute: of an exit in the last minutes six are sold before the close."""
    bars: list[float | None] = [100.0] * 20 + [None] * 1050 + [100.0] * 120
    world = make_world({"SPY": bars}, volume=20, start=EVENING, **limits())
    world.strategies = {"s": script({("SPY", 2): LONG, ("SPY", 16): FLAT}, EVENING)}
    return world


def live_until(bot: Any, time: datetime) -> None:
    while bot.session.feed.now() < time:
        bot.live()


def left_at_close(bot: Any, value: str) -> None:
    exchange(bot).faults.add([LeftAtClose(value=value)])
    live_until(bot, CLOSE)
    assert bot.session.book.net("SPY") == 4
    assert [o.filled_qty for o in bot.session.book.open_orders()] == [6]


def pass_to(bot: Any, time: datetime) -> None:
    """The market is closed, and the clock goes on."""
    feed = bot.session.feed
    feed.now = lambda: max(time, type(feed).now(feed))
    bot.engine.take(Batch(time))


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("value", LEFT)
def test_an_exit_left_at_its_close_is_canceled_an_hour_later_and_made_anew(
    evening: Any, alive: Any, value: str, killed: bool
) -> None:
    with alive(evening) as bot:
        left_at_close(bot, value)
        if not killed:
            pass_to(bot, CLOSE + timedelta(minutes=59))
            assert [o.filled_qty for o in bot.session.book.open_orders()] == [6]
            pass_to(bot, CLOSE + timedelta(minutes=60))
            assert [(o.qty, o.status) for o in bot.session.book.open_orders()] == [
                (4, Status.ACCEPTED)
            ]
            live_until(bot, MORNING + timedelta(minutes=5))
    if killed:
        with alive(evening) as bot:
            live_until(bot, MORNING + timedelta(minutes=5))
    assert sizes(evening) == [(10, "canceled"), (4, "filled")]
    first, second = exits(evening)
    assert (first.filled_qty, first.given_up_at) == (6, None)
    assert first.cancel_reason == "still open an hour after its session's close"
    assert MORNING < second.updated_at < MORNING + timedelta(minutes=5)
    assert evening.held() == {}


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("value", LEFT)
def test_an_exit_left_at_its_close_that_nothing_ends_there_ends_here(
    evening: Any, alive: Any, value: str, killed: bool
) -> None:
    """The broker still holds its shares back, so that the new exit waits until it lets go of them."""
    with alive(evening) as bot:
        freeze(bot, minutes=18 * 60)
        left_at_close(bot, value)
        pass_to(bot, CLOSE + timedelta(minutes=60))
        (order,) = bot.session.book.open_orders()
        assert order.cancel_requested_at == CLOSE + timedelta(minutes=60)
        if not killed:
            pass_to(bot, CLOSE + timedelta(minutes=61))
            assert bot.session.book.open_orders() == []
            live_until(bot, MORNING + timedelta(minutes=60))
    if killed:
        with alive(evening) as bot:
            live_until(bot, MORNING + timedelta(minutes=60))
    first, *others, last = exits(evening)
    assert (first.status, first.filled_qty) == (Status.CANCELED, 6)
    assert first.given_up_at is None  # the broker has confirmed its end since, as a cancel
    assert {(o.qty, o.status, o.available) for o in others} == {(4, Status.REJECTED, 0)}
    assert len(others) <= 6
    assert (last.qty, last.status) == (4, Status.FILLED)
    assert last.updated_at > CLOSE + timedelta(hours=18)
    event = the_event(evening, "given_up")
    assert (event.subject, event.grave) == (first.client_order_id, True)
    assert evening.held() == {}


@pytest.mark.parametrize("whole", [False, True], ids=["partly", "wholly"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_fill_of_an_exit_that_was_given_up_is_a_conflict_that_accept_resolves(
    evening: Any, alive: Any, whole: bool, killed: bool
) -> None:
    with alive(evening) as bot:
        freeze(bot)
        left_at_close(bot, "stopped")
        pass_to(bot, CLOSE + timedelta(minutes=60))
        pass_to(bot, CLOSE + timedelta(minutes=61))
        live_until(bot, MORNING + timedelta(minutes=2))
        wake(bot, exits(bot)[0])
        if killed:
            bot.session.feed.next(0)
            if whole:
                bot.session.feed.next(0)
        else:
            with ends_in_conflict() as caught:
                bot.live()
            assert caught.value.conflicts[0].kind == "filled_after_its_end"
            if whole:
                bot.session.feed.next(0)
    with pytest.raises(ReconciliationConflict) as found, alive(evening):
        pass
    assert [each.kind for each in found.value.conflicts] == ["filled_after_its_end"]
    assert evening.accept() == 0
    assert evening.held() == ({} if whole else {("s", "SPY"): 2})
    assert exits(evening)[0].filled_qty == (10 if whole else 8)
    with alive(evening) as bot:
        live_until(bot, MORNING + timedelta(minutes=60))
        assert there(bot) == bot.session.book.net("SPY") == 0


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
def test_an_entry_that_was_given_up_and_filled_while_the_bot_was_down_is_ours(
    evening: Any, alive: Any, script: Any, foreign: str
) -> None:
    """Shares of it are not taken for somebody else's, which might be ignored."""
    evening.strategies = {"s": script({("SPY", 5): LONG}, EVENING), "rests": Rests("s")}
    with alive(evening, foreign=foreign) as bot:
        exchange(bot).faults.add([LeftAtClose(), FrozenCancel(partial=False)])
        live_until(bot, CLOSE)
        pass_to(bot, CLOSE + timedelta(minutes=60))
        pass_to(bot, CLOSE + timedelta(minutes=61))
        (entry,) = rows(bot, Order)
        assert (entry.status, entry.filled_qty) == (Status.EXPIRED, 0)
        live_until(bot, MORNING + timedelta(minutes=2))
        wake(bot, entry, limit_price=Decimal(100))
        for _ in range(5):
            bot.session.feed.next(0)
        assert there(bot) == 10
    evening.settings["foreign"] = foreign
    with pytest.raises(ReconciliationConflict) as found, alive(evening):
        pass
    assert [each.kind for each in found.value.conflicts] == ["filled_after_its_end"]
    assert evening.accept() == 0
    assert evening.held() == {("s", "SPY"): 10}


def wake(bot: Any, exit_: Order, **changes: Any) -> None:
    """An order that the broker was done with trades again."""
    desk = exchange(bot)._engine
    found = exchange(bot).order_by_client_id(exit_.client_order_id)
    day = timedelta(days=1)
    desk.open_orders.put(
        replace(
            found, stall=None, stalled_until=None, status="new", expires_at=CLOSE + day, **changes
        )
    )


# -- exits are tried again by the clock ------------------------------------------------------------------


@pytest.mark.parametrize("by", ["another symbol's bars", "the clock alone"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_refused_exit_is_tried_again_where_its_symbol_has_no_bars(
    make_world: Any, limits: Any, alive: Any, by: str, killed: bool
) -> None:
    """It met somebody's resting buy, which has gone before the pause is over."""
    world = make_world({"SPY": [100.0] * 8 + [None] * 30, "IBM": [50.0] * 38}, **limits())
    world.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(world, foreign="ignore") as bot:
        until(bot, 6)
        resting = by_hand(bot, BUY, 1, limit=90)
        until(bot, 8)
        assert sizes(bot) == [(10, "rejected")]
        exchange(bot).cancel(resting.id)
        if by == "the clock alone":
            pass_to(bot, minute(8.9))
            assert len(exits(bot)) == 1
            pass_to(bot, minute(9))
        elif not killed:
            until(bot, 9)
        assert len(exits(bot)) == (1 if killed and by != "the clock alone" else 2)
    if killed:
        with alive(world, foreign="ignore") as bot:
            until(bot, 9)
    assert sizes(world) == [(10, "rejected"), (10, "accepted")]
    assert exits(world)[1].created_at == minute(9)


# -- refused exits and the breaker -----------------------------------------------------------------------


def failures(world: Any) -> tuple[int, bool]:
    ((count, tripped),) = world.ask("SELECT failure_count, tripped FROM circuit_breaker")
    return count, bool(tripped)


def test_refused_exits_of_one_symbol_block_no_entries_in_another(
    make_world: Any, limits: Any, alive: Any
) -> None:
    """Ten strategies' exits meet somebody's resting buy."""
    world = make_world({"SPY": [100.0] * 60, "IBM": [50.0] * 60}, **limits({"max_failures": 5}))
    holders = {f"s{n}": {("SPY", 2): LONG, ("SPY", 7): FLAT} for n in range(10)}
    world.follow(**holders, t={("IBM", 12): LONG})
    with alive(world, foreign="ignore") as bot:
        until(bot, 6)
        by_hand(bot, BUY, 1, limit=90)
        until(bot, 8)
        assert len(exits(bot, Status.REJECTED)) == 10
        assert failures(world) == (1, False)
    with alive(world, foreign="ignore") as bot:
        until(bot, 12)
        assert failures(world) == (1, False)
        until(bot, 15)
    assert world.held()["t", "IBM"] == 10
    assert not failures(world)[1]


def test_the_refusals_of_one_exit_count_once(calm: Any, limits: Any, alive: Any) -> None:
    calm.settings |= limits({"max_failures": 2})
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm, foreign="ignore") as bot:
        until(bot, 6)
        by_hand(bot, BUY, 1, limit=90)
        until(bot, 30)
    with alive(calm, foreign="ignore") as bot:
        until(bot, 80)
    assert len(exits(calm, Status.REJECTED)) == 8
    assert failures(calm) == (1, False)


# -- nothing but closing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["", "s"], ids=["nobody's", "the strategy's"])
@pytest.mark.parametrize("killed", [False, True])
def test_shares_sold_short_are_bought_back_by_the_operator_alone(
    calm: Any, alive: Any, whose: str, killed: bool
) -> None:
    """What the account lacks is nobody's where the broker's word is accepted."""
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm) as bot:
        until(bot, 5)
        exchange(bot).adjust("SPY", Decimal(-20), Decimal(100))
        assert there(bot) == -10
    if whose:
        calm.here(short(whose, 10))
    else:
        assert calm.accept() == 0
    assert calm.held() == {(whose, "SPY"): -10}
    with alive(calm) as bot:
        until(bot, 12)
        assert (bot.session.book.net("SPY"), exits(bot)) == (-10, [])
        bot.session.journal.send(Command("1", "flatten", "SPY", OPEN))
        until(bot, 13 if killed else 20)
    if killed:
        with alive(calm) as bot:
            until(bot, 20)
    (back,) = exits(calm)
    assert (back.strategy, back.side, back.qty, back.status) == (whose, BUY, 10, Status.FILLED)
    assert calm.held() == {}


def test_an_entry_that_would_offset_a_short_position_is_blocked(calm: Any, alive: Any) -> None:
    """The account would hold nothing, here there were 10 and -10: no exit of either could leave."""
    calm.follow(s={("SPY", 7): LONG, ("SPY", 12): FLAT, ("SPY", 24): LONG})
    calm.here(short("", 10))
    with calm.opened() as session:
        session.broker._exchange.adjust("SPY", Decimal(-10), Decimal(100))
    with alive(calm) as bot:
        until(bot, 20)
        (entry,) = rows(bot, Order)
        assert (entry.status, entry.reason) == (
            Status.BLOCKED, "no strategy holds -10 SPY: close that first",
        )  # fmt: skip
        bot.session.journal.send(Command("1", "flatten", "SPY", OPEN))
        until(bot, 30)
        assert there(bot) == 10
    assert calm.held() == {("s", "SPY"): 10}


def short(strategy: str, qty: int) -> Position:
    cost = Decimal(100 * qty)
    return Position(strategy, "SPY", Decimal(-qty), cost, Decimal(100), Decimal(0), minute(5))


class Wrong:
    """A sizer that answers a target with the other side."""

    def __init__(self, target: int, side: Side, qty: int) -> None:
        self._target, self._side, self._qty = target, side, Decimal(qty)

    @hookimpl
    def on_signal(self, signal: Signal) -> OrderIntent | None:
        if signal.target != self._target:
            return None
        return OrderIntent(signal.symbol, self._side, self._qty)


@pytest.mark.parametrize(
    ("target", "side", "qty"), [(FLAT, BUY, 10), (FLAT, BUY, 3), (LONG, SELL, 10)]
)
def test_a_sizer_that_turns_a_signal_round_is_a_plugins_error(
    calm: Any, alive: Any, target: int, side: Side, qty: int
) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    calm.strategies["wrong"] = Wrong(target, side, qty)
    with alive(calm) as bot:
        before = 7 if target == FLAT else 2
        until(bot, before)
        sent = list(bot.line.sent)
        with pytest.raises(PluginError, match="on_signal"):
            until(bot, 12)
        assert bot.session.feed.now() == minute(before + 1)
        assert bot.line.sent == sent
    assert exits(calm) == []


def test_a_sizer_that_asks_for_more_than_is_held_sells_what_is_held(calm: Any) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    calm.strategies["wrong"] = Wrong(FLAT, SELL, 15)
    calm.play(12)
    assert sizes(calm) == [(10, "filled")]


def test_an_exit_whose_position_shrank_while_it_waited_leaves_with_what_is_held(
    calm: Any, alive: Any
) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm) as bot:
        until(bot, 7)
        watch = Watch(bot)
        bot.line.fault = no_room
        until(bot, 8)
        assert [o.status for o in exits(bot)] == [Status.PENDING]
        exchange(bot).adjust("SPY", Decimal(-4), Decimal(100))
        bot.session.book.apply(
            Adjustment(minute(8), "s", "SPY", Decimal(-4), Decimal(100), "a test's")
        )
        bot.line.fault = lambda order: ""
        until(bot, 12)
        assert (watch.lowest, there(bot)) == (0, 0)
    assert sizes(calm) == [(10, "blocked"), (6, "filled")]
    assert "only 6 are held" in exits(calm)[0].reason


def no_room(order: Order) -> str:
    raise NotSent("429", 1.0)


def test_an_exit_whose_position_shrank_while_the_bot_was_down_leaves_with_what_is_held(
    calm: Any, alive: Any
) -> None:
    """It was committed and perhaps sent; then the account lost 4 shares, which the operator accepts."""
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm) as bot:
        until(bot, 7)
        bot.line.fault = no_room
        until(bot, 8)
        exchange(bot).adjust("SPY", Decimal(-4), Decimal(100))
    assert calm.accept() == 0
    with alive(calm) as bot:
        watch = Watch(bot)
        until(bot, 12)
        assert (watch.lowest, there(bot)) == (0, 0)
    assert sizes(calm) == [(10, "abandoned"), (6, "filled")]
