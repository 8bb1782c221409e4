"""What a reader of an account's figures must know: how few sessions or trades there were, and what is undefined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from smabot.cli.performance.performance import Performance
from smabot.errors import counted

ENOUGH_SESSIONS = 60
"""Fewer sessions say little about a year."""
ENOUGH_TRADES = 30
"""Fewer round trips say little about a strategy."""


def reading_notes(performance: Performance, settings: Iterable[str] = ()) -> Iterator[str]:
    """Yield a line for each reason to trust figures less.

    ``settings`` are the dotted names of those that were used: one of them may be that of a check.
    """
    statistics = performance.statistics
    if len(performance.days) < ENOUGH_SESSIONS:
        sessions = counted(len(performance.days), "session")
        yield f"{sessions}: too few for what is scaled to a year"
    if performance.all_blocked:
        yield _blocked_note(performance, settings)
    elif statistics.round_trips < ENOUGH_TRADES:
        trips = counted(statistics.round_trips, "round trip")
        yield f"{trips}: too few to tell skill from luck, take more sessions or symbols"
    if performance.unfilled:
        yield f"{counted(performance.unfilled, 'order')} ended without a fill"
    if performance.broke:
        yield "equity fell to 0 or below: no ratio is made of returns from there"


def _blocked_note(performance: Performance, settings: Iterable[str]) -> str:
    """Say which checks blocked all orders, by their settings where they have one."""
    named = {name.rpartition(".")[2]: name.removeprefix("plugin.") for name in settings}
    checks = performance.blocked_by
    by = ", ".join(f"{named.get(name, name)} ({number:,})" for name, number in checks.items())
    remedy = ": change the setting, or how much is ordered" if checks.keys() & named else ""
    return f"nothing was traded: every order was blocked, by {by}{remedy}"
