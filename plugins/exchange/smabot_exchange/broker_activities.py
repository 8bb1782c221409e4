"""The account's activities as core knows them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from smabot.provider import EXCHANGE_ZONE, BrokerExecution, CashActivity, cash_kind
from smabot_exchange.json_forms.trading_json import cash_activity_id
from smabot_exchange.ledger.changes import CashActivityEntry
from smabot_exchange.matching.orders import Execution

if TYPE_CHECKING:
    from smabot_exchange.exchange import Exchange


def list_cash_activities(exchange: Exchange, since: date) -> list[CashActivity]:
    """Return the movements of cash that are booked on a date or later, oldest first."""
    found = (to_cash_activity(each, exchange) for each in exchange.cash_activities())
    return [each for each in found if each.booked_on >= since]


def list_executions(exchange: Exchange, since: datetime) -> list[BrokerExecution]:
    """Return the executions at a time or later, oldest first."""
    return [to_broker_execution(each) for each in exchange.executions(since)]


def to_cash_activity(entry: CashActivityEntry, exchange: Exchange) -> CashActivity:
    """Return cash that moved without a trade."""
    return CashActivity(
        cash_activity_id(entry, exchange.account_id),
        cash_kind(entry.note.kind),
        entry.cash,
        entry.time.astimezone(EXCHANGE_ZONE).date(),
        entry.note.symbol,
        entry.note.description,
    )


def to_broker_execution(execution: Execution) -> BrokerExecution:
    """Return a fill as one execution of its order."""
    return BrokerExecution(
        str(execution.id), str(execution.order_id), execution.symbol, execution.side, execution.qty,
        execution.price, execution.time, execution.fees,
    )  # fmt: skip
