"""The reading verbs, on a terminal's and on a program's terms."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.cli.app import App
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import ZERO, Adjustment, Bar, SignalState

SqliteJournal = pytest.importorskip("smabot_persistence_sqlite.journal").SqliteJournal

Call = Callable[..., Any]
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
READING = (
    "events",
    "runs",
    "status",
    "orders",
    "trades",
    "signals",
    "equity",
    "pnl",
    "breaker",
    "limits",
)


@pytest.mark.parametrize("verb", READING)
def test_every_screen_and_document_says_the_mode_and_the_database(
    database: Path, call: Call, verb: str
) -> None:
    result = call(verb)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0] == "PAPER data/trades.db"
    assert "\x1b" not in result.out
    for document in (call(verb, "--json").json, call("--json", verb).json):
        assert (document["mode"], document["db"]) == ("PAPER", "data/trades.db")


@pytest.mark.parametrize("verb", READING)
def test_reading_an_empty_database(journal: Any, call: Call, verb: str) -> None:
    assert call(verb).code == 0
    assert call(verb, "--json").code == 0


@pytest.mark.parametrize("verb", READING)
def test_reading_disturbs_nothing(database: Path, call: Call, verb: str) -> None:
    before = database.read_bytes()
    call(verb)
    assert database.read_bytes() == before


def test_status(database: Path, call: Call) -> None:
    screen = call("status").out
    assert "not running; the last run (pid 4194305) was killed" in screen
    assert "105,000.50, 90,000.00 of it cash, 15,000.50 in positions" in screen
    held = next(line for line in screen.splitlines() if "1,240.50" in line)
    assert held.split() == [
        "sma", "SPY", "10", "1,234.50", "1,240.50", "12,405.00", "+60.00", "12.1%"
    ]  # fmt: skip
    assert "limits " in screen
    assert "breaker " in screen
    data = call("status", "--json").json
    assert data["running"] is False
    assert data["halted"] is None
    assert data["last_bar"] == "2026-03-02T17:00:00Z"
    assert data["positions"] == [
        {
            "strategy": "sma", "symbol": "SPY", "qty": "10", "avg_price": "1234.5",
            "price": "1240.5", "priced_at": "2026-03-02T17:01:00Z", "market_value": "12405",
            "unrealized_pnl": "60", "realized_pnl": "88.654322", "equity_fraction": "0.121137",
            "unattended": "",
        }
    ]  # fmt: skip
    assert [order["symbol"] for order in data["open_orders"]] == ["IBM"]
    assert [state["last_signal"] for state in data["signals"]] == ["BUY"]


def test_the_last_bar_is_the_newest_there_is_whatever_is_held(journal: Any, call: Call) -> None:
    times = [NOON + timedelta(minutes=n) for n in range(125)]
    journal.commit([], [Bar("SPY", time, 1.0, 1.0, 1.0, 1.0, 1.0) for time in times])
    journal.close()
    assert "last bar  2026-03-02 14:05 ET" in call("status").out
    assert "last bar  2026-03-02 19:05 UTC" in call("status", "--utc").out
    assert call("status", "--json").json["last_bar"] == "2026-03-02T19:04:00Z"


@pytest.mark.parametrize(
    ("status", "changes", "told"),
    [
        (None, {}, "no order was made for it"),
        (None, {"missed": True}, "missed while no bot ran"),
        (Status.BLOCKED, {}, "its entry was blocked: because"),
        (Status.REJECTED, {}, "its entry was rejected by the broker: because"),
        (Status.EXPIRED, {}, "its entry expired: because"),
        (Status.ACCEPTED, {}, "its entry is open at the broker: because"),
        (Status.FILLED, {}, "its entry filled: 10; the shares are gone since"),
    ],
)
def test_a_signal_whose_position_is_not_as_it_wants_says_why(
    journal: Any, call: Call, make_order: Any, status: Any, changes: Any, told: str
) -> None:
    state = SignalState("sma", "IBM", "BUY", 1, NOON, **changes)
    rows: list[Any] = [state, SignalState("sma", "SPY", "SELL", 0, NOON)]
    if status is not None:
        rows.append(make_order(0, "IBM", Side.BUY, status, bar_time=NOON, reason="because"))
    journal.commit(rows)
    journal.close()
    lines = call("status").out.splitlines()
    row = next(place for place, line in enumerate(lines) if " BUY " in line)
    assert lines[row + 1].strip() == told
    signals = call("status", "--json").json["signals"]
    assert {each["symbol"]: each["why"] for each in signals} == {"IBM": told, "SPY": ""}


def test_orders(database: Path, call: Call) -> None:
    def found(*options: str) -> list[str]:
        return [o["client_order_id"] for o in call("orders", "--json", *options).json["orders"]]

    assert found() == ["smabot-sma-SPY-0", "smabot-sma-SPY-1", "smabot-sma-IBM-2"]
    assert found("--open") == ["smabot-sma-IBM-2"]
    assert found("--symbol", "spy") == ["smabot-sma-SPY-0", "smabot-sma-SPY-1"]
    assert found("--limit", "1") == ["smabot-sma-IBM-2"]
    assert call("orders", "--symbol", "KO").out.splitlines()[1:] == ["no orders"]


def test_text_from_outside_is_neither_markup_nor_control(database: Path, call: Call) -> None:
    assert "said [bold]no[/] ?[31m" in call("orders").out


def test_trades(database: Path, call: Call) -> None:
    def found(*options: str) -> list[str]:
        return [t["realized_pnl"] for t in call("trades", "--json", *options).json["trades"]]

    assert found() == ["0", "-12.345678", "1", "100"]
    assert found("--date", "2026-03-31") == ["100"]
    assert found("--date", "2026-04-01") == []
    assert found("--date", "2026-03-02", "--limit", "2") == ["-12.345678", "1"]
    screen = call("trades").out.splitlines()
    assert screen[3].split() == [
        "03-02", "13:00", "SPY", "sell", "10", "1,234.50", "-12.35", "sma-SPY-1",
    ]  # fmt: skip


def test_the_screen_shows_the_newest_twenty_and_json_all(journal: Any, call: Call) -> None:
    from datetime import UTC, datetime, timedelta

    from smabot.domain.records import Signal

    start = datetime(2026, 3, 2, tzinfo=UTC)
    journal.commit(
        [Signal("SPY", n % 2, start + timedelta(minutes=n), 1.0, "sma") for n in range(25)]
        + [SignalState("sma", "SPY", "SELL", 0, start + timedelta(minutes=24))]
    )
    lines = call("signals").out.splitlines()
    assert len(lines) == 1 + 1 + 20 + 1
    assert lines[-2].startswith("03-01 19:25")  # in New York, at the bar's end
    assert lines[-1] == "the newest 20; --limit N shows more"
    assert len(call("signals", "--limit", "22").out.splitlines()) == 1 + 1 + 22
    assert len(call("signals", "--json").json["signals"]) == 25


def test_equity(database: Path, call: Call) -> None:
    data = call("equity", "--json").json
    assert data["return"] == "0.050005"
    assert data["max_drawdown"] == "0.1"
    assert data["start"] == {"time": "2026-03-02T17:00:00Z", "equity": "100000"}
    assert len(data["points"]) == 4
    assert (data["drawdown_from"], data["drawdown_to"]) == (
        "2026-03-02T17:01:00Z",
        "2026-03-02T17:02:00Z",
    )
    assert [
        point["equity"] for point in call("equity", "--json", "--limit", "1").json["points"]
    ] == ["105000.5"]
    screen = call("equity", "--points", "--limit", "1").out
    assert "return    +5.00% over 4 points" in screen
    assert "drawdown  10.00%, 2026-03-02 12:01 ET to 2026-03-02 12:02 ET" in screen
    assert screen.count(",000.00") > 0
    assert "99,000.00" not in screen
    assert "2026-03-02  105,000.50  +5,000.50  90,000.00  15,000.50" in call("equity").out


def test_pnl_goes_by_new_york_dates(database: Path, call: Call) -> None:
    days = call("pnl", "--json").json["pnl"]
    assert [(d["day"], d["trades"], d["fills"], d["realized_pnl"]) for d in days] == [
        ("2026-03-02", 2, 3, "-11.345678"),
        ("2026-03-31", 1, 1, "100"),
    ]
    months = call("pnl", "--by", "month", "--json").json["pnl"]
    assert [(m["month"], m["fills"], m["cumulative_pnl"]) for m in months] == [
        ("2026-03", 4, "88.654322")
    ]
    assert call("pnl").out.splitlines()[3].split() == [
        "2026-03-31", "0", "0", "1", "+100.00", "+88.65", "+0.00",
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("verb", ["orders", "trades", "signals", "plugins", "config show --origin"])
def test_a_narrow_terminal_loses_no_text(
    database: Path, call: Call, on_terminal: Call, verb: str, columns: int
) -> None:
    shown = on_terminal(*verb.split(), columns=columns)
    assert "…" not in shown
    assert set(call(*verb.split()).out.split()) <= set(re.sub("\x1b.*?m", "", shown).split())


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_color_unless_it_is_unwanted(
    database: Path, on_terminal: Call, no_color: bool
) -> None:
    out = on_terminal("orders", columns=120, no_color=no_color)
    assert "sma-SPY-0" in out
    assert "smabot-sma" not in out  # the screen's ids have no bot's name
    assert "IBM" in out
    assert "\x1b[3" not in out if no_color else "\x1b[1m" in out


def test_what_came_from_outside_is_no_return_and_what_others_sold_is_pnl(
    database: Path, call: Call
) -> None:
    """100,000 grow to 110,000, and fall to 99,000; then 10,000 come, and shares are sold by hand."""
    came = NOON + timedelta(minutes=2, seconds=30)
    rows = [
        Adjustment(came, "", "", ZERO, ZERO, "a deposit", Decimal(10_000)),
        Adjustment(came, "sma", "SPY", Decimal(-1), Decimal(5), "by hand", Decimal(5), Decimal(4)),
    ]
    with closing(SqliteJournal.open(database, App().record_kinds())) as journal:
        before = call("equity", "--json").json
        journal.commit(rows)
    data = call("equity", "--json").json
    assert data["end"] == before["end"]
    assert float(data["return"]) == pytest.approx(-0.049995)
    assert float(data["max_drawdown"]) == pytest.approx((110_000 - 95_000.5) / 110_000)
    first = call("pnl", "--json").json["pnl"][0]
    assert (first["realized_pnl"], first["fills"]) == ("-7.345678", 3)
