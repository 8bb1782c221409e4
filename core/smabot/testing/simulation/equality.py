"""Schedules that are played twice, with their kills and without: both must end with the same tables.

Kills take no virtual time there, and the exchange stands still while the bot decides. All other actions
happen at a minute of the market, or befall the market itself, so that they are the same in both runs:

| part of it | |
|---|---|
| what strategies want, the wall clock's steps, cash that comes or goes | yes |
| operator's commands | yes: between two minutes, for a start carries them out before it takes bars |
| kills, also of starts; stops with a start at once; commits and hooks that fail | yes: these are taken out |
| the exchange halts a symbol, leaves an order pending, rejects it later, freezes its cancel | yes: of a symbol's next order, which is the same one |
| bars and order updates that come twice | yes |
| a lost answer, faults of the line, hooks that fail while an order is checked | no: they befall the next request or call, and a restarted bot makes others |
| bars and updates that are lost, late or wrong; the stream is down | no: a start requests by REST what the stream did not deliver |
| the key or the account is refused; sales by hand | no: the first start after it finds out, a running bot at its next request or comparison |
| other symbols, other plugins | no: they count from the next start |

`runs` tells of processes and is not compared. An order that never left is `blocked` where its process knew that, and
`abandoned` where a restart had to ask for it: both count as one. Nothing else is left out: a start adds no event.
"""  # fmt: skip

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from smabot.domain.order_terms import Status
from smabot.testing.simulation.judge import Violation
from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.table_comparison import Tables, first_difference, tables_of

if TYPE_CHECKING:
    from smabot.testing.simulation.world import World

INTERRUPTIONS = frozenset({"kill", "kill_start", "stop", "commit_fails", "plugin_fails"})
"""Verbs that end a process, and change nothing else."""
ALWAYS = INTERRUPTIONS | {"want", "operator", "clock_steps", "transfer"}
OF_CHECKS = ("before_submit", "may_leave")
SAME_FAULTS = {
    "exchange": ("halt", "left_at_close", "stuck_pending", "rejected_later", "frozen_cancel"),
    "bars": ("repeated",),
    "updates": ("doubled",),
}
"""Faults that strike the same, by verb."""


def comparable(schedule: Schedule) -> Schedule:
    """Return a schedule's part that can be compared: on the near line, with kills that take no time."""
    return replace(schedule, far=False, compared=True, actions=tuple(_timeless(schedule.actions)))


def is_comparable(actions: Sequence[Action]) -> bool:
    """Whether all of some actions can be part of such a schedule."""
    return len(list(_timeless(actions))) == len(actions)


def uninterrupted(schedule: Schedule) -> Schedule:
    """Return the same without what ends a process."""
    kept = (action for action in schedule.actions if action.verb not in INTERRUPTIONS)
    return schedule.with_actions(kept)


def judge_equality(killed: World, whole: World) -> None:
    """Note a violation in the first world's result where the tables of both differ."""
    violation = whole.state.notes.result.violation
    if violation is None:
        difference = first_difference(_tables(whole), _tables(killed))
        if difference is None:
            return
        violation = Violation("11 equal", str(difference))
    killed.state.notes.result.violation = violation
    killed.state.notes.trace(f"VIOLATION {violation}")


def _tables(world: World) -> Tables:
    """Return a world's tables; what never left is the same, however sure of it its process was."""
    tables = dict(tables_of(world.state.database))
    orders = tables.get("order_intents", {})
    tables["order_intents"] = {
        key: replace(order, status=Status.BLOCKED, reason="")
        if order.status in (Status.BLOCKED, Status.ABANDONED)
        else order
        for key, order in orders.items()
    }
    return tables


def _timeless(actions: Iterable[Action]) -> Iterable[Action]:
    for action in actions:
        if action.verb == "kill":
            yield replace(action, detail="0")
        elif action.verb == "stop":
            yield replace(action, count=1)
        elif action.verb in SAME_FAULTS:
            if action.what in SAME_FAULTS[action.verb]:
                yield action
        elif action.verb in ALWAYS and action.what not in OF_CHECKS:
            yield action
