"""An exit closes a position and nothing else: it never opens one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Command
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Adjustment, Order, OrderIntent, Position, Signal
from smabot.errors import NotSent, PluginError
from smabot.hooks.specifications import hookimpl

LONG, FLAT = 1, 0
BUY, SELL = Side.BUY, Side.SELL
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def minute(number: float) -> datetime:
    return OPEN + timedelta(minutes=number)


@pytest.mark.parametrize("whose", ["", "s"], ids=["nobody's", "the strategy's"])
@pytest.mark.parametrize("killed", [False, True])
def test_shares_sold_short_are_bought_back_by_the_operator_alone(
    calm: Any, alive: Any, whose: str, killed: bool, exits: Any
) -> None:
    """What the account lacks is nobody's where the broker's word is accepted."""
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm) as bot:
        bot.until(5)
        bot.exchange.adjust("SPY", Decimal(-20), Decimal(100))
        assert bot.account_holds() == -10
    if whose:
        calm.here(short(whose, 10))
    else:
        assert calm.accept() == 0
    assert calm.held() == {(whose, "SPY"): -10}
    with alive(calm) as bot:
        bot.until(12)
        assert (bot.session.book.net("SPY"), exits(bot)) == (-10, [])
        bot.session.journal.send(Command("1", "flatten", "SPY", OPEN))
        bot.until(13 if killed else 20)
    if killed:
        with alive(calm) as bot:
            bot.until(20)
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
        bot.until(20)
        (entry,) = bot.rows(Order)
        assert (entry.status, entry.reason) == (
            Status.BLOCKED, "no strategy holds -10 SPY: close that first",
        )  # fmt: skip
        bot.session.journal.send(Command("1", "flatten", "SPY", OPEN))
        bot.until(30)
        assert bot.account_holds() == 10
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
    calm: Any, alive: Any, target: int, side: Side, qty: int, exits: Any
) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    calm.strategies["wrong"] = Wrong(target, side, qty)
    with alive(calm) as bot:
        before = 7 if target == FLAT else 2
        bot.until(before)
        sent = list(bot.line.sent)
        with pytest.raises(PluginError, match="on_signal"):
            bot.until(12)
        assert bot.session.feed.now() == minute(before + 1)
        assert bot.line.sent == sent
    assert exits(calm) == []


def test_a_sizer_that_asks_for_more_than_is_held_sells_what_is_held(calm: Any, sizes: Any) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    calm.strategies["wrong"] = Wrong(FLAT, SELL, 15)
    calm.play(12)
    assert sizes(calm) == [(10, "filled")]


def test_an_exit_whose_position_shrank_while_it_waited_leaves_with_what_is_held(
    calm: Any, alive: Any, exits: Any, sizes: Any
) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm) as bot:
        bot.until(7)
        watch = bot.watch()
        bot.line.fault = no_room
        bot.until(8)
        assert [o.status for o in exits(bot)] == [Status.PENDING]
        bot.exchange.adjust("SPY", Decimal(-4), Decimal(100))
        bot.session.book.apply(
            Adjustment(minute(8), "s", "SPY", Decimal(-4), Decimal(100), "a test's")
        )
        bot.line.fault = lambda order: ""
        bot.until(12)
        assert (watch.lowest, bot.account_holds()) == (0, 0)
    assert sizes(calm) == [(10, "blocked"), (6, "filled")]
    assert "only 6 are held" in exits(calm)[0].reason


def no_room(order: Order) -> str:
    raise NotSent("429", 1.0)


def test_an_exit_whose_position_shrank_while_the_bot_was_down_leaves_with_what_is_held(
    calm: Any, alive: Any, sizes: Any
) -> None:
    """It was committed and perhaps sent; then the account lost 4 shares, which the operator accepts."""
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm) as bot:
        bot.until(7)
        bot.line.fault = no_room
        bot.until(8)
        bot.exchange.adjust("SPY", Decimal(-4), Decimal(100))
    assert calm.accept() == 0
    with alive(calm) as bot:
        watch = bot.watch()
        bot.until(12)
        assert (watch.lowest, bot.account_holds()) == (0, 0)
    assert sizes(calm) == [(10, "abandoned"), (6, "filled")]
