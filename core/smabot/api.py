"""All that a plugin's author needs, in one import."""

from __future__ import annotations

from smabot.domain.book import Book
from smabot.domain.records import (
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
from smabot.domain.tables import record
from smabot.errors import RiskHalt
from smabot.hooks.specifications import (
    Conflict,
    Finding,
    Reconciliation,
    Recovery,
    RecoveryStep,
    hookimpl,
)
from smabot.settings.model import Config, Secret, Settings

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
