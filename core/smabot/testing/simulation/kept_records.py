"""The simulated database: what is committed outlives the process, and a commit can fail or be the last thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from smabot.domain.bot_records import Command
from smabot.domain.records import Bar, Order
from smabot.errors import JournalError
from smabot.testing.kill_points import COMMIT, after, before
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.points import Points

Committed = Callable[[Sequence[Any], Sequence[Bar]], None]
AFTER_IT = "I/O error after it"
"""A commit that fails, and whose rows are there all the same."""


class KeptRecords:
    """A process's journal, of the database that all processes share."""

    def __init__(
        self,
        database: Database,
        points: Points,
        faults: list[str],
        struck: Callable[[str], None],
        committed: Committed,
    ) -> None:
        """``faults``: what befalls the next commits; ``struck``: called with each that does; ``committed``: with
        what each commit has kept."""
        self.steps = 0
        """Commits with a bar or an order."""
        self.command_read = False
        """Whether a command was read that is not yet carried out by a commit."""
        self._database = database
        self._journal: Any = None
        self._points = points
        self._faults = faults
        self._struck = struck
        self._committed = committed
        self._broken = ""

    def opened(self, records: Sequence[type]) -> KeptRecords:
        """Open the database for the process."""
        self._journal = self._database.open(records)
        return self

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        self._points.point(before(COMMIT))
        self._check()
        fault = self._faults.pop(0) if self._faults else ""
        if fault:
            self._struck(f"commit {fault}")
        if fault and fault != AFTER_IT:
            self._fail(fault)
        self._journal.commit(rows, bars)
        self.command_read = False
        self._committed(rows, bars)
        self.steps += bool(bars) or any(isinstance(row, Order) for row in rows)
        if fault:
            self._fail(fault)
        self._points.point(after(COMMIT))

    def commands(self) -> list[Command]:
        self._points.point("before reading commands")
        found: list[Command] = self._journal.commands()
        self.command_read = bool(found)
        return found

    def check_in_place(self) -> None:
        self._check()
        self._journal.check_in_place()

    def close(self) -> None:
        self._journal.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def _check(self) -> None:
        if self._broken:
            raise JournalError(f"the database can't be written: {self._broken}")

    def _fail(self, fault: str) -> None:
        self._broken = fault
        raise JournalError(f"the database can't be written: {fault}")
