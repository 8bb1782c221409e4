"""The fixtures that pytest offers where smabot is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.api import Bar, Fill, Order, Signal, hookimpl
from smabot.errors import ConfigError
from smabot.testing import sessions

Make = Callable[..., Any]
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class Rising:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        return Signal.long(bar) if bar.close > bar.open else Signal.flat(bar)


def test_bars_open_at_the_close_before_and_may_be_missing(bars: Make) -> None:
    made = bars("SPY", [10, 11, None, 9], spread=0.5)
    assert [(bar.time - OPEN) // timedelta(minutes=1) for bar in made] == [0, 1, 3]
    assert [(bar.open, bar.high, bar.low, bar.close) for bar in made] == [
        (10, 10.5, 9.5, 10), (10, 11.5, 9.5, 11), (11, 11.5, 8.5, 9),
    ]  # fmt: skip


def test_sessions_leave_out_weekends(bars: Make) -> None:
    friday, monday = sessions(6)[4:]
    assert (friday.date.isoformat(), monday.date.isoformat()) == ("2026-03-06", "2026-03-09")
    assert friday.close - friday.open == timedelta(hours=6, minutes=30)
    assert monday.open.hour == 13  # summer time has begun


def test_orders_and_fills_have_defaults(order: Make, fill: Make) -> None:
    assert order(qty="2.5", symbol="QQQ").qty == Decimal("2.5")
    assert order().client_order_id == fill().client_order_id == "smabot-test-SPY-20260302T1430Z-1"
    assert fill(price=101.1).price == Decimal("101.1")
    assert fill().first


def test_a_bot_runs_is_killed_and_goes_on(bot: Make, bars: Make) -> None:
    made = bot([Rising], bars("SPY", [10, 11, 12, 11, 12]))
    made.run(3).kill()
    assert [(fill.qty, fill.price) for fill in made.rows(Fill)] == [(10, 11)]
    made.run()
    assert [fill.price for fill in made.rows(Fill)] == [11, 11]
    whole = bot([Rising], bars("SPY", [10, 11, 12, 11, 12])).run()
    assert made.tables == whole.tables
    assert {"signals", "order_intents", "trades", "bars", "equity_curve"} <= made.tables.keys()


def test_a_bot_takes_plugins_by_name_file_class_and_function(
    bot: Make, bars: Make, unsafe: Callable[[str], str]
) -> None:
    given = [unsafe("wall_clock"), Rising, ("other", lambda: Rising())]
    made = bot(given, bars("SPY", [10, 11, 12, 11, 12]))
    assert made.names == ("wall_clock", "rising", "other")
    made.run()
    assert {order.strategy for order in made.rows(Order)} == {"wall_clock", "rising", "other"}


def test_settings_are_those_of_a_run(bot: Make, bars: Make) -> None:
    made = bot([Rising], bars("SPY", [10, 11, 12]), {"sizing": {"shares": 3}}).run()
    assert [fill.qty for fill in made.rows(Fill)] == [3]


@pytest.mark.parametrize(
    ("plugins", "said"),
    [
        ([Rising()], "give its class"),
        ([Rising, Rising], "two plugins are named 'rising'"),
        (["risng"], "plugin 'risng' is not installed"),
    ],
)
def test_a_mistake_is_told(bot: Make, bars: Make, plugins: list[Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        bot(plugins, bars("SPY", [1, 2]))


def test_without_bars_there_is_no_bot(bot: Make) -> None:
    with pytest.raises(ConfigError, match="needs bars"):
        bot([Rising])


def test_pytest_without_the_fixtures_imports_nothing_of_smabot() -> None:
    code = (
        "import sys, smabot.testing.pytest_fixtures\n"
        "print(*(name for name in sys.modules if name.startswith('smabot')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["smabot", "smabot.testing", "smabot.testing.pytest_fixtures"]
