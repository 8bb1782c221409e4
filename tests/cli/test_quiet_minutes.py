"""Quiet minutes of a backtest: few things are looked at in them, and all comes out as if each were."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.equity_bounds import EquityBounds
from smabot.engine.step import Step
from smabot.hooks.plugins import Plugins

pytestmark = pytest.mark.plugins
FREE = {"runs", "bot_state"}
"""Tables that say when and how the bot ran."""
TIGHT = """[default]
plugins = ["sma", "risk"]
[default.sizing]
shares = 100
[default.plugin.sma]
fast = 5
slow = 20
[default.plugin.risk.daily_limits]
max_order_notional = 0
max_exposure = 0
max_exposure_per_symbol = 0
max_orders = 0
max_orders_per_symbol = 0
max_trades = 0
"""
LIMITS = {
    "a peak": "[default.plugin.risk.circuit_breaker]\nmax_peak_drawdown = 0.002\ncool_down_minutes = 45\n",
    "a session": "[default.plugin.risk.circuit_breaker]\nmax_session_drawdown = 0.001\n",
    "a loss": "max_loss = 60\n",
    "a part": "max_loss_fraction = 0.001\n",
    "nothing": "",
}


def tables(database: str) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(database)) as opened:
        names = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: sorted(opened.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            if name != "account"
            else opened.execute("SELECT cash, opening_cash FROM account").fetchall()
            for (name,) in names
            if name not in FREE
        }


def kinds(database: str) -> set[str]:
    with closing(sqlite3.connect(database)) as opened:
        return {kind for (kind,) in opened.execute("SELECT DISTINCT kind FROM events")}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("seed", [3, 11])
def test_bounds_of_equity_change_no_row(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, limit: str, seed: int
) -> None:
    Path("settings.toml").write_text(TIGHT + LIMITS[limit])
    data = ("--data", f"simulated:symbols=3,sessions=3,seed={seed}")
    told: list[int] = []
    on_equity = Plugins.on_equity

    def count(*given: Any) -> EquityBounds | None:
        told.append(1)
        return on_equity(*given)

    monkeypatch.setattr(Plugins, "on_equity", count)
    assert call("--db", "some.db", "backtest", *data).code == 0
    some = len(told)
    monkeypatch.setattr(EquityBounds, "holds", lambda *_: False)
    assert call("--db", "each.db", "backtest", *data).code == 0
    assert some < len(told) - some
    assert tables("some.db") == tables("each.db")
    assert tables("some.db")["trades"]
    happened = {"a peak": "breaker_tripped", "a session": "breaker_tripped", "nothing": None}
    if kind := happened.get(limit, "limit_reached"):
        assert kind in kinds("some.db")


@pytest.mark.parametrize(
    "command", ["backtest", "run --broker exchange --speed max"], ids=["backtest", "run"]
)
def test_calm_minutes_change_no_row(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Over splits, a half day and a day without a session; a run also audits each session."""
    Path("settings.toml").write_text(TIGHT + LIMITS["a peak"])
    splits = [f"split={symbol}@2026-11-27@2:1" for symbol in ("SPY", "AAPL", "MSFT")]
    data = f"simulated:symbols=3,sessions=3,seed=1,start=2026-11-25,{','.join(splits)}"
    calm: list[int] = []
    take_calmly = Step.take_calmly

    def count(*given: Any, **named: Any) -> Any:
        calm.append(1)
        return take_calmly(*given, **named)

    monkeypatch.setattr(Step, "take_calmly", count)
    assert call("--db", "calm.db", *command.split(), "--data", data).code == 0
    some = len(calm)
    monkeypatch.setattr(Step, "look_ahead", lambda *_: None)
    assert call("--db", "whole.db", *command.split(), "--data", data).code == 0
    assert (some > 100, len(calm)) == (True, some)
    assert tables("calm.db") == tables("whole.db")
    assert {"split", "breaker_tripped", "breaker_reset"} <= kinds("calm.db")
    assert ("audit_agreed" in kinds("calm.db")) == command.startswith("run")


def test_most_minutes_of_a_backtest_are_quiet(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was so slow once as if something were due at each of them."""
    whole: list[int] = []
    take = Step.take

    def count(*given: Any, **named: Any) -> Any:
        whole.append(1)
        return take(*given, **named)

    monkeypatch.setattr(Step, "take", count)
    data = ("--data", "simulated:shape=waves,symbols=1,sessions=3")
    assert call("--json", "backtest", "--plugins", "sma,risk", *data).code == 0
    assert len(whole) < 390 * 3 / 5
