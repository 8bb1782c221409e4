"""What a journal promises: a commit is whole, lasts, and is read back as it was written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import islice
from typing import Any

from smabot.domain.bot_records import Command, Event
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Status
from smabot.domain.records import Fill, Order, Position
from smabot.errors import LockHeld
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.testing.sample_records import OPEN
from smabot.testing.verifying.journal_process import CHILD, batch
from smabot.testing.verifying.plugin_checks import Outcome, check, failed, passed
from smabot.testing.verifying.plugin_roles import Role
from smabot.testing.verifying.subject import Subject
from smabot.testing.verifying.trial_rows import TrialRow, trial_commits

KINDS = (TrialRow, Order, Fill, Position, Event)
COMMITS = 60
KILLS = (1, 7, 23)
"""Commits after which the process that writes is killed."""


@contextmanager
def opened(subject: Subject, name: str) -> Iterator[Any]:
    """Open the journal of a database of that name for writing."""
    journal = plugins_over(subject).open_journal(subject.over(name))
    assert journal is not None
    with closing(journal):
        yield journal


@contextmanager
def read(subject: Subject, name: str) -> Iterator[Any]:
    """Open it read-only."""
    with closing(plugins_over(subject).open_rows(subject.over(name))) as rows:
        yield rows


def plugins_over(subject: Subject) -> Plugins:
    return subject.alone(with_trial_rows=True)


@check(
    "loads-as-kept",
    Role.JOURNAL,
    promise="what was committed is read back equal after it is opened again, by every way of reading",
    remedy="store Decimals exactly, times with microseconds in UTC, and sort by the primary key",
)
def loads_as_kept(subject: Subject) -> Outcome:
    oracle = MemoryJournal()
    with opened(subject, "loads") as journal:
        for commit in trial_commits(1, COMMITS):
            for each in (journal, oracle):
                each.commit(commit.rows, commit.bars)
    cases = 0
    with opened(subject, "loads") as journal, read(subject, "loads") as rows:
        for reader, said in ((journal, "the journal"), (rows, "the reader")):
            for question, found, expected in _answers(reader, oracle):
                cases += 1
                if found != expected:
                    return failed(
                        cases, f"{said} answers {question} with other rows than were committed"
                    )
    return passed(cases)


def _answers(reader: Any, oracle: MemoryJournal) -> Iterator[tuple[str, Any, Any]]:
    """Yield questions, and how both answer them."""
    middle = OPEN + COMMITS // 2 * MINUTE
    for kind in KINDS:
        name = kind.__name__
        yield f"rows({name})", reader.rows(kind), oracle.rows(kind)
        yield f"rows({name}, limit=3)", reader.rows(kind, limit=3), oracle.rows(kind, limit=3)
        yield f"count({name})", reader.count(kind), oracle.count(kind)
    for given in (
        {"where": {"status": Status.FILLED}},
        {"where": {"symbol": ("SPY", "QQQ")}, "newest_by": "created_at", "limit": 5},
        {"since": ("created_at", middle), "newest_by": "created_at"},
        {"until": ("created_at", middle)},
        {"where": {"strategy": "test"}},
    ):
        keys: dict[str, Any] = dict(given)
        found, expected = reader.rows(Order, **keys), oracle.rows(Order, **keys)
        if "newest_by" in keys:  # rows of one time may come in any order
            found, expected = _by_id(found), _by_id(expected)
        yield f"rows(Order, {keys})", found, expected
    for row in oracle.rows(TrialRow)[:5]:
        key = (row.name, row.number)
        yield f"row(TrialRow, {key})", reader.row(TrialRow, *key), row
    yield "bar_counts()", reader.bar_counts(), oracle.bar_counts()
    yield "newest_bar()", reader.newest_bar(), oracle.newest_bar()
    for lookback in (1, 4, 1000):
        symbols = {"SPY", "BRK.B"}
        found, expected = (list(each.windows(lookback, symbols)) for each in (reader, oracle))
        yield f"windows({lookback}, …)", found, expected


def _by_id(orders: list[Order]) -> list[Order]:
    return sorted(orders, key=lambda each: each.client_order_id)


@check(
    "idempotent",
    Role.JOURNAL,
    promise="the same commit again changes nothing; a row replaces the one of its key, a bar never",
    remedy="write rows with an upsert by primary key, and bars with 'insert or ignore'",
)
def idempotent(subject: Subject) -> Outcome:
    cases = 0
    with opened(subject, "twice") as journal:
        for commit in trial_commits(2, COMMITS // 3):
            journal.commit(commit.rows, commit.bars)
            before = [journal.rows(kind) for kind in KINDS], list(journal.windows(1000, {"SPY"}))
            other = [bar._replace(close=bar.close + 1) for bar in commit.bars]
            journal.commit(commit.rows, other)
            after = [journal.rows(kind) for kind in KINDS], list(journal.windows(1000, {"SPY"}))
            cases += 1
            if before[0] != after[0]:
                return failed(cases, "the same rows, committed again, changed a table")
            if before[1] != after[1]:
                return failed(
                    cases, "a bar that came again with another close replaced the first one"
                )
    return passed(cases)


@check(
    "atomic",
    Role.JOURNAL,
    promise="a commit that fails writes nothing, and raises",
    remedy="write everything in one transaction, and roll it back on any error",
)
def atomic(subject: Subject) -> Outcome:
    cases = 0
    with opened(subject, "atomic") as journal:
        for commit in trial_commits(3, 10):
            cases += 1
            bad = TrialRow("bad", cases, object(), 0.0, True, OPEN, OPEN.date(), None)  # type: ignore[arg-type]
            before = [journal.rows(kind) for kind in KINDS], journal.bar_counts()
            try:
                journal.commit([*commit.rows, bad], commit.bars)
            except Exception:  # noqa: BLE001 - any error will do
                after = [journal.rows(kind) for kind in KINDS], journal.bar_counts()
                if before != after:
                    return failed(cases, "a commit raised, and some of its rows are there")
            else:
                return failed(cases, "a commit with a row that no column can hold did not raise")
            journal.commit(commit.rows, commit.bars)
    return passed(cases)


@check(
    "durable",
    Role.JOURNAL,
    promise="after kill -9 every commit that had returned is there, and no part of another one",
    remedy="return from commit() when the data are safe: flush the file, and write one transaction a step",
)
def durable(subject: Subject) -> Outcome:
    cases = 0
    for kill in KILLS:
        name = f"killed-{kill}"
        asked = json.dumps(subject.described(subject.over(name)))
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, asked], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            returned = list(islice(process.stdout, kill))
            process.kill()
            returned += process.stdout  # it went on until the kill came
        if len(returned) < kill:
            return failed(cases, "a process that commits without end has ended")
        last = max(int(line) for line in returned if line.endswith("\n"))
        with opened(subject, name) as journal:
            found = {row.number for row in journal.rows(TrialRow)}
            for number in range(max({last, *found}) + 1):
                cases += 1
                expected, _ = batch(number)
                kept = [journal.row(TrialRow, row.name, row.number) for row in expected]
                if kept != expected:
                    what = "is not whole" if any(kept) else "is lost"
                    return failed(cases, f"killed after commit {last}: commit {number} {what}")
    return passed(cases)


@check(
    "read-beside",
    Role.JOURNAL,
    promise="others read while a bot writes: they see whole commits, and block none",
    remedy="open readers without a lock on the writer, as SQLite's write-ahead log does",
)
def read_beside(subject: Subject) -> Outcome:
    cases = 0
    with opened(subject, "beside") as journal:
        commits = trial_commits(4, 20)
        journal.commit(commits[0].rows, commits[0].bars)
        with read(subject, "beside") as rows:
            for commit in commits[1:]:
                cases += 1
                reading = rows.windows(1000, {"SPY", "QQQ", "BRK.B"})
                next(reading, None)
                journal.commit(commit.rows, commit.bars)
                list(reading)
                if rows.rows(Event) != journal.rows(Event):
                    return failed(cases, "a reader does not see a commit that has returned")
            if not rows.in_use():
                return failed(
                    cases, "in_use() says that no bot runs, while one has the journal open"
                )
    with read(subject, "beside") as rows:
        if rows.in_use():
            return failed(cases, "in_use() says that a bot runs, when its journal is closed")
    return passed(cases)


@check(
    "one-writer",
    Role.JOURNAL,
    promise="a second bot on the same journal is refused with LockHeld",
    remedy="take a lock in open_journal that ends with the process, and raise LockHeld where it is held",
)
def one_writer(subject: Subject) -> Outcome:
    with opened(subject, "locked"):
        try:
            with opened(subject, "locked"):
                return failed(1, "it was opened for writing twice")
        except LockHeld:
            pass
    with opened(subject, "locked"):
        return passed(2)


@check(
    "commands",
    Role.JOURNAL,
    promise="an operator's commands arrive in the order given, once, and can be withdrawn until then",
    remedy="order by created_at and id; from commands() until the commit, withdraw() returns False",
)
def commands(subject: Subject) -> Outcome:
    given = [
        Command(f"{number:02}", "halt", "", OPEN + timedelta(seconds=number % 3))
        for number in range(6)
    ]
    with opened(subject, "commands") as journal, read(subject, "commands") as rows:
        for command in given:
            rows.send(command)
        if not rows.withdraw("02", OPEN + MINUTE, "withdrawn"):
            return failed(1, "a command that waits could not be withdrawn")
        expected = [each.id for each in sorted(given, key=lambda c: (c.created_at, c.id))]
        expected.remove("02")
        found = [each.id for each in journal.commands()]
        if found != expected:
            return failed(2, f"commands arrive as {', '.join(found)}, not as {', '.join(expected)}")
        taken = [each for each in given if each.id in expected]
        journal.commit([_applied(each) for each in taken])
        if rows.withdraw("01", OPEN + MINUTE, "withdrawn"):
            return failed(3, "a command that was carried out could be withdrawn")
        if journal.commands():
            return failed(4, "commands that were carried out arrive again")
    return passed(4)


def _applied(command: Command) -> Command:
    return Command(
        command.id, command.verb, command.argument, command.created_at, OPEN + MINUTE, "done",
        command.expires_at,
    )  # fmt: skip
