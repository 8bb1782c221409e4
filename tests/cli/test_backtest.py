"""`smabot backtest`: the trades of `smabot run` on the same data, and what they made."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smabot.cli.backtest_settings import COSTS
from smabot.cli.performance import ratios
from smabot.cli.performance.buy_and_hold import BuyAndHold
from smabot.domain.records import Bar
from smabot.system.lock import FileLock

pytestmark = pytest.mark.plugins
MARKET = "simulated:symbols=3,sessions=2,seed=5"
WAVES = "simulated:shape=waves,symbols=2,sessions=2,seed=5"
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
COMPARED = (
    "trades",
    "order_intents",
    "positions_snapshot",
    "equity_curve",
    "signals",
    "daily_limits",
)


def rows(database: str, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as opened:
        return opened.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()


def test_a_database_of_it_is_that_of_a_run(call: Callable[..., Any]) -> None:
    tested = call("--db", "tested.db", "backtest", "--data", WAVES)
    ran = call("--db", "ran.db", "run", "--broker", "exchange", "--speed", "max", "--data", WAVES)
    assert (tested.code, ran.code) == (0, 0), tested.err + ran.err
    for table in COMPARED:
        assert rows("tested.db", table) == rows("ran.db", table) != []


def test_orders_that_fill_in_parts_and_end_do_so_as_in_a_run(call: Callable[..., Any]) -> None:
    """Their updates come again after the book has forgotten them: it looks them up in the journal."""
    Path("settings.toml").write_text(
        "[default]\nno_plugins = ['risk.daily_limits']\n[default.sizing]\nshares = 2000\n"
        "[default.plugin.sma]\nfast = 2\nslow = 4\n[default.plugin.exchange]\ncash = 10_000_000\n"
    )
    given = ("--plugins", "sma,risk", "--data", "simulated:symbols=3,sessions=2")
    tested = call("--json", "--db", "tested.db", "backtest", *given)
    ran = call("--db", "ran.db", "run", "--broker", "exchange", "--speed", "max", *given)
    assert (tested.code, ran.code) == (0, 0), tested.err + ran.err
    in_parts = "SELECT count(*) FROM order_intents WHERE filled_qty + 0 BETWEEN 1 AND qty - 1"
    with closing(sqlite3.connect("tested.db")) as opened:
        assert opened.execute(in_parts).fetchone()[0] > 10
    for table in ("trades", "order_intents", "positions_snapshot", "equity_curve", "signals"):
        assert rows("tested.db", table) == rows("ran.db", table) != []
    assert call("--json", "backtest", *given).json == tested.json


@pytest.mark.parametrize(
    "broker", ["exchange", pytest.param("alpaca", marks=pytest.mark.slow(seconds=20))]
)
def test_with_costs_too_it_is_that_of_a_run(call: Callable[..., Any], broker: str) -> None:
    """In process, and over HTTP and websockets."""
    charged = "alpaca,commission_per_share=0.0075,commission_minimum=1,slippage_of_range=0.1"
    tested = call("--db", "tested.db", "backtest", "--data", WAVES, "--costs", charged)
    Path("settings.toml").write_text(
        "[default.plugin.exchange]\ncosts = 'alpaca'\ncommission_per_share = 0.0075\n"
        "commission_minimum = 1\nslippage_of_range = 0.1\n"
    )
    ran = call("--db", "ran.db", "run", "--broker", broker, "--speed", "max", "--data", WAVES)
    assert (tested.code, ran.code) == (0, 0), tested.err + ran.err
    for table in ("trades", "positions_snapshot", "equity_curve", "daily_limits"):
        assert rows("tested.db", table) == rows("ran.db", table) != []
    with (
        closing(sqlite3.connect("ran.db")) as bot,
        closing(sqlite3.connect("ran.exchange.db")) as kept,
    ):
        assert bot.execute("SELECT DISTINCT fees = '0' FROM trades").fetchall() == [(0,)]
        (cash,) = bot.execute("SELECT cash FROM account").fetchone()
        assert round(float(cash), 2) == round(
            float(*kept.execute("SELECT cash FROM state").fetchone()), 2
        )
    assert call("--db", "ran.db", "db", "check").code == 0


def test_costs_are_a_row_and_take_from_the_profit(call: Callable[..., Any]) -> None:
    def traded(*words: str) -> dict[str, Any]:
        return dict(call("--json", "backtest", "--data", WAVES, *words).json)

    free = dict(call("--json", "--db", "free.db", "backtest", "--data", WAVES).json)
    costs = ("--costs", "commission_per_order=2")
    charged = dict(call("--json", "--db", "charged.db", "backtest", "--data", WAVES, *costs).json)
    assert float(free["fees"]) == 0
    assert float(charged["fees"]) == 2 * charged["fills"] == 2 * free["fills"]
    assert "fees" not in call("--db", "free.db", "trades").out
    assert "fees" in call("--db", "charged.db", "trades").out
    assert "after fees of" in call("--db", "charged.db", "pnl").out
    (order, *_) = call("--json", "--db", "charged.db", "orders").json["orders"]
    assert order["fees"] == "2"
    told = call("--db", "charged.db", "explain", order["client_order_id"]).out
    assert ", fees 2.00" in told
    assert re.search(
        r"^fees +2\.00$", call("--db", "charged.db", "orders", order["client_order_id"]).out, re.M
    )
    lost = float(free["closing_equity"]) - float(charged["closing_equity"])
    assert lost == pytest.approx(float(charged["fees"]))
    assert float(traded("--costs", "slippage=0.05")["closing_equity"]) < float(
        free["closing_equity"]
    )
    screen = call("backtest", "--data", WAVES, "--costs", "alpaca").out
    assert re.search(r"^costs +\d+\.\d\d of fees, 0\.\d{4}% of what was traded$", screen, re.M)


@pytest.mark.parametrize(
    ("data", "costs", "row", "note"),
    [
        (WAVES, "none", "no commissions or fees",
         "fills cost nothing: no spread, slippage or fees are counted, which makes results too good; set some "
         "with `--costs` of a backtest, or in [default.plugin.exchange]"),
        (WAVES, "none,half_spread=0.02,slippage=0.005,slippage_of_range=0.1",
         "no commissions or fees",
         "in the prices of fills: half a spread of 0.02 a share, slippage of 0.005 a share, slippage of 10.00% "
         "of the bar's range"),
        (MARKET, "alpaca", r"\d+\.\d\d of fees, 0\.\d{4}% of what was traded",
         "in the prices of fills: half a spread of 0.01 a share"),
        (WAVES, "alpaca", r"\d+\.\d\d of fees, 0\.\d{4}% of what was traded", ""),
    ],
)  # fmt: skip
def test_costs_that_are_in_no_fee_are_told(
    call: Callable[..., Any], data: str, costs: str, row: str, note: str
) -> None:
    screen = call("backtest", "--data", data, "--costs", costs).out
    assert re.search(f"^costs +{row}$", screen, re.M)
    notes = [line for line in screen.splitlines() if "spread" in line and line.startswith("note: ")]
    assert notes == ([f"note: {note}"] if note else [])


def test_without_a_database_it_trades_the_same_and_leaves_no_file(
    call: Callable[..., Any],
) -> None:
    kept = call("--json", "--db", "kept.db", "backtest", "--data", WAVES).json
    made = {path.name for path in Path().iterdir()}
    alone = call("--json", "backtest", "--data", WAVES).json
    assert {path.name for path in Path().iterdir()} == made
    assert kept["fills"] > 10
    assert _figures(alone) == _figures(kept)


def _figures(result: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in result.items() if name not in ("notes", "mode", "database")
    }


def test_it_begins_and_ends_with_the_days_named(call: Callable[..., Any]) -> None:
    data = "simulated:sessions=4,seed=5,start=2026-03-02"
    result = call(
        "--json", "backtest", "--data", data, "--from", "2026-03-03", "--to", "2026-03-04"
    ).json
    assert result["sessions"] == 2
    assert result["begin"].startswith("2026-03-03T14:3")
    assert result["end"] == "2026-03-04T21:00:00Z"


def test_settings_change_what_is_traded(call: Callable[..., Any]) -> None:
    def traded(*changes: str) -> dict[str, Any]:
        words = [word for change in changes for word in ("--set", change)]
        return dict(call("--json", "backtest", "--data", WAVES, *words).json)

    usual = traded()
    assert traded("sma.fast=5", "sma.slow=20")["fills"] > usual["fills"]
    more = traded("sizing.shares=20")
    assert float(more["traded"]) == pytest.approx(2 * float(usual["traded"]), rel=0.1)
    assert float(traded("exchange.cash=5000")["opening_equity"]) == 5000


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--set", "sma.fast"], 2, "--set sma.fast: write NAME=VALUE, as sma.fast=5"),
        (["--set", "sma.fats=5"], 3, "fats"),
        (["--set", "sma.fast=many"], 3, "--set sma.fast"),
        (["--cash", "much"], 3, "--cash"),
        (["--from", "2026-03-03", "--to", "2026-03-02"], 2, "--from 2026-03-03 is after"),
        (["--data", "simulated:start=2026-03-02", "--from", "2030-01-01"], 3,
         "has the sessions from 2026-03-02 to 2026-03-03: nothing is left from 2030-01-01 on"),
        (["--data", "simulated:start=2026-03-02", "--to", "2020-01-01"], 3,
         "it ends on 2020-01-01, and the data begins on 2026-03-02: give a later --to"),
        (["--symbols", "NONE"], 3, "'NONE' is not in the data"),
        (["--set", "broker=alpaca"], 2, "--set broker: a backtest has its own"),
        (["--set", "live=true"], 2, "--set live: a backtest has its own"),
        (["--set", "equity_every_minutes=5"], 2, "a backtest has its own"),
        (["--set", "until=2026-03-02T15:00:00Z"], 2, "--set until: give --to instead"),
        (["--set", "shares=100"], 3, "--set shares: no such setting"),
        (["--set", "a=1:2:1", "--set", "a=3"], 2, "--set a stands twice"),
        (["--costs", "alpcaa"], 3, "--costs: plugin.exchange.costs = 'alpcaa': must be 'none' or"),
        (["--costs", "slipage=1"], 3, "--costs slipage=1: no such cost (did you mean 'slippage'?); give alpaca, "
         "none, or half_spread, slippage, "),
        (["--costs", "alpaca,cash=5"], 3, "--costs cash=5: no such cost; give alpaca, none, or half_spread"),
        (["--costs", "costs=alpaca"], 3, "--costs costs=alpaca: no such cost"),
        (["--costs", "alpaca,slippage="], 2, "--costs slippage=: write NAME=VALUE"),
        (["--costs", "slippage"], 2, "--costs slippage: write NAME=VALUE"),
        (["--costs", "0.005"], 2, "--costs 0.005: write NAME=VALUE, as commission_per_share=0.005 or slippage=0.01"),
        (["--costs", "slippage=-1"], 3, "--costs: plugin.exchange.slippage = -1"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_in_one_line(
    call: Callable[..., Any], words: list[str], code: int, says: str
) -> None:
    result = call("backtest", *words)
    assert (result.code, result.out) == (code, "")
    assert says in result.err
    assert result.err.count("\n") == 1


def test_a_database_that_is_there_is_left_alone(call: Callable[..., Any]) -> None:
    assert call("--db", "t.db", "backtest", "--data", WAVES).code == 0
    before = Path("t.db").read_bytes()
    result = call("--db", "t.db", "backtest", "--data", WAVES)
    assert result.code == 3
    assert "begins anew: give another --db" in result.err
    assert Path("t.db").read_bytes() == before


def test_costs_are_all_settings_of_the_exchange_but_those_of_its_account() -> None:
    settings = pytest.importorskip("smabot_exchange.settings").ExchangeSettings
    assert {*COSTS, "costs", "cash", "multiplier", "history"} == set(settings.model_fields)


def test_days_without_a_session_are_answered_with_those_that_the_data_has(
    call: Callable[..., Any],
) -> None:
    weekend = ("--from", "2026-03-07", "--to", "2026-03-08")
    data = "simulated:sessions=8,start=2026-03-02"
    result = call("backtest", "--data", data, *weekend)
    assert (result.code, result.out) == (3, "")
    assert (
        "nothing to trade: the data has no session from 2026-03-07 to 2026-03-08, the last one before is "
        "2026-03-06, the next one 2026-03-09: give other days with --from and --to\n"
    ) in result.err


STOPS = """
import os, signal
from smabot.api import hookimpl

class Stops:
    @hookimpl
    def on_startup_recover(self, recovery):
        os.kill(os.getpid(), signal.SIGINT)
"""
RAISES = """
from smabot.api import hookimpl

class Raises:
    bars = 0

    @hookimpl
    def on_bar(self, bar):
        self.bars += 1
        if self.bars == 100:
            raise ArithmeticError("after a hundred")
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--symbols", "NONE"], 3),
        (["--data", "simulated:start=2026-03-02", "--from", "2030-01-01"], 3),
        (["--data", "simulated:start=2026-03-02", "--to", "2020-01-01"], 3),
        (["--data", "nothing.csv"], 3),
        (["--data", "bad.csv"], 3),
        (["--plugins", "./stops.py"], 130),
    ],
)
@pytest.mark.parametrize("database", ["t.db", "new/folder/t.db"])
def test_one_that_traded_nothing_leaves_nothing(
    call: Callable[..., Any], words: list[str], code: int, database: str
) -> None:
    Path("stops.py").write_text(STOPS)
    Path("bad.csv").write_text("symbol,timestamp,open,high,low,close,volume\nA,2026,x,x,x,x,x\n")
    result = call("--db", database, "backtest", *words)
    assert (result.code, result.out) == (code, ""), result.err
    assert {path.name for path in Path().iterdir()} - {"__pycache__"} == {"bad.csv", "stops.py"}
    assert call("--db", database, "backtest", "--data", WAVES).code == 0


def test_what_was_traded_before_a_failure_is_kept(call: Callable[..., Any]) -> None:
    Path("raises.py").write_text(RAISES)
    result = call("--db", "t.db", "backtest", "--data", WAVES, "--plugins", "sma,./raises.py")
    assert result.code == 1, result.err
    assert "after a hundred" in call("--db", "t.db", "runs").out


def test_a_lock_that_was_there_stays_and_so_does_anothers_database(
    call: Callable[..., Any],
) -> None:
    Path("t.db.lock").touch()
    assert call("--db", "t.db", "backtest", "--symbols", "NONE").code == 3
    assert [path.name for path in Path().iterdir()] == ["t.db.lock"]
    lock = FileLock(Path("t.db"), "database", "")
    assert call("--db", "t.db", "backtest", "--data", WAVES).code == 7
    lock.release()
    assert [path.name for path in Path().iterdir()] == ["t.db.lock"]


def test_settings_of_a_live_bot_trade_at_no_broker(call: Callable[..., Any]) -> None:
    Path("settings.toml").write_text(
        "[default]\nlive = true\nbroker = 'alpaca'\nurl = 'http://127.0.0.1:9'\n"
        "equity_every_minutes = 60\nlog.file = 'live.log'\n"
    )
    beside = call("--json", "backtest", "--data", WAVES)
    Path("settings.toml").unlink()
    assert beside.code == 0, beside.err
    assert _figures(beside.json) == _figures(call("--json", "backtest", "--data", WAVES).json)
    assert not Path("live.log").exists()


def test_real_money_needs_a_database(call: Callable[..., Any]) -> None:
    result = call("--db", ":memory:", "run", "--live", "--symbols", "SPY", "--yes-live", "1")
    assert (result.code, result.out) == (3, "")
    assert "--live needs a database" in result.err


def test_money_of_a_symbol_that_begins_late_is_idle() -> None:
    market = BuyAndHold(2)
    for minute in range(4):
        closes = {"AAA": 10.0 * (minute + 1)} | ({"BBB": 5.0} if minute > 1 else {})
        time = OPEN + timedelta(days=minute)
        market.take([Bar(s, time, c if minute else 10.0, c, c, c, 1.0) for s, c in closes.items()])
    assert market.returns == pytest.approx([0.0, 0.5, 1 / 3, 0.25])
    assert market.drawdown == 0
    assert market.figures["return"] == pytest.approx(1.5)


def test_what_the_figures_do_not_say_is_told(call: Callable[..., Any]) -> None:
    lines = call("backtest", "--data", MARKET, "--plugins", "sma").out
    assert "2 sessions: too few for what is scaled to a year" in lines
    assert "buy and hold" in lines


RETURNS = [0.011, -0.004, 0.0, 0.023, -0.017, 0.006, -0.009, 0.013]


def test_ratios_are_those_of_their_definitions() -> None:
    assert ratios.total_return([0.1, -0.1]) == pytest.approx(-0.01)
    assert ratios.annual_return([0.01] * 252) == pytest.approx(1.01**252 - 1)
    assert ratios.volatility([0.01, 0.03]) == pytest.approx(0.02 * 126**0.5)
    assert ratios.calmar([0.01] * 252, 0.5) == pytest.approx((1.01**252 - 1) / 0.5)
    for undefined in (ratios.sharpe([]), ratios.sharpe([0.01]), ratios.sharpe([0.01, 0.01])):
        assert undefined is None
    assert ratios.sortino([0.01, 0.02]) is None
    assert ratios.annual_return([-1.0]) is None
    assert ratios.calmar(RETURNS, 0.0) is None
    assert ratios.annual_return([20.0]) is None


@pytest.mark.parametrize("name", ["t.db", "t.db-wal", "t.db.lock", "../here/t.db-shm"])
def test_a_report_is_no_file_of_the_database(
    call: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("here").mkdir()
    monkeypatch.chdir("here")
    result = call("--db", "t.db", "backtest", "--data", WAVES, "--html", name)
    assert (result.code, result.out) == (3, "")
    assert "the database t.db has that file" in result.err
    assert list(Path().iterdir()) == []


def test_a_refused_one_leaves_nothing_behind_a_folder_that_is_not_there(
    call: Callable[..., Any],
) -> None:
    result = call("--db", "a/../b/x.db", "backtest", "--data", WAVES, "--symbols", "NOPE")
    assert result.code == 3
    assert not Path("b").exists()
    assert not Path("a").exists()


def test_it_warns_where_it_takes_a_simulated_market_though_bars_are_stored(
    call: Callable[..., Any],
) -> None:
    none_stored = call("backtest")
    assert (none_stored.code, none_stored.err) == (0, "")
    Path("bars.csv").write_text(
        "symbol,timestamp,open,high,low,close,volume\nSPY,2026-03-02T14:30:00Z,10,10,10,10,100\n"
    )
    assert call("data", "import", "bars.csv").out.endswith("\n  smabot backtest --data data/bars\n")
    simulated = call("backtest")
    assert simulated.code == 0
    assert simulated.err == (
        "smabot: warning: no --data: this trades a simulated market, whose prices are random; for the bars in "
        "data/bars give --data data/bars\n"
    )
    for named in ("simulated", "data/bars"):
        assert call("backtest", "--data", named).err == ""


@pytest.mark.parametrize("days", [("--to", "2026-03-02"), ("--from", "2026-03-03")])
def test_notes_on_all_of_the_data_are_not_taken_for_those_of_the_days_traded(
    call: Callable[..., Any], days: tuple[str, str]
) -> None:
    first, data, *_ = call("--json", "backtest", "--data", MARKET, *days).json["notes"]
    assert first == "traded 1 session of the data; notes on the data are of all of it"
    assert "2 sessions, 2,340 bars" in data
    assert "notes on the data" not in call("backtest", "--data", MARKET).out


def test_its_help_says_that_a_database_must_be_named(call: Callable[..., Any]) -> None:
    told = " ".join(call("backtest", "--help").out.split())
    assert "--db PATH Keep it in a new database. [nothing is kept]" in told
    assert "[data/trades.db]" in call("run", "--help").out
