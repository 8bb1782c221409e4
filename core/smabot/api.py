"""Everything that the author of a strategy or a risk rule needs, in one import.

What brokers, feeds and journals also need is in `smabot.provider`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smabot.domain.bot_health import Health
from smabot.domain.bot_records import Block, Command, Event, Run
from smabot.domain.calendar import EXCHANGE_ZONE, MINUTE, Calendar, Session, end_of
from smabot.domain.cash_movements import CashKind, CashMovement
from smabot.domain.closed_sessions import ClosedSession
from smabot.domain.committed_steps import CommittedStep
from smabot.domain.equity_bounds import EquityBounds
from smabot.domain.frozen_classes import replace
from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import (
    ZERO,
    Adjustment,
    Bar,
    EquityPoint,
    Fill,
    Mark,
    Order,
    OrderIntent,
    OrderUpdate,
    Position,
    Signal,
)
from smabot.domain.risk_answers import Check, Veto, read_checks
from smabot.domain.tables import record
from smabot.domain.unearned_changes import outside_changes
from smabot.errors import (
    BrokerError,
    ConfigError,
    JournalError,
    LockHeld,
    PluginError,
    RiskHalt,
    SmabotError,
    UsageError,
)
from smabot.hooks.findings import Finding, Level
from smabot.hooks.ports import (
    Broker,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    Clock,
    Feed,
    Journal,
    RemoteBroker,
    Rows,
)
from smabot.hooks.recovery_answers import Conflict, Reconciliation, Recovery, RecoveryStep
from smabot.hooks.roles import Plugin, Rule, Strategy
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import A_YEAR, Config, Secret, Settings
from smabot.system.redaction import register_secret

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.book_view import BookView as Book
else:
    from smabot.domain.book import Book

__all__ = [
    "A_YEAR",
    "EXCHANGE_ZONE",
    "MINUTE",
    "ZERO",
    "Adjustment",
    "App",
    "Bar",
    "Block",
    "Book",
    "Broker",
    "BrokerAccount",
    "BrokerError",
    "BrokerOrder",
    "BrokerPosition",
    "Calendar",
    "CashKind",
    "CashMovement",
    "Check",
    "Clock",
    "ClosedSession",
    "Command",
    "CommittedStep",
    "Config",
    "ConfigError",
    "Conflict",
    "EquityBounds",
    "EquityPoint",
    "Event",
    "Feed",
    "Fill",
    "Finding",
    "Health",
    "Journal",
    "JournalError",
    "Level",
    "LockHeld",
    "Mark",
    "Order",
    "OrderIntent",
    "OrderType",
    "OrderUpdate",
    "Plugin",
    "PluginError",
    "Position",
    "Reconciliation",
    "Recovery",
    "RecoveryStep",
    "RefusalCause",
    "RemoteBroker",
    "RiskHalt",
    "Rows",
    "Rule",
    "Run",
    "Secret",
    "Session",
    "Settings",
    "Side",
    "Signal",
    "SmabotError",
    "Status",
    "Strategy",
    "TimeInForce",
    "UsageError",
    "Veto",
    "end_of",
    "hookimpl",
    "outside_changes",
    "read_checks",
    "record",
    "register_secret",
    "replace",
]


def __getattr__(name: str) -> Any:
    """Import the command line's part when a plugin's command asks for it."""
    if name == "App":
        from smabot.cli.app import App

        return App
    raise AttributeError(f"module 'smabot.api' has no attribute '{name}'")
