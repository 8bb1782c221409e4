"""`smabot report`: its figures are those of their definitions, and it tells all that was stored."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.cli.performance import ratios
from smabot.cli.report.distribution import Distribution
from smabot.cli.report.thinning import Thinned, extremes
from smabot.domain.bot_records import Event, Run
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Adjustment, Bar, EquityPoint, Fill, Order, Signal
from smabot.domain.risk_answers import Check, checks_text

Call = Callable[..., Any]
D = Decimal
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
MARKET = "simulated:shape=waves,symbols=10,sessions=3,seed=5"
HOSTILE = '</script><script>document.title="taken"</script><img src=x onerror=alert(1)>'


def point(time: datetime, equity: Any, invested: Any = 0) -> EquityPoint:
    return EquityPoint(time, D(equity), D(equity) - D(invested), D(invested), D(0))


def charts(page: str) -> Any:
    """The data of a page's charts."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text)


def rows_of(page: str, label: str) -> int:
    """How many rows a table of a page has."""
    (table,) = re.findall(rf'aria-label="{label}"><table>.*?<tbody>(.*?)</tbody>', page, re.S)
    return str(table).count("<tr>")


def made(call: Call, *words: str) -> str:
    done = call("report", "--html", "r.html", *words)
    assert (done.code, done.err) == (0, "")
    page = Path("r.html").read_text()
    Path("r.html").unlink()
    return page


# -- the same as other commands ------------------------------------------------------------------


@pytest.mark.plugins
def test_of_a_backtests_database_it_is_that_of_the_backtest(call: Call) -> None:
    words = ("backtest", "--data", MARKET, "--set", "risk.daily_limits.max_orders=12")
    tested = call("--db", "t.db", *words, "--html", "b.html", "--json").json
    report = call("--db", "t.db", "report", "--json").json
    assert tested["blocked_by"]["max_orders"] > 0
    same = set(tested) - {"files"}
    assert any("fills" in note for note in tested["notes"])
    assert {name: report[name] for name in same} == {name: tested[name] for name in same}
    trips = call("--db", "t.db", "trades", "--round-trips", "--json").json["round_trips"]
    assert [{k: trade[k] for k in trips[0]} for trade in report["trades"]] == trips
    assert {trade["entry_reason"][:4] for trade in report["trades"]} == {"BUY:"}
    bound = {check["name"]: check["bound"] for check in report["checks"]}
    assert {name: n for name, n in bound.items() if n} == tested["blocked_by"]

    page = made(call, "--db", "t.db")
    of_backtest = Path("b.html").read_text()
    assert charts(page) == charts(of_backtest)
    traded = {order["symbol"] for order in call("--db", "t.db", "orders", "--json").json["orders"]}
    assert [each["symbol"] for each in charts(page)["prices"]] == sorted(traded)
    assert "risk.daily_limits.max_orders" in of_backtest
    assert "risk.daily_limits.max_orders" in page


@pytest.mark.plugins
def test_a_backtest_in_memory_writes_the_same_page(call: Call) -> None:
    assert call("--db", "t.db", "backtest", "--data", MARKET).code == 0
    done = call("backtest", "--data", MARKET, "--html", "b.html")
    assert done.out.endswith("\nwrote b.html\n")
    assert charts(Path("b.html").read_text()) == charts(made(call, "--db", "t.db"))


@pytest.mark.plugins
def test_a_secret_setting_is_masked_in_the_page(call: Call) -> None:
    secrets = Path(".secrets.toml")
    secrets.write_text("[default]\nbot = 'hidden_name'\n")
    secrets.chmod(0o600)
    assert call("backtest", "--data", MARKET, "--html", "b.html").code == 0
    page = Path("b.html").read_text()
    assert "hidden_name" not in page
    assert "<td>bot</td><td>********</td>" in page


# -- figures by their definitions ----------------------------------------------------------------

GAINS = st.floats(-0.2, 0.25, allow_nan=False).map(lambda gain: round(gain, 4))


@given(st.lists(GAINS, min_size=2, max_size=60))
def test_ratios_are_those_of_empyrical(gains: list[float]) -> None:
    empyrical = pytest.importorskip("empyrical")
    pandas = pytest.importorskip("pandas")
    returns = pandas.Series(gains)

    def same(own: float | None, theirs: Any) -> None:
        if own is None:
            assert not math.isfinite(theirs) or abs(theirs) > 1e9
        else:
            assert own == pytest.approx(float(theirs), rel=1e-6, abs=1e-9)

    same(ratios.total_return(gains), empyrical.cum_returns_final(returns))
    same(ratios.annual_return(gains), empyrical.annual_return(returns))
    same(ratios.volatility(gains), empyrical.annual_volatility(returns))
    if ratios.volatility(gains) != pytest.approx(0, abs=1e-9):
        same(ratios.sharpe(gains), empyrical.sharpe_ratio(returns))
    same(ratios.sortino(gains), empyrical.sortino_ratio(returns))
    fell = -float(empyrical.max_drawdown(returns))
    if fell > 1e-9:
        same(ratios.calmar(gains, fell), empyrical.calmar_ratio(returns))


def test_figures_of_a_database_are_those_of_empyrical(journal: Any, call: Call) -> None:
    empyrical = pytest.importorskip("empyrical")
    pandas = pytest.importorskip("pandas")
    gains = [0.011, -0.004, 0.0, 0.023, -0.017, 0.006, -0.009, 0.013, -0.02, 0.004] * 6
    start = datetime(2026, 1, 5, 21, 0, tzinfo=UTC)
    times = [start + timedelta(days=n) for n in range(len(gains) + 1)]
    equity = [D(100_000)]
    for gain in gains:
        equity.append((equity[-1] * (1 + D(repr(gain)))).quantize(D("0.000001")))
    deposited = times[30] - timedelta(hours=1)
    deposit = Adjustment(deposited, "", "", D(0), D(0), "a deposit", cash=D(5000))
    shown = [equity[n] + 5000 * (n >= 30) for n in range(len(times))]
    journal.commit([*map(point, times, shown), deposit])
    report = call("report", "--json").json

    made = [float((now - then) / before) for (then, now), before in zip(pairwise(equity), shown, strict=False)]  # fmt: skip
    series = pandas.Series([0.0, *made], index=pandas.DatetimeIndex([t.date() for t in times]))
    assert [day["return"] for day in report["days"]] == pytest.approx(list(series))
    assert report["sharpe"] == pytest.approx(empyrical.sharpe_ratio(series))
    assert report["sortino"] == pytest.approx(empyrical.sortino_ratio(series))
    assert report["volatility"] == pytest.approx(empyrical.annual_volatility(series))
    months = empyrical.aggregate_returns(series, "monthly")
    assert [month["return"] for month in report["months"]] == pytest.approx(list(months))
    assert sum(float(month["deposits"]) for month in report["months"]) == 5000
    without = pandas.Series([float(now / then - 1) for then, now in pairwise(equity)])
    assert report["return"] == pytest.approx(empyrical.cum_returns_final(without))
    assert report["max_drawdown"] == pytest.approx(-empyrical.max_drawdown(without))


@given(st.lists(st.decimals(-500, 900, places=2), min_size=1, max_size=200))
def test_every_trade_is_counted_once_in_its_step(results: list[Decimal]) -> None:
    spread = Distribution.of(results)
    assert spread is not None
    for place, count in enumerate(spread.counts):
        low = spread.begin + place * spread.width
        assert count == sum(low <= result < low + spread.width for result in results)
    assert sum(spread.counts) == len(results)
    assert spread.begin % spread.width == 0  # so that 0 is between two steps
    assert spread.counts[0] and spread.counts[-1]  # noqa: PT018


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=500), st.integers(1, 8))
def test_a_thinned_curve_has_its_ends_and_its_extremes(values: list[int], most: int) -> None:
    curve: Thinned[tuple[int, int]] = Thinned(extremes(lambda p: p[1], lambda p: -p[1]), most)
    for place, value in enumerate(values):
        curve.take((place, value))
    kept = curve.points
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == ((0, values[0]), (len(values) - 1, values[-1]))
    assert max(v for _, v in kept) == max(values)
    assert min(v for _, v in kept) == min(values)
    if len(values) <= 2 * most:
        assert len(kept) == len(values)
    assert len(kept) <= 2 * most * 4 + len(values) // most + 1


# -- what was stored -----------------------------------------------------------------------------


def story(make_order: Callable[..., Order]) -> list[Any]:
    """Two trades, the second one flattened; a blocked order; a killed run; a position left open."""
    day = timedelta(days=1)
    checks = checks_text([
        Check("size", True, "10", "", "sizing.shares 10"),
        Check("max_orders", False, "8", "8", "8 orders on 2026-03-04"),
    ])  # fmt: skip
    bought = {"filled_qty": D(10), "filled_avg_price": D(100)}
    orders = [
        make_order(0, "SPY", Side.BUY, Status.FILLED, **bought),
        make_order(1, "SPY", Side.SELL, Status.FILLED, filled_qty=D(10), filled_avg_price=D(103)),
        make_order(2, "SPY", Side.BUY, Status.BLOCKED, checks=checks, reason=HOSTILE),
        make_order(3, "SPY", Side.BUY, Status.FILLED, **bought),
        make_order(4, "SPY", Side.SELL, Status.FILLED, filled_qty=D(10), filled_avg_price=D(98)),
        make_order(5, "SPY", Side.BUY, Status.FILLED, **bought),
    ]  # fmt: skip
    prices = {0: ("100", "0"), 1: ("103", "30"), 3: ("100", "0"), 4: ("98", "-20"), 5: ("100", "0")}
    fills = [
        Fill(
            orders[n].client_order_id, D(10), "sma", "SPY", orders[n].side, D(10), D(price), D(pnl),
            orders[n].created_at, orders[n].side is Side.SELL,
        )
        for n, (price, pnl) in prices.items()
    ]  # fmt: skip
    signals = [
        Signal("SPY", int(orders[n].side is Side.BUY), orders[n].bar_time, 100.0, "sma",
               reason=HOSTILE if n == 0 else "crossed", label="BUY" if n != 1 else "SELL")
        for n in (0, 1, 2, 3, 5)
    ]  # fmt: skip
    flatten = Event(orders[4].created_at, "flatten", "", "by the operator")
    equity = ["100000", "100030", "100030", "100030", "100010", "100010"]
    return [
        *orders, *fills, *signals, flatten,
        *(point(NOON + n * day, value, 1000 if n in (0, 3, 5) else 0) for n, value in enumerate(equity)),
        Run("r1", 4194305, "0.1.0", "sma", "PAPER", NOON, ready_ms=12.5),
        Run("r2", 4194306, "0.1.0", "sma", "PAPER", NOON + day, ready_ms=12.5,
            ended_at=NOON + 6 * day, exit_code=0, outcome="stopped"),
    ]  # fmt: skip


BARS = [
    Bar("SPY", NOON + timedelta(days=n, minutes=-1), 100.0, 101.0, 99.0, 100.0 + n, 1.0)
    for n in range(6)
]


@pytest.fixture
def stored(journal: Any, make_order: Callable[..., Order]) -> Any:
    journal.commit(story(make_order), BARS)
    return journal


def test_trades_have_their_reasons(stored: Any, call: Call) -> None:
    report = call("report", "--json").json
    told = [(t["realized_pnl"], t["entry_reason"], t["exit_reason"]) for t in report["trades"]]
    assert told == [
        ("30", f"BUY: {HOSTILE}", "SELL: crossed"),
        ("-20", "BUY: crossed", "flatten: by the operator"),
    ]
    assert [t["return"] for t in report["trades"]] == [0.03, -0.02]
    assert [t["held_seconds"] for t in report["trades"]] == [86400, 86400]
    assert report["still_held"] == 1


def test_a_blocked_order_is_told_with_its_check(stored: Any, call: Call) -> None:
    report = call("report", "--json").json
    (order,) = report["unfilled_orders"]
    assert (order["status"], order["decided_at"], order["why"]) == (
        "blocked",
        102.0,
        "BUY: crossed",
    )
    (check,) = report["checks"]
    assert check == {
        "name": "max_orders", "asked": 1, "bound": 1, "last_bound": "2026-03-04T17:00:00Z"
    }  # fmt: skip
    assert re.search(r"^max_orders +1 +1$", call("report").out, re.M)
    (price,) = charts(made(call))["prices"]
    kinds = [kind for _, _, kind, _ in price["marks"]]
    assert kinds == ["entry", "exit", "blocked", "entry", "exit", "entry"]


def test_restarts_are_told_also_while_the_bot_is_running(stored: Any, call: Call) -> None:
    assert [run["end"] for run in call("report", "--json").json["runs"]] == [
        "killed",
        "was stopped",
    ]
    stored.commit([Run("r3", 1, "0.1.0", "sma", "PAPER", NOON + timedelta(days=7), ready_ms=1.0)])
    before = Path("data/trades.db").read_bytes()
    assert call("report", "--json").json["runs"][-1]["end"] == "running"
    assert rows_of(made(call), "runs") == 3
    assert Path("data/trades.db").read_bytes() == before


def test_nothing_that_is_stored_becomes_part_of_the_page(stored: Any, call: Call) -> None:
    page = made(call)
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert page.count("<script") == page.count("</script>") == 3
    assert any(HOSTILE in mark[3] for mark in charts(page)["prices"][0]["marks"])


def test_the_page_loads_nothing(stored: Any, call: Call) -> None:
    page = made(call)
    assert not re.search(r"<(?:link|iframe|object|img)\b|@import|url\(|<script[^>]* src", page)
    assert "default-src 'none'" in page
    assert "Copyright (c) 2022 Leon Sorokin" in page
    assert "THE SOFTWARE IS PROVIDED" in page


def test_days_limit_it(stored: Any, call: Call) -> None:
    report = call("report", "--json", "--from", "2026-03-04", "--to", "2026-03-06").json
    assert [day["period"] for day in report["days"]] == ["2026-03-04", "2026-03-05", "2026-03-06"]
    assert report["opening_equity"] == "100030"  # of the last point before it
    assert [t["realized_pnl"] for t in report["trades"]] == ["-20"]
    assert report["still_held"] == 0
    late = call("report", "--json", "--from", "2026-03-06").json
    assert [t["opened_at"] for t in late["trades"]] == ["2026-03-05T17:00:00Z"]  # before it
    assert late["still_held"] == 1


def test_csv_files_have_exact_values(stored: Any, call: Call) -> None:
    done = call("report", "--csv", "out", "--json")
    assert done.json["files"] == [f"out/{name}.csv" for name in ("trades", "fills", "orders", "days", "months", "checks", "equity")]  # fmt: skip

    def read(name: str) -> list[dict[str, str]]:
        with Path(f"out/{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    assert [row["realized_pnl"] for row in read("trades")] == ["30", "-20"]
    assert read("orders")[2]["why"] == "BUY: crossed"
    assert Path("out/fills.csv").read_text() == call("trades", "--csv").out
    assert Path("out/equity.csv").read_text() == call("equity", "--csv").out
    for name, *words in (("trades", "trades", "--round-trips"), ("orders", "orders")):
        listed = list(csv.DictReader(call(*words, "--csv").out.splitlines()))
        assert [{key: row[key] for key in listed[0]} for row in read(name)] == listed
    assert [row["equity"] for row in read("equity")] == [row["equity"] for row in read("days")]
    assert read("checks") == [
        {"name": "max_orders", "asked": "1", "bound": "1", "last_bound": "2026-03-04T17:00:00Z"}
    ]


def test_times_are_new_yorks_or_utc(stored: Any, call: Call) -> None:
    page = made(call)
    assert "<td>2026-03-02 12:00</td>" in page
    assert charts(page)["zone"] == "America/New_York"
    page = made(call, "--utc")
    assert "<td>2026-03-02 17:00</td>" in page
    assert charts(page)["zone"] == "UTC"


# -- at the edges ----------------------------------------------------------------------------------


def test_one_point_and_no_trade(journal: Any, call: Call) -> None:
    journal.commit([point(NOON, "100000")])
    report = call("report", "--json").json
    assert (report["sessions"], report["return"], report["sharpe"]) == (1, 0.0, None)
    assert set(report["buy_and_hold"].values()) == {None}
    page = made(call)
    assert charts(page)["equity"]["equity"] == [100000.0]
    assert charts(page)["results"] is None
    assert "No trade was closed." in page


def test_negative_equity(journal: Any, call: Call) -> None:
    points = [point(NOON + timedelta(days=n), v) for n, v in enumerate(["1000", "-500", "-400"])]
    journal.commit(points)
    report = call("report", "--json").json
    assert report["max_drawdown"] == 1.5
    assert [day["return"] for day in report["days"]] == [0.0, -1.5, None]
    assert (report["months"][0]["return"], report["sharpe"]) == (None, None)
    assert charts(made(call))["equity"]["fall"] == [0, -1.5, -1.4]


def test_a_deposit_is_no_profit(journal: Any, call: Call) -> None:
    points = [point(NOON + timedelta(days=n), v) for n, v in enumerate(["1000", "1100", "2100"])]
    came = Adjustment(NOON + timedelta(days=1, hours=1), "", "", D(0), D(0), "x", cash=D(1000))
    journal.commit([*points, came])
    report = call("report", "--json").json
    assert (report["return"], report["max_drawdown"]) == (0.1, 0.0)
    assert [day["deposits"] for day in report["days"]] == ["0", "0", "1000"]
    assert "<th scope=\"col\" class=\"number\"><button type=\"button\">deposits</button></th>" in made(call)  # fmt: skip


def test_nothing_to_report(journal: Any, call: Call) -> None:
    assert call("report").out == "PAPER data/trades.db\nno equity yet\n"
    done = call("report", "--html", "r.html")
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert not Path("r.html").exists()
    assert "no equity yet" in done.err


@pytest.mark.parametrize(
    "days", [["--from", "2027-01-01"], ["--to", "2020-01-01"], ["--from", "2026-03-07", "--to", "2026-03-08"]]
)  # fmt: skip
@pytest.mark.parametrize("files", [[], ["--csv", "out"], ["--json"]])
def test_days_without_equity_are_answered_with_those_that_have_some(
    journal: Any, call: Call, days: list[str], files: list[str]
) -> None:
    journal.commit([point(NOON, "1000"), point(NOON + timedelta(days=9), "1000")])
    done = call("report", *days, *files)
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert "no equity in these days: it is stored from 2026-03-02 to 2026-03-11\n" in done.err
    assert not Path("out").exists()


def test_the_curve_names_the_days_that_it_has(journal: Any, call: Call) -> None:
    journal.commit([point(NOON, "1000")])
    done = call("equity", "--since", "2027-01-01")
    assert (done.code, done.err) == (0, "")
    assert "no equity in these days: it is stored from 2026-03-02 to 2026-03-02\n" in done.out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--html", "there.html"], 3, "there.html is there already: nothing was written; give another file"),
        (["--csv", "there"], 3, "there/trades.csv is there already: nothing was written; give another folder"),
        (["--csv", "there.html"], 3, "there.html is no folder"),
        (["--html", "there"], 3, "there: is a folder: nothing was written; give a file's name, as "
         "`smabot report --html there/report.html`"),
        (["--html", "."], 3, "--html .: is a folder: nothing was written; give a file's name, as "
         "`smabot report --html report.html`"),
        (["--html", "there.html/new/r.html"], 3, "there.html is no folder"),
        (["--csv", "there.html/new"], 3, "there.html is no folder"),
        (["--from", "2026-03-03", "--to", "2026-03-02"], 2, "--from 2026-03-03 is after --to 2026-03-02"),
        (["--from", "10:30"], 2, "'10:30' is not a date"),
        (["--html", " "], 2, "is blank"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_in_one_line(
    stored: Any, call: Call, words: Sequence[str], code: int, says: str
) -> None:
    Path("there").mkdir()
    for name in ("there.html", "there/trades.csv"):
        Path(name).write_text("mine")
    result = call("report", *words)
    assert (result.code, result.out) == (code, "")
    assert says in result.err
    assert result.err.count("\n") == 1
    assert [Path(name).read_text() for name in ("there.html", "there/trades.csv")] == ["mine"] * 2


def test_folders_that_are_missing_are_made(stored: Any, call: Call) -> None:
    assert call("report", "--html", "new/page/r.html", "--csv", "new/tables").code == 0
    assert Path("new/page/r.html").exists()
    assert Path("new/tables/days.csv").exists()


def test_no_database(call: Call) -> None:
    pytest.importorskip("smabot_persistence_sqlite")
    result = call("--db", "none.db", "report", "--html", "r.html")
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert "none.db" in result.err
    assert not Path("r.html").exists()


@pytest.mark.plugins
def test_a_backtest_does_not_begin_where_the_page_is_there_already(call: Call) -> None:
    Path("b.html").write_text("mine")
    result = call("--db", "t.db", "backtest", "--data", MARKET, "--html", "b.html")
    assert (result.code, result.out) == (3, "")
    assert "b.html is there already" in result.err
    assert not Path("t.db").exists()


def test_a_long_history_stays_a_small_page(journal: Any, call: Call) -> None:
    minutes = [
        point(
            datetime.combine(date(2026, 1, 5) + timedelta(days=day), NOON.timetz()) + timedelta(minutes=minute),
            100_000 + (day * 7 + minute * 3) % 101,
        )
        for day in range(60)
        for minute in range(390)
    ]  # fmt: skip
    lowest = minutes[11_111]
    journal.commit([*minutes[:11_111], point(lowest.time, "50000"), *minutes[11_112:]])
    page = made(call)
    curve = charts(page)["equity"]
    assert min(curve["equity"]) == 50000.0
    assert len(curve["time"]) < 6000
    assert curve["time"] == sorted(set(curve["time"]))
    assert len(page) < 500_000
