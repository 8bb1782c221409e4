"""What holds over any sequence of prices, orders, the broker's news, nights and kills."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Order

SYMBOLS = st.sampled_from(["SPY", "IBM", "F"])
ACTIONS = st.one_of(
    st.tuples(st.just("price"), SYMBOLS, st.sampled_from([80.0, 95.0, 100.0, 104.0, 120.0])),
    st.tuples(st.just("order"), SYMBOLS, st.sampled_from([Side.BUY, Side.BUY, Side.SELL])),
    st.tuples(st.just("order"), SYMBOLS, st.sampled_from([Side.BUY, Side.BUY, Side.SELL])),
    st.tuples(
        st.just("news"),
        st.integers(0, 5),
        st.sampled_from(
            [Status.FILLED, Status.FILLED, Status.PARTIALLY_FILLED, Status.ACCEPTED,
             Status.REJECTED, Status.UNKNOWN, Status.CANCELED]
        ),
    ),
    st.tuples(st.just("pass"), st.sampled_from([1, 30, 18 * 60, 72 * 60]), st.none()),
    st.tuples(st.just("reset"), st.none(), st.none()),
)  # fmt: skip
BREAKER = {"max_failures": 2, "max_session_drawdown": "0.02", "cool_down_minutes": 45}
LIMITS = {
    "max_trades": 4, "max_orders": 6, "max_orders_per_symbol": 4, "max_loss": 900,
    "max_exposure": 4000, "max_exposure_per_symbol": 2500,
}  # fmt: skip


def act(bot: Any, action: tuple[str, Any, Any]) -> Order | None:
    """Do one thing; returns the order that was judged, if any."""
    kind, what, how = action
    if kind == "price":
        bot.price(what, how)
    elif kind == "order":
        held = bot.book.holding("sma", what)
        if how is Side.SELL and held <= 0:
            return None
        order: Order = bot.submit(what, how, int(held) if how is Side.SELL else 10)
        return order
    elif kind == "news":
        if orders := bot.book.open_orders():
            order = orders[what % len(orders)]
            part = {Status.FILLED: order.qty, Status.PARTIALLY_FILLED: max(order.filled_qty, 4)}
            price = bot.book.price(order.symbol) or Decimal(100)
            bot.take(order, how, min(part.get(how, Decimal(0)), order.qty), str(price))
    elif kind == "pass":
        bot.at(bot.now + timedelta(minutes=what))
    else:
        bot.command("breaker reset")
    return None


@settings(max_examples=150)
@given(st.lists(st.tuples(ACTIONS, st.booleans()), max_size=40))
def test_a_bot_that_is_killed_ends_as_one_that_never_was(desk: Any, actions: Any) -> None:
    steady = desk(breaker=BREAKER, limits=LIMITS)
    killed = desk(breaker=BREAKER, limits=LIMITS)
    for action, kill in actions:
        act(steady, action)
        act(killed, action)
        if kill:
            killed.restart()
        assert killed.risk_rows() == steady.risk_rows()
        assert killed.kept == steady.kept


@settings(max_examples=150)
@given(
    st.lists(ACTIONS, max_size=60),
    st.sampled_from(["entries", "all"]),
    st.sampled_from(list(LIMITS)),
)
def test_no_sequence_of_orders_exceeds_a_limit(
    desk: Any, actions: Any, block: str, limit: str
) -> None:
    none = dict.fromkeys(LIMITS, 0)
    bot = desk(limits={**none, "max_order_notional": 0, limit: LIMITS[limit], "block": block})
    most = LIMITS[limit]
    start, last = Decimal(100_000), (bot.book.trading_date, Decimal(100_000))
    reached_on = None
    for action in actions:
        lost_before = bot.book.equity()
        order = act(bot, action)
        today = bot.book.trading_date
        if today != last[0]:
            start = last[1]
        if bot.book.point is not None:
            last = (today, bot.book.point.equity)
            if limit == "max_loss" and start - last[1] >= most:
                reached_on = today
        if order is None:
            continue
        passed = order.status is Status.PENDING
        if order.reduces and (block == "entries" or limit.startswith("max_exposure")):
            assert passed
            continue
        day, symbol = bot.day(today), bot.symbol(order.symbol)
        unfilled = sum(1 for each in bot.book.open_orders() if not each.filled_qty)
        if limit == "max_trades" and passed:
            assert (day.trade_count if day else 0) + unfilled <= most
        if limit == "max_orders" and block == "all":
            assert (day.order_count if day else 0) <= most
        if limit == "max_orders_per_symbol" and block == "all":
            assert symbol is None or symbol.order_count <= most
        if limit == "max_exposure" and passed and bot.book.price(order.symbol):
            assert bot.book.exposure() <= most
        if limit == "max_exposure_per_symbol" and passed and bot.book.price(order.symbol):
            assert bot.book.exposure(order.symbol) <= most
        if limit == "max_loss":
            assert passed is (reached_on != today and start - lost_before < most)
