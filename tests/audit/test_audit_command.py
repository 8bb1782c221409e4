"""`smabot audit`: each planted difference is found, named and can be accepted; nothing else is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main

pytestmark = pytest.mark.plugins
AGREES, CONFIG, CONFLICT = 0, 3, 6
DATA = "simulated:symbols=2,sessions=1,seed=1"


@pytest.fixture
def audited(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    def call(*more: str) -> tuple[int, Any]:
        capsys.readouterr()
        line = [
            "audit",
            "--broker",
            "exchange",
            "--data",
            DATA,
            "--db",
            str(folder / "bot.db"),
            "--json",
        ]
        code = main([*line, *more])
        out = capsys.readouterr().out
        return code, json.loads(out) if out else None

    return call


def changed(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        for statement in statements:
            assert db.execute(statement).rowcount == 1, statement


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as db:
        return db.execute(query).fetchall()


LAST = "(SELECT client_order_id FROM trades ORDER BY time DESC LIMIT 1)"
DIVIDEND = (
    "INSERT INTO adjustments (time, symbol, qty, price, cash, kind, of_symbol, description) "
    "SELECT now, NULL, '0', '0', '7.5', 'DIV', 'SPY', '' FROM state"
)
PLANTED = {
    "fill_missing_here": [("bot.db", f"DELETE FROM trades WHERE client_order_id = {LAST}")],
    "fill_missing_there": [
        ("bot.exchange.db", "DELETE FROM fills WHERE number = (SELECT max(number) FROM fills)")
    ],
    "quantity": [("bot.db", f"UPDATE trades SET qty = '9' WHERE client_order_id = {LAST}")],
    "price": [("bot.db", f"UPDATE trades SET price = price + 0.01 WHERE client_order_id = {LAST}")],
    "side": [
        (
            "bot.db",
            "UPDATE trades SET side = CASE side WHEN 'buy' THEN 'sell' ELSE 'buy' END "
            f"WHERE client_order_id = {LAST}",
        )
    ],
    "cash_unknown_here": [("bot.exchange.db", DIVIDEND)],
    "cash": [("bot.exchange.db", "UPDATE state SET cash = cash + 5")],
}


def test_a_day_of_trading_agrees(audited: Callable[..., tuple[int, Any]], folder: Path) -> None:
    code, found = audited()
    assert (code, found["agrees"], found["differences"]) == (AGREES, True, [])
    ((orders,),) = rows(folder / "bot.db", "SELECT count(DISTINCT client_order_id) FROM trades")
    assert found["orders"] == found["executions"] == orders > 5
    (day,) = found["days"]
    assert day["day"] == "2026-03-02"
    assert day["here"] == day["there"] != "0"


@pytest.mark.parametrize("kind", PLANTED)
def test_each_planted_difference_is_found_alone(
    kind: str, audited: Callable[..., tuple[int, Any]], folder: Path
) -> None:
    for file, statement in PLANTED[kind]:
        changed(folder / file, statement)
    code, found = audited()
    assert code == CONFLICT
    assert [each["kind"] for each in found["differences"]] == [kind]
    (difference,) = found["differences"]
    assert difference["here"] != difference["there"]
    assert audited("--since", "2026-03-03")[0] == (CONFLICT if kind in ("cash",) else AGREES)


def test_a_difference_stands_in_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str], audited: Callable[..., tuple[int, Any]]
) -> None:
    changed(folder / "bot.db", PLANTED["quantity"][0][1])
    line = ["audit", "--broker", "exchange", "--data", DATA, "--db", str(folder / "bot.db")]
    assert main(line) == CONFLICT
    shown = capsys.readouterr().out
    heads, difference = shown.splitlines()[2:4]
    assert heads.split() == ["difference", "date", "what", "here", "there"]
    assert " 9 " in difference
    assert " 10 " in difference
    assert "--accept broker" in shown


# -- accepting ------------------------------------------------------------------------------------------


def without_last_fill(folder: Path) -> None:
    """Make the database what it is where the last fill was never heard of, an entry of 10 shares."""
    db = folder / "bot.db"
    ((name, symbol, side, price),) = rows(
        db, "SELECT client_order_id, symbol, side, price FROM trades ORDER BY time DESC LIMIT 1"
    )
    ((cash,),) = rows(db, "SELECT cash FROM account")
    assert side == "buy"
    changed(
        db,
        f"DELETE FROM trades WHERE client_order_id = '{name}'",
        f"UPDATE order_intents SET status = 'canceled', filled_qty = '0', filled_avg_price = NULL "
        f"WHERE client_order_id = '{name}'",
        f"UPDATE positions_snapshot SET qty = '0', cost = '0', avg_price = '0' WHERE symbol = '{symbol}'",
        f"UPDATE account SET cash = '{float(cash) + 10 * float(price):.2f}'",
    )


def with_other_price(folder: Path) -> None:
    """Make the last fill, an entry of 10 shares, one cent cheaper than it was."""
    db = folder / "bot.db"
    ((name, symbol, price),) = rows(
        db, "SELECT client_order_id, symbol, price FROM trades ORDER BY time DESC LIMIT 1"
    )
    ((cash,),) = rows(db, "SELECT cash FROM account")
    cheaper = float(price) - 0.01
    changed(
        db,
        f"UPDATE trades SET price = '{cheaper:.2f}' WHERE client_order_id = '{name}'",
        f"UPDATE order_intents SET filled_avg_price = '{cheaper:.2f}' WHERE client_order_id = '{name}'",
        f"UPDATE positions_snapshot SET cost = '{10 * cheaper:.2f}' WHERE symbol = '{symbol}'",
        f"UPDATE account SET cash = '{float(cash) + 0.10:.2f}'",
    )


def account(folder: Path) -> tuple[float, float]:
    """The cash here and at the exchange."""
    ((here,),) = rows(folder / "bot.db", "SELECT cash FROM account")
    ((there,),) = rows(folder / "bot.exchange.db", "SELECT cash FROM state")
    return round(float(here), 2), round(float(there), 2)


@pytest.mark.parametrize(
    ("spoil", "adjusted"), [(with_other_price, [-10, 10]), (without_last_fill, [10])]
)
def test_an_accepted_difference_is_adjusted_and_no_trade_is_rewritten(
    spoil: Callable[[Path], None],
    adjusted: list[int],
    folder: Path,
    audited: Callable[..., tuple[int, Any]],
) -> None:
    spoil(folder)
    db = folder / "bot.db"
    before = rows(db, "SELECT * FROM trades ORDER BY client_order_id")
    assert audited()[0] == CONFLICT
    code, found = audited("--accept", "broker")
    assert (code, found["differences"]) == (AGREES, [])
    assert rows(db, "SELECT * FROM trades ORDER BY client_order_id") == before
    found = rows(db, "SELECT qty, client_order_id FROM adjustments ORDER BY time")
    assert sorted(float(qty) for qty, _ in found) == adjusted
    assert len({name for _, name in found}) == 1
    here, there = account(folder)
    assert here == there
    assert audited()[0] == AGREES
    assert len(rows(db, "SELECT * FROM adjustments")) == len(adjusted)
    line = ["reconcile", "--broker", "exchange", "--data", DATA, "--db", str(db)]
    assert main(line) == AGREES


def test_shares_that_were_adopted_without_their_order_are_not_booked_twice(
    folder: Path, audited: Callable[..., tuple[int, Any]]
) -> None:
    without_last_fill(folder)
    db = folder / "bot.db"
    line = [
        "reconcile",
        "--broker",
        "exchange",
        "--data",
        DATA,
        "--db",
        str(db),
        "--accept",
        "broker",
    ]
    assert main(line) == AGREES
    code, found = audited("--accept", "broker")
    assert (code, found["differences"]) == (AGREES, [])
    held = rows(
        db, "SELECT symbol, sum(qty) FROM positions_snapshot GROUP BY symbol ORDER BY symbol"
    )
    there = dict(rows(folder / "bot.exchange.db", "SELECT symbol, qty FROM positions"))
    assert {symbol: qty for symbol, qty in held if qty} == {s: float(q) for s, q in there.items()}
    here, broker = account(folder)
    assert here == broker


def test_an_unknown_movement_is_booked(
    folder: Path, audited: Callable[..., tuple[int, Any]]
) -> None:
    changed(folder / "bot.exchange.db", DIVIDEND, "UPDATE state SET cash = cash + 7.5")
    assert audited("--accept", "broker")[0] == AGREES
    assert rows(folder / "bot.db", "SELECT kind, amount, symbol FROM cash_movements") == [
        ("dividend", "7.5", "SPY")
    ]


def test_without_a_first_start_there_is_nothing_to_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "--broker", "exchange", "--db", str(tmp_path / "none.db")]) == CONFIG
    assert capsys.readouterr().err.startswith("smabot: ")
