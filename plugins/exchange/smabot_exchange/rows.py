"""How bars, orders and executions lie in the ledger's tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from smabot.records import Bar, Side
from smabot_exchange.orders import (
    ExchangeOrder,
    Execution,
    OrderStatus,
    OrderType,
    TimeInForce,
    plain,
)

ORDER_COLUMNS = (
    "seq, id, client_order_id, symbol, side, qty, type, limit_price, time_in_force, status, "
    "submitted_at, updated_at, opens_at, expires_at, hold_price, filled_qty, filled_value, "
    "filled_at"
)
UPSERT_ORDER = (
    f"INSERT INTO orders ({ORDER_COLUMNS}) "  # noqa: S608
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (seq) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at, "
    "filled_qty = excluded.filled_qty, filled_value = excluded.filled_value, "
    "filled_at = excluded.filled_at"
)
EXECUTION_COLUMNS = "id, order_id, symbol, side, qty, price, cumulative_qty, time"
INSERT_EXECUTION = f"INSERT INTO fills ({EXECUTION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


def to_minutes(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[datetime, list[Bar]]]:
    make, kind = tuple.__new__, Bar
    for stamp, group in groupby(rows, itemgetter(0)):
        time = to_time(stamp)
        yield (
            time,
            [make(kind, (s, time, o, h, lo, c, v, n, w)) for _, s, o, h, lo, c, v, n, w in group],
        )


def order_row(order: ExchangeOrder) -> tuple[object, ...]:
    return (
        order.seq, str(order.id), order.client_order_id, order.symbol, order.side.value,
        plain(order.qty), order.type.value,
        None if order.limit_price is None else plain(order.limit_price),
        order.time_in_force.value, order.status.value, to_stamp(order.submitted_at),
        to_stamp(order.updated_at), to_stamp(order.opens_at),
        None if order.expires_at is None else to_stamp(order.expires_at),
        plain(order.hold_price), plain(order.filled_qty), plain(order.filled_value),
        None if order.filled_at is None else to_stamp(order.filled_at),
    )  # fmt: skip


def to_order(row: tuple[Any, ...]) -> ExchangeOrder:
    (
        seq, id_, client_order_id, symbol, side, qty, type_, limit_price, time_in_force, status,
        submitted_at, updated_at, opens_at, expires_at, hold_price, filled_qty, filled_value,
        filled_at,
    ) = row  # fmt: skip
    return ExchangeOrder(
        id=UUID(id_),
        seq=seq,
        client_order_id=client_order_id,
        symbol=symbol,
        side=Side(side),
        qty=Decimal(qty),
        type=OrderType(type_),
        limit_price=None if limit_price is None else Decimal(limit_price),
        time_in_force=TimeInForce(time_in_force),
        status=OrderStatus(status),
        submitted_at=to_time(submitted_at),
        updated_at=to_time(updated_at),
        opens_at=to_time(opens_at),
        expires_at=None if expires_at is None else to_time(expires_at),
        hold_price=Decimal(hold_price),
        filled_qty=Decimal(filled_qty),
        filled_value=Decimal(filled_value),
        filled_at=None if filled_at is None else to_time(filled_at),
    )


def execution_row(execution: Execution) -> tuple[object, ...]:
    return (
        str(execution.id), str(execution.order_id), execution.symbol, execution.side.value,
        plain(execution.qty), plain(execution.price), plain(execution.cumulative_qty),
        to_stamp(execution.time),
    )  # fmt: skip


def to_execution(row: tuple[Any, ...]) -> Execution:
    id_, order_id, symbol, side, qty, price, cumulative_qty, time = row
    return Execution(
        UUID(id_), UUID(order_id), symbol, Side(side), Decimal(qty), Decimal(price),
        Decimal(cumulative_qty), to_time(time), 0,
    )  # fmt: skip


def to_stamp(time: datetime, *, up: bool = False) -> int:
    """Return whole seconds since 1970, rounded up when asked for."""
    seconds = int(time.timestamp())
    return seconds + 1 if up and time.microsecond else seconds


def to_time(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
