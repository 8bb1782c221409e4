"""A commit is whole or it is nothing, whatever stops it."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smabot.domain.bot_records import BotState
from smabot.domain.records import Bar, Signal
from smabot.errors import JournalError
from smabot_persistence_sqlite.journal import SqliteJournal

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def bar(symbol: str, minute: int, close: float = 100.0) -> Bar:
    return Bar(
        symbol, START + timedelta(minutes=minute), 100.0, 101.0, 99.0, close, 1000.0, 7, 100.2
    )


def test_the_last_row_of_a_key_stays_and_the_first_bar(db: Path) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit(
            [BotState("core", "a", "1"), BotState("core", "a", "2")], [bar("SPY", 0, 100.5)]
        )
        journal.commit([BotState("core", "a", "3")], [bar("SPY", 0, 99.5), bar("SPY", 1)])
        journal.commit([])

        assert journal.rows(BotState) == [BotState("core", "a", "3")]
        assert list(journal.windows(5, ["SPY"])) == [[bar("SPY", 0, 100.5)], [bar("SPY", 1)]]
        assert journal.bar_counts() == {"SPY": 2}


def test_bars_read_as_a_person_types(db: Path) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit([], [bar("SPY", 0), bar("IBM", 0), bar("SPY", 1)])

    with closing(sqlite3.connect(db)) as person:
        counts = person.execute("SELECT symbol, COUNT(*) FROM bars GROUP BY symbol").fetchall()
        assert counts == [("IBM", 1), ("SPY", 2)]
        assert person.execute("SELECT symbol, last_signal FROM signal_state").fetchall() == []
        (newest,) = person.execute("SELECT MAX(time) FROM bars_utc").fetchone()
        assert newest == "2026-03-02T14:31:00Z"


@pytest.mark.parametrize(
    "wrong",
    [
        bar("SPY", 1)._replace(close=float("nan")),
        bar("SPY", 1)._replace(time=datetime(2026, 3, 2)),
        bar("SPY", 1)._replace(time=START + timedelta(microseconds=1)),
        Bar("SPY", START, 1.0, 1.0, 1.0, 1.0, None),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_bar_takes_the_whole_step_with_it(db: Path, wrong: Bar) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        with pytest.raises(JournalError):
            journal.commit([BotState("core", "a", "1")], [bar("SPY", 0), wrong])

        assert journal.rows(BotState) == []
        assert journal.bar_counts() == {}
        journal.commit([BotState("core", "a", "1")], [bar("SPY", 0)])
        assert list(journal.windows(9, ["SPY"])) == [[bar("SPY", 0)]]


def test_a_record_nobody_declared_is_refused(db: Path) -> None:
    with (
        closing(SqliteJournal.open(db)) as journal,
        pytest.raises(JournalError, match="Bar has no table"),
    ):
        journal.commit([bar("SPY", 0)])


def test_a_full_disk_is_one_line_and_nothing_is_written(db: Path) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit([BotState("core", "before", "1")])
        (pages,) = journal.connection.execute("PRAGMA page_count").fetchone()
        journal.connection.execute(f"PRAGMA max_page_count = {pages + 3}")
        rows = [BotState("core", str(n), "x" * 500) for n in range(200)]

        with pytest.raises(JournalError, match=r"trades\.db: the disk is full.*nothing") as caught:
            journal.commit([BotState("core", "before", "2"), *rows], [bar("SPY", 0)])
        assert "\n" not in str(caught.value)
        assert journal.rows(BotState) == [BotState("core", "before", "1")]

        journal.connection.execute("PRAGMA max_page_count = 100000")
        journal.commit([BotState("core", "after", "1")])
    with closing(SqliteJournal.open(db)) as journal:
        assert [state.key for state in journal.rows(BotState)] == ["after", "before"]


FAILING_DISK = """
import resource, sys
from pathlib import Path
from smabot.errors import JournalError
from smabot.domain.bot_records import BotState
from smabot_persistence_sqlite.journal import SqliteJournal
journal = SqliteJournal.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
for step in range(1000):
    try:
        journal.commit([BotState("core", f"{step}/{n}", "x" * 500) for n in range(10)])
    except JournalError as error:
        print(step, error)
        break
"""


def test_a_failing_disk_loses_only_the_step_that_failed(db: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILING_DISK, str(db)], capture_output=True, text=True, check=True
    )
    failed, _, message = done.stdout.partition(" ")

    assert "the disk failed" in message
    with closing(SqliteJournal.open(db)) as journal:
        steps = {state.key.partition("/")[0] for state in journal.rows(BotState)}
        assert steps == {str(step) for step in range(int(failed))}


KILLED = """
import sys
from datetime import timedelta
from pathlib import Path
from smabot.domain.records import Bar, Signal
from smabot.domain.bot_records import BotState
from smabot_persistence_sqlite.journal import SqliteJournal
from datetime import datetime, UTC
journal = SqliteJournal.open(Path(sys.argv[1]))
step = int(journal.row(BotState, "core", "step").value) if journal.row(BotState, "core", "step") else 0
print("ready", flush=True)
while True:
    step += 1
    time = datetime(2026, 3, 2, 14, 30, tzinfo=UTC) + timedelta(minutes=step)
    journal.commit(
        [BotState("core", "step", str(step)), *(Signal(f"S{n}", 1, time, 1.0) for n in range(50))],
        [Bar(f"S{n}", time, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(50)],
    )
    print(step, flush=True)
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_commits_every_step_is_whole(db: Path) -> None:
    chance = random.Random(5)
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(db)], stdout=subprocess.PIPE, text=True
        ) as bot:
            assert bot.stdout is not None
            assert bot.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.005, 0.08))
            os.kill(bot.pid, signal.SIGKILL)
            reported = bot.stdout.read().split()
        with closing(SqliteJournal.open(db)) as journal:
            state = journal.row(BotState, "core", "step")
            steps = int(state.value) if state else 0
            assert steps >= int(reported[-1] if reported else 0), "a reported step was lost"
            assert len(journal.rows(Signal)) == 50 * steps
            assert sum(journal.bar_counts().values()) == 50 * steps
            assert (
                sum(map(len, journal.windows(steps or 1, [f"S{n}" for n in range(50)])))
                == 50 * steps
            )
    assert steps > 20
