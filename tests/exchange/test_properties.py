"""Whatever is submitted: nothing is made of nothing, and the same is the same."""

from __future__ import annotations

import shutil
from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smabot.domain.order_terms import OrderType, Side, TimeInForce
from smabot_exchange.matching.orders import OrderRequest, Refusal

cents = st.integers(500, 3000).map(lambda value: Decimal(value) / 100)
four_prices = st.lists(cents, min_size=4, max_size=4).map(
    lambda p: [p[0], max(p), min(p), p[1]]  # open, high, low, close
)
bar = st.none() | st.tuples(four_prices, st.sampled_from([0, 1, 9, 10, 155, 4000]))
session = st.lists(st.tuples(bar, bar), min_size=2, max_size=7)
request = st.builds(
    OrderRequest,
    symbol=st.sampled_from(["KO", "SPY", "SPY"]),
    side=st.sampled_from([Side.BUY, Side.BUY, Side.SELL]),
    qty=st.integers(1, 60).map(Decimal) | st.sampled_from([Decimal("0.5"), Decimal("2.25")]),
    type=st.just(OrderType.MARKET),
    time_in_force=st.sampled_from(TimeInForce),
) | st.builds(
    OrderRequest,
    symbol=st.sampled_from(["KO", "SPY"]),
    side=st.sampled_from(Side),
    qty=st.integers(1, 60).map(Decimal),
    type=st.just(OrderType.LIMIT),
    limit_price=cents,
    time_in_force=st.sampled_from(TimeInForce),
)
plan = st.lists(st.lists(request, max_size=3), max_size=16)
few = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(lab: Any, sessions: list[Any]) -> Any:
    """A tape of two symbols; each session's bars are its last minutes."""
    lines = [lab.row("KO", "2026-03-02 09:30", 10), lab.row("SPY", "2026-03-02 09:30", 10)]
    for day, minutes in zip(("2026-03-02", "2026-03-03"), sessions, strict=True):
        for index, pair in enumerate(minutes):
            for symbol, traded in zip(("KO", "SPY"), pair, strict=True):
                if traded is not None:
                    local = f"{day} 15:{60 - len(minutes) + index}"
                    lines.append(lab.row(symbol, local, *traded))
    return lab.tape(lines)


def named(request: OrderRequest, step: int, number: int) -> OrderRequest:
    return OrderRequest(
        request.symbol, request.side, request.qty, request.type, request.limit_price,
        request.time_in_force, f"{step}-{number}",
    )  # fmt: skip


@given(sessions=st.tuples(session, session), plan=plan)
@few
def test_conservation(lab: Any, sessions: Any, plan: list[list[OrderRequest]]) -> None:
    exchange = lab.open(write(lab, sessions), cash=Decimal(1000))
    bars = {}
    step = 0
    while True:
        for number, asked in enumerate(plan[step] if step < len(plan) else ()):
            power, free = exchange.account().buying_power, exchange.available(asked.symbol)
            price = asked.limit_price or exchange.last_price(asked.symbol)
            try:
                exchange.submit(named(asked, step, number))
            except Refusal:
                continue
            if asked.side is Side.BUY:
                assert asked.qty * price <= power
                assert exchange.account().buying_power == power - asked.qty * price
            else:
                assert asked.qty <= free
                assert exchange.available(asked.symbol) == free - asked.qty
        minute = exchange.advance()
        if minute is None:
            break
        step += 1
        bars.update({(bar.symbol, bar.time): bar for bar in minute.bars})
        check(exchange, bars)
    orders = exchange.orders("all")
    assert not [o for o in orders if o.open and o.expires_at and o.expires_at <= exchange.now]
    exchange.close()


def check(exchange: Any, bars: dict[Any, Any]) -> None:
    executions = exchange.executions()
    assert len({execution.id for execution in executions}) == len(executions)
    cash, shares, filled, value = Decimal(1000), Counter[str](), Counter[Any](), Counter[Any]()
    for execution in executions:
        cash -= execution.side.sign * execution.qty * execution.price
        shares[execution.symbol] += execution.side.sign * execution.qty
        filled[execution.order_id] += execution.qty
        value[execution.order_id] += execution.qty * execution.price
        assert shares[execution.symbol] >= 0
        assert filled[execution.order_id] == execution.cumulative_qty
        traded = bars[execution.symbol, execution.time]
        low, high = Decimal(repr(traded.low)), Decimal(repr(traded.high))
        assert low <= execution.price <= high
        assert execution.qty <= max(1, int(traded.volume) // 10)
        assert traded.volume > 0
    account, last = exchange.account(), exchange.last_price
    assert account.cash == cash
    assert account.long_market_value == sum(h.qty * last(h.symbol) for h in exchange.positions())
    buys = [o for o in exchange.orders() if o.side is Side.BUY]
    assert account.held_for_orders == sum(o.remaining * o.hold_price for o in buys)
    assert {h.symbol: h.qty for h in exchange.positions()} == +shares
    for order in exchange.orders("all"):
        assert order.filled_qty == filled[order.id] <= order.qty
        assert order.filled_value == value[order.id]
        assert (order.status == "filled") == (order.filled_qty == order.qty)
        if order.limit_price is not None and order.filled_qty:
            better = (order.limit_price - order.filled_avg_price) * order.side.sign
            assert better >= 0


@given(sessions=st.tuples(session, session), plan=plan, kill=st.integers(0, 20))
@few
def test_determinism_also_over_a_kill(
    lab: Any, sessions: Any, plan: list[list[OrderRequest]], kill: int
) -> None:
    tape = write(lab, sessions)

    def run(*, kill_at: int | None) -> Any:
        exchange = lab.open(tape, cash=Decimal(1000))
        step, more = 0, True
        while more:
            for number, asked in enumerate(plan[step] if step < len(plan) else ()):
                try:
                    exchange.submit(named(asked, step, number))
                except Refusal:
                    continue
            if step == kill_at:
                exchange = reopened(lab, exchange, tape)
            more = exchange.advance() is not None
            step += 1
        result = (
            exchange.orders("all"), exchange.executions(), exchange.positions(),
            exchange.account(), exchange.now, exchange.minutes,
        )  # fmt: skip
        exchange.close()
        return result

    assert run(kill_at=None) == run(kill_at=kill)


@given(sessions=st.tuples(session, session), plan=plan)
@few
def test_orders_sent_together_fare_as_one_by_one(
    lab: Any, sessions: Any, plan: list[list[OrderRequest]]
) -> None:
    tape = write(lab, sessions)
    one, many = lab.open(tape, cash=Decimal(1000)), lab.open(tape, cash=Decimal(1000))
    more = True
    for asked in plan:
        # Ids come twice, and again in the next minute: duplicates, unless the first was refused.
        requests = [named(each, len(plan), n // 2) for n, each in enumerate(asked + asked)]
        assert told(many.submit_many(requests)) == told([alone(one, each) for each in requests])
        assert one.account() == many.account()
        more = more and one.advance() is not None
        assert not more or many.advance() is not None
    for each in (one, many):
        lab.play(each)
    assert one.orders("all") == many.orders("all")
    assert one.executions() == many.executions()
    one.close()
    many.close()


def alone(exchange: Any, request: OrderRequest) -> Any:
    try:
        return exchange.submit(request)
    except Refusal as refusal:
        return refusal


def told(answers: list[Any]) -> list[Any]:
    return [str(each) if isinstance(each, Refusal) else each for each in answers]


def reopened(lab: Any, exchange: Any, tape: Any) -> Any:
    """The exchange as its files tell it after a kill."""
    ledger = max(lab.folder.glob("ledger*.db"), key=lambda path: path.stat().st_mtime_ns)
    for suffix in ("", "-wal"):
        shutil.copy(f"{ledger}{suffix}", lab.folder / f"killed.db{suffix}")
    exchange.close()
    return lab.open(tape, "killed.db", cash=Decimal(1000))
