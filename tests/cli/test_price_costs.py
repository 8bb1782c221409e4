"""Spread and slippage in dollars: what fills at the paper exchange cost by their prices."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Account, Bar, EquityPoint, Fill, Order

Call = Callable[..., Any]
D = Decimal
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
STRATEGY = """
from smabot.api import Bar, OrderIntent, OrderType, Side, Signal, hookimpl
from decimal import Decimal

class Timed:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        at = f"{bar.time:%H:%M}"
        if at == "15:00":
            return Signal.long(bar)
        return Signal.flat(bar) if at == "15:30" else None
"""
LIMITED = """
    @hookimpl
    def on_signal(self, signal, book):
        if signal.target:
            return OrderIntent(signal.symbol, Side.BUY, Decimal(10), OrderType.LIMIT, Decimal(51))
"""


def market() -> None:
    """Prices of 50, with 1 dollar up and down in each minute."""
    rows = ["symbol,time,open,high,low,close,volume"]
    for number in range(390):
        time = OPEN + timedelta(minutes=number)
        rows.append(f"SPY,{time:%Y-%m-%dT%H:%M:%SZ},50,51,49,50,10000")
    Path("bars.csv").write_text("\n".join(rows))


def traded(call: Call, strategy: str, *words: str) -> Any:
    market()
    Path(strategy).write_text(STRATEGY + (LIMITED if strategy == "limited.py" else ""))
    done = call("--json", "backtest", "--plugins", f"./{strategy}", "--data", "bars.csv", *words)
    assert done.code == 0, done.err
    assert done.json["fills"] == 2
    return done.json


@pytest.mark.plugins
def test_they_are_the_difference_to_the_open_that_fills_came_from(call: Call) -> None:
    costs = ("--costs", "half_spread=0.01,slippage=0.02,commission_per_order=1")
    found = traded(call, "timed.py", *costs)
    assert found["price_costs"] == "0.6"
    lost = D(found["opening_equity"]) - D(found["closing_equity"])
    assert lost == D("0.6") + D(found["fees"])
    free = traded(call, "timed.py")
    assert free["price_costs"] == "0"


@pytest.mark.plugins
def test_they_are_a_row_of_a_backtest_and_of_the_report_of_its_database(call: Call) -> None:
    market()
    Path("timed.py").write_text(STRATEGY)
    words = (
        "backtest",
        "--plugins",
        "./timed.py",
        "--data",
        "bars.csv",
        "--costs",
        "slippage=0.02",
    )
    row = r"^spread, slippage +0\.40, 0\.0400% of what was traded; market orders alone$"
    assert re.search(row, call("--db", "t.db", *words, "--html", "r.html").out, re.M)
    assert re.search(row, call("--db", "t.db", "report").out, re.M)
    assert "spread, slippage" in Path("r.html").read_text()


@pytest.mark.plugins
def test_a_limit_orders_price_is_its_own(call: Call) -> None:
    """It may fill between its limit and the open, and how far that is from the mid price is not known."""
    assert traded(call, "limited.py", "--costs", "slippage=0.02")["price_costs"] == "0.2"


def account(broker: str) -> Account:
    return Account("a", broker, D(1000), D(1000), OPEN)


EQUITY = EquityPoint(OPEN + timedelta(days=1), D(1000), D(1000), D(0), D(0))


def test_those_of_another_broker_or_of_pruned_bars_are_not_known(
    journal: Any, call: Call, make_order: Callable[..., Order]
) -> None:
    order = make_order(0, "SPY", Side.BUY, Status.FILLED)
    time = order.created_at
    fill = Fill(
        order.client_order_id, D(10), "sma", "SPY", Side.BUY, D(10), D("50.02"), D(0), time, False
    )
    journal.commit([account("exchange"), order, fill, EQUITY])
    assert call("report", "--json").json["price_costs"] is None
    journal.commit([], [Bar("SPY", time, 50.0, 51.0, 49.0, 50.0, 1e4)])
    assert call("report", "--json").json["price_costs"] == "0.2"
    journal.commit([account("alpaca")])
    assert call("report", "--json").json["price_costs"] is None
    assert "spread, slippage" not in call("report").out


@pytest.mark.plugins
def test_explain_says_what_a_fill_slipped_by_share_and_in_all(call: Callable[..., Any]) -> None:
    call("--db", "a.db", "backtest", "--data", "simulated:symbols=3,sessions=2,seed=5")
    fill = call("--json", "--db", "a.db", "trades").json["trades"][-1]
    told = " ".join(call("--db", "a.db", "explain", fill["client_order_id"]).out.split())
    found = re.search(
        r"(?:bought|sold) 10 at ([\d.]+), ([\d.]+) a share \(([\d.]+) in all\) (?:better|worse) than the "
        r"decision's ([\d.]+)",
        told,
    )
    assert found, told
    filled, each, total, decided = map(Decimal, found.groups())
    assert abs(filled - decided) == each == total / 10 > 0
