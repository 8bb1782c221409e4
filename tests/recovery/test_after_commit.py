"""`after_commit`: each committed step is told, in order, at least once, and never in a step's way."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.bot_records import BotState, Event, Run, StepRow
from smabot.domain.calendar import Calendar, Session
from smabot.domain.cash_movements import CashKind, CashMovement
from smabot.domain.committed_steps import CommittedStep, read_step
from smabot.domain.records import EquityPoint
from smabot.errors import PluginFault
from smabot.hooks import telling_journal
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl
from smabot.hooks.telling_journal import PAUSES, TellingJournal
from smabot.system.background_query import BackgroundQuery

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


def event(number: int) -> Event:
    return Event(NOON, "halt", str(number), "")


class Around:
    """A clock that stands still until it is set, and real threads or none."""

    def __init__(self, *, beside: bool = False) -> None:
        self.now = 0.0
        self._beside = beside

    def wall(self) -> datetime:
        return NOON

    def seconds(self) -> float:
        return time.monotonic() if self._beside else self.now

    def query(self, name: str, *, beside: bool = True) -> BackgroundQuery[Any]:
        return BackgroundQuery(name, beside=beside and self._beside)


def telling(
    journal: Any, around: Around, book: Book | None = None, **hooks: Callable[[CommittedStep], None]
) -> Any:
    told = {name: lambda step, memory, hook=hook: hook(step) for name, hook in hooks.items()}
    return TellingJournal(journal, told, around, book or Book())


def test_steps_are_told_in_order_with_their_rows() -> None:
    told: list[CommittedStep] = []
    journal = telling(MemoryJournal(), Around(), a=told.append)
    for number in range(3):
        journal.commit([event(number)])
        journal.commands()
    journal.finish(1)
    assert [(step.number, step.events, step.again) for step in told] == [
        (number + 1, (event(number),), False) for number in range(3)
    ]


def test_a_step_without_news_is_not_kept() -> None:
    kept = MemoryJournal()
    journal = telling(kept, Around(), a=lambda step: None)
    journal.commit([BotState("a", "b", "c")])
    assert kept.count(StepRow) == 0


def test_what_was_kept_is_what_was_told() -> None:
    told: list[CommittedStep] = []
    kept = MemoryJournal()
    journal = telling(kept, Around(), a=told.append)
    journal.commit([event(1), Run("r", 1, "0.1", "", "PAPER", NOON, ready_ms=1.5)])
    journal.finish(1)
    assert [read_step(row) for row in kept.rows(StepRow)] == told


def test_a_new_process_tells_what_is_left_and_says_that_it_may_come_again() -> None:
    kept, told = MemoryJournal(), list[tuple[int, bool]]()
    first = telling(kept, Around(), a=lambda step: None)
    first.commit([event(1)])
    first.commands()
    first.commands()
    for number in (2, 3):
        first.commit([event(number)])
    second = telling(kept, Around(), a=lambda step: told.append((step.number, step.again)))
    second.commit([event(4)])
    for _ in range(3):
        second.commands()
    second.finish(1)
    assert told == [(2, True), (3, True), (4, False)]


def test_a_plugin_that_is_new_is_told_from_now_on() -> None:
    kept, told = MemoryJournal(), list[int]()
    telling(kept, Around(), a=lambda step: None).commit([event(1)])
    journal = telling(kept, Around(), b=lambda step: told.append(step.number))
    journal.commit([event(2)])
    journal.finish(1)
    assert told == [2]


def test_one_that_raises_is_told_the_same_again_after_a_pause_and_others_go_on() -> None:
    around, told, others = Around(), list[tuple[int, bool]](), list[int]()

    def fails(step: CommittedStep) -> None:
        told.append((step.number, step.again))
        if step.number == 2 and len(told) < 5:
            raise SystemExit("no network")

    journal = telling(MemoryJournal(), around, a=fails, b=lambda step: others.append(step.number))
    for number in range(3):
        journal.commit([event(number)])
    for _ in range(6):
        journal.commands()
    assert told == [(1, False), (2, False)]
    assert others == [1, 2, 3]
    for pause in PAUSES[:3]:
        around.now += pause - 0.1
        journal.commands()
        journal.commands()
        around.now += 0.2
        journal.commands()
        journal.commands()
    assert told == [(1, False), *[(2, False)], *[(2, True)] * 3, (3, False)]


def test_a_slow_one_holds_nothing_up() -> None:
    free, told = threading.Event(), list[int]()

    def slow(step: CommittedStep) -> None:
        free.wait(30)
        told.append(step.number)

    kept = MemoryJournal()
    journal = telling(kept, Around(beside=True), a=slow)
    begun = time.monotonic()
    for number in range(500):
        journal.commit([event(number)])
        journal.commands()
    assert time.monotonic() - begun < 5
    assert told == []
    free.set()
    while len(told) < 500:
        journal.commands()
        assert time.monotonic() - begun < 30
    journal.finish(5)
    assert told == list(range(1, 501))
    assert kept.row(BotState, "a", "after_commit") == BotState("a", "after_commit", "500")


def test_the_place_of_a_slow_one_is_kept_before_all_that_waits_is_told() -> None:
    kept, around, told = MemoryJournal(), Around(), list[int]()

    def slow(step: CommittedStep) -> None:
        around.now += 3
        told.append(step.number)

    journal = telling(kept, around, a=slow)
    for number in range(50):
        journal.commit([event(number)])
    for _ in range(3):
        journal.commands()
    place = kept.row(BotState, "a", "after_commit")
    assert place is not None
    assert int(place.value) >= len(told) - 1, "a kill repeats one message, not all that were sent"
    assert len(told) < 50


def test_one_that_is_too_far_behind_misses_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling_journal, "MOST_BEHIND", 5)
    told: list[int] = []
    journal = telling(MemoryJournal(), Around(), a=lambda step: told.append(step.number))
    for number in range(12):
        journal.commit([event(number)])
    for _ in range(4):
        journal.commands()
    assert told == [8, 9, 10, 11, 12]


def test_steps_that_cannot_be_read_or_are_pruned_are_passed_over() -> None:
    kept, told = MemoryJournal(), list[int]()
    first = telling(kept, Around(), a=lambda step: None)
    for number in range(6):
        first.commit([event(number)])
    for number in (2, 4):
        kept.commit([StepRow(number, NOON, '{"number": 2, "events": [{}]}')])
    del kept._tables[StepRow][1,]
    second = telling(kept, Around(), a=lambda step: told.append(step.number))
    for _ in range(4):
        second.commands()
    assert told == [3, 5, 6]
    for number in range(3, 7):
        kept.commit([StepRow(number, NOON, "no JSON")])
    third = telling(kept, Around(), a=lambda step: told.append(step.number))
    third._listeners[0].number = 2
    for _ in range(4):
        third.commands()
    third.commit([event(7)])
    for _ in range(4):
        third.commands()
    assert told == [3, 5, 6, 7]


def test_a_run_that_was_killed_is_told_by_the_next_one() -> None:
    kept, told = MemoryJournal(), list[CommittedStep]()
    dead = Run("dead", 1, "0.1", "", "PAPER", NOON)
    kept.commit([dead])
    journal = telling(kept, Around(), a=told.append)
    journal.commit([Run("new", 2, "0.1", "", "PAPER", NOON)])
    journal.commit([event(1)])
    journal.finish(1)
    journal.finish(1)
    assert [step.died for step in told] == [dead, None]


class Receivers:
    """A plugin with two receivers, of which one can fail."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, str, bool]] = []
        self.fails = ""

    @hookimpl
    def receivers(self) -> list[str]:
        return ["mail", "phone"]

    @hookimpl
    def after_commit(self, step: CommittedStep, receiver: str, memory: str) -> str:
        self.told.append((receiver, step.number, memory, step.again))
        if receiver == self.fails:
            raise OSError("no answer")
        return f"{memory}{step.number}"

    def of(self, receiver: str) -> list[tuple[int, str, bool]]:
        return [rest for name, *rest in map(list, self.told) if name == receiver]  # type: ignore[misc]


def test_each_receiver_has_a_place_and_a_memory_of_its_own_over_restarts() -> None:
    kept, plugin = MemoryJournal(), Receivers()
    plugins = Plugins()
    plugins.register("alerts", plugin)
    plugins.check()

    def run(first: int, fails: str) -> None:
        plugin.fails = fails
        journal = TellingJournal(kept, plugins.after_commit(), Around(), Book())
        for number in (first, first + 1):
            journal.commit([event(number)])
            journal.commands()
        journal.finish(1)

    run(1, "phone")
    assert plugin.of("mail") == [[1, "", False], [2, "1", False]]
    assert plugin.of("phone") == [[1, "", False]]
    plugin.told.clear()
    run(3, "")
    assert plugin.of("mail") == [[3, "12", False], [4, "123", False]]
    assert plugin.of("phone") == [
        [1, "", True],
        [2, "1", True],
        [3, "12", False],
        [4, "123", False],
    ]
    places = {row.plugin: row.value for row in kept.rows(BotState, where={"key": "after_commit"})}
    assert places == {"alerts/mail": "4", "alerts/phone": "4"}


def test_an_answer_that_is_no_text_is_a_failure() -> None:
    class Wrong:
        @hookimpl
        def after_commit(self) -> int:
            return 3

    plugins = Plugins()
    plugins.register("wrong", Wrong())
    plugins.check()
    (tell,) = plugins.after_commit().values()
    with pytest.raises(PluginFault, match="after_commit answered 3"):
        tell(CommittedStep(1), "")


# -- sessions that close -----------------------------------------------------------------------------

MONDAY, TUESDAY, FRIDAY = (
    Session(date(2026, 3, day), *(datetime(2026, 3, day, hour, 30 * (hour == 14), tzinfo=UTC) for hour in (14, 21)))
    for day in (2, 3, 6)
)  # fmt: skip


def point(session: Session, minutes: float, equity: int) -> EquityPoint:
    """An equity some minutes before a session's close."""
    at = session.close - timedelta(minutes=minutes)
    return EquityPoint(at, Decimal(equity), Decimal(equity), Decimal(0), Decimal(0))


class Trader:
    """A book, a database, and a plugin that notes what it is told of closed sessions."""

    def __init__(self) -> None:
        self.kept, self.told = MemoryJournal(), list[tuple[date, int, int, datetime]]()
        self.begin()

    def begin(self) -> None:
        """Begin a process, with what the one before it has committed."""
        self.book = Book(Calendar([MONDAY, TUESDAY, FRIDAY]))
        self.journal = telling(self.kept, Around(), self.book, a=self._note)

    def _note(self, step: CommittedStep) -> None:
        if (closed := step.closed) is not None:
            assert not step.events
            figures = closed.date, int(closed.equity), int(closed.change), closed.equity_at
            self.told.append(figures)

    def at(self, now: datetime, *points: EquityPoint) -> None:
        """Make a step: the clock, then what is asked at its begin, then its commit."""
        self.book.now = now
        self.journal.commands()
        self.journal.commands()
        for each in points:
            self.book.apply(each)
        rows, bars = self.book.drain()
        self.journal.commit(rows, bars)


def test_a_closed_session_is_told_once_with_its_own_figures() -> None:
    trader = Trader()
    last, late = point(MONDAY, 0, 105), point(MONDAY, -1, 106)
    trader.at(MONDAY.open, point(MONDAY, 60, 100))
    trader.at(MONDAY.close, last)
    trader.at(late.time, late)
    assert trader.told == []
    trader.at(MONDAY.close + timedelta(minutes=3))
    monday = (MONDAY.date, 106, 6, late.time)
    assert trader.told == [monday]
    trader.at(TUESDAY.open, point(TUESDAY, 60, 103))
    trader.begin()
    trader.at(TUESDAY.close - timedelta(minutes=1))
    assert trader.told == [monday]
    trader.at(TUESDAY.close + timedelta(hours=1))
    assert trader.told == [monday, (TUESDAY.date, 103, -3, point(TUESDAY, 60, 0).time)]


def test_the_change_of_a_session_is_without_deposits_and_with_dividends() -> None:
    trader = Trader()
    trader.at(MONDAY.open, point(MONDAY, 60, 100))
    at = point(MONDAY, 30, 0).time
    for name, kind, amount in (("1", CashKind.DEPOSIT, 500), ("2", CashKind.DIVIDEND, 2)):
        trader.kept.commit([CashMovement(name, kind, Decimal(amount), "", MONDAY.date, "", at)])
    trader.at(MONDAY.close, point(MONDAY, 0, 592))
    trader.at(MONDAY.close + timedelta(minutes=3))
    assert [told[:3] for told in trader.told] == [(MONDAY.date, 592, -8)]


def test_a_close_that_no_process_saw_is_told_by_the_next_and_one_without_a_bot_never() -> None:
    trader = Trader()
    trader.at(MONDAY.close, point(MONDAY, 5, 100))
    trader.begin()
    trader.at(FRIDAY.open)
    assert [told[0] for told in trader.told] == [MONDAY.date]
    trader.at(FRIDAY.close, point(FRIDAY, 0, 90))
    trader.journal.finish(1)
    assert [told[:3] for told in trader.told] == [(MONDAY.date, 100, 0), (FRIDAY.date, 90, -10)]


def test_minutes_that_wait_for_their_commit_count_for_their_session() -> None:
    trader = Trader()
    trader.at(MONDAY.open, point(MONDAY, 60, 100))
    trader.book.apply(point(MONDAY, 0, 120))
    trader.book.now = TUESDAY.open
    trader.journal.commands()
    assert trader.told == []
    trader.at(TUESDAY.open + timedelta(minutes=1), point(TUESDAY, 50, 70))
    trader.at(TUESDAY.open + timedelta(minutes=2))
    trader.journal.finish(1)
    assert [told[:3] for told in trader.told] == [(MONDAY.date, 120, 20)]


PLUGIN = """
import json, os, time
from smabot.api import Plugin, hookimpl

class Told(Plugin):
    @hookimpl
    def after_commit(self, step):
        line = [step.number, step.again, [f"{o.client_order_id} {o.status}" for o in step.orders]]
        with open(os.environ["TOLD"], "a") as file:
            file.write(json.dumps([*line, step.died is not None]) + "\\n")
        time.sleep(0.002)

told = Told
"""


@pytest.mark.slow(seconds=20)
@pytest.mark.plugins
def test_kills_lose_no_step(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(PLUGIN)
    out = tmp_path / "told.jsonl"
    out.touch()
    command = [
        str(Path(sys.executable).with_name("smabot")), "run", "--plugins", "sma,./told.py",
        "--broker", "exchange", "--data", "simulated:shape=waves,sessions=3,seed=4", "--speed", "max",
    ]  # fmt: skip
    kills = 0
    for lines in (10, 60, 61, 150, 0):
        with subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, "TOLD": str(out)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as child:  # fmt: skip
            while lines and child.poll() is None and len(out.read_text().splitlines()) < lines:
                time.sleep(0.005)
            if lines and child.poll() is None:
                child.send_signal(signal.SIGKILL)
                kills += 1
    assert kills >= 3
    told = [json.loads(line) for line in out.read_text().splitlines()]
    numbers = [number for number, *_ in told]
    newest = max(numbers)
    assert sorted(set(numbers)) == list(range(1, newest + 1))
    seen: dict[int, Any] = {}
    for number, again, orders, died in told:
        assert number not in seen or again
        assert seen.setdefault(number, (orders, died)) == (orders, died)
    with closing(sqlite3.connect(tmp_path / "data" / "trades.db")) as database:
        ((dead,),) = database.execute("SELECT count(*) FROM runs WHERE ended_at IS NULL").fetchall()
    assert sum(died for _, died in seen.values()) == dead >= 2
    first_time = [number for place, number in enumerate(numbers) if number not in numbers[:place]]
    assert first_time == sorted(first_time)


def test_the_end_waits_for_all_that_are_slow_together() -> None:
    never = threading.Event()
    journal = telling(
        MemoryJournal(), Around(beside=True), **{name: lambda step: never.wait(9) for name in "abc"}
    )
    journal.commit([event(1)])
    begun = time.monotonic()
    journal.finish(0.3)
    assert time.monotonic() - begun < 0.8
    never.set()


def test_at_the_end_a_slow_one_does_not_keep_the_others_from_their_next_step() -> None:
    kept, free, begun, never = (
        MemoryJournal(),
        threading.Event(),
        threading.Event(),
        threading.Event(),
    )

    def other(step: CommittedStep) -> None:
        begun.set()
        free.wait(9)

    journal = telling(kept, Around(beside=True), a=lambda step: never.wait(9), b=other)
    journal.commit([event(1)])
    journal.commands()
    assert begun.wait(5)
    journal.commit([event(2)])
    free.set()
    journal.finish(2)
    never.set()
    assert kept.row(BotState, "b", "after_commit") == BotState("b", "after_commit", "2")
