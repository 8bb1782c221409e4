"""All that a plugin's author needs, in one import."""

from __future__ import annotations

from smabot.book import Book
from smabot.config import Config, Secret, Settings
from smabot.errors import RiskHalt
from smabot.hookspecs import Conflict, Finding, Reconciliation, Recovery, RecoveryStep, hookimpl
from smabot.records import (
    Bar,
    Block,
    Check,
    EquityPoint,
    Event,
    Fill,
    Order,
    OrderIntent,
    OrderType,
    Position,
    Side,
    Signal,
    Status,
    TimeInForce,
    Veto,
)
from smabot.tables import record

__all__ = [
    "Bar",
    "Block",
    "Book",
    "Check",
    "Config",
    "Conflict",
    "EquityPoint",
    "Event",
    "Fill",
    "Finding",
    "Order",
    "OrderIntent",
    "OrderType",
    "Position",
    "Reconciliation",
    "Recovery",
    "RecoveryStep",
    "RiskHalt",
    "Secret",
    "Settings",
    "Side",
    "Signal",
    "Status",
    "TimeInForce",
    "Veto",
    "hookimpl",
    "record",
]
