"""Reading records: what the protocol promises, beside a running writer."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smabot.domain.bot_records import BotState, Command
from smabot.domain.records import Bar, EquityPoint, Fill, Order
from smabot.domain.tables import key_of, record
from smabot.errors import ConfigError
from smabot.hooks.memory_journal import MemoryJournal
from smabot.settings.model import Config
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.plugin import PersistenceSqlite
from smabot_persistence_sqlite.record_reader import SqliteRows

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


@record(table="entries", key=("time", "amount"))
class Entry:
    time: datetime
    amount: Decimal
    word: str
    ended: datetime | None = None


moments = st.integers(0, 12).map(lambda n: START + timedelta(milliseconds=250 * n))
amounts = st.decimals(-200, 200, places=1)
entries = st.builds(
    Entry, time=moments, amount=amounts, word=st.sampled_from("abc"), ended=st.none() | moments
)


bounds = (
    st.none()
    | st.tuples(st.just("time"), moments)
    | st.tuples(st.just("amount"), amounts)
    | st.tuples(st.just("word"), st.sampled_from("abc"))
)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteJournal]:
    db = tmp_path_factory.mktemp("reading") / "trades.db"
    opened = SqliteJournal.open(db, [Entry])
    opened.connection.execute("PRAGMA synchronous = OFF")
    with closing(opened):
        yield opened


drawn = given(
    kept=st.lists(entries, max_size=25, unique_by=key_of),
    where=st.fixed_dictionaries(
        {},
        optional={
            "word": st.sampled_from("abc") | st.lists(st.sampled_from("abcd"), max_size=3),
            "ended": st.none() | moments,
            "amount": st.lists(amounts, max_size=5).map(tuple),
        },
    ),
    since=bounds,
    until=bounds,
    newest_by=st.none() | st.sampled_from(["time", "amount", "word"]),
    limit=st.none() | st.integers(0, 30),
)


@drawn
@settings(max_examples=60)
def test_rows_are_those_of_a_journal_in_memory(journal: SqliteJournal, **asked: Any) -> None:
    compare_rows(journal, **asked)


@pytest.mark.slow
@drawn
@settings(max_examples=400)
def test_rows_of_many_are_those_of_a_journal_in_memory(
    journal: SqliteJournal, **asked: Any
) -> None:
    compare_rows(journal, **asked)


def compare_rows(
    journal: SqliteJournal,
    kept: list[Entry],
    where: dict[str, Any],
    since: tuple[str, Any] | None,
    until: tuple[str, Any] | None,
    newest_by: str | None,
    limit: int | None,
) -> None:
    journal.connection.execute("DELETE FROM entries")
    memory = MemoryJournal()
    journal.commit(kept)
    memory.commit(kept)
    if limit == 0:
        assert journal.rows(Entry, limit=0) == []
        return

    asked: dict[str, Any] = {"where": where, "since": since, "until": until}
    found = journal.rows(Entry, **asked, newest_by=newest_by, limit=limit)
    wanted = memory.rows(Entry, **asked, newest_by=newest_by, limit=limit)

    if newest_by is None:
        assert found == wanted
    else:  # among equals any may be the newest
        assert [getattr(e, newest_by) for e in found] == [getattr(e, newest_by) for e in wanted]
        assert set(found) <= set(memory.rows(Entry, **asked))
    for entry in kept:
        assert journal.row(Entry, *key_of(entry)) == entry
    assert journal.row(Entry, START - timedelta(days=1), Decimal(1)) is None


def test_a_column_that_is_not_there_is_a_programming_error(journal: SqliteJournal) -> None:
    with pytest.raises(TypeError, match="Entry has no column 'size'"):
        journal.rows(Entry, where={"size": 1})


def test_no_database_is_made_by_looking(db: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        PersistenceSqlite().open_rows(Config(db=db), [])
    assert str(caught.value) == f"no database at {db}: run `smabot run` first"
    assert list(db.parent.iterdir()) == []


def test_a_reader_beside_a_writer_sees_each_commit_and_stops_none(db: Path) -> None:
    with (
        closing(SqliteJournal.open(db)) as journal,
        closing(SqliteRows.open(db)) as rows,
        closing(SqliteRows.open(db)) as slow,
    ):
        journal.commit([BotState("core", "n", "0")])
        with slow.snapshot():
            for n in range(1, 50):
                assert slow.row(BotState, "core", "n") == BotState("core", "n", "0")
                journal.commit([BotState("core", "n", str(n))], [_bar(n)])
                assert rows.row(BotState, "core", "n") == BotState("core", "n", str(n))
                assert rows.bar_counts() == {"SPY": n}
        assert slow.row(BotState, "core", "n") == BotState("core", "n", "49")


def _bar(minute: int) -> Bar:
    return Bar("SPY", START + timedelta(minutes=minute), 1.0, 1.0, 1.0, 1.0, 1.0)


WRITER = """
import sys, time
from pathlib import Path
from smabot.domain.bot_records import BotState
from smabot_persistence_sqlite.journal import SqliteJournal
journal = SqliteJournal.open(Path(sys.argv[1]))
for n in range(int(sys.argv[2])):
    journal.commit([BotState("core", str(n), "1")])
print("written", flush=True)
time.sleep(60)
"""


def test_what_a_killed_writer_left_in_its_log_is_read(db: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(db), "7"], stdout=subprocess.PIPE, text=True
    ) as bot:
        assert bot.stdout is not None
        assert bot.stdout.readline() == "written\n"
        os.kill(bot.pid, signal.SIGKILL)
    db.with_name("trades.db-shm").unlink()
    for _ in range(2):
        with closing(SqliteRows.open(db)) as rows:
            assert len(rows.rows(BotState)) == 7
    with closing(SqliteJournal.open(db)) as journal:
        assert len(journal.rows(BotState)) == 7


def test_a_table_that_no_run_has_made_yet_is_empty(db: Path) -> None:
    SqliteJournal.open(db).close()
    with closing(SqliteRows.open(db, [Entry])) as rows:
        assert rows.rows(Entry) == []
        assert rows.row(Entry, START, Decimal(1)) is None


def _verbs(commands: Sequence[Command]) -> list[str]:
    return [command.verb for command in commands]


def test_commands_reach_a_running_bot_until_they_are_applied(db: Path) -> None:
    halt = Command("1", "halt", "", START)
    resume = Command("2", "resume", "", START - timedelta(seconds=1))
    with closing(SqliteJournal.open(db)) as journal:
        assert journal.commands() == []
        with closing(SqliteRows.open(db)) as person:
            person.send(halt)
            person.send(resume)
            assert journal.commands() == [resume, halt]
            assert journal.commands() == [resume, halt]
        for command in journal.commands():
            applied = Command(command.id, command.verb, "", command.created_at, START)
            journal.commit([applied])
        assert journal.commands() == []
        assert journal.commands() == []
    with closing(SqliteRows.open(db)) as person:
        person.send(Command("3", "halt", "", START))
    with closing(SqliteJournal.open(db)) as journal:
        assert _verbs(journal.commands()) == ["halt"]


def test_commands_come_in_the_order_given(db: Path) -> None:
    """Within a second text sorts otherwise, and those of one moment come by their ids."""
    second, moment = START, START + timedelta(microseconds=1)
    given = [
        Command("d", "halt", "", second), Command("b", "halt", "", moment),
        Command("c", "halt", "", moment), Command("a", "halt", "", START + timedelta(seconds=1)),
    ]  # fmt: skip
    with closing(SqliteJournal.open(db)) as journal, closing(SqliteRows.open(db)) as person:
        for command in reversed(given):
            person.send(command)
        assert journal.commands() == given


def test_a_withdrawn_command_is_not_carried_out(db: Path) -> None:
    command = Command("1", "resume", "", START, expires_at=START + timedelta(minutes=1))
    with closing(SqliteJournal.open(db)) as journal, closing(SqliteRows.open(db)) as person:
        person.send(command)
        assert person.withdraw("1", START + timedelta(seconds=2), "withdrawn")
        assert not person.withdraw("1", START, "again")
        assert not person.withdraw("2", START, "never sent")
        assert journal.commands() == []
        kept = Command("1", "resume", "", START, START + timedelta(seconds=2), "withdrawn",
                       START + timedelta(minutes=1))  # fmt: skip
        assert person.row(Command, "1") == kept


def test_a_command_that_is_being_carried_out_can_not_be_withdrawn(db: Path) -> None:
    """Whoever withdraws waits for the commit of who carries out, and finds the answer there."""
    command = Command("1", "resume", "", START)
    with closing(SqliteJournal.open(db)) as journal:
        with closing(SqliteRows.open(db)) as person:
            person.send(command)
        assert journal.commands() == [command]
        withdrawn: list[bool] = []
        thread = threading.Thread(target=lambda: withdrawn.append(_withdraw(db)))
        thread.start()
        thread.join(0.3)
        assert withdrawn == []
        journal.commit([replace(command, applied_at=START, answer="resumed")])
        thread.join()
        assert withdrawn == [False]
        assert journal.row(Command, "1") == replace(command, applied_at=START, answer="resumed")
        assert journal.commands() == []


def _withdraw(db: Path) -> bool:
    with closing(SqliteRows.open(db)) as person:
        return person.withdraw("1", START, "withdrawn")


def test_commands_that_were_taken_and_not_committed_still_wait(db: Path) -> None:
    command = Command("1", "resume", "", START)
    with closing(SqliteJournal.open(db)) as journal:
        with closing(SqliteRows.open(db)) as person:
            person.send(command)
        assert journal.commands() == [command]
    with closing(SqliteJournal.open(db)) as journal:
        assert journal.commands() == [command]


def test_looking_for_commands_is_cheap_when_nobody_wrote(db: Path) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commands()
        asked: list[str] = []
        journal.connection.set_trace_callback(asked.append)
        for n in range(3):
            journal.commit([BotState("core", "n", str(n))])
            journal.commands()
        assert not [sql for sql in asked if "commands" in sql]


# -- cost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "column"), [(Order, "created_at"), (Fill, "time")])
def test_the_rows_since_a_time_are_sought_and_not_read_through(
    tmp_path: Path, kind: type, column: str
) -> None:
    """A start asks for the day's orders and trades: that may not cost by the history."""
    asked: list[str] = []
    with closing(SqliteJournal.open(tmp_path / "trades.db")) as journal:
        journal.connection.set_trace_callback(asked.append)
        journal.rows(kind, since=(column, START), newest_by=column)
        journal.connection.set_trace_callback(None)
        (sql,) = [each for each in asked if "FROM" in each]
        plan = [row[3] for row in journal.connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    (step,) = plan
    assert step.startswith("SEARCH")
    assert f"({column}>?)" in step


def test_a_days_last_point_is_sought_and_not_read_through(tmp_path: Path) -> None:
    asked: list[str] = []
    with closing(SqliteJournal.open(tmp_path / "trades.db")) as journal:
        journal.connection.set_trace_callback(asked.append)
        journal.rows(EquityPoint, until=("time", START), newest_by="time", limit=1)
        journal.connection.set_trace_callback(None)
        (sql,) = [each for each in asked if "FROM" in each]
        plan = [row[3] for row in journal.connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    (step,) = plan
    assert step.startswith("SEARCH")
    assert "(time<?)" in step
