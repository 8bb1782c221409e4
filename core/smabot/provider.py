"""Everything that the author of a broker, a feed or a journal needs, in one import.

What authors of strategies and rules need is in `smabot.api`; a provider may use both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smabot.domain.bar_checks import bar_fault, is_valid_bar, left_out_bar
from smabot.domain.book_view import COLLAR, STALE
from smabot.domain.bot_records import Command, Event
from smabot.domain.calendar import EXCHANGE_ZONE, MINUTE, Calendar, Session, end_of
from smabot.domain.cash_movements import CashKind, CashMovement
from smabot.domain.committed_steps import MOST_BEHIND, TOLD_UNTIL
from smabot.domain.corporate_actions import ActionKind, CorporateAction, whole_shares
from smabot.domain.known_splits import on_other_side, same_shares
from smabot.domain.late_fills import may_be_counted
from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import (
    CORE_RECORDS,
    MICRO,
    ZERO,
    Account,
    Adjustment,
    Bar,
    Batch,
    Fill,
    Mark,
    Order,
    OrderUpdate,
    Position,
    money,
)
from smabot.domain.splits import OVERNIGHT, SuspectedSplit, split_between, split_ratio
from smabot.domain.tables import Column, Table, key_of, table_of
from smabot.domain.unearned_changes import cash_differs
from smabot.errors import (
    AccountBlocked,
    BrokerError,
    ConfigError,
    ConflictError,
    JournalError,
    KeyRefused,
    NotAllowed,
    NotSent,
    PartlyUnreadable,
    SmabotError,
    UnknownOutcome,
    UsageError,
    listed,
    suggest,
)
from smabot.hooks.account_activities import (
    AccountActivities,
    BrokerExecution,
    CashActivity,
    cash_kind,
    tells_activities,
)
from smabot.hooks.findings import Finding, Level
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.optional_ports import (
    ActionsBroker,
    BarRows,
    BulkBroker,
    HistoricalFeed,
    PricedFeed,
    ReplayingFeed,
)
from smabot.hooks.ports import (
    Broker,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    Clock,
    Feed,
    Journal,
    Progress,
    RemoteBroker,
    Rows,
    is_remote,
)
from smabot.hooks.recovery_answers import Conflict, Reconciliation, Recovery, RecoveryStep
from smabot.hooks.roles import Provider
from smabot.hooks.simulated_exchange import (
    ExchangeFill,
    ExchangeMinute,
    SimulatedAction,
    SimulatedExchange,
    SimulatedExchanges,
)
from smabot.hooks.simulated_machine import (
    HttpAnswer,
    HttpRequest,
    RequestKind,
    SimulatedClient,
    SimulatedMachine,
    SimulatedSocket,
    StreamKind,
)
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import A_YEAR, BARS_FOLDER, IN_MEMORY, Config, Secret, Settings
from smabot.system.database_file import DatabaseWatch
from smabot.system.deprecation import note_renamed
from smabot.system.descriptors import FileHandle, inode_of
from smabot.system.disk_sync import sync_to_disk
from smabot.system.lock import (
    FileLock,
    is_displaced,
    is_locked,
    is_locked_by_name,
    lock_holder,
)
from smabot.system.new_database import database_files
from smabot.system.pace import Pace
from smabot.system.paths import file_exists, is_disk_full, refuse_hard_links
from smabot.system.redaction import register_secret

if TYPE_CHECKING:
    from smabot.domain.book_view import BookView as Book
else:
    from smabot.domain.book import Book

__all__ = [
    "A_YEAR",
    "BARS_FOLDER",
    "COLLAR",
    "CORE_RECORDS",
    "EXCHANGE_ZONE",
    "IN_MEMORY",
    "MICRO",
    "MINUTE",
    "MOST_BEHIND",
    "OVERNIGHT",
    "STALE",
    "TOLD_UNTIL",
    "ZERO",
    "Account",
    "AccountActivities",
    "AccountBlocked",
    "ActionKind",
    "ActionsBroker",
    "Adjustment",
    "Bar",
    "BarRows",
    "Batch",
    "Book",
    "Broker",
    "BrokerAccount",
    "BrokerError",
    "BrokerExecution",
    "BrokerOrder",
    "BrokerPosition",
    "BulkBroker",
    "Calendar",
    "CashActivity",
    "CashKind",
    "CashMovement",
    "Clock",
    "Column",
    "Command",
    "Config",
    "ConfigError",
    "Conflict",
    "ConflictError",
    "CorporateAction",
    "DatabaseWatch",
    "Event",
    "ExchangeFill",
    "ExchangeMinute",
    "Feed",
    "FileHandle",
    "FileLock",
    "Fill",
    "Finding",
    "HistoricalFeed",
    "HttpAnswer",
    "HttpRequest",
    "Journal",
    "JournalError",
    "KeyRefused",
    "Level",
    "Mark",
    "MemoryJournal",
    "NotAllowed",
    "NotSent",
    "Order",
    "OrderType",
    "OrderUpdate",
    "Pace",
    "PartlyUnreadable",
    "Position",
    "PricedFeed",
    "Progress",
    "Provider",
    "Reconciliation",
    "Recovery",
    "RecoveryStep",
    "RefusalCause",
    "RemoteBroker",
    "ReplayingFeed",
    "RequestKind",
    "Rows",
    "Secret",
    "Session",
    "Settings",
    "Side",
    "SimulatedAction",
    "SimulatedClient",
    "SimulatedExchange",
    "SimulatedExchanges",
    "SimulatedMachine",
    "SimulatedSocket",
    "SmabotError",
    "Status",
    "StreamKind",
    "SuspectedSplit",
    "Table",
    "TimeInForce",
    "UnknownOutcome",
    "UsageError",
    "bar_fault",
    "cash_differs",
    "cash_kind",
    "database_files",
    "end_of",
    "file_exists",
    "hookimpl",
    "inode_of",
    "is_disk_full",
    "is_displaced",
    "is_locked",
    "is_locked_by_name",
    "is_remote",
    "is_valid_bar",
    "key_of",
    "left_out_bar",
    "listed",
    "lock_holder",
    "may_be_counted",
    "money",
    "note_renamed",
    "on_other_side",
    "refuse_hard_links",
    "register_secret",
    "same_shares",
    "split_between",
    "split_ratio",
    "suggest",
    "sync_to_disk",
    "table_of",
    "tells_activities",
    "whole_shares",
]
