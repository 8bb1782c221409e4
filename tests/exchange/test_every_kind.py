"""Whatever is submitted, changed and canceled of every kind: what is there adds up."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smabot.domain.order_terms import Side
from smabot.domain.records import ZERO
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderChange,
    OrderClass,
    OrderRequest,
    OrderType,
    RequestRefused,
    StopLoss,
    TakeProfit,
    TimeInForce,
)

CASH = Decimal(10_000)
CENT = Decimal("0.01")
LASTING = [TimeInForce.DAY, TimeInForce.GTC]


class Asked(NamedTuple):
    """An order by its distance from the last price, in cents."""

    kind: OrderType
    legs: OrderClass
    side: Side
    qty: int
    limit: int
    near: int
    far: int
    tif: TimeInForce
    notional: bool


class Action(NamedTuple):
    """Something done to one of the open orders, by its place among them."""

    cancels: bool
    place: int
    cents: int


asked = st.builds(
    Asked,
    kind=st.sampled_from(OrderType),
    legs=st.sampled_from([OrderClass.SIMPLE, OrderClass.SIMPLE, *OrderClass]),
    side=st.sampled_from(Side),
    qty=st.integers(1, 40),
    limit=st.integers(-60, 60),
    near=st.integers(1, 60),
    far=st.integers(1, 60),
    tif=st.sampled_from([*LASTING, *TimeInForce]),
    notional=st.sampled_from([False, False, True]),
)
action = st.builds(Action, st.booleans(), st.integers(0, 8), st.integers(-40, 40))
cents = st.integers(900, 1100).map(lambda value: Decimal(value) / 100)
bar = st.tuples(
    st.lists(cents, min_size=4, max_size=4).map(lambda p: [p[0], max(p), min(p), p[3]]),
    st.sampled_from([0, 9, 60, 155, 155, 4000]),
)
sessions = st.tuples(*[st.lists(bar, min_size=4, max_size=7)] * 2)
plan = st.lists(
    st.lists(asked | asked | asked | action, min_size=1, max_size=4), min_size=8, max_size=14
)
few = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.large_base_example,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
many = settings(few, max_examples=120)


def write(lab: Any, sessions: Any) -> Any:
    """Each session's bars are its last minutes; the first opens with a bar at 10."""
    lines = [lab.row("SPY", "2026-03-02 09:30", 10)]
    for day, minutes in zip(("2026-03-02", "2026-03-03"), sessions, strict=True):
        for index, (prices, volume) in enumerate(minutes):
            local = f"{day} 15:{60 - len(minutes) + index}"
            lines.append(lab.row("SPY", local, prices, volume))
    return lab.tape(lines)


def request(asked: Asked, last: Decimal, identity: str) -> OrderRequest:
    away = asked.side.sign * CENT
    kind = OrderType.LIMIT if asked.legs is OrderClass.OCO else asked.kind
    exit_away = away if asked.legs is OrderClass.OCO else -away
    legged = asked.legs is not OrderClass.SIMPLE
    limited = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    stopped = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    base = last + asked.limit * CENT if kind is OrderType.LIMIT else last
    by_amount = asked.notional and not legged and asked.tif is TimeInForce.DAY
    return OrderRequest(
        "SPY",
        asked.side,
        None if by_amount else Decimal(asked.qty),
        kind,
        last + asked.limit * CENT if limited and asked.legs is not OrderClass.OCO else None,
        asked.tif,
        identity,
        notional=Decimal(asked.qty * 10) if by_amount else None,
        stop_price=last + asked.near * away if stopped else None,
        trail_price=asked.near * CENT if kind is OrderType.TRAILING_STOP else None,
        order_class=asked.legs,
        take_profit=TakeProfit(base - asked.far * exit_away) if legged else None,
        stop_loss=StopLoss(base + asked.near * exit_away)
        if legged and asked.legs is not OrderClass.OTO
        else None,
    )


def act(exchange: Any, step: int, number: int, wanted: Asked | Action) -> None:
    try:
        if isinstance(wanted, Asked):
            last = exchange.last_price("SPY")
            exchange.submit(request(wanted, last, f"{step}-{number}"))
        elif orders := exchange.orders():
            order = orders[wanted.place % len(orders)]
            if wanted.cancels:
                exchange.cancel(order.id)
            else:
                exchange.replace(order.id, moved(order, wanted.cents, f"{step}-{number}"))
    except RequestRefused:
        pass


def moved(order: ExchangeOrder, cents: int, identity: str) -> OrderChange:
    def shifted(price: Decimal | None) -> Decimal | None:
        return None if price is None else price + cents * CENT

    trails = order.type is OrderType.TRAILING_STOP
    return OrderChange(
        qty=order.qty + cents if order.order_class is OrderClass.SIMPLE else None,
        limit_price=shifted(order.limit_price),
        stop_price=None if trails else shifted(order.stop_price),
        trail=shifted(order.trail_price),
        client_order_id=identity,
    )


def play(exchange: Any, plan: Any, each: Any = lambda exchange, step: exchange) -> Any:
    step, more = 0, True
    while more:
        for number, wanted in enumerate(plan[step] if step < len(plan) else ()):
            act(exchange, step, number, wanted)
        exchange = each(exchange, step)
        more = exchange.advance() is not None
        step += 1
    return exchange


@given(sessions=sessions, plan=plan)
@few
def test_it_adds_up(lab: Any, sessions: Any, plan: Any) -> None:
    add_up(lab, sessions, plan)


@pytest.mark.slow
@given(sessions=sessions, plan=plan)
@many
def test_many_add_up(lab: Any, sessions: Any, plan: Any) -> None:
    add_up(lab, sessions, plan)


def add_up(lab: Any, sessions: Any, plan: Any) -> None:
    exchange = lab.open(write(lab, sessions), cash=CASH, multiplier=Decimal(2))

    def check(exchange: Any, _: int) -> Any:
        check_fills(exchange)
        check_groups(exchange)
        check_account(exchange)
        return exchange

    check(play(exchange, plan, check), 0)
    for order in exchange.orders():
        assert order.expires_at is None or order.expires_at > exchange.now
        assert (
            order.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK)
            or order.status == "accepted"
        )
    exchange.close()


def check_fills(exchange: Any) -> None:
    executions = exchange.executions()
    assert len({execution.id for execution in executions}) == len(executions)
    assert [execution.number for execution in executions] == list(range(1, len(executions) + 1))
    start, end = exchange.calendar.sessions[0].open, exchange.now
    bars = {bar.time: bar for bar in exchange.bars(["SPY"], start, end)}
    filled, value = Counter[Any](), Counter[Any]()
    orders = {order.id: order for order in exchange.orders("all")}
    for execution in executions:
        order, bar = orders[execution.order_id], bars[execution.time]
        assert bar.low <= float(execution.price) <= bar.high
        assert 0 < execution.qty <= max(1, int(bar.volume) // 10)
        assert bar.volume > 0
        assert order.opens_at <= execution.time
        if order.limit_price is not None:
            assert (order.limit_price - execution.price) * order.side.sign >= 0
        filled[order.id] += execution.qty
        value[order.id] += execution.qty * execution.price
        assert filled[order.id] == execution.cumulative_qty
    for order in orders.values():
        assert order.filled_qty == filled[order.id] <= order.qty
        assert order.filled_value == value[order.id]
        if order.notional is not None:
            assert order.filled_value <= order.notional
        elif order.status == "filled":
            assert order.filled_qty == order.qty
        if order.time_in_force is TimeInForce.FOK:
            assert order.filled_qty in (0, order.qty)


def check_groups(exchange: Any) -> None:
    """Exits close no more than their entry opened, and none is left alone with nothing to close."""
    orders = {order.id: order for order in exchange.orders("all")}
    legs = defaultdict(list)
    for order in orders.values():
        if order.parent_id is not None:
            legs[order.parent_id].append(order)
    for parent_id, group in legs.items():
        parent = orders[parent_id]
        closed = sum(leg.filled_qty for leg in group)
        if parent.order_class is OrderClass.OCO:
            assert closed + parent.filled_qty <= max(leg.qty for leg in [parent, *group])
        else:
            assert closed <= parent.filled_qty
            if parent.open:
                assert {leg.status for leg in group if leg.open} == {"held"}
        working = [leg for leg in [parent, *group] if leg.open and leg.closes]
        assert len({leg.remaining for leg in working}) <= 1


def check_account(exchange: Any) -> None:
    account, last = exchange.account(), exchange.last_price("SPY")
    cash, held = CASH, ZERO
    for execution in exchange.executions():
        cash -= execution.side.sign * execution.qty * execution.price
        held += execution.side.sign * execution.qty
    assert account.cash == cash
    assert {h.symbol: h.qty for h in exchange.positions()} == ({"SPY": held} if held else {})
    assert account.equity == cash + held * last
    opening = [order for order in exchange.orders() if not order.closes]
    assert account.held_for_orders == sum(
        order.remaining * order.hold_price
        if order.notional is None
        else order.notional - order.filled_value
        for order in opening
    )
    available = exchange.available("SPY")
    assert available * held >= 0
    assert abs(available) <= abs(held)


@given(sessions=sessions, plan=plan, kill=st.integers(0, 14))
@few
def test_the_same_again_also_over_a_kill(lab: Any, sessions: Any, plan: Any, kill: int) -> None:
    run_twice(lab, sessions, plan, kill)


@pytest.mark.slow
@given(sessions=sessions, plan=plan, kill=st.integers(0, 14))
@many
def test_many_are_the_same_again(lab: Any, sessions: Any, plan: Any, kill: int) -> None:
    run_twice(lab, sessions, plan, kill)


def run_twice(lab: Any, sessions: Any, plan: Any, kill: int) -> None:
    tape = write(lab, sessions)

    def killed(exchange: Any, step: int) -> Any:
        return reopened(lab, exchange, tape) if step == kill else exchange

    def run(each: Any) -> Any:
        exchange = lab.open(tape, cash=CASH, multiplier=Decimal(2))
        exchange = play(exchange, plan, each)
        told = (
            exchange.orders("all"), exchange.executions(), exchange.positions(),
            exchange.account(), exchange.now, exchange.minutes,
        )  # fmt: skip
        exchange.close()
        return told

    assert run(lambda exchange, step: exchange) == run(killed)


def reopened(lab: Any, exchange: Any, tape: Any) -> Any:
    """The exchange as its files tell it after a kill."""
    ledger = exchange._ledger.path
    for suffix in ("", "-wal"):
        shutil.copy(f"{ledger}{suffix}", lab.folder / f"killed.db{suffix}")
    exchange.close()
    return lab.open(tape, "killed.db", cash=CASH, multiplier=Decimal(2))


def dealt(rng: Random) -> tuple[Any, Any]:
    """Sessions and a plan, denser than hypothesis likes to draw them."""

    def prices() -> list[Decimal]:
        some = [Decimal(rng.randint(900, 1100)) / 100 for _ in range(4)]
        return [some[0], max(some), min(some), some[3]]

    def wanted() -> Asked | Action:
        if rng.random() < 0.25:
            return Action(rng.random() < 0.4, rng.randrange(9), rng.randint(-40, 40))
        return Asked(
            rng.choice(list(OrderType)), rng.choice([OrderClass.SIMPLE, *OrderClass]),
            rng.choice(list(Side)), rng.randint(1, 40), rng.randint(-60, 60), rng.randint(1, 60),
            rng.randint(1, 60), rng.choice([*LASTING, *LASTING, *TimeInForce]), rng.random() < 0.2,
        )  # fmt: skip

    def session() -> list[Any]:
        return [(prices(), rng.choice([0, 9, 60, 155, 400, 4000])) for _ in range(8)]

    plan = [[wanted() for _ in range(rng.randint(0, 4))] for _ in range(17)]
    return (session(), session()), plan


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_a_busy_day_adds_up(lab: Any, seed: int) -> None:
    sessions, plan = dealt(Random(seed))

    def check(exchange: Any, _: int) -> Any:
        check_fills(exchange)
        check_groups(exchange)
        check_account(exchange)
        return exchange

    exchange = lab.open(write(lab, sessions), cash=CASH, multiplier=Decimal(2))
    check(play(exchange, plan, check), 0)
