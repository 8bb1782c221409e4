"""The risk rule on docs/plugins.md, run from the text of the page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.bot_records import Event
from smabot.domain.order_terms import OrderType, Side, TimeInForce
from smabot.domain.records import EquityPoint, Order
from smabot.hooks.plugins import Plugins

D = Decimal
PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
NOW = datetime(2026, 3, 2, 15, 31, tzinfo=UTC)


@pytest.fixture
def plugins() -> Plugins:
    (source,) = re.findall(r"```python\n((?:(?!```).)*class Floor:.*?)```", PAGE.read_text(), re.S)
    names: dict[str, Any] = {}
    exec(compile(source, str(PAGE), "exec"), names)
    plugins = Plugins()
    plugins.register("floor", names["Floor"]())
    plugins.check()
    return plugins


def order(qty: int, reduces: bool = False) -> Order:
    return Order(
        "smabot-sma-SPY-20260302T1530Z-1", "sma", "SPY", Side.BUY, D(qty), OrderType.MARKET, None,
        TimeInForce.DAY, NOW, 1, reduces, NOW,
    )  # fmt: skip


def test_the_rule_keeps_what_it_measured_and_lets_exits_pass(plugins: Plugins) -> None:
    (passed,) = plugins.before_submit(order(100), Book())
    assert (passed.passed, passed.value, passed.limit) == (True, "100", "100")
    (failed,) = plugins.before_submit(order(101), Book())
    assert failed.reason == "floor: 101 shares are more than 100"
    assert plugins.before_submit(order(101, reduces=True), Book()) == []


def test_the_rule_blocks_entries_below_its_floor_and_tells_so_once(plugins: Plugins) -> None:
    book = Book()
    book.now = NOW

    def worth(equity: int) -> tuple[list[str], list[Any]]:
        plugins.on_equity(EquityPoint(NOW, D(equity), D(equity), D(0), D(0)), book)
        events = [row for row in book.drain()[0] if isinstance(row, Event)]
        return [block.reason for block in book.blocking()], events

    blocks, (event,) = worth(89_999)
    assert blocks == ["equity 89,999.00 is below 90,000"] == [event.text]
    assert event.grave
    assert book.blocking(reduces=True) == []
    assert worth(80_000) == (blocks, [])
    assert worth(90_000) == ([], [])
