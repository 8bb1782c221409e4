"""A reconciliation conflict: database and broker can't both be right, and only an operator can resolve it."""

from __future__ import annotations

from collections.abc import Sequence

from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.records import Order, OrderUpdate
from smabot.errors import ConflictError, counted
from smabot.hooks.recovery_answers import Conflict

SEE_THEM = "see `smabot reconcile` with the same flags"


class ReconciliationConflict(ConflictError):
    """Carries the conflicts for the screen, and ``advice``: what to do next. Exit code 6."""

    def __init__(self, conflicts: Sequence[Conflict], advice: str = SEE_THEM) -> None:
        self.conflicts = tuple(conflicts)
        kinds = ", ".join(sorted({conflict.kind for conflict in conflicts}))
        super().__init__(
            f"{counted(len(conflicts), 'conflict')} with the broker ({kinds}): nothing was changed; "
            f"{advice}"
        )


def another_bot(client_order_id: str) -> Conflict:
    """Return the conflict that an order means that has this bot's name and is not in its database."""
    return Conflict(
        "unknown_locally", client_order_id, "never written", "the broker reported it",
        "another bot runs with this name: stop it, or give one of them another `bot`",
    )  # fmt: skip


def filled_over_split(order: Order, update: OrderUpdate, split: CorporateAction) -> Conflict:
    """Return the conflict of a fill that shows after a split, of an order from before it: in which shares?"""
    return Conflict(
        "filled_over_split", order.client_order_id,
        f"filled {order.filled_qty:f}, made before the {split.text}", f"filled {update.filled_qty:f}",
        "`smabot reconcile --accept broker` takes the broker's positions and cash",
    )  # fmt: skip


def filled_after_its_end(order: Order, update: OrderUpdate) -> Conflict:
    """Return the conflict that a fill means when the bot has already ended the order."""
    return Conflict(
        "filled_after_its_end", order.client_order_id,
        f"ended by the bot with {order.filled_qty:f} filled", f"filled {update.filled_qty:f}",
        "`smabot reconcile --accept broker` takes the broker's state and records the adjustment",
    )  # fmt: skip
