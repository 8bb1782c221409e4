"""A database that is taken away from its journal, what is no taking away, and the locks of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import BotState
from smabot.errors import ConfigError, JournalError, LockHeld
from smabot.system.lock import FileLock, is_displaced, is_locked, lock_holder
from smabot.system.write_ahead_log import is_whole
from smabot_persistence_sqlite.backup import back_up
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.record_reader import SqliteRows


def write(journal: SqliteJournal, count: int = 1, value: str = "x" * 500) -> None:
    for number in range(count):
        journal.commit([BotState("core", str(number), value)])


@pytest.fixture
def journal(db: Path) -> Iterator[SqliteJournal]:
    """A journal with something in the file and something in the log."""
    with closing(SqliteJournal.open(db)) as journal:
        write(journal, 50)
    with closing(SqliteJournal.open(db)) as journal:
        write(journal, 5, "y")
        journal.check_in_place()
        yield journal


def log_of(db: Path) -> Path:
    return db.with_name(db.name + "-wal")


def index_of(db: Path) -> Path:
    return db.with_name(db.name + "-shm")


def replace(file: Path, by: Path) -> None:
    other = shutil.copy(by, file.with_name("other"))
    Path(other).replace(file)


def write_over(file: Path, content: bytes, at: int = 0) -> None:
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(content)


def backup_over(db: Path) -> None:
    (copy,) = (Path(each.path) for each in back_up(db))
    write_over(db, copy.read_bytes())


def to_another_folder(db: Path) -> None:
    db.parent.rename(db.parent.with_name("elsewhere"))


def made_anew(db: Path) -> None:
    to_another_folder(db)
    shutil.copytree(db.parent.with_name("elsewhere"), db.parent)


def log_in_the_middle(db: Path) -> None:
    """Write over one page of several, later than the clock of files was before."""
    time.sleep(0.02)
    write_over(log_of(db), bytes(4096), 32 + 4120 + 24)


WAYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "removed": (Path.unlink, " was removed or moved"),
    "moved": (lambda db: db.rename(db.with_name("x")), " was removed or moved"),
    "replaced": (lambda db: replace(db, db), " was replaced by another file"),
    "cut": (lambda db: os.truncate(db, 8192), " was truncated"),
    "cut to nothing": (lambda db: os.truncate(db, 0), " was truncated"),
    "written over by a backup": (backup_over, " was overwritten"),
    "written over by itself": (lambda db: write_over(db, db.read_bytes()), " was overwritten"),
    "written over in the middle": (lambda db: write_over(db, b"\xa5" * 50, 9000), " was overwritten"),
    "log removed": (lambda db: log_of(db).unlink(), "log trades.db-wal was removed or moved"),
    "log replaced": (lambda db: replace(log_of(db), log_of(db)), "trades.db-wal was replaced by"),
    "log cut": (lambda db: os.truncate(log_of(db), 5000), "log trades.db-wal was truncated"),
    "log written over": (lambda db: write_over(log_of(db), bytes(32)), "trades.db-wal was overwritten"),
    "log's end written over": (
        lambda db: write_over(log_of(db), bytes(4120), log_of(db).stat().st_size - 4120),
        "trades.db-wal was overwritten",
    ),
    "log's middle written over": (log_in_the_middle, "trades.db-wal was overwritten"),
    "index removed": (lambda db: index_of(db).unlink(), "its file trades.db-shm was removed"),
    "index replaced": (lambda db: replace(index_of(db), index_of(db)), "trades.db-shm was replaced"),
    "folder moved": (to_another_folder, " was removed or moved"),
    "folder moved and made anew": (made_anew, " was replaced by another file"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_database_that_is_taken_away_is_written_to_no_more(tmp_path: Path, way: str) -> None:
    db = tmp_path / "data" / "trades.db"
    act, words = WAYS[way]
    with closing(SqliteJournal.open(db)) as journal:
        write(journal, 50)
    with closing(SqliteJournal.open(db)) as journal:
        write(journal, 5, "y")
        act(db)
        for look in (lambda: write(journal), journal.check_in_place, lambda: write(journal)):
            with pytest.raises(JournalError) as caught:
                look()
            line = str(caught.value)
            assert line.startswith(f"database {db}")
            assert f"{words} " in line
            assert line.endswith("or restore a backup, then start again")
        assert journal.row(BotState, "core", "1") == BotState("core", "1", "y")


def test_a_link_that_leads_elsewhere_takes_the_database_away(tmp_path: Path) -> None:
    link, db, other = (tmp_path / name for name in ("link.db", "trades.db", "other.db"))
    for each in (db, other):
        SqliteJournal.open(each).close()
    link.symlink_to(db)
    with closing(SqliteJournal.open(link)) as journal:
        write(journal)
        link.unlink()
        link.symlink_to(other)
        with pytest.raises(JournalError, match=r"link\.db was replaced by another file"):
            write(journal)


STRANGER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA wal_autocheckpoint = 1")
for statement in sys.argv[2:]:
    db.execute(statement).fetchall()
"""


@pytest.mark.parametrize(
    "statements",
    [
        ["SELECT * FROM bot_state"],
        ["UPDATE bot_state SET value = 'theirs' WHERE key = '3'"],
        ["PRAGMA wal_checkpoint(PASSIVE)"],
        ["PRAGMA wal_checkpoint(TRUNCATE)"],
        ["PRAGMA wal_checkpoint(TRUNCATE)", "DELETE FROM bot_state WHERE key > '2'", "VACUUM"],
        ["BEGIN IMMEDIATE", "PRAGMA cache_size = 1", "DELETE FROM bot_state", "ROLLBACK"],
    ],
)
def test_what_others_do_through_sqlite_takes_nothing_away(
    db: Path, journal: SqliteJournal, statements: list[str]
) -> None:
    for _ in range(3):
        subprocess.run([sys.executable, "-c", STRANGER, str(db), *statements], check=True)
        journal.check_in_place()
        write(journal, 3)
        journal.check_in_place()


def test_a_log_is_written_over_just_before_a_commit(db: Path, journal: SqliteJournal) -> None:
    def act(statement: str) -> None:
        if statement.startswith("BEGIN"):
            log_in_the_middle(db)

    journal.connection.set_trace_callback(act)
    write(journal)
    journal.connection.set_trace_callback(None)
    with pytest.raises(JournalError, match=r"trades\.db-wal was overwritten"):
        journal.check_in_place()


def test_the_whole_log_is_read_only_when_others_wrote_to_it(
    db: Path, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = []

    def counted(*arguments: Any) -> bool:
        readings.append(arguments)
        return is_whole(*arguments)

    monkeypatch.setattr("smabot.system.database_file.is_whole", counted)
    write(journal, 20)
    journal.check_in_place()
    assert not readings
    statement = "UPDATE bot_state SET value = 'theirs' WHERE key = '3'"
    subprocess.run([sys.executable, "-c", STRANGER, str(db), statement], check=True)
    write(journal, 20)
    assert len(readings) == 1


def test_its_own_growth_and_folding_in_take_nothing_away(db: Path, journal: SqliteJournal) -> None:
    journal.connection.execute("PRAGMA wal_autocheckpoint = 7")
    for number in range(100):
        journal.commit([BotState("core", str(number), "z" * 3000)])
        journal.check_in_place()
    assert db.stat().st_size > 300_000


# -- locks -----------------------------------------------------------------------------------------


def exclusively(db: Path) -> str:
    """What SQLite says to another process that wants the whole database for itself."""
    code = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], timeout=0)\n"
        "try: print(db.execute('PRAGMA journal_mode = DELETE').fetchone()[0])\n"
        "except sqlite3.OperationalError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(db)], capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize("first", ["rows", "journal"])
def test_closing_one_connection_keeps_the_locks_of_the_others(db: Path, first: str) -> None:
    journal = SqliteJournal.open(db)
    rows = SqliteRows.open(db)
    assert exclusively(db) == "database is locked"
    other = rows if first == "journal" else journal
    (journal if first == "journal" else rows).close()
    assert is_locked(db) is (first == "rows")
    assert exclusively(db) == "database is locked"
    other.close()
    assert exclusively(db) == "delete"


def test_looking_at_a_lock_many_times_takes_no_descriptors(
    db: Path, journal: SqliteJournal
) -> None:
    with closing(SqliteRows.open(db)) as rows:
        rows.in_use()
        before = len(list(Path("/dev/fd").iterdir()))
        for _ in range(20):
            assert rows.in_use()
            assert is_locked(db)
        assert len(list(Path("/dev/fd").iterdir())) == before
    assert exclusively(db) == "database is locked"


def test_a_removed_or_replaced_lock_file_lets_nobody_in(db: Path, journal: SqliteJournal) -> None:
    for content in (None, "1\n"):
        db.with_name("trades.db.lock").unlink()
        if content is not None:
            db.with_name("trades.db.lock").write_text(content)
        assert is_locked(db)
        assert not is_displaced(db)
        assert lock_holder(db) == str(os.getpid())
        with pytest.raises(LockHeld, match=rf"in use by a running smabot \(pid {os.getpid()}\)"):
            SqliteJournal.open(db)
        with closing(SqliteRows.open(db)) as rows:
            assert rows.in_use()


def test_a_second_name_of_a_database_lets_nobody_in(db: Path, journal: SqliteJournal) -> None:
    os.link(db, db.with_name("second.db"))
    with pytest.raises(LockHeld, match=r"second\.db is in use by a running smabot"):
        SqliteJournal.open(db.with_name("second.db"))
    with pytest.raises(ConfigError, match=r"second\.db has 2 names"):
        SqliteRows.open(db.with_name("second.db"))
    with closing(SqliteRows.open(db)) as rows:  # by the bot's name there is no doubt
        assert rows.in_use()


def test_the_lock_is_not_inherited(db: Path, journal: SqliteJournal) -> None:
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        journal.close()
        assert not is_locked(db)
        child.kill()


def test_a_reader_whose_database_is_replaced_says_so(db: Path, journal: SqliteJournal) -> None:
    with closing(SqliteRows.open(db)) as rows:
        assert rows.in_use()
        replace(db, db)
        with pytest.raises(JournalError, match="was removed, moved or replaced just now"):
            rows.in_use()
    with (
        closing(SqliteRows.open(db)) as rows,
        pytest.raises(JournalError, match=rf"not the one that the running bot \(pid {os.getpid()}"),
    ):
        rows.in_use()


def test_a_network_file_system_is_refused(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There `flock` is emulated by the very locks that SQLite uses."""
    SqliteJournal.open(db).close()
    (mine,) = {
        row.partition(" - ")[2].split()[0]
        for row in Path("/proc/self/mountinfo").read_text().splitlines()
        if row.split()[2] == f"{os.major(db.stat().st_dev)}:{os.minor(db.stat().st_dev)}"
    }
    monkeypatch.setattr("smabot.system.lock.NETWORKED", (mine,))
    with pytest.raises(
        ConfigError, match=rf"lies on a network file system \({mine}\), .*local disk"
    ):
        SqliteJournal.open(db)
    monkeypatch.undo()
    SqliteJournal.open(db).close()


# -- making ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["trades.db.new", "trades.db.new-wal"])
def test_a_database_that_was_half_made_is_made_again(db: Path, left: str) -> None:
    db.with_name(left).write_bytes(b"half" * 100)
    with closing(SqliteJournal.open(db)) as journal:
        write(journal)
        assert journal.opening_notes == ("new database",)
    assert {path.name for path in db.parent.iterdir()} == {"trades.db", "trades.db.lock"}


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("nowhere.db", "is a link to nowhere.db, which is not there: fix or remove the link"),
        ("trades.db", "is a link that can't be followed (Too many levels of symbolic links)"),
        (".", "is a folder: give a file"),
        ("/dev/null", "is no regular file"),
    ],
)
def test_a_name_that_leads_to_no_file_is_no_new_database(db: Path, target: str, line: str) -> None:
    db.symlink_to(target)
    for opening in (SqliteJournal.open, SqliteRows.open):
        with pytest.raises(ConfigError) as caught:
            opening(db)
        assert str(caught.value).startswith(f"database {db} {line}")
    assert [path.name for path in db.parent.iterdir()] == ["trades.db"]


def test_a_lock_of_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "x.db", "it", "wait")
    with pytest.raises(LockHeld, match=rf"it is in use by a running smabot \(pid {os.getpid()}\)"):
        FileLock(tmp_path / "x.db", "it", "wait")
    lock.release()
    with closing(sqlite3.connect(tmp_path / "x.db")):
        assert not is_locked(tmp_path / "x.db")
