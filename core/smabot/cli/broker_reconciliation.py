"""The comparison of the database with the broker that `smabot reconcile` shows, and accepting the broker's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import smabot
from smabot.cli.run_session import opened_session
from smabot.cli.screen import Screen
from smabot.cli.times import Times
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.startup_reconciliation import accept_broker_state, compare_with_broker
from smabot.errors import ConfigError, ConflictError, counted
from smabot.hooks.plugins import Plugins
from smabot.hooks.recovery_answers import Conflict, Reconciliation

if TYPE_CHECKING:
    from smabot.settings.loading import Loaded


def reconcile_with_broker(
    loaded: Loaded, accept: str | None, as_json: bool, times: Times | None = None
) -> int:
    """Show what reconciliation finds, changing nothing; with ``accept`` take the broker's word.

    ``times`` is how the screen shows times, by default in New York's zone.
    """
    config = loaded.config
    plugins = Plugins.load(config, origins=loaded.origins)
    screen = Screen(config.mode, as_json, times)
    screen.show_title(smabot.__version__, str(config.db), plugins.names)
    with opened_session(config, plugins, screen.show_step) as session:
        found = _compare(session)
        if found.conflicts:
            screen.show_conflicts(found.conflicts)
        else:
            screen.show_note(f"{counted(len(found.updates), 'order')} queried; no conflicts")
        for note in found.notes:
            screen.show_note(note)
        if accept is None and found.conflicts:
            raise ReconciliationConflict(found.conflicts, _next_step(found.conflicts))
        behind = _orders_behind(session, found)
        if accept is None or not (found.conflicts or found.remedy or found.booked or behind):
            return 0
        accept_broker_state(session, found)
        if behind:
            screen.show_note(f"{counted(behind, 'order')} brought up to date")
        left = _compare(session).conflicts
        if left:
            screen.show_conflicts(left)
            remain = "remains" if len(left) == 1 else "remain"
            raise ConflictError(
                f"{counted(len(left), 'conflict')} {remain}, which only you can resolve"
            )
        screen.show_note("the broker's state is accepted: the database agrees with it now")
        return 0


def _next_step(conflicts: Sequence[Conflict]) -> str:
    """Return what to do once the conflicts are on the screen."""
    acceptable = sum(1 for each in conflicts if each.remedy)
    if not acceptable:
        return "each one's `resolve` above says what to do"
    accept = "the same command with `--accept broker` accepts the broker's state"
    if acceptable < len(conflicts):
        return f"{accept}, except where `resolve` above says otherwise"
    return f"if the broker is right, {accept}"


def _compare(session: BotSession) -> Reconciliation:
    found = compare_with_broker(session)
    if found is None:
        raise ConfigError("no plugin compares with the broker: add reconciliation to base_plugins")
    return found


def _orders_behind(session: BotSession, found: Reconciliation) -> int:
    """Return how many orders the broker's updates would change."""
    book = session.book.copy()
    return sum(book.apply(update) for update in found.updates)
