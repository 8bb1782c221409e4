"""The exchange's own files gone wrong: fault files, files of keys, and ledgers with foreign values."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

pytest.importorskip("smabot_exchange")

from smabot.domain.order_terms import OrderType, Side
from smabot.errors import ConfigError, SmabotError
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_files import read_faults
from smabot_exchange.http.key_pairs import read_pairs
from smabot_exchange.matching.orders import OrderRequest, RequestRefused

FAULTS = {
    "seed": 7,
    "faults": [
        {"kind": "error", "status": 504, "when": "after", "times": 2, "path": "/v2/orders"},
        {"kind": "hang", "seconds": 2.5, "probability": 0.5, "since": "2026-03-02T15:00:00Z"},
    ],
}
STORED: list[Any] = [
    None, 0, -1, 0.5, 1e300, 2**62, b"\xff", "", "0", "-5", "NaN", "Infinity", "1E+999999999", "buy", "filled",
    "yesterday", "61e69015-8549-4bfd-b9c3-01e75843f47d", "[]", '{"trading_blocked": "x"}', "x" * 3_000,
]  # fmt: skip

Explore = Callable[..., None]


def test_fault_files(explore: Explore, odd: Any, tmp_path: Path, one_line: Any) -> None:
    file = tmp_path / "faults.json"

    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(FAULTS))
        whole = json.dumps(raw, default=repr).encode()
        file.write_bytes(content := data.draw(odd.damaged(whole)))
        try:
            seed, faults = read_faults(file)
        except ConfigError as error:
            assert one_line(error)
            assert content != json.dumps(FAULTS).encode()
            return
        if content == whole and "faults" in raw:
            assert seed == raw.get("seed")
            assert [fault.kind for fault in faults] == [fault["kind"] for fault in raw["faults"]]
            for fault, given in zip(faults, raw["faults"], strict=True):
                for name in ("status", "times", "probability", "seconds"):
                    if name in given:
                        assert getattr(fault, name) == _number(given[name])

    explore(check)


def _number(value: Any) -> Any:
    return None if value is None else float(value)


def test_files_of_keys(explore: Explore, odd: Any, tmp_path: Path, one_line: Any) -> None:
    file = tmp_path / "keys"

    def check(data: Any) -> None:
        file.write_bytes(data.draw(odd.damaged(b"# two\nPKONE secret1\nPKTWO secret2 # second\n")))
        try:
            pairs = read_pairs(file)
        except ConfigError as error:
            assert one_line(error)
            assert "secret1" not in str(error)
            return
        assert all(key and secret for key, secret in pairs.items())

    explore(check, share=0.5)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    with closing(Exchange(path, "simulated:symbols=1,sessions=1")) as exchange:
        exchange.advance()
        for price in (None, Decimal(1)):
            kind = OrderType.MARKET if price is None else OrderType.LIMIT
            exchange.submit(OrderRequest("SPY", Side.BUY, Decimal(2), kind, price))
        exchange.advance()
    return path


def test_ledgers(explore: Explore, ledger: Path, one_line: Any) -> None:
    """A foreign value in any cell: the exchange says so, or has numbers that are numbers."""
    with closing(sqlite3.connect(ledger)) as raw:
        tables = [
            name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        cells = [
            (table, column)
            for table in tables
            for _, column, *_ in raw.execute(f"PRAGMA table_info({table})").fetchall()
            if raw.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
        ]
    with closing(sqlite3.connect(ledger)) as raw:
        whole = raw.serialize()
    copy = ledger.with_name("copy.db")

    def check(data: Any) -> None:
        (table, column), value = (
            data.draw(st.sampled_from(cells)),
            data.draw(st.sampled_from(STORED)),
        )
        for file in copy.parent.glob("copy.db*"):
            file.unlink()
        copy.write_bytes(whole)
        with closing(sqlite3.connect(copy, isolation_level=None)) as raw:
            last = raw.execute(f"SELECT MAX({column}) FROM {table}").fetchone()[0]
            try:
                raw.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (value, last))
            except sqlite3.IntegrityError:
                return
        try:
            with closing(Exchange(copy, "simulated:symbols=1,sessions=1")) as exchange:
                account = exchange.account()
                assert all(each.is_finite() for each in (account.cash, account.equity))
                for order in exchange.orders("all"):
                    assert 0 <= order.filled_qty <= order.qty
                for position in exchange.positions():
                    assert position.qty.is_finite()
                exchange.activities(10, None, True)
                exchange.advance()
                exchange.bars(
                    ["SPY"], datetime(2026, 3, 2, tzinfo=UTC), exchange.now + timedelta(1)
                )
        except (SmabotError, RequestRefused) as error:
            assert one_line(error)

    explore(check, share=1)
