"""Plays a schedule on a database file, with a real process and a real SIGKILL for each simulated one.

The world, with the exchange in it, goes on in this process, in memory and with simulated kills. At each
start after a kill it forks: the child is the same world, but opens the file, and lives until its kill, which
is SIGKILL. This process waits for that, then lives through the same in memory. So the exchange outlives
every kill, and at each start the file must hold exactly what memory holds.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from smabot.domain.bot_records import Command
from smabot.hooks.ports import Journal
from smabot.testing.simulation.databases import Database, FileDatabase, MemoryDatabase
from smabot.testing.simulation.judge import Violation
from smabot.testing.simulation.schedule import Schedule
from smabot.testing.simulation.schedule_result import Result
from smabot.testing.simulation.setup import Setup
from smabot.testing.table_comparison import first_difference, tables_of

RULE = "9 real kills"
SAID = ("memory", "the file")


def play_with_real_kills(setup: Setup, schedule: Schedule, path: Path) -> tuple[Result, int]:
    """Play a schedule on a file that is not there yet; returns the result and the number of SIGKILLs.

    No other thread may run in this process. The violation is the first one of any process, or a difference
    of file and memory.
    """
    database = RealProcesses(setup.file_database(path))
    try:
        world = setup.world(schedule, database)
        world.killed = database.kill
        database.end_threads = world.state.timeline.end
        result = world.run()
        database.end(result.violation)
    finally:
        if database.is_child:
            os._exit(1)  # whatever failed, its caller is not of this process
    result.violation = database.violation or result.violation
    return result, database.kills


class RealProcesses:
    """A database in memory, and in a file that children write."""

    def __init__(self, file: FileDatabase) -> None:
        self.is_child = False
        self.kills = 0
        self.violation: Violation | None = None
        """What a child, or its comparison, found."""
        self.end_threads: Callable[[], None] = lambda: None
        """Called before a fork: no thread goes over to the child."""
        self._memory, self._file = MemoryDatabase(), file
        self._now: Database = self._memory
        self._is_down = True
        self._out = -1

    def open(self, records: Sequence[type]) -> Journal:
        """Open it for a process; the first one after a kill is a child's, too."""
        if self._is_down:
            self._is_down = False
            self._fork(records)
        return self._now.open(records)

    def send(self, command: Command) -> None:
        self._now.send(command)
        if self._is_down:
            self._file.send(command)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now, name)

    def kill(self) -> None:
        """Die here, if this is a child."""
        if self.is_child:
            os.kill(os.getpid(), signal.SIGKILL)
        self._is_down = True

    def end(self, violation: Violation | None) -> None:
        """The schedule is done: a child says what it has found; in its parent both must be equal."""
        if self.is_child:
            told = str(violation).partition(": ")[::2] if violation is not None else None
            os.write(self._out, pickle.dumps(told))
            os._exit(0)
        self._compare()

    # -- processes -----------------------------------------------------------------------------------

    def _fork(self, records: Sequence[type]) -> None:
        self._file.know(records)
        begun = self.kills > 0
        self.end_threads()
        told, self._out = os.pipe()
        child = os.fork()
        if not child:
            self.is_child, self._now = True, self._file
            if begun:
                self._compare()
            if self.violation is not None:
                self.end(self.violation)
            return
        os.close(self._out)
        with os.fdopen(told, "rb") as answers:
            answer = answers.read()
        _, status = os.waitpid(child, 0)
        self._ended(os.waitstatus_to_exitcode(status), answer)

    def _ended(self, exit_code: int, answer: bytes) -> None:
        if exit_code == -signal.SIGKILL:
            self.kills += 1
        elif exit_code or not answer:
            raise RuntimeError(f"a process ended with {exit_code}")
        elif (told := pickle.loads(answer)) is not None:  # noqa: S301 - of our own child
            self.violation = self.violation or Violation(*told)

    def _compare(self) -> None:
        difference = first_difference(tables_of(self._memory), tables_of(self._file), SAID)
        if difference is not None and self.violation is None:
            self.violation = Violation(RULE, str(difference))
