"""How orders, positions and the account look as JSON: decimals are text, times RFC 3339.

Fields as in the Trading API's reference, https://docs.alpaca.markets/reference, less those that left
it in July 2026 (pattern_day_trader, daytrade_count, daytrading_buying_power and their kin).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from smabot.provider import EXCHANGE_ZONE
from smabot_exchange.json_forms.market_data_json import stamp, stamp_ns
from smabot_exchange.ledger.changes import CashActivityEntry
from smabot_exchange.matching.order_states import OrderStatus
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    Execution,
    OrderClass,
    asset_id,
    nanoseconds,
    plain,
)

PENDING_NEW = "pending_new"
"""What the answer to an order in a session says; the stream says that it is ``new``."""

LISTED_ON = "NASDAQ"
"""The data do not say where a symbol is listed; clients want one of Alpaca's names."""


def order(
    order: ExchangeOrder, legs: Iterable[ExchangeOrder] | None = None, *, answered: bool = False
) -> dict[str, Any]:
    """Return an order, with its legs where they are given.

    ``answered``: as the answer to its own submission, in which a new order is still pending. What it was charged
    is its ``commission``, a field of the Broker API's orders, where it was charged anything.
    """
    status: str = order.status.value
    if answered and order.status is OrderStatus.NEW:
        status = PENDING_NEW
    submitted = stamp_ns(order.submitted_ns)
    charged = {"commission": plain(order.fees)} if order.fees else {}
    return {
        "id": str(order.id),
        "client_order_id": order.client_order_id,
        "created_at": submitted,
        "updated_at": moment(order, order.updated_at),
        "submitted_at": submitted,
        "filled_at": moment(order, order.filled_at),
        "expired_at": moment(order, order.expired_at),
        "expires_at": moment(order, order.expires_at),
        "canceled_at": moment(order, order.canceled_at),
        "failed_at": moment(order, order.failed_at),
        "replaced_at": moment(order, order.replaced_at),
        "replaced_by": _id(order.replaced_by),
        "replaces": _id(order.replaces),
        "asset_id": str(asset_id(order.symbol)),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": _amount(order.notional),
        "qty": None if order.notional is not None else plain(order.qty),
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": _amount(order.filled_avg_price),
        "order_class": "" if order.order_class is OrderClass.SIMPLE else order.order_class.value,
        "order_type": order.type.value,
        "type": order.type.value,
        "side": order.side.value,
        "position_intent": order.position_intent.value,
        "time_in_force": order.time_in_force.value,
        "limit_price": _amount(order.limit_price),
        "stop_price": _amount(order.stop_price),
        "status": status,
        "extended_hours": order.extended_hours,
        "legs": _legs(legs, answered=answered),
        "trail_percent": _amount(order.trail_percent),
        "trail_price": _amount(order.trail_price),
        "hwm": _amount(order.hwm),
        "subtag": None,
        "source": None,
        **charged,
    }


def activity(execution: Execution, order: ExchangeOrder) -> dict[str, Any]:
    """Return a fill as an account activity.

    Its type, status and what is left are those right after it, whatever became of the order since.
    """
    left = order.qty - execution.cumulative_qty if order.notional is None else Decimal(0)
    whole = order.status is OrderStatus.FILLED and execution.cumulative_qty == order.filled_qty
    return {
        "id": activity_id(execution),
        "activity_type": "FILL",
        "transaction_time": stamp(execution.time),
        "type": "fill" if whole else "partial_fill",
        "price": plain(execution.price),
        "qty": plain(execution.qty),
        "side": execution.side.value,
        "symbol": execution.symbol,
        "leaves_qty": plain(left),
        "order_id": str(execution.order_id),
        "cum_qty": plain(execution.cumulative_qty),
        "order_status": "filled" if whole else "partially_filled",
    }


def activity_id(execution: Execution) -> str:
    """Return an activity's id, which begins with New York's time as Alpaca's do."""
    local = execution.time.astimezone(EXCHANGE_ZONE)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{execution.id}"


def cash_activity(entry: CashActivityEntry, account_id: str) -> dict[str, Any]:
    """Return cash that moved without a trade as an account activity."""
    shape = {
        "id": cash_activity_id(entry, account_id),
        "activity_type": entry.note.kind,
        "date": entry.time.astimezone(EXCHANGE_ZONE).date().isoformat(),
        "created_at": stamp(entry.time),
        "net_amount": plain(entry.cash),
        "description": entry.note.description,
        "status": "executed",
    }
    return {**shape, "symbol": entry.note.symbol} if entry.note.symbol else shape


def cash_activity_id(entry: CashActivityEntry, account_id: str) -> str:
    """Return the id of an activity of moved cash; in the same account always the same."""
    local = entry.time.astimezone(EXCHANGE_ZONE)
    unique = uuid5(UUID(account_id), f"cash {entry.number}")
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{unique}"


def asset(symbol: str) -> dict[str, Any]:
    """Return a symbol of the data as an asset that may be traded in every way."""
    return {
        "id": str(asset_id(symbol)),
        "class": "us_equity",
        "exchange": LISTED_ON,
        "symbol": symbol,
        "name": f"{symbol} Common Stock",
        "status": "active",
        "tradable": True,
        "marginable": True,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "shortable": True,
        "easy_to_borrow": True,
        "borrow_status": "easy_to_borrow",
        "fractionable": True,
        "attributes": ["fractional_eh_enabled"],
    }


def local(time: datetime) -> str:
    """Return an instant as RFC 3339 with New York's offset."""
    return time.astimezone(EXCHANGE_ZONE).isoformat()


def ratio(part: Decimal, whole: Decimal) -> str:
    """Return a part of a whole as a fraction, to ten places; of nothing it is 0."""
    return plain(round(part / whole, 10)) if whole else "0"


def money(value: Decimal) -> str:
    """Return dollars to the hundredth of a cent at most."""
    return plain(round(value, 4))


def _legs(legs: Iterable[ExchangeOrder] | None, *, answered: bool) -> list[dict[str, Any]] | None:
    found = [order(leg, answered=answered) for leg in legs or ()]
    return found or None


def moment(order: ExchangeOrder, time: datetime | None) -> str | None:
    """Return when something happened to an order: the exchange's clock moves in minutes, but nothing happens
    before the order is submitted."""
    if time is None:
        return None
    return stamp_ns(max(nanoseconds(time), order.submitted_ns))


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)
