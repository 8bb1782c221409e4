"""Delivers a command to the running bot: by the database; waits for the answer; Ctrl-C withdraws it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from smabot.errors import Interrupted, SmabotError

if TYPE_CHECKING:
    from smabot.domain.bot_records import Command
    from smabot.hooks.ports import Rows
    from smabot.system.wall_clock import Wall

ANSWER_SECONDS = 5.0
"""How long the command line waits for the bot's answer."""
PATIENCE_SECONDS = 1.0
"""How long it waits before it says so."""
POLL_SECONDS = 0.05
WITHDRAWN = "withdrawn before it was carried out"


def deliver_to_bot(
    rows: Rows,
    command: Command,
    here: Callable[[], str | None],
    wall: Wall,
    say: Callable[[str], None],
) -> str:
    """Send a command to the running bot and return its answer, also where Ctrl-C came too late.

    Where the bot ends meanwhile, ``here`` carries the command out; it returns None while a bot runs.
    Raises SmabotError when the bot does not answer: the command then waits for it. Raises Interrupted
    on Ctrl-C; a command that expires is withdrawn then, a halt stays. Raises JournalError when the
    command can't be written, or the bot does not write to this database any more.
    """
    try:
        rows.send(command)
        return _answer(rows, command, here, say)
    except KeyboardInterrupt:
        return _taken_back(rows, command, wall)


def _answer(
    rows: Rows, command: Command, here: Callable[[], str | None], say: Callable[[str], None]
) -> str:
    begun, told = time.monotonic(), False
    while (waited := time.monotonic() - begun) < ANSWER_SECONDS:
        if (answer := _answered(rows, command)) is not None:
            return answer
        if not rows.in_use() and (answer := here()) is not None:
            return answer
        if waited >= PATIENCE_SECONDS and not told:
            told = True
            say(f"'{command.verb}' waits for the running bot{_until(command)}")
        time.sleep(POLL_SECONDS)
    what = "it, or the next one that starts, will carry it out"
    if command.expires_at is not None:
        what += f" until {command.expires_at:%Y-%m-%d %H:%M:%S} UTC, and not later"
    raise SmabotError(
        f"'{command.verb}' waits for the running bot, which did not answer within "
        f"{ANSWER_SECONDS:g} s: {what}"
    )


def _answered(rows: Rows, command: Command) -> str | None:
    from smabot.domain.bot_records import Command

    row = rows.row(Command, command.id)
    return row.answer if row is not None and row.applied_at is not None else None


def _until(command: Command) -> str:
    if command.expires_at is None:
        return ""
    return f" until {command.expires_at:%H:%M:%S} UTC; Ctrl-C withdraws it"


def _taken_back(rows: Rows, command: Command, wall: Wall) -> str:
    """Withdraw a command; returns its answer where it was carried out meanwhile."""
    if command.expires_at is not None and rows.withdraw(command.id, wall(), WITHDRAWN):
        raise Interrupted(f"'{command.verb}' is withdrawn: it will not be carried out")
    answer = _answered(rows, command)
    if answer is not None:
        return answer
    if _sent(rows, command):
        rows.in_use()  # which raises where neither can reach it
        raise Interrupted(
            f"'{command.verb}' stays: the bot, or the next one that starts, will carry it out"
        )
    raise Interrupted(f"interrupted: '{command.verb}' was not sent")


def _sent(rows: Rows, command: Command) -> bool:
    from smabot.domain.bot_records import Command

    return rows.row(Command, command.id) is not None
