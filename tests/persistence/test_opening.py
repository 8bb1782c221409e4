"""Opening: one writer, and a clear line for every file that is no good database."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import BotState, Run
from smabot.domain.records import Bar
from smabot.errors import ConfigError, JournalError, LockHeld, SmabotError
from smabot.settings.model import Config
from smabot_persistence_sqlite.integrity_check import check_database
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.plugin import PersistenceSqlite
from smabot_persistence_sqlite.record_reader import SqliteRows


def fill(db: Path) -> None:
    start = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
    with closing(SqliteJournal.open(db)) as journal:
        for minute in range(20):
            time = start + timedelta(minutes=minute)
            journal.commit(
                [BotState("core", str(minute), "x" * 50)],
                [Bar(f"S{n:03d}", time, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(200)],
            )


def refusal(db: Path) -> str:
    """Return the line with which writer and reader refuse a database, and that they leave it alone."""
    before = db.read_bytes() if db.is_file() else None
    with pytest.raises((ConfigError, JournalError)) as caught:
        SqliteJournal.open(db).close()
    assert "\n" not in str(caught.value)
    assert db.name in str(caught.value)
    with pytest.raises((ConfigError, JournalError)):
        SqliteRows.open(db).close()
    if before is not None:
        assert db.read_bytes() == before
    return str(caught.value)


def test_a_missing_file_is_made_with_its_folder(tmp_path: Path) -> None:
    db = tmp_path / "data" / "here" / "trades.db"
    plugin = PersistenceSqlite()

    with closing(plugin.open_journal(Config(db=db), [])) as journal:
        journal.commit([BotState("core", "a", "1")])
        assert journal.location == str(db)
        assert journal.opening_notes == ("new database",)

    assert {path.name for path in db.parent.iterdir()} == {"trades.db", "trades.db.lock"}
    with closing(plugin.open_journal(Config(db=db), [])) as journal:
        assert journal.row(BotState, "core", "a") == BotState("core", "a", "1")
        assert journal.opening_notes == ()
        for name, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}.items():
            assert journal.connection.execute(f"PRAGMA {name}").fetchone() == (value,)


def test_an_empty_file_is_no_new_database(db: Path) -> None:
    """A new one gets its name when it is whole: an empty one was truncated, with all it knew."""
    SqliteJournal.open(db).close()
    os.truncate(db, 0)
    assert "is empty, it was truncated: restore a copy" in refusal(db)


def test_opening_what_is_there_imports_no_sqlalchemy(db: Path) -> None:
    fill(db)
    code = (
        "import sys; from pathlib import Path\n"
        "from smabot.settings.model import Config\n"
        "from smabot_persistence_sqlite.plugin import PersistenceSqlite\n"
        "journal = PersistenceSqlite().open_journal(Config(db=Path(sys.argv[1])), [])\n"
        "journal.commands()\n"
        "list(journal.windows(5, ['S001'])); journal.close()\n"
        "assert not {'sqlalchemy', 'alembic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(db)], check=True)


# -- one writer ------------------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from smabot.domain.bot_records import BotState
from smabot_persistence_sqlite.journal import SqliteJournal
journal = SqliteJournal.open(Path(sys.argv[1]))
journal.commit([BotState("core", "held", "1")])
print("open", flush=True)
time.sleep(60)
"""


@contextmanager
def holder(db: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(db)], stdout=subprocess.PIPE, text=True
    ) as bot:
        assert bot.stdout is not None
        assert bot.stdout.readline() == "open\n"
        try:
            yield bot
        finally:
            bot.kill()


def test_a_second_writer_is_told_who_has_it_until_that_is_killed(db: Path) -> None:
    link = db.with_name("link.db")
    link.symlink_to(db)
    with holder(db) as bot:
        for name in (db, link, db.parent / "." / ".." / db.parent.name / db.name):
            with pytest.raises(LockHeld) as caught:
                SqliteJournal.open(name)
            assert str(caught.value) == (
                f"database {name} is in use by a running smabot (pid {bot.pid}): stop it, "
                "or use another --db"
            )
        assert caught.value.exit_code == 7
        os.kill(bot.pid, signal.SIGKILL)
        bot.wait()
        with closing(SqliteJournal.open(db)) as journal, pytest.raises(LockHeld):
            SqliteJournal.open(db)
        assert "write-ahead log" in journal.opening_notes[0]
    SqliteJournal.open(link).close()
    assert not db.with_name("link.db.lock").exists()


def test_a_log_that_others_left_says_nothing_about_a_run_that_ended(db: Path) -> None:
    time = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
    run = Run("1", 1, "0.1.0", "sma", "PAPER", time)
    killed = replace(run, run_id="2", started_at=time + timedelta(hours=1))
    for each, noted in ((replace(run, ended_at=time), False), (killed, True)):
        with closing(SqliteJournal.open(db)) as journal:
            journal.commit([each])
            with closing(sqlite3.connect(db)) as other:
                other.execute("SELECT COUNT(*) FROM runs").fetchone()
                journal.close()
                assert db.with_name(db.name + "-wal").stat().st_size
                with closing(SqliteJournal.open(db)) as again:
                    assert bool(again.opening_notes) == noted


def test_a_refused_start_leaves_the_lock_free(db: Path) -> None:
    db.write_bytes(b"no database" * 50)
    for _ in range(2):
        with pytest.raises(ConfigError):
            SqliteJournal.open(db)
    db.unlink()
    SqliteJournal.open(db).close()


# -- no good ---------------------------------------------------------------------------------------


def test_not_a_database(db: Path) -> None:
    db.write_text("symbol,time\n" * 100)
    assert "it is not a database" in refusal(db)


def test_a_folder(db: Path) -> None:
    db.mkdir()
    assert "is a folder" in refusal(db)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(ConfigError, match="folder can't be written"):
        SqliteJournal.open(tmp_path / "data" / "trades.db")


def test_a_database_of_something_else(db: Path) -> None:
    with closing(sqlite3.connect(db)) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    assert "not smabot's" in refusal(db)


def test_a_newer_schema(db: Path) -> None:
    fill(db)
    with closing(sqlite3.connect(db)) as future:
        future.execute("UPDATE alembic_version SET version_num = '9999'")
        future.commit()
    assert "made by a newer smabot (schema 9999)" in refusal(db)


@pytest.mark.parametrize("size", [50, 4096, 20_000])
def test_a_file_that_was_cut_off(db: Path, size: int) -> None:
    fill(db)
    os.truncate(db, size)
    line = refusal(db)
    assert "smabot db check" in line
    assert "smabot db backup" in line
    assert "is damaged" in check_database(db)[0]


def test_a_lost_file_whose_log_is_left(db: Path) -> None:
    with holder(db) as bot:
        os.kill(bot.pid, signal.SIGKILL)
        bot.wait()
    assert db.with_name("trades.db-wal").stat().st_size > 0
    db.unlink()
    assert "is missing or empty, but its write-ahead log trades.db-wal is there" in refusal(db)


def test_damage_is_one_line_wherever_it_is_met(db: Path) -> None:
    """Overwrite each page in turn: all there is to read is right, or one line says it is not."""
    fill(db)
    whole = db.read_bytes()
    with closing(SqliteJournal.open(db)) as journal:
        (page,) = journal.connection.execute("PRAGMA page_size").fetchone()
        states = journal.rows(BotState)
        minutes = list(journal.windows(20, [f"S{n:03d}" for n in range(200)]))
    met = 0
    for start in range(0, len(whole), page):
        db.write_bytes(whole[:start] + b"\xa5" * page + whole[start + page :])
        line = None
        try:
            with closing(SqliteJournal.open(db)) as journal:
                assert journal.rows(BotState) == states
                assert list(journal.windows(20, [f"S{n:03d}" for n in range(200)])) == minutes
        except SmabotError as error:
            line = str(error)
        if line is not None:
            met += 1
            assert "smabot db backup" in line
            assert "\n" not in line
        assert "is damaged: restore a copy" in check_database(db)[0]
    assert met > len(whole) // page // 2


# -- rights ----------------------------------------------------------------------------------------


def test_a_file_that_is_read_only(db: Path, unprivileged: Any) -> None:
    fill(db)
    db.chmod(0o444)
    with (
        unprivileged(),
        pytest.raises(SmabotError, match=r"trades\.db can't be written: check the file's rights"),
    ):
        SqliteJournal.open(db)


def test_a_folder_that_is_read_only(db: Path, unprivileged: Any) -> None:
    fill(db)
    db.with_name("trades.db.lock").unlink()
    db.parent.chmod(0o555)
    with unprivileged():
        with pytest.raises(ConfigError, match="folder can't be written"):
            SqliteJournal.open(db)
        with closing(SqliteRows.open(db)) as rows:
            assert len(rows.rows(BotState)) == 20
    assert [path.name for path in db.parent.iterdir()] == ["trades.db"]


def test_a_file_that_may_not_be_read(db: Path, unprivileged: Any) -> None:
    fill(db)
    db.chmod(0)
    with (
        unprivileged(),
        pytest.raises(ConfigError, match="it can't be opened: check the rights"),
    ):
        SqliteRows.open(db)


@pytest.mark.parametrize("opened", [SqliteRows.open, SqliteJournal.open])
def test_a_schema_whose_text_is_damaged_is_one_clear_line(tmp_path: Path, opened: Any) -> None:
    """SQLite quotes it in its message, which Python can't read then."""
    db = tmp_path / "trades.db"
    SqliteJournal.open(db).close()
    content = db.read_bytes()
    assert b"CREATE TABLE bars" in content
    db.write_bytes(content.replace(b"CREATE TABLE bars", b"CREATE \x80ABLE bars"))
    with pytest.raises(JournalError, match=r"trades\.db: it is damaged: run `smabot db check`"):
        opened(db)
