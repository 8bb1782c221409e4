"""smabot db restore: all of a backup in place, or all of what was there, whenever it is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import BotState
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Account, Bar, Fill, Order, Position
from smabot.errors import JournalError, LockHeld
from smabot.settings.model import Config
from smabot_persistence_sqlite.backup import back_up
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.record_reader import SqliteRows
from smabot_persistence_sqlite.restore import restore_backup

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
FIRST_SCHEMA = Path(__file__).with_name("first_schema.sql")
LEDGER = "trades.exchange.db"
CALLS = ("replace", "fsync", "unlink")
"""What the files' names and contents change by, and what puts them on the disk."""


def write(db: Path, value: str, *rows: Any) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit([BotState("core", "is", value), *rows])


def value_of(db: Path) -> str:
    with closing(SqliteRows.open(db)) as rows:
        (state,) = rows.rows(BotState)
    return state.value


def value_or_refusal(db: Path) -> str:
    try:
        return value_of(db)
    except JournalError as error:
        return str(error)


def write_ledger(path: Path, value: str) -> None:
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("PRAGMA journal_mode = WAL")
        ledger.execute("CREATE TABLE IF NOT EXISTS it (is_ TEXT)")
        ledger.execute("DELETE FROM it")
        ledger.execute("INSERT INTO it VALUES (?)", (value,))
        ledger.commit()


def value_of_ledger(path: Path) -> str:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        return str(ledger.execute("SELECT is_ FROM it").fetchone()[0])


def in_child(act: Callable[[], None]) -> int:
    """Do it in a process of its own; return how that ended, as `os.waitstatus_to_exitcode` has it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(number: int | None, late: bool, count: list[int]) -> None:
    """Let this process die by SIGKILL before or after one of its calls to the file system."""

    def counted(make: Callable[..., Any], *given: Any, **named: Any) -> Any:
        count[0] += 1
        if count[0] == number and not late:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return make(*given, **named)
        finally:
            if count[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    for name in CALLS:
        make = getattr(os, name)
        setattr(os, name, lambda *given, _make=make, **named: counted(_make, *given, **named))


def files_of_account(config: Config, account: str) -> Sequence[Path]:
    return [config.ledger_path] if config.ledger_path.exists() else []


ACCOUNT = Account("A1", "exchange", Decimal(1), Decimal(1), START)


def written_and_killed(db: Path) -> None:
    """Leave the newest commits of both files in their write-ahead logs alone, as a killed bot does."""
    journal = SqliteJournal.open(db)
    journal.commit([BotState("core", "is", "old")])
    ledger = sqlite3.connect(db.with_name(LEDGER))
    ledger.execute("UPDATE it SET is_ = 'old'")
    ledger.commit()
    os.kill(os.getpid(), signal.SIGKILL)


def make_world(folder: Path) -> tuple[Config, Path]:
    """A backup of both files, made when they were new, and what was written since."""
    folder.mkdir()
    db, backup = folder / "trades.db", folder / "copy.db"
    write(db, "new", ACCOUNT)
    write_ledger(db.with_name(LEDGER), "new")
    back_up(db, backup, lambda account: [db.with_name(LEDGER)])
    write(db, "older")
    write_ledger(db.with_name(LEDGER), "older")
    assert in_child(lambda: written_and_killed(db)) == -signal.SIGKILL
    assert (folder / "trades.db-wal").stat().st_size
    return Config(db=db), backup


@pytest.mark.slow(seconds=20)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_killed_anywhere_it_leaves_all_old_files_or_all_new_ones(
    tmp_path: Path, late: bool
) -> None:
    config, backup = make_world(tmp_path / "counted")
    count = [0]
    reading, writing = os.pipe()

    def whole() -> None:
        killed_at(None, late, count)
        restore_backup(config, backup, files_of_account)
        os.write(writing, str(count[0]).encode())

    assert in_child(whole) == 0
    calls = int(os.read(reading, 100))
    os.close(reading)
    os.close(writing)
    assert calls >= 10
    seen = []
    for number in range(1, calls + 1):
        where = f"killed at call {number} of {calls}"
        config, backup = make_world(tmp_path / f"killed-{number}")

        def killed(number: int = number, config: Config = config, backup: Path = backup) -> None:
            killed_at(number, late, [0])
            restore_backup(config, backup, files_of_account)

        assert in_child(killed) == -signal.SIGKILL, where
        read = value_or_refusal(config.db)
        SqliteJournal.open(config.db).close()
        left = value_of(config.db), value_of_ledger(config.ledger_path)
        assert left in {("old", "old"), ("new", "new")}, where
        assert read == left[0] or "its restore was not finished" in read, where
        if left[0] == "new":
            (kept,) = config.db.parent.glob("trades-*-replaced.db")
            assert value_of(kept) == "old", where
            assert value_of_ledger(kept.with_name(f"{kept.stem}.exchange.db")) == "old", where
        seen.append((read if read == left[0] else "refused", left[0]))
        restore_backup(config, backup, files_of_account)
        assert (value_of(config.db), value_of_ledger(config.ledger_path)) == ("new", "new"), where
        assert not list(config.db.parent.glob("*.resto*")), where
    assert {("old", "old"), ("refused", "new"), ("new", "new")} == set(seen)
    assert seen == sorted(seen, key=[("old", "old"), ("refused", "new"), ("new", "new")].index)


def test_what_was_there_is_kept_with_its_log_and_comes_back(db: Path, smabot: Any) -> None:
    write(db, "new")
    smabot("backup", str(db.with_name("copy.db")))

    def killed() -> None:
        SqliteJournal.open(db).commit([BotState("core", "is", "old")])
        os.kill(os.getpid(), signal.SIGKILL)

    in_child(killed)
    db.with_name("trades.db.health").write_text("{}")
    found = smabot("restore", str(db.with_name("copy.db")))
    assert found.exit_code == 0
    assert f"{db}: restored from {db.with_name('copy.db')}, checked\n" in found.stdout
    assert value_of(db) == "new"
    (kept,) = db.parent.glob("trades-*-replaced.db")
    assert f"kept what was there as {kept}\n" in found.stdout
    assert smabot("restore", str(kept)).exit_code == 0
    assert value_of(db) == "old"


def test_where_nothing_is_a_backup_is_put_in_place(db: Path, smabot: Any) -> None:
    other = db.with_name("other.db")
    write(other, "new")
    told = smabot("restore", str(other), "--json")
    assert told.exit_code == 0
    first = json.loads(told.stdout.splitlines()[0])
    assert (first["db"], first["restored_from"], first["kept"]) == (str(db), str(other), [])
    assert value_of(db) == "new"


def test_it_says_what_the_backup_holds(db: Path, tmp_path: Path, smabot: Any) -> None:
    def order(number: int, status: Status, filled: int) -> Order:
        return Order(
            f"bot-sma-SPY-{number}", "sma", "SPY", Side.BUY, Decimal(10), OrderType.MARKET, None,
            TimeInForce.DAY, START, 1, False, START, status, "b1", Decimal(filled), Decimal(9),
        )  # fmt: skip

    bought = Fill(
        "bot-sma-SPY-1", Decimal(10), "sma", "SPY", Side.BUY, Decimal(10), Decimal(9), Decimal(0),
        START, False,
    )  # fmt: skip
    position = Position("sma", "SPY", Decimal(10), Decimal(90), Decimal(9), Decimal(0), START)
    with closing(SqliteJournal.open(db)) as journal:
        orders = [order(1, Status.FILLED, 10), order(2, Status.UNKNOWN, 0)]
        journal.commit([*orders, bought, position], [Bar("SPY", START, 1.0, 1.0, 1.0, 1.0, 1.0)])
    smabot("backup", str(tmp_path / "copy.db"))
    lines = smabot("restore", str(tmp_path / "copy.db"), "--offline").stdout.splitlines()
    assert lines[2:] == [
        "newest minute: 2026-03-02 09:31 ET",
        "open order: bot-sma-SPY-2, buy 10 SPY, unknown, 0 filled",
        "position: 10 SPY of sma",
    ]


# -- refused: nothing changes ------------------------------------------------------------------------


def text_file(path: Path) -> str:
    path.write_text("not a database\n" * 100)
    return "is no database, or its header is damaged"


def nothing(path: Path) -> str:
    return "no backup at"


def other_programs(path: Path) -> str:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    return "is a database, but not smabot's: restore another backup"


def newer(path: Path) -> str:
    write(path, "new")
    with closing(sqlite3.connect(path)) as later, later:
        later.execute("UPDATE alembic_version SET version_num = '9999'")
    return "was made by a newer smabot (schema 9999): upgrade smabot, or restore another backup"


def damaged(path: Path) -> str:
    write(path, "new", *(BotState("core", f"{n}", "x" * 500) for n in range(500)))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = os.urandom(4096)
    path.write_bytes(content)
    return "is not intact, and nothing was changed"


def wrong_sums(path: Path) -> str:
    position = Position("sma", "SPY", Decimal(1), Decimal(1), Decimal(1), Decimal(0), START)
    write(path, "new", position)
    return "sma SPY differs from trades and adjustments by 1 shares"


@pytest.mark.parametrize(
    ("make", "code"),
    [(text_file, 3), (nothing, 3), (other_programs, 3), (newer, 3), (damaged, 1), (wrong_sums, 1)],
)
def test_what_is_no_good_backup_changes_nothing(
    db: Path, tmp_path: Path, smabot: Any, make: Callable[[Path], str], code: int
) -> None:
    write(db, "old")
    before = {path.name for path in db.parent.iterdir()}
    backup = tmp_path / "settings" / "copy.db"
    words = make(backup)
    found = smabot("restore", str(backup))
    assert (found.exit_code, found.stdout, found.stderr.count("\n")) == (code, "", 1), found.stderr
    assert words in found.stderr
    assert value_of(db) == "old"
    assert {path.name for path in db.parent.iterdir()} - before <= {
        "trades.db-wal",
        "trades.db-shm",
    }


def test_while_a_bot_runs_it_is_refused(db: Path, tmp_path: Path, smabot: Any) -> None:
    write(db, "old")
    smabot("backup", str(tmp_path / "copy.db"))
    with closing(SqliteJournal.open(db)):
        found = smabot("restore", str(tmp_path / "copy.db"))
        assert found.exit_code == LockHeld.exit_code == 7
        assert f"is in use by a running smabot (pid {os.getpid()})" in found.stderr
    assert value_of(db) == "old"
    assert not list(tmp_path.glob("*replaced*"))


def test_another_programs_file_is_not_replaced(db: Path, tmp_path: Path, smabot: Any) -> None:
    """It may also be a database whose header is damaged: the line says what to do then."""
    write(tmp_path / "copy.db", "new")
    db.write_text("mine")
    found = smabot("restore", str(tmp_path / "copy.db"))
    assert (found.exit_code, found.stderr.count("\n")) == (3, 1)
    assert "so it is not replaced: move it away" in found.stderr
    assert db.read_text() == "mine"
    db.rename(tmp_path / "away")
    assert smabot("restore", str(tmp_path / "copy.db")).exit_code == 0
    assert value_of(db) == "new"


def test_the_database_itself_is_no_backup_of_it(db: Path, smabot: Any) -> None:
    write(db, "old")
    assert smabot("restore", str(db)).exit_code == 2


def test_a_ledger_of_another_account_is_not_restored(db: Path, tmp_path: Path) -> None:
    write(db, "old", ACCOUNT)
    back_up(db, tmp_path / "copy.db")
    write_ledger(tmp_path / "copy.exchange.db", "another's")
    with pytest.raises(Exception, match="but is no ledger of its account A1") as error:
        restore_backup(Config(db=db), tmp_path / "copy.db", lambda config, account: [])
    assert getattr(error.value, "exit_code", None) == 3


def test_a_backup_of_an_older_release_is_put_in_place_as_it_is(
    db: Path, tmp_path: Path, smabot: Any
) -> None:
    """So that the older release can be installed again and go on."""
    backup = tmp_path / "copy.db"
    with closing(sqlite3.connect(backup)) as first:
        first.executescript(FIRST_SCHEMA.read_text())
    found = smabot("restore", str(backup))
    assert found.exit_code == 0, found.stderr
    assert "is of an older smabot" in found.stderr
    with closing(sqlite3.connect(db)) as there:
        assert there.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    SqliteJournal.open(db).close()
    assert value_of(db) == "42"
