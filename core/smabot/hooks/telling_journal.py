"""Tells plugins of what was committed, beside the deciding thread, each step at least once.

It is a journal around the bot's own: a step that has news is kept in the same transaction as its rows, with a
number of its own, and each listener's place among the numbers is kept after it was told. A process that was
killed leaves both, and the next one goes on from there. A listener is a plugin, or one of its receivers.

A listener is in one of three states:

1. told: it was told of all that was committed.
2. being told: a thread calls its `after_commit`, step by step, for some steps at once.
3. waiting: it has raised, and is told of the same step again after a pause.

1 → 2 → 1 and 2 → 3 → 2. No listener waits for another one, and no step for any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, Protocol

from loguru import logger

from smabot.domain.book import Book
from smabot.domain.bot_records import BotState, Command, Run, StepRow
from smabot.domain.committed_steps import (
    MOST_BEHIND,
    TOLD_UNTIL,
    CommittedStep,
    read_step,
    step_of,
    stored,
)
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Bar
from smabot.errors import SmabotError
from smabot.hooks.journal_around import JournalAround
from smabot.hooks.ports import Journal
from smabot.hooks.session_closes import SessionCloses
from smabot.system.background_query import BackgroundQuery

AT_ONCE = 100
"""So many steps a plugin is told of before its place is kept."""
SLOW = 2.0
"""Seconds after which its place is kept earlier, so that a slow one is not told of all of them again."""
GLANCE = 0.05
"""Seconds to wait for one at the end, so that none waits for its next step while another one is slow."""
PAUSES = (5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds after a plugin has raised; the last one again and again."""
MEMORY = "memory"
"""The key in ``bot_state`` of what a listener wants to have with its next step."""
Hook = Callable[[CommittedStep, str], str | None]
"""Is given a step and the listener's memory; returns what that is from now on, None for the same."""


class Around(Protocol):
    """The threads and clocks that it needs."""

    def wall(self) -> datetime: ...
    def seconds(self) -> float: ...
    def query(self, name: str, *, beside: bool = True) -> BackgroundQuery[Any]: ...


class _Told(NamedTuple):
    """How far a listener came: the newest step that it was told of, its memory, and what it raised at the
    next step."""

    number: int
    memory: str
    failure: BaseException | None


class _Listener:
    """A plugin that is told, or one of its receivers."""

    def __init__(
        self, name: str, hook: Hook, number: int, memory: str, question: BackgroundQuery[_Told]
    ) -> None:
        self.name = name
        self.hook = hook
        self.number = number
        """The newest step that it was told of."""
        self.memory = memory
        self.question = question
        self.failures = 0
        self.not_before = 0.0

    def take(self, now: float) -> bool:
        """Take note of how far it came; returns whether it was told of a step."""
        told = self.question.take_answer()
        before, self.number, self.memory = self.number, told.number, told.memory
        if told.failure is None:
            self.failures = 0
            return told.number > before
        pause = PAUSES[min(self.failures, len(PAUSES) - 1)]
        self.failures += 1
        self.not_before = now + pause
        known = isinstance(told.failure, SmabotError)
        logger.opt(exception=None if known else told.failure).warning(
            "plugin '{}' raised in after_commit, and is told again in {:.0f} s: {}",
            self.name, pause, told.failure,
        )  # fmt: skip
        return told.number > before


class TellingJournal(JournalAround):
    """Keeps what it commits, and tells plugins of it."""

    def __init__(
        self, journal: Journal, hooks: Mapping[str, Hook], around: Around, book: Book
    ) -> None:
        """``hooks``: `after_commit` of each listener, by its name."""
        super().__init__(journal)
        self._around = around
        self._closes = SessionCloses(journal, book)
        newest = journal.rows(StepRow, newest_by="number", limit=1)
        self._newest = self._before = newest[-1].number if newest else 0
        self._recent: deque[CommittedStep] = deque(maxlen=AT_ONCE)
        self._died = _died(journal)
        self._listeners = [self._listener(name, hook) for name, hook in hooks.items()]

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        self._keep(step_of(self._newest + 1, rows, self._died), rows, bars)

    def commands(self) -> list[Command]:
        """Return the waiting commands, and tell on: every step asks for them."""
        self._tell_of_closes()
        self._tell_on()
        return self._journal.commands()

    def finish(self, seconds: float) -> None:
        """Tell what is left, for so long at most; the next process tells the rest."""
        until = self._around.seconds() + seconds
        self._tell_of_closes(at_end=True)
        self._tell_on()
        while self._busy and self._around.seconds() < until:
            for each in self._listeners:
                each.question.wait(min(GLANCE, max(until - self._around.seconds(), 0)))
            self._tell_on()

    def _keep(
        self, step: CommittedStep | None, rows: Sequence[Any], bars: Sequence[Bar] = ()
    ) -> None:
        kept = [] if step is None else [stored(step, self._around.wall())]
        self._journal.commit([*rows, *kept], bars)
        if step is not None:
            self._newest, self._died = step.number, None
            self._recent.append(step)

    def _tell_of_closes(self, *, at_end: bool = False) -> None:
        while (closed := self._closes.take(at_end=at_end)) is not None:
            step = CommittedStep(self._newest + 1, died=self._died, closed=closed)
            self._keep(step, [self._closes.told(closed)])

    @property
    def _busy(self) -> bool:
        return any(each.question.under_way for each in self._listeners)

    def _tell_on(self) -> None:
        now, places = self._around.seconds(), list[BotState]()
        for each in self._listeners:
            if each.question.answered and each.take(now):
                places.append(BotState(each.name, TOLD_UNTIL, str(each.number)))
                places.append(BotState(each.name, MEMORY, each.memory))
            idle = not each.question.under_way and now >= each.not_before
            if idle and each.number < self._newest:
                steps = self._steps_after(each)
                seconds = self._around.seconds
                each.question.begin(
                    partial(_tell, each.hook, each.number, each.memory, steps, seconds)
                )
        if places:
            self._journal.commit(places)

    def _steps_after(self, listener: _Listener) -> list[CommittedStep]:
        """Return the next steps that a listener is to be told of, from memory where they are."""
        if self._newest - listener.number > MOST_BEHIND:
            missed = self._newest - listener.number - MOST_BEHIND
            listener.number += missed
            logger.warning("plugin '{}' is too slow: it misses {} steps", listener.name, missed)
        first = listener.number + 1
        if self._recent and self._recent[0].number <= first:
            steps = [step for step in self._recent if step.number >= first]
        else:
            rows = self._journal.rows(StepRow, since=("number", first), limit=AT_ONCE)
            listener.number = rows[0].number - 1 if rows else self._newest  # the others are pruned
            steps = [step for row in rows if (step := self._kept(row)) is not None]
            if rows and not steps:
                listener.number = rows[-1].number
        if listener.failures and steps:
            steps[0] = replace(steps[0], again=True)
        return steps

    def _kept(self, row: StepRow) -> CommittedStep | None:
        """Return a step as it was kept; None where it can't be read, as it may be of another release."""
        try:
            return replace(read_step(row), again=row.number <= self._before)
        except ValueError as error:
            logger.warning(
                "step {} can't be read, and no plugin is told of it: {}", row.number, error
            )
            return None

    def _listener(self, name: str, hook: Hook) -> _Listener:
        """Return a listener at its place; a new one is told from now on."""
        place = self._journal.row(BotState, name, TOLD_UNTIL)
        memory = self._journal.row(BotState, name, MEMORY)
        if place is None:
            place = BotState(name, TOLD_UNTIL, str(self._newest))
            self._journal.commit([place])
        question = self._around.query(f"{TOLD_UNTIL} {name}")
        return _Listener(name, hook, int(place.value), memory.value if memory else "", question)


def _tell(
    hook: Hook,
    number: int,
    memory: str,
    steps: Sequence[CommittedStep],
    seconds: Callable[[], float],
) -> _Told:
    """Tell a listener of steps, until they take too long; returns how far it came."""
    until = seconds() + SLOW
    for step in steps:
        try:
            memory = hook(step, memory) or memory
        except BaseException as error:  # noqa: BLE001 - SystemExit is a plugin's failure, too
            return _Told(number, memory, error)
        number = step.number
        if seconds() > until:
            break
    return _Told(number, memory, None)


def _died(journal: Journal) -> Run | None:
    """Return the newest run where it did not end by itself."""
    newest = journal.rows(Run, newest_by="run_id", limit=1)
    return newest[-1] if newest and newest[-1].ended_at is None else None
