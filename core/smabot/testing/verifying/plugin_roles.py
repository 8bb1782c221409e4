"""What a plugin is, by the hooks that it has."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class Role(StrEnum):
    """What a plugin is, by the hooks that it has."""

    STRATEGY = "strategy"
    SIZER = "sizer"
    RULE = "risk rule"
    RECONCILER = "reconciler"
    JOURNAL = "journal"
    BROKER = "broker"
    FEED = "feed"


DECIDING = (Role.STRATEGY, Role.SIZER, Role.RULE, Role.RECONCILER)
"""The roles that run on a fake exchange, over generated bars."""
ROLE_OF_HOOK = {
    "on_bar": Role.STRATEGY,
    "on_signal": Role.SIZER,
    "before_submit": Role.RULE,
    "may_leave": Role.RULE,
    "reconcile": Role.RECONCILER,
    "open_journal": Role.JOURNAL,
    "open_broker": Role.BROKER,
    "open_feed": Role.FEED,
}


def roles_of(hooks: Collection[str]) -> tuple[Role, ...]:
    """Return the roles that a plugin has; one that only watches equity, orders or fills is a rule."""
    found = [role for hook, role in ROLE_OF_HOOK.items() if hook in hooks]
    if not found and {"on_equity", "on_fill", "on_order"} & {*hooks}:
        found = [Role.RULE]
    return tuple(dict.fromkeys(found))
