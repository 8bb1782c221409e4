"""The fake exchange of `smabot.testing`: what its page promises to authors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.calendar import Session
from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import Bar, Order, OrderIntent, Position, Signal
from smabot.errors import ConfigError, ConflictError
from smabot.hooks.ports import BrokerOrder
from smabot.hooks.specifications import hookimpl
from smabot.testing.fake_bot import FakeBot
from smabot.testing.fake_exchange import FakeExchange

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def bar(number: int, *ohlc: float, symbol: str = "SPY") -> Bar:
    return Bar(symbol, OPEN + number * MINUTE, *ohlc, 1000)


FALLING = [bar(n, 100.0 - n, 100.5 - n, 98.5 - n, 99.0 - n) for n in range(6)]


def order(side: Side, qty: int, limit: str | None = None, **changes: Any) -> Order:
    made = Order(
        "a", "s", "SPY", side, D(qty), OrderType.LIMIT if limit else OrderType.MARKET,
        D(limit) if limit else None, TimeInForce.DAY, OPEN, 1, side is SELL, OPEN,
    )  # fmt: skip
    return replace(made, **changes)


def opened(bars: Sequence[Bar], **terms: Any) -> FakeExchange:
    exchange = FakeExchange(bars, **terms)
    exchange.subscribe(["SPY"])
    return exchange


def seen(exchange: FakeExchange, name: str = "a") -> BrokerOrder:
    found = exchange.order(name)
    assert found is not None
    return found


def after(exchange: FakeExchange, minutes: int) -> tuple[Status, Decimal | None]:
    for _ in range(minutes):
        assert exchange.next(0) is not None
    return seen(exchange).status, seen(exchange).filled_avg_price


@pytest.mark.parametrize(
    ("sent", "minutes", "price"),
    [
        (order(BUY, 10), 1, "99.0"),
        (order(BUY, 10, "99.50"), 1, "99.0"),  # better than its limit
        (order(BUY, 10, "98.00"), 1, "98.00"),
        (order(BUY, 10, "97.50"), 1, "97.50"),
        (order(BUY, 10, "97.40"), 1, None),
        (order(BUY, 10, "97.40"), 2, "97.40"),
        (order(SELL, 10, "99.50"), 1, "99.50"),
        (order(SELL, 10, "99.60"), 3, None),
        (order(SELL, 10, "98.50"), 1, "99.0"),
    ],
    ids=lambda value: f"{value.side}-{value.limit_price}" if isinstance(value, Order) else None,
)
def test_an_order_fills_at_the_next_open_or_at_its_limit(
    sent: Order, minutes: int, price: str | None
) -> None:
    exchange = opened(FALLING)
    if sent.side is SELL:
        exchange.submit(order(BUY, 10, client_order_id="before"))
    exchange.next(0)
    assert exchange.submit(sent).status is Status.ACCEPTED
    status, filled_at = after(exchange, minutes)
    assert (status, filled_at) == ((Status.FILLED, D(price)) if price else (Status.ACCEPTED, None))


def test_the_account_pays_and_gets_what_orders_cost() -> None:
    exchange = opened(FALLING, cash=D(2000))
    exchange.next(0)
    exchange.submit(order(BUY, 10))
    exchange.next(0)
    account = exchange.account()
    assert (account.cash, account.equity) == (D("1010.0"), D("1990.0"))
    (position,) = exchange.positions()
    assert (position.symbol, position.qty, position.avg_price) == ("SPY", 10, 99)
    exchange.submit(order(SELL, 10, client_order_id="b"))
    exchange.next(0)
    assert exchange.positions() == []
    assert exchange.account().cash == exchange.account().equity == D("1990.0")


def test_what_is_not_held_or_can_not_be_paid_is_refused() -> None:
    exchange = opened(FALLING, cash=D(1000))
    exchange.next(0)
    refused = [
        exchange.submit(order(BUY, 11, client_order_id="dear")),
        exchange.submit(order(SELL, 1, client_order_id="short")),
    ]
    exchange.submit(order(BUY, 10))
    exchange.next(0)
    exchange.submit(order(SELL, 6, "200", client_order_id="rests"))
    refused.append(exchange.submit(order(SELL, 5, client_order_id="much")))
    assert [answer.status for answer in refused] == [Status.REJECTED] * 3
    assert [answer.cause for answer in refused] == [
        RefusalCause.OTHER, RefusalCause.POSITION, RefusalCause.AVAILABLE,
    ]  # fmt: skip
    assert refused[2].available == 4
    assert exchange.order("much") is None


def test_an_order_is_taken_once_and_canceled_until_it_ends() -> None:
    exchange = opened(FALLING)
    exchange.next(0)
    first = exchange.submit(order(BUY, 10, "1.00"))
    assert exchange.submit(order(BUY, 10, "1.00")) == first
    with pytest.raises(ConflictError):
        exchange.submit(order(BUY, 11, "1.00"))
    exchange.cancel(order(BUY, 10, "1.00"))
    exchange.cancel(order(BUY, 10, "1.00"))
    batch = exchange.next(0)
    assert batch is not None
    assert [(u.client_order_id, u.status) for u in batch.updates] == [("a", Status.CANCELED)]
    assert batch.bars == ()
    assert exchange.orders() == []
    assert [o.client_order_id for o in exchange.orders(OPEN)] == ["a"]


def test_a_day_order_expires_with_its_session() -> None:
    session = Session(OPEN.date(), OPEN, OPEN + 3 * MINUTE)
    exchange = opened(FALLING, sessions=[session])
    exchange.next(0)
    exchange.submit(order(BUY, 10, "1.00"))
    exchange.submit(order(BUY, 1, "1.00", client_order_id="g", time_in_force=TimeInForce.GTC))
    assert after(exchange, 2)[0] is Status.ACCEPTED
    assert after(exchange, 1)[0] is Status.EXPIRED
    assert seen(exchange).updated_at == session.close
    assert seen(exchange, "g").status is Status.ACCEPTED
    assert exchange.calendar().sessions == (session,)


def test_the_feed_gives_what_was_subscribed_and_history_what_has_passed() -> None:
    others = [bar(n, 50.0, 50.0, 50.0, 50.0, symbol="IBM") for n in range(1, 3)]
    exchange = opened([*FALLING, *others])
    assert exchange.tradable(()) == ("IBM", "SPY")
    with pytest.raises(ConfigError, match="no bars of QQQ"):
        exchange.tradable(["QQQ"])
    for _ in range(3):
        batch = exchange.next(0)
        assert batch is not None
        assert {b.symbol for b in batch.bars} == {"SPY"}
    assert exchange.now() == OPEN + 3 * MINUTE

    def times(since: datetime | None, bars: int) -> list[int]:
        found = exchange.history(["SPY"], since, bars)
        return [(minute[0].time - OPEN) // MINUTE for minute in found]

    assert times(None, 2) == [1, 2]
    assert times(None, 0) == []
    assert times(OPEN, 0) == [1, 2]
    exchange.catch_up(OPEN + 5 * MINUTE)
    assert exchange.now() == OPEN + 5 * MINUTE
    assert exchange.next(0) is not None
    assert exchange.next(0) is None


class Dip:
    """Buys at a limit when the close is 97, sells at the minute that is told."""

    def __init__(self, out: int) -> None:
        self._out = OPEN + out * MINUTE

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        if bar.time == self._out:
            return Signal.flat(bar)
        return Signal.long(bar) if bar.close == 97 else None

    @hookimpl
    def on_signal(self, signal: Signal) -> OrderIntent | None:
        if not signal.target:
            return None
        return OrderIntent("SPY", BUY, D(3), OrderType.LIMIT, D("96.50"))


@pytest.mark.parametrize("killed_after", [None, 1, 2, 3, 4, 5])
def test_a_bot_trades_on_it_and_is_started_again_on_it(killed_after: int | None) -> None:
    bot = FakeBot(FakeExchange(FALLING), dip=lambda: Dip(4))
    if killed_after is not None:
        bot.play(killed_after)
    bot.play()
    entry, exit_ = sorted(bot.rows(Order), key=lambda order: order.created_at)
    assert (entry.status, entry.filled_avg_price) == (Status.FILLED, D("96.50"))
    assert (exit_.status, exit_.filled_avg_price) == (Status.FILLED, D("95.0"))
    assert [(p.strategy, p.qty, p.realized_pnl) for p in bot.rows(Position)] == [
        ("dip", 0, D("-4.50"))
    ]
    assert bot.rows(Event) == []


def test_what_a_bot_was_not_told_it_asks_for() -> None:
    """The order fills while no bot runs, and the stream tells of it only once."""
    exchange = FakeExchange(FALLING)
    bot = FakeBot(exchange, dip=lambda: Dip(9))
    bot.play(3)
    assert bot.rows(Position) == []
    exchange.next(0)
    with bot.started() as engine:
        assert engine.book.holding("dip", "SPY") == 3
        assert exchange.next(0) is not None


def test_settings_reach_the_bot() -> None:
    bot = FakeBot(FakeExchange(FALLING), dip=lambda: Dip(9))
    bot.play(until=OPEN + 2 * MINUTE)
    assert bot.exchange.now() == OPEN + 2 * MINUTE
