"""smabot db: backup, check, prune, as a person calls them."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import BotState
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Adjustment, Bar, EquityPoint, Fill, Order, Position
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.record_reader import SqliteRows

Smabot = Callable[..., Any]
START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
TEN = Decimal(10)


def refused(result: Any, code: int, words: str) -> bool:
    """Tell whether a command ended with a code, nothing on stdout, and one line with these words."""
    return (
        result.exit_code == code
        and result.stdout == ""
        and result.stderr.count("\n") == 1
        and words in result.stderr
    )


def bars(days: int, symbols: tuple[str, ...] = ("SPY", "IBM"), a_day: int = 400) -> list[Bar]:
    return [
        Bar(symbol, START + timedelta(days=day, minutes=minute), 1.0, 1.0, 1.0, 1.0, 1.0)
        for day in range(days)
        for minute in range(a_day)
        for symbol in symbols
    ]


def bought(filled: Decimal = TEN, held: Decimal = TEN) -> list[Any]:
    order = Order(
        "bot-sma-SPY-1", "sma", "SPY", Side.BUY, TEN, OrderType.MARKET, None, TimeInForce.DAY, START,
        1, False, START, Status.FILLED, "b1", filled, Decimal("126.35"),
    )  # fmt: skip
    fill = Fill(
        "bot-sma-SPY-1",
        TEN,
        "sma",
        "SPY",
        Side.BUY,
        TEN,
        Decimal("126.35"),
        Decimal(0),
        START,
        False,
    )
    position = Position("sma", "SPY", held, Decimal(1), Decimal(1), Decimal(0), START)
    return [order, fill, position]


# -- backup ----------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from smabot.domain.bot_records import BotState
from smabot_persistence_sqlite.journal import SqliteJournal
journal = SqliteJournal.open(Path(sys.argv[1]))
n = 0
while True:
    n += 1
    journal.commit([BotState("core", key, str(n)) for key in "abcdefgh"])
    print(n, flush=True)
"""


def test_a_backup_beside_a_running_bot_is_one_moment_of_it(
    db: Path, tmp_path: Path, smabot: Smabot
) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit([], bars(5))
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(db)], stdout=subprocess.PIPE, text=True
    ) as bot:
        try:
            assert bot.stdout is not None
            earlier = int(bot.stdout.readline())
            target = tmp_path / "copy.db"
            told = json.loads(smabot("backup", str(target), "--json").stdout)
        finally:
            bot.kill()
    assert told == {"path": str(target), "bytes": target.stat().st_size, "account_files": []}
    assert not list(tmp_path.glob("copy.db?*"))
    with closing(SqliteJournal.open(target)) as copy:
        values = {state.value for state in copy.rows(BotState)}
        assert len(values) == 1
        assert int(values.pop()) >= earlier
        assert copy.bar_counts() == {"IBM": 2000, "SPY": 2000}


def test_a_backup_without_a_name_lies_beside_the_database(db: Path, smabot: Smabot) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit(bought())
    result = smabot("backup")
    (copy,) = db.parent.glob("trades-*Z.db")
    assert result.stdout == f"{copy}: {copy.stat().st_size:,} bytes, checked\n"
    with closing(SqliteRows.open(copy)) as rows:
        assert len(rows.rows(Fill)) == 1


def test_a_backup_overwrites_nothing_and_needs_a_database(
    db: Path, tmp_path: Path, smabot: Smabot
) -> None:
    assert refused(smabot("backup"), 3, f"no database at {db}: run `smabot run` first")
    SqliteJournal.open(db).close()
    (tmp_path / "there").write_text("mine")
    assert refused(smabot("backup", str(tmp_path / "there")), 2, "there exists")
    assert refused(smabot("backup", str(tmp_path / "no" / "where")), 3, "no/where can't be written")
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("kind", ["database", "text", "empty database"])
def test_a_backup_of_another_programs_file_is_none(
    db: Path, tmp_path: Path, smabot: Smabot, kind: str
) -> None:
    if kind == "text":
        db.write_text("not a database\n" * 100)
    else:
        with closing(sqlite3.connect(db)) as other:
            other.execute("CREATE TABLE songs (title TEXT)")
            if kind == "empty database":
                other.execute("DROP TABLE songs")
    words = {"database": "is a database, but not smabot's", "text": "it is not a database"}
    result = smabot("backup", str(tmp_path / "copy.db"))
    assert refused(result, 3, words.get(kind, "no database at"))
    assert not (tmp_path / "copy.db").exists()


# -- check -----------------------------------------------------------------------------------------


def test_a_sound_database_beside_its_bot(db: Path, smabot: Smabot) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit(bought(), bars(1))
        result = smabot("check")
    assert result.exit_code == 0
    assert result.stdout == f"{db}: intact; orders, fills and positions agree\n"


@pytest.mark.parametrize(
    "rows, line",
    [
        (bought(held=Decimal(7)), "sma SPY differs from trades and adjustments by -3 shares"),
        (bought(filled=Decimal(9)), "bot-sma-SPY-1 filled 9 shares, its trades make 10"),
        (bought()[1:], "bot-sma-SPY-1 has trades, but order_intents does not know it"),
        (bought()[:2], "sma SPY differs from trades and adjustments by -10 shares"),
        (
            [replace(bought()[0], fees=Decimal("0.35")), *bought()[1:]],
            "bot-sma-SPY-1 was charged 0.35 dollars, its trades 0",
        ),
    ],
)
def test_sums_that_do_not_agree(db: Path, rows: list[Any], line: str, smabot: Smabot) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit(rows)
    result = smabot("check", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert told["ok"] is False
    assert [line in problem for problem in told["problems"]] == [True]


def test_adjustments_count(db: Path, smabot: Smabot) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        adjusted = Adjustment(START, "sma", "SPY", Decimal(-4), Decimal(100), "split")
        journal.commit([*bought(held=Decimal(6)), adjusted])
    assert smabot("check").exit_code == 0


def test_a_damaged_page_is_found(db: Path, smabot: Smabot) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit(bought(), bars(3))
    content = bytearray(db.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = os.urandom(4096)
    db.write_bytes(content)
    result = smabot("check")
    assert result.exit_code == 1
    assert "is damaged: restore a copy made by `smabot db backup`" in result.stdout


# -- prune -----------------------------------------------------------------------------------------


def test_pruning_takes_old_bars_but_keeps_each_symbols_newest(db: Path, smabot: Smabot) -> None:
    everything = bars(6) + bars(1, ("OLD",), 1200) + bars(6, ("THIN",), 10)
    points = [EquityPoint(START + timedelta(days=d), TEN, TEN, TEN, TEN) for d in range(6)]
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit([*bought(), *points], everything)

    told = json.loads(smabot("prune", "--bars-before", "2026-03-06", "--json").stdout)

    assert told["before"] == "2026-03-06T00:00:00Z"
    with closing(SqliteJournal.open(db)) as journal:
        # three days of 400 are over 1,000 only with a part of the third
        assert journal.bar_counts() == {"IBM": 1000, "SPY": 1000, "OLD": 1000, "THIN": 60}
        assert told["bars"] == len(everything) - 3060
        kept = [each for minute in journal.windows(2000, ["SPY", "OLD", "THIN"]) for each in minute]
        for symbol in ("SPY", "OLD", "THIN"):
            newest = [each for each in everything if each.symbol == symbol][-1000:]
            assert [each for each in kept if each.symbol == symbol] == newest
        assert len(journal.rows(EquityPoint)) == 6
        assert len(journal.rows(Fill)) == 1


def test_pruning_by_days_with_equity_and_vacuum(db: Path, smabot: Smabot) -> None:
    points = [EquityPoint(START + timedelta(days=d), TEN, TEN, TEN, TEN) for d in range(10)]
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit(points, bars(10))
    before = db.stat().st_size

    result = smabot("prune", "--keep-days", "4", "--equity", "--vacuum")

    newest = START + timedelta(days=9, minutes=399)
    assert result.stdout.startswith(
        f"deleted 4,798 bars and 6 equity points before {newest - timedelta(days=4):%Y-%m-%dT%H:%M:%SZ}"
    )
    assert db.stat().st_size < before
    smabot("prune", "--keep-days", "0", "--equity")
    with closing(SqliteRows.open(db)) as rows:
        assert rows.bar_counts() == {"IBM": 1000, "SPY": 1000}
        assert rows.rows(EquityPoint) == points[-1:]


def test_pruning_refuses_while_a_bot_runs_and_without_a_choice(db: Path, smabot: Smabot) -> None:
    assert refused(smabot("prune", "--keep-days", "1"), 3, "no database at")
    with closing(SqliteJournal.open(db)):
        assert refused(smabot("prune", "--keep-days", "1"), 7, "is in use by a running smabot")
    for choice in ([], ["--keep-days", "1", "--bars-before", "2026-03-02"]):
        assert refused(
            smabot("prune", *choice), 2, "give either --bars-before DATE or --keep-days N"
        )
    assert smabot("prune", "--keep-days", "x").exit_code == 2
    assert smabot("prune", "--keep-days", "1").exit_code == 0


def test_an_empty_database_is_pruned_to_nothing(db: Path, smabot: Smabot) -> None:
    SqliteJournal.open(db).close()
    assert "deleted 0 bars" in smabot("prune", "--bars-before", f"{date(2026, 3, 6)}").stdout
    with closing(sqlite3.connect(db)) as person:
        assert person.execute("SELECT COUNT(*) FROM symbols").fetchone() == (0,)
