"""An account that is blocked about a start, at an exchange in the same process: before it, amid it, after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smabot.domain.order_terms import Status
from smabot.domain.records import Order
from smabot.engine.start.recovery import recover
from smabot.errors import AccountBlocked

FLAG = "trading_blocked"
TARGETS = {("SPY", 2): 1, ("IBM", 4): 1, ("IBM", 9): 0}


@pytest.fixture
def world(make_world: Any) -> Any:
    world = make_world({"SPY": [100.0] * 20, "IBM": [50.0] * 20})
    world.follow(script=TARGETS)
    return world


def exchange_of(session: Any) -> Any:
    return session.broker._exchange


def orders_there(session: Any) -> list[str]:
    return [order.symbol for order in exchange_of(session).every_order()]


def once_after(port: Any, call: str, then: Callable[[], None]) -> None:
    """Let something happen right after the next call to a port, once its answer is on its way."""
    ask = getattr(port, call)

    def asked(*given: Any) -> Any:
        answer = ask(*given)
        setattr(port, call, ask)
        then()
        return answer

    setattr(port, call, asked)


@pytest.mark.parametrize("blocked_after", ["connect", "orders"])
def test_an_account_that_is_blocked_before_a_start_compares_it_ends_the_start(
    world: Any, blocked_after: str
) -> None:
    """Its first answer had said that it may trade; the comparison's is newer."""
    with world.opened() as session:
        exchange = exchange_of(session)
        if blocked_after == "orders":
            once_after(session.broker, "orders", lambda: exchange.flag(FLAG))
        else:
            exchange.flag(FLAG)
        assert not session.account.blocked
        with pytest.raises(AccountBlocked, match=FLAG):
            recover(session)
        assert orders_there(session) == []


@pytest.mark.parametrize("blocked_after", ["account", "start"])
def test_an_account_that_is_blocked_after_it_was_asked_takes_no_order(
    world: Any, blocked_after: str
) -> None:
    """Nobody has told the bot: it sends its first order, which is refused, and no second one."""
    world.play(1)
    with world.opened() as session:
        exchange = exchange_of(session)
        if blocked_after == "account":
            once_after(session.broker, "account", lambda: exchange.flag(FLAG))
        engine = recover(session)
        exchange.flag(FLAG)
        handed = count_submissions(session)
        world.go(engine, 6)
        assert handed == ["SPY"]
        assert orders_there(session) == []
        assert engine.access.refusal.endswith(f"({FLAG})")
    assert {order.status for order in world.rows(Order)} == {Status.BLOCKED}
    assert world.ask("SELECT kind FROM events") == [("account_blocked",)]


def test_an_order_that_the_broker_has_may_fill_in_a_blocked_account(world: Any) -> None:
    """It left, and was accepted, before the block; the fill is told after it. Nothing follows it."""
    with world.started() as (session, engine):
        world.go(engine, 3)
        assert orders_there(session) == ["SPY"]
        exchange_of(session).flag(FLAG)
        world.go(engine, 4)
        assert orders_there(session) == ["SPY"]
        assert engine.access.refusal.endswith(f"({FLAG})")
    assert world.held() == {("script", "SPY"): 10}


def test_a_block_that_a_killed_process_was_told_of_holds_at_the_next_start(world: Any) -> None:
    with world.started() as (session, engine):
        exchange_of(session).flag(FLAG)
        asked = count_submissions(session)
        world.go(engine, 3)
        assert asked == ["SPY"]
    with world.opened() as session, pytest.raises(AccountBlocked, match=FLAG):
        recover(session)
    with world.opened() as session:
        exchange_of(session).flag(FLAG, False)
    world.play()
    filled = [order.symbol for order in world.rows(Order) if order.filled_qty]
    assert filled == ["SPY", "IBM", "IBM"]


def count_submissions(session: Any) -> list[str]:
    """Return a list that gets the symbol of each order that is handed to the broker."""
    handed: list[str] = []
    submit_many = session.broker.submit_many

    def submitted(orders: Any) -> Any:
        handed.extend(order.symbol for order in orders)
        return submit_many(orders)

    session.broker.submit_many = submitted
    return handed
