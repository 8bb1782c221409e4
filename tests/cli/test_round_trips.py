"""Round trips and P&L, against numbers that were worked out by hand."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from smabot.cli.commands.pnl import grouped
from smabot.domain.order_terms import Side
from smabot.domain.records import ZERO, Adjustment, EquityPoint, Fill, Position
from smabot.domain.round_trips import round_trips

pytest.importorskip("smabot_persistence_sqlite")

Call = Callable[..., Any]
D = Decimal
NEW_YORK = ZoneInfo("America/New_York")
EVERY_GROUPING = ("day", "week", "month", "year", "symbol", "strategy")


def at(text: str) -> datetime:
    """Return a New York time, such as ``03-02 10:00``, in UTC; of 2026 unless it has a year."""
    text = text if len(text) > 14 else f"2026-{text}"
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def fill(
    time: str, what: str, price: str, pnl: str = "", *, strategy: str = "sma", order: str = ""
) -> Fill:
    """Return a fill such as ``buy 10 SPY``; with ``pnl`` it reduces."""
    side, qty, symbol = what.split()
    name = order or f"smabot-{strategy}-{symbol}-{time}"
    return Fill(
        name,
        D(qty),
        strategy,
        symbol,
        Side(side),
        D(qty),
        D(price),
        D(pnl or 0),
        at(time),
        bool(pnl),
    )


def point(time: str, equity: str) -> EquityPoint:
    return EquityPoint(at(time), D(equity), D(equity), ZERO, ZERO)


RECORDS: list[Any] = [
    # a partial exit that won, the rest lost: one trade that loses 20
    fill("03-02 10:00", "buy 10 SPY", "100"),
    fill("03-02 11:00", "sell 4 SPY", "110", "40"),
    fill("03-06 15:59", "sell 6 SPY", "90", "-60"),
    # over the midnight after clocks went forward: the exit is Monday's, of the next ISO week
    fill("03-08 23:59:30", "buy 5 AAPL", "200"),
    fill("03-09 00:00:00", "sell 5 AAPL", "203", "15"),
    # one order that sells 15 where 10 are held: a trade that wins 20, and a short one that wins 5
    fill("03-10 10:00", "buy 10 SPY", "100"),
    fill("03-10 11:00", "sell 15 SPY", "102", "20"),
    fill("03-10 12:00", "buy 5 SPY", "101", "5"),
    # neither won nor lost
    fill("03-11 10:00", "buy 1 KO", "50"),
    fill("03-11 10:05", "sell 1 KO", "50", "0"),
    # still open: the partial exit is realized, and no trade
    fill("03-11 10:00", "buy 3 MSFT", "300"),
    fill("03-11 11:00", "sell 1 MSFT", "312", "12"),
    # sold by hand, and a 2-for-1 split: 4 each
    fill("03-12 10:00", "buy 2 QQQ", "8"),
    Adjustment(at("03-12 12:00"), "sma", "QQQ", D(-2), D(10), "by hand", D(20), D(4)),
    fill("03-12 10:00", "buy 2 IWM", "10"),
    Adjustment(at("03-12 11:00"), "sma", "IWM", D(2), ZERO, "split"),
    fill("03-12 14:00", "sell 4 IWM", "6", "4"),
    # a fill that the broker busted keeps its row, with 0 shares
    fill("03-12 15:00", "sell 0 KO", "50", "0"),
    # another strategy's, that ends in the next year and in the last year's ISO week
    fill("12-31 15:00", "buy 10 SPY", "50", strategy="trend"),
    fill("2027-01-01 10:00", "sell 10 SPY", "47", "-30", strategy="trend"),
    Position("sma", "MSFT", D(2), D(600), D(300), D(12), at("03-11 11:00")),
    # equity, and a deposit between two days
    point("03-02 09:31", "100000"),
    point("03-02 16:00", "100020"),
    point("03-06 16:00", "99990"),
    Adjustment(at("03-06 18:00"), "", "", ZERO, ZERO, "a deposit", D(1000)),
    point("03-09 09:31", "101000"),
    point("03-09 16:00", "101005"),
    point("2027-01-01 16:00", "101002"),
]  # fmt: skip


@pytest.fixture
def traded(journal: Any) -> None:
    journal.commit(RECORDS)
    journal.close()


def test_a_trade_is_a_position_from_flat_to_flat(traded: None, call: Call) -> None:
    trips = call("trades", "--round-trips", "--json").json["round_trips"]
    told = [
        (t["symbol"], t["side"], t["qty"], t["entry_price"], t["exit_price"], t["realized_pnl"])
        for t in trips
    ]
    assert told == [
        ("SPY", "buy", "10", "100", "98", "-20"),
        ("AAPL", "buy", "5", "200", "203", "15"),
        ("SPY", "buy", "10", "100", "102", "20"),
        ("SPY", "sell", "5", "102", "101", "5"),
        ("KO", "buy", "1", "50", "50", "0"),
        ("QQQ", "buy", "2", "8", "10", "4"),
        ("IWM", "buy", "4", "5", "6", "4"),
        ("SPY", "buy", "10", "50", "47", "-30"),
    ]
    first = trips[0]
    assert (first["opened_at"], first["closed_at"], first["fills"]) == (
        "2026-03-02T15:00:00Z", "2026-03-06T20:59:00Z", 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "last", "told"),
    [
        (D(6), fill("03-02 14:00", "sell 12 SPY", "50", "60"), ("20", "45", "48", "60")),
        (D(-3), fill("03-02 14:00", "sell 3 SPY", "200", "60"), ("5", "180", "192", "60")),
        (D(-4), fill("03-02 14:00", "sell 2 SPY", "300", "60"), ("3.333333", "270", "288", "60")),
    ],
    ids=["2 for 1", "1 for 2", "1 for 3"],
)
def test_a_round_trip_over_a_split_has_quantities_and_prices_of_after_it(
    journal: Any, call: Call, change: Decimal, last: Fill, told: tuple[str, ...]
) -> None:
    """10 bought at 90, 4 sold at 90; the 6 that are left become as many times more or fewer."""
    journal.commit([
        fill("03-02 10:00", "buy 10 SPY", "90"),
        fill("03-02 11:00", "sell 4 SPY", "90", "0"),
        Adjustment(at("03-02 12:00"), "sma", "SPY", change, ZERO, "split"),
        last,
    ])  # fmt: skip
    journal.close()
    (trip,) = call("trades", "--round-trips", "--json").json["round_trips"]
    assert (trip["qty"], trip["entry_price"], trip["exit_price"], trip["realized_pnl"]) == told


def test_round_trips_on_the_screen(traded: None, call: Call) -> None:
    screen = call("trades", "--round-trips", "--until", "2026-03-10").out.splitlines()
    assert screen[1:] == [
        "opened 2026  closed ET    symbol  side   qty   entry    exit     P&L  strategy",
        "03-02 10:00  03-06 15:59  SPY     long    10  100.00   98.00  -20.00  sma",
        "03-08 23:59  03-09 00:00  AAPL    long     5  200.00  203.00  +15.00  sma",
        "03-10 10:00  03-10 11:00  SPY     long    10  100.00  102.00  +20.00  sma",
        "03-10 11:00  03-10 12:00  SPY     short    5  102.00  101.00   +5.00  sma",
    ]
    assert call("trades", "--round-trips", "--symbol", "MSFT").out.splitlines()[1:] == [
        "no round trips",
        "1 position is still open: it is not a trade until it is closed",
    ]
    assert "side" not in call("trades", "--round-trips", "--symbol", "KO").out


def test_totals(traded: None, call: Call) -> None:
    assert call("pnl", "--json").json["totals"] == {
        "orders_filled": 17, "fills": 17, "round_trips": 8, "wins": 5, "losses": 2,
        "win_rate": "0.625", "profit_factor": "0.96", "average_trade": "-0.25",
        "average_win": "9.6", "average_loss": "-25", "realized_pnl": "10",
        "equity_change": "2", "deposits": "1000", "open_positions": 1, "fees": "0",
    }  # fmt: skip
    assert call("pnl").out.splitlines()[-5:] == [
        "realized  +10.00",
        "equity    +2.00, +1,000.00 deposited",
        "trades    8 trades, win rate 62.5%, profit factor 0.96",
        "          average trade -0.25, win +9.60, loss -25.00",
        "1 position is still open: it is not a trade until it is closed",
    ]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        (
            "day",
            {
                "2026-03-02": (0, "40", "20", "0"),
                "2026-03-06": (1, "-60", "-30", "0"),
                "2026-03-08": (0, "0", "0", "0"),
                "2026-03-09": (1, "15", "15", "1000"),
                "2026-03-10": (2, "25", "0", "0"),
                "2026-03-11": (1, "12", "0", "0"),
                "2026-03-12": (2, "8", "0", "0"),
                "2026-12-31": (0, "0", "0", "0"),
                "2027-01-01": (1, "-30", "-3", "0"),
            },
        ),
        (
            "week",
            {
                "2026-W10": (1, "-20", "-10", "0"),
                "2026-W11": (6, "60", "15", "1000"),
                "2026-W53": (1, "-30", "-3", "0"),
            },
        ),
        (
            "month",
            {
                "2026-03": (7, "40", "5", "1000"),
                "2026-12": (0, "0", "0", "0"),
                "2027-01": (1, "-30", "-3", "0"),
            },
        ),
        ("year", {"2026": (7, "40", "5", "1000"), "2027": (1, "-30", "-3", "0")}),
    ],
)
def test_pnl_by_periods_of_new_york(
    traded: None, call: Call, by: str, groups: dict[str, Any]
) -> None:
    rows = call("pnl", "--by", by, "--json").json["pnl"]
    told = {
        r[by]: (r["round_trips"], r["realized_pnl"], r["equity_change"], r["deposits"])
        for r in rows
    }
    assert told == groups
    assert [r["cumulative_pnl"] for r in rows][-1] == "10"


def test_pnl_by_symbol_and_strategy(traded: None, call: Call) -> None:
    rows = call("pnl", "--by", "symbol", "--json").json["pnl"]
    told = {r["symbol"]: (r["round_trips"], r["realized_pnl"], r["profit_factor"]) for r in rows}
    assert told == {
        "AAPL": (1, "15", None), "IWM": (1, "4", None), "KO": (1, "0", None),
        "MSFT": (0, "12", None), "QQQ": (1, "4", None), "SPY": (4, "-25", "0.5"),
    }  # fmt: skip
    screen = call("pnl", "--by", "strategy").out.splitlines()
    assert [line.split() for line in screen[1:4]] == [
        ["strategy", "trades", "won", "fills", "realized", "win", "rate", "profit", "factor", "average"],
        ["sma", "7", "5", "15", "+40.00", "71.4%", "2.40", "+4.00"],
        ["trend", "1", "0", "2", "-30.00", "0.0%", "0.00", "-30.00"],
    ]  # fmt: skip
    assert "-" in next(
        line for line in call("pnl", "--by", "symbol").out.splitlines() if "AAPL" in line
    )


def test_pnl_of_a_part(traded: None, call: Call) -> None:
    of_sma = call("pnl", "--strategy", "sma", "--by", "year", "--json").json
    assert [(r["year"], r["realized_pnl"], r["equity_change"]) for r in of_sma["pnl"]] == [
        ("2026", "40", None)
    ]
    assert "equity" not in call("pnl", "--strategy", "sma").out
    # a trade that began before counts with all it made, equity from the last point before
    later = call("pnl", "--since", "2026-03-03", "--until", "2026-03-09", "--json").json["totals"]
    assert (later["round_trips"], later["realized_pnl"]) == (2, "-45")
    assert (later["equity_change"], later["deposits"]) == ("-15", "1000")
    assert (later["average_trade"], later["open_positions"]) == ("-2.5", 0)


def test_pnl_as_csv_has_a_heading_and_exact_values(traded: None, call: Call) -> None:
    assert call("pnl", "--by", "year", "--csv").out.splitlines() == [
        "year,orders_filled,fills,round_trips,wins,losses,win_rate,profit_factor,average_trade,"
        "realized_pnl,cumulative_pnl,equity_change,deposits,fees",
        "2026,16,16,7,5,1,0.714286,2.4,4,40,40,5,1000,0",
        "2027,1,1,1,0,1,0,0,-30,-30,10,-3,0,0",
    ]
    heading = (
        "symbol,orders_filled,fills,round_trips,wins,losses,win_rate,profit_factor,average_trade"
    )
    assert (
        call("pnl", "--by", "symbol", "--csv", "--symbol", "XYZ").out
        == f"{heading},realized_pnl,fees\n"
    )


def test_a_trade_pays_the_fees_of_its_entry_too() -> None:
    entry = replace(fill("03-02 10:00", "buy 10 SPY", "100"), fees=D(1), realized_pnl=D(-1))
    half = replace(fill("03-02 11:00", "sell 4 SPY", "110", "39"), fees=D(1))
    rest = replace(fill("03-02 12:00", "sell 6 SPY", "100", "-0.5"), fees=D("0.5"))
    (trip,), _ = round_trips([entry, half, rest])
    assert (trip.entry_price, trip.realized_pnl) == (100, D("37.5"))
    day = grouped([entry, half, rest], [], [trip], [], "day")["2026-03-02"]
    assert (day.realized_pnl, day.fees, day.statistics.won) == (D("37.5"), D("2.5"), D("37.5"))


def test_the_equity_of_days(traded: None, call: Call) -> None:
    days = call("equity", "--json").json["days"]
    assert [(d["day"], d["equity"], d["change"], d["deposits"]) for d in days] == [
        ("2026-03-02", "100020", "20", "0"),
        ("2026-03-06", "99990", "-30", "0"),
        ("2026-03-09", "101005", "15", "1000"),
        ("2027-01-01", "101002", "-3", "0"),
    ]
    screen = call("equity", "--since", "2026-03-06", "--until", "2026-03-09").out
    assert "2026-03-06   99,990.00  -30.00" in screen
    assert "2027" not in screen
    assert "start     100,020.00 at 2026-03-02 16:00 ET" in screen
    assert "return    -0.01% over 3 points" in screen


@pytest.mark.parametrize("seed", range(3))
def test_every_grouping_has_the_same_sum(journal: Any, call: Call, seed: int) -> None:
    choose = random.Random(seed)
    time = at("03-06 12:00")
    rows: list[Any] = []
    equity = D(100_000)
    for number in range(200):
        time += timedelta(minutes=choose.randrange(1, 900))
        pnl = D(choose.randrange(-10_000, 10_000)) / choose.choice([1, 10, 1000])
        side = choose.choice([Side.BUY, Side.SELL])
        symbol, strategy = choose.choice("ABC"), choose.choice(["one", "two", ""])
        qty = D(choose.randrange(1, 4))
        rows.append(Fill(str(number), qty, strategy, symbol, side, qty, D(9), pnl, time, pnl != 0))
        equity += pnl
        rows.append(EquityPoint(time, equity, equity, ZERO, ZERO))
    journal.commit(rows)
    documents = {by: call("pnl", "--by", by, "--json").json for by in EVERY_GROUPING}
    realized = sum(row.realized_pnl for row in rows if isinstance(row, Fill))
    for by, document in documents.items():
        for name in ("realized_pnl", "fills", "round_trips", "wins", "losses"):
            total = sum((D(row[name]) for row in document["pnl"]), ZERO)
            assert total == D(document["totals"][name]), (by, name)
        assert D(document["totals"]["realized_pnl"]) == realized
        if by in ("day", "week", "month", "year"):
            changes = [D(row["equity_change"]) for row in document["pnl"]]
            assert sum(changes) == equity - rows[1].equity
    assert Counter(
        t["symbol"] for t in call("trades", "--round-trips", "--json").json["round_trips"]
    )
