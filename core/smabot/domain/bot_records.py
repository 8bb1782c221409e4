"""What the bot keeps of itself: its runs, what blocks it, events, commands, and named values."""

from __future__ import annotations

from datetime import datetime

from smabot.domain.tables import record


@record(table="bot_state", key=("plugin", "key"))
class BotState:
    """A value that a plugin (or ``core``) keeps by name."""

    plugin: str
    key: str
    value: str


HALT = "core"
"""Whose block a halt is: no plugin has that name."""


@record(table="blocks", key=("plugin", "scope"))
class Block:
    """Why no order of ``scope`` may leave: ``entries``, or ``all`` for exits too.

    Written in the step's transaction by whoever blocks (``core`` is a halt), read by core and the
    screens also where that plugin is not part of the run. It holds from ``since`` on, and before
    ``until``: a block that was lifted keeps its row.
    """

    plugin: str
    scope: str
    reason: str
    since: datetime
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it blocks at a time."""
        return self.until is None or now < self.until


@record(table="events", key=("time", "kind", "subject"), restore=False)
class Event:
    """Something an operator should know of. ``subject`` is a symbol, an order's or a command's id, an
    account, a plugin or empty; ``grave`` events are red on the screen. ``time`` is the feed's."""

    time: datetime
    kind: str
    subject: str
    text: str
    grave: bool = False


@record(table="commands", key=("id",), restore=False)
class Command:
    """What an operator tells the bot: halt, resume, flatten, breaker reset. Wall-clock times, UTC.

    ``applied_at`` is the feed's time where a bot dealt with it; None: it still waits. From
    ``expires_at`` on it is not carried out any more; None: it stands until it is, as every halt does.
    """

    id: str
    verb: str
    argument: str
    created_at: datetime
    applied_at: datetime | None = None
    answer: str = ""
    expires_at: datetime | None = None


@record(table="runs", key=("run_id",), restore=False)
class Run:
    """One process: when it ran, how fast it was ready, how it ended. Wall-clock times, UTC.

    ``plugins`` and ``ignored_blocks`` are names, separated by commas.
    """

    run_id: str
    pid: int
    version: str
    plugins: str
    mode: str
    started_at: datetime
    ready_ms: float | None = None
    steps: str = ""
    ended_at: datetime | None = None
    exit_code: int | None = None
    outcome: str = ""
    ignored_blocks: str = ""
