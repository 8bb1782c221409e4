"""The account's activities by REST: cash that moved without a trade, and executions.

https://docs.alpaca.markets/reference/getaccountactivities-2. Ids begin with New York's time, in an order that
the pages keep; what an id says is never read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from smabot.provider import (
    EXCHANGE_ZONE,
    ZERO,
    BrokerError,
    BrokerExecution,
    CashActivity,
    cash_kind,
)
from smabot_alpaca.order_json import (
    SIDES,
    parse_decimal,
    parse_time,
    required_text,
    text_field,
)
from smabot_alpaca.rest.answers import as_list, read_answer
from smabot_alpaca.rest.client import RestClient

PATH = "/v2/account/activities"
PAGE = 100
"""The most activities that one answer holds."""
UNDONE = ("canceled", "pending")
"""Statuses of activities whose cash has not moved, or has moved back."""

T = TypeVar("T")


def read_cash_activities(rest: RestClient, since: date) -> list[CashActivity]:
    """Return the movements of cash that are booked on a date or later, oldest first. Raises BrokerError.

    Activities without cash, as a split, are left out.
    """
    begin = datetime.combine(since, time(), EXCHANGE_ZONE)
    raws = _pages(rest, {"category": "non_trade_activity", "after": _before(begin)})
    found = _each(raws, "an activity", _cash_activity)
    return [each for each in found if each is not None and each.booked_on >= since]


def read_executions(rest: RestClient, since: datetime) -> list[BrokerExecution]:
    """Return the executions at a time or later, oldest first. Raises BrokerError."""
    raws = _pages(rest, {"activity_types": "FILL", "after": _before(since)})
    found = _each(raws, "an execution", _execution)
    return [each for each in found if each is not None and each.time >= since]


def _pages(rest: RestClient, query: dict[str, Any]) -> Iterator[Any]:
    """Yield all activities, a page after the other; one that pages share comes once."""
    seen: set[str] = set()
    params = {**query, "direction": "asc", "page_size": PAGE}
    while True:
        page = as_list(rest.trading("GET", PATH, params))
        fresh = [raw for raw in page if text_field(raw, "id") not in seen]
        yield from fresh
        if len(page) < PAGE:
            return
        last = text_field(page[-1], "id")
        if not fresh or not last:
            raise BrokerError(f"GET {PATH}: the same page comes again and again")
        seen.update(text_field(raw, "id") for raw in fresh)
        params = {**params, "page_token": last}


def _each(raws: Iterator[Any], what: str, read: Callable[[Any], T]) -> list[T]:
    return [read_answer(what, lambda raw=raw: read(raw)) for raw in raws]  # type: ignore[misc]


def _cash_activity(raw: Any) -> CashActivity | None:
    amount = parse_decimal(raw.get("net_amount")) or ZERO
    if not amount or text_field(raw, "status") in UNDONE:
        return None
    return CashActivity(
        required_text(raw, "id"),
        cash_kind(required_text(raw, "activity_type")),
        amount,
        date.fromisoformat(required_text(raw, "date")[:10]),
        text_field(raw, "symbol"),
        text_field(raw, "description"),
    )


def _execution(raw: Any) -> BrokerExecution | None:
    order_id = text_field(raw, "order_id")
    if not order_id or text_field(raw, "side") not in SIDES:  # of an option, or a leg of several
        return None
    return BrokerExecution(
        required_text(raw, "id"), order_id, required_text(raw, "symbol"), SIDES[raw["side"]],
        _number(raw, "qty"), _number(raw, "price"), parse_time(required_text(raw, "transaction_time")),
    )  # fmt: skip


def _number(raw: Any, name: str) -> Decimal:
    found = parse_decimal(raw[name])
    if found is None:
        raise ValueError(f"{name} is missing")
    return found


def _before(moment: datetime) -> str:
    """Return the second before a moment: what is at it comes after."""
    return f"{moment.astimezone(UTC) - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
