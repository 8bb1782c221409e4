"""What trading costs: slippage is in a fill's price, commissions and fees are charged with it, by order."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smabot.domain.order_terms import Side
from smabot.errors import ConfigError
from smabot.settings.model import Config
from smabot_exchange.matching.costs import FEE_SCHEDULES, Costs
from smabot_exchange.matching.orders import RequestRefused
from smabot_exchange.opening import open_exchange, requested_terms
from smabot_exchange.plugin import ExchangeSettings

DAY = "2026-03-02"
D = Decimal
PER_SHARE = {"commission_per_share": D("0.005"), "commission_minimum": D(1)}


@pytest.fixture
def market(lab: Any, client: Any) -> Any:
    """Opens an exchange with costs on bars of one symbol, after a first one at 10."""

    def opened(
        *bars: Any, volume: float = 100_000, half_spread: str = "0", **costs: Decimal
    ) -> Any:
        rows = [
            lab.row("SPY", f"{DAY} 09:30", 10, 100_000),
            *lab.rows("SPY", f"{DAY} 09:31", bars, volume),
        ]
        exchange = lab.open(lab.tape(rows), half_spread=D(half_spread), costs=costs)
        exchange.advance()
        return client(exchange)

    return opened


def prices(trader: Any) -> list[Decimal]:
    return [each.price for each in trader.exchange.executions()]


def fees(trader: Any) -> list[Decimal]:
    return [each.fees for each in trader.exchange.executions()]


# -- slippage ----------------------------------------------------------------------------------------

BAR = [10, 10.4, 9.6, 10]


@pytest.mark.parametrize(
    ("order", "costs", "price"),
    [
        ({"side": "buy"}, {"slippage": "0.02"}, "10.02"),
        ({"side": "sell"}, {"slippage": "0.02"}, "9.98"),
        ({"side": "buy"}, {"slippage_of_range": "0.1"}, "10.08"),
        ({"side": "sell"}, {"slippage": "0.01", "slippage_of_range": "0.1"}, "9.91"),
        ({"side": "buy"}, {"slippage": "0.00001"}, "10.0001"),
        ({"side": "buy"}, {"slippage": "0.7"}, "10.4"),  # no worse than the bar's high
        ({"side": "sell"}, {"slippage": "0.7"}, "9.6"),
        ({"side": "buy", "limit": "10.3"}, {"slippage": "0.02"}, "10.02"),
        ({"side": "buy", "limit": "10.01"}, {"slippage": "0.02"}, "10.01"),
        ({"side": "sell", "limit": "9.99"}, {"slippage": "0.02"}, "9.99"),
        ({"side": "buy", "limit": "9.9"}, {"slippage": "0.02"}, "9.9"),  # traded through
        ({"side": "buy", "stop": "10.2"}, {"slippage": "0.02"}, "10.22"),
        ({"side": "sell", "stop": "9.7"}, {"slippage": "0.5"}, "9.6"),
        ({"side": "buy", "stop": "10.2", "limit": "10.21"}, {"slippage": "0.02"}, "10.21"),
        ({"side": "buy", "tif": "ioc"}, {"slippage": "0.02"}, "10.02"),
    ],
)  # fmt: skip
def test_slippage_is_against_the_order_and_within_its_limit_and_the_bar(
    market: Any, order: dict[str, Any], costs: dict[str, str], price: str
) -> None:
    trader = market(BAR, **{name: D(value) for name, value in costs.items()})
    trader.buy(10, **order) if order.pop("side") == "buy" else trader.sell(10, **order)
    trader.exchange.advance()
    assert prices(trader) == [D(price)]
    assert (
        trader.exchange.account().cash == 100_000 - D(price) * trader.exchange.position("SPY").qty
    )


@pytest.mark.parametrize(("slippage", "price"), [("0.02", "10.07"), ("9", "10.45")])
def test_slippage_comes_on_top_of_the_spread(market: Any, slippage: str, price: str) -> None:
    trader = market(BAR, half_spread="0.05", slippage=D(slippage))
    trader.buy(10)
    trader.exchange.advance()
    assert prices(trader) == [D(price)]


def test_an_order_by_amount_buys_fewer_shares(market: Any) -> None:
    trader = market(BAR, slippage=D("0.1"))
    trader.buy(notional=D(1010))
    trader.exchange.advance()
    (bought,) = trader.exchange.executions()
    assert (bought.qty, bought.price) == (100, D("10.1"))


# -- fees --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("costs", "side", "qty", "value", "charged"),
    [
        ({}, "buy", "100", "1000", "0"),
        ({"commission_per_share": "0.005"}, "buy", "150", "1000", "0.75"),
        ({"commission_per_share": "0.005"}, "sell", "1", "1000", "0.01"),
        ({"commission_per_order": "4.95"}, "sell", "100", "1000", "4.95"),
        ({"commission_per_order": "1", "commission_per_share": "0.01"}, "buy", "100", "1", "2"),
        ({"commission_per_share": "0.005", "commission_minimum": "1"}, "buy", "100", "1", "1"),
        ({"commission_per_share": "0.005", "commission_minimum": "1"}, "buy", "201", "1", "1.01"),
        ({"sec_fee_rate": "0.0000206"}, "sell", "100", "100000", "2.06"),
        ({"sec_fee_rate": "0.0000206"}, "buy", "100", "100000", "0"),
        ({"taf_per_share": "0.000195"}, "sell", "100", "1", "0.02"),
        ({"taf_per_share": "0.000195"}, "sell", "100000", "1", "19.50"),
        ({"taf_per_share": "0.000195", "taf_maximum": "9.79"}, "sell", "100000", "1", "9.79"),
        ({"cat_per_share": "0.000003"}, "buy", "100000", "1", "0.30"),
        ({"commission_minimum": "1"}, "buy", "0", "0", "0"),
    ],
)
def test_what_an_order_is_charged(
    costs: dict[str, str], side: str, qty: str, value: str, charged: str
) -> None:
    terms = Costs(**{name: D(amount) for name, amount in costs.items()})
    assert terms.fees(Side(side), D(qty), D(value)) == D(charged)
    assert terms.charged is bool(costs)
    assert not terms.slips


def test_a_minimum_is_of_an_order_and_not_of_each_of_its_fills(market: Any) -> None:
    """300 shares, 100 a minute: 1.00 is charged at first, and nothing more until it is used up."""
    trader = market(10, 10, 10, volume=1000, **PER_SHARE)
    order = trader.buy(300)
    for charged in ("1", "1", "1.5"):
        trader.exchange.advance()
        assert trader.now(order).fees == D(charged)
    assert fees(trader) == [1, 0, D("0.5")]
    assert trader.exchange.account().cash == 100_000 - 3000 - D("1.5")
    assert trader.exchange.position("SPY").avg_price == 10


def test_alpaca_charges_regulatory_fees(market: Any) -> None:
    trader = market(10, 20, **FEE_SCHEDULES["alpaca"])
    trader.buy(1000)
    trader.exchange.advance()
    trader.sell(1000)
    trader.exchange.advance()
    assert fees(trader) == [D("0.01"), D("0.42") + D("0.20") + D("0.01")]


def test_the_history_of_equity_has_the_fees(market: Any, lab: Any) -> None:
    trader = market(10, 10, **PER_SHARE)
    trader.buy(300)
    trader.exchange.advance()
    moved = trader.exchange._ledger.movements()
    assert [each.cash for each in moved] == [D("-3001.5")]


amounts = st.decimals(0, 2, places=3)
schedules = st.fixed_dictionaries(
    {},
    optional={
        "commission_per_share": amounts, "commission_per_order": amounts, "commission_minimum": amounts,
        "sec_fee_rate": st.decimals(0, 1, places=4), "taf_per_share": amounts, "taf_maximum": amounts,
        "cat_per_share": amounts, "slippage": amounts,
        "slippage_of_range": st.decimals(0, 1, places=2),
    },
)  # fmt: skip
cents = st.integers(500, 3000).map(lambda value: D(value) / 100)
four = st.lists(cents, min_size=4, max_size=4).map(lambda p: [p[0], max(p), min(p), p[1]])
wishes = st.lists(
    st.tuples(st.integers(-60, 60).filter(bool), st.none() | cents), min_size=1, max_size=8
)


@given(bars=st.lists(four, min_size=3, max_size=8), wishes=wishes, costs=schedules)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_trades_cash_is_what_fills_and_fees_make(
    market: Any, bars: Any, wishes: Any, costs: dict[str, Decimal]
) -> None:
    trader = market(*bars, volume=200, **costs)
    exchange, terms = trader.exchange, Costs(**costs)
    for qty, limit in wishes:
        send = trader.buy if qty > 0 else trader.sell
        with suppress(RequestRefused):
            send(abs(qty), limit=limit)
        exchange.advance()
    while exchange.advance() is not None:
        pass
    cash, charged, filled, value = D(100_000), Counter[Any](), Counter[Any](), Counter[Any]()
    orders = {order.id: order for order in exchange.orders("all")}
    for each in exchange.executions():
        assert each.fees >= 0
        order = orders[each.order_id]
        if order.limit_price is not None:
            assert (order.limit_price - each.price) * each.side.sign >= 0
        cash -= each.qty * each.price * each.side.sign + each.fees
        charged[each.order_id] += each.fees
        filled[each.order_id] += each.qty
        value[each.order_id] += each.qty * each.price
    assert exchange.account().cash == cash
    for order in orders.values():
        assert order.fees == charged[order.id]
        assert order.fees == terms.fees(order.side, filled[order.id], value[order.id])
    exchange.close()


# -- the terms of a ledger ---------------------------------------------------------------------------


def test_a_ledger_keeps_its_costs(lab: Any, client: Any) -> None:
    tape = lab.tape(lab.rows("SPY", f"{DAY} 09:30", [10, 10, 10], 1000))
    first = lab.open(tape, "a.db", costs=PER_SHARE)
    order = client(first).buy(300)
    first.advance()
    first.close()
    again = lab.open(tape, "a.db")
    again.advance()
    again.advance()
    found = client(again).now(order)
    assert (found.filled_qty, found.fees) == (300, D("1.5"))
    again.close()
    with pytest.raises(
        ConfigError,
        match=r"was opened with slippage 0, the settings say 0\.01; set it back or give",
    ):
        lab.open(tape, "a.db", costs={"slippage": D("0.01")})
    with pytest.raises(ConfigError, match=r"was opened with commission_per_share 0\.005"):
        lab.open(tape, "a.db", costs=FEE_SCHEDULES["none"])
    lab.open(tape, "a.db", costs=PER_SHARE).close()


def test_single_settings_change_those_of_a_name() -> None:
    asked = requested_terms(ExchangeSettings(costs="alpaca", taf_maximum=D(0), slippage=D("0.01")))
    costs = asked.for_new_ledger().costs
    assert (costs.sec_fee_rate, costs.taf_maximum) == (D("0.0000206"), 0)
    assert (costs.slippage, costs.commission_per_share) == (D("0.01"), 0)
    assert requested_terms(ExchangeSettings()).costs == {}
    assert "slippage" not in requested_terms(ExchangeSettings(costs="none")).costs


def test_without_settings_nothing_is_charged(lab: Any, tmp_path: Path) -> None:
    tape = lab.tape(lab.rows("SPY", f"{DAY} 09:30", [10, 10]))
    config = Config(broker="exchange", db=tmp_path / "bot.db", data=str(tape))
    exchange = open_exchange(config, ExchangeSettings())
    assert exchange._ledger.terms.costs == Costs()
    exchange.close()
