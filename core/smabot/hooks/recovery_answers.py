"""What plugins are asked with while the bot recovers or compares itself with the broker, and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import TYPE_CHECKING, Any

from smabot.domain.frozen_classes import frozen

if TYPE_CHECKING:
    from smabot.domain.book_view import BookView as Book
    from smabot.domain.cash_movements import CashMovement
    from smabot.domain.records import Adjustment, OrderUpdate
    from smabot.hooks.ports import Broker, Clock, Journal
    from smabot.settings.model import Config


@frozen
class Conflict:
    """A reconciliation conflict: database and broker can't both be right. The bot does not start on one."""

    kind: str
    what: str
    here: str
    there: str
    resolve: str
    remedy: tuple[Any, ...] = ()
    """Records that make the database agree, written by `smabot reconcile --accept broker`."""


@frozen
class Reconciliation:
    """The result of a comparison: updates that the bot lacks, conflicts, notes for the screen."""

    updates: tuple[OrderUpdate, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    remedy: tuple[Any, ...] = ()
    """Records that adopt what is no conflict, as moved cash: `reconcile --accept broker` writes them last."""
    followed: tuple[Any, ...] = ()
    """Records that follow what the broker changed by itself, as a split's shares; core applies them after the
    updates, where there is no conflict."""
    booked: tuple[CashMovement | Adjustment, ...] = ()
    """Movements of cash that the broker's activities explain: core books them where there is no conflict."""


@frozen
class RecoveryStep:
    """A few words on what a plugin restored at the start, for the startup table and ``runs``."""

    restored: str
    conflicts: tuple[Conflict, ...] = ()


@frozen
class Recovery:
    """What a plugin may read while the bot recovers. The book holds all restored records."""

    config: Config
    book: Book
    journal: Journal
    broker: Broker
    clock: Clock
    symbols: tuple[str, ...]
    """The followed symbols: those with a position or an open order, and those that may be entered."""
    asked: bool = False
    """Whether core has queried the broker already: another query returns the same answers, at once."""
    movements: tuple[CashMovement, ...] = ()
    """Movements of cash that the broker tells of and that are not booked yet, oldest first; none where core
    has not asked for them."""
    wait: Callable[[float], None] = sleep
    """Lets seconds pass, as before another query; a simulation has a clock of its own."""
