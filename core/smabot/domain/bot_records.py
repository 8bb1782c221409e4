"""Records about the bot itself: its runs, blocks, events, commands, and named values."""

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
"""The owner of a halt's block: no plugin has that name."""


@record(table="blocks", key=("plugin", "scope"))
class Block:
    """A reason why no order of ``scope`` may leave: ``entries``, or ``all`` for exits too.

    The plugin that blocks writes it in the step's transaction (``core`` is a halt); core and the
    screens read it also where that plugin is not part of the run. It holds from ``since`` on, and before
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
    account, a plugin or empty; ``grave`` events are red on the screen. ``time`` is the feed's;
    `Book.apply` makes it some microseconds later where it would not come after a related event, as a
    second halt after a `resume`."""

    time: datetime
    kind: str
    subject: str
    text: str
    grave: bool = False


@record(table="commands", key=("id",), restore=False)
class Command:
    """An operator's command to the bot: halt, resume, flatten, breaker reset. Wall-clock times, UTC.

    ``applied_at`` is the feed's time at which a bot carried it out; None: it still waits. From
    ``expires_at`` on it is not carried out any more; None: it never expires, as a halt.
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

    ``plugins`` and ``ignored_blocks`` are names, separated by commas. ``settings`` are those that it used,
    as JSON, secrets masked (`smabot.cli.run_settings`); None: not recorded, as by an older release.
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
    settings: str | None = None


@record(table="committed_steps", key=("number",), restore=False)
class StepRow:
    """What was committed at once, as JSON, to be told to plugins (`smabot.domain.committed_steps`).

    ``number`` counts from 1; ``at`` is the wall clock's time, UTC.
    """

    number: int
    at: datetime
    content: str
