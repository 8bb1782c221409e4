"""How bars, orders and executions lie in the ledger's tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from smabot.provider import ActionKind, Bar, CorporateAction, Side
from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.ledger.changes import CashActivityEntry
from smabot_exchange.matching.activity_notes import ActivityNote
from smabot_exchange.matching.order_states import OrderStatus, StallReason
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    Execution,
    OrderClass,
    OrderType,
    PositionIntent,
    TimeInForce,
    plain,
)

_COLUMNS = (
    "seq", "id", "client_order_id", "symbol", "side", "qty", "type", "limit_price",
    "time_in_force", "status", "submitted_at", "updated_at", "opens_at", "expires_at",
    "hold_price", "filled_qty", "filled_value", "filled_at", "notional", "stop_price",
    "trail_price", "trail_percent", "hwm", "triggered_at", "extended_hours", "order_class",
    "position_intent", "parent_id", "replaces", "replaced_by", "stall", "stalled_until", "fees",
)  # fmt: skip
_CHANGING = (
    "qty", "status", "updated_at", "opens_at", "filled_qty", "filled_value", "filled_at",
    "stop_price", "hwm", "triggered_at", "parent_id", "replaced_by", "stall", "stalled_until", "fees",
)  # fmt: skip
_MOST_DIGITS = 30
"""Before or after the point: more are no number of dollars or shares."""
_PLACE = (
    "1 + seq - (SELECT min(earlier.seq) FROM orders AS earlier "
    "WHERE earlier.submitted_at = orders.submitted_at)"
)
"""An order's place among those of the same time, which follows from their numbers."""
ORDER_COLUMNS = ", ".join((*_COLUMNS, _PLACE))
INSERT_ORDER = (
    f"INSERT INTO orders ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
)
UPDATE_ORDER = f"UPDATE orders SET {', '.join(f'{name} = ?' for name in _CHANGING)} WHERE seq = ?"  # noqa: S608
EXECUTION_COLUMNS = "id, order_id, symbol, side, qty, price, cumulative_qty, time, number, fees"
ACTION_COLUMNS = (
    "id, symbol, kind, ex_date, new_shares, old_shares, new_symbol, turned_at, followed_at, qty_before, "
    "qty_after"
)
PUT_ACTION = f"INSERT OR REPLACE INTO corporate_actions ({ACTION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
INSERT_EXECUTION = f"INSERT INTO fills ({EXECUTION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


def to_minutes(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[datetime, list[Bar]]]:
    make, kind = tuple.__new__, Bar
    for stamp, group in groupby(rows, itemgetter(0)):
        time = to_time(stamp)
        yield (
            time,
            [make(kind, (s, time, o, h, lo, c, v, n, w)) for _, s, o, h, lo, c, v, n, w in group],
        )


def to_bar(row: tuple[Any, ...]) -> Bar:
    stamp, symbol, *rest = row
    return Bar(symbol, to_time(stamp), *rest)


def order_row(order: ExchangeOrder) -> tuple[object, ...]:
    """Return all columns of a new order."""
    return (
        order.seq, str(order.id), order.client_order_id, order.symbol, order.side.value,
        plain(order.qty), order.type.value, _text(order.limit_price),
        order.time_in_force.value, order.status.value, to_stamp(order.submitted_at),
        to_stamp(order.updated_at), to_stamp(order.opens_at), _stamp(order.expires_at),
        plain(order.hold_price), plain(order.filled_qty), plain(order.filled_value),
        _stamp(order.filled_at), _text(order.notional), _text(order.stop_price),
        _text(order.trail_price), _text(order.trail_percent), _text(order.hwm),
        _stamp(order.triggered_at), int(order.extended_hours), order.order_class.value,
        order.position_intent.value, _id(order.parent_id), _id(order.replaces),
        _id(order.replaced_by), _word(order.stall), _stamp(order.stalled_until), plain(order.fees),
    )  # fmt: skip


def change_row(order: ExchangeOrder) -> tuple[object, ...]:
    """Return what may have changed of an order, and its key."""
    return (
        plain(order.qty), order.status.value, to_stamp(order.updated_at),
        to_stamp(order.opens_at), plain(order.filled_qty), plain(order.filled_value),
        _stamp(order.filled_at), _text(order.stop_price), _text(order.hwm),
        _stamp(order.triggered_at), _id(order.parent_id), _id(order.replaced_by),
        _word(order.stall), _stamp(order.stalled_until), plain(order.fees), order.seq,
    )  # fmt: skip


def to_order(row: tuple[Any, ...]) -> ExchangeOrder:
    (
        seq, id_, client_order_id, symbol, side, qty, type_, limit_price, time_in_force, status,
        submitted_at, updated_at, opens_at, expires_at, hold_price, filled_qty, filled_value,
        filled_at, notional, stop_price, trail_price, trail_percent, hwm, triggered_at,
        extended_hours, order_class, position_intent, parent_id, replaces, replaced_by,
        stall, stalled_until, fees, place,
    ) = row  # fmt: skip
    whole, filled = to_decimal(qty), to_decimal(filled_qty)
    if filled < 0 or (notional is None and not filled <= whole > 0):
        raise ValueError(f"order {client_order_id} has filled {filled} of {whole} shares")
    return ExchangeOrder(
        id=UUID(id_),
        seq=seq,
        client_order_id=client_order_id,
        symbol=symbol,
        side=Side(side),
        qty=whole,
        type=OrderType(type_),
        limit_price=_decimal(limit_price),
        time_in_force=TimeInForce(time_in_force),
        status=OrderStatus(status),
        submitted_at=to_time(submitted_at),
        updated_at=to_time(updated_at),
        opens_at=to_time(opens_at),
        expires_at=_time(expires_at),
        hold_price=to_decimal(hold_price),
        filled_qty=filled,
        filled_value=to_decimal(filled_value),
        filled_at=_time(filled_at),
        notional=_decimal(notional),
        stop_price=_decimal(stop_price),
        trail_price=_decimal(trail_price),
        trail_percent=_decimal(trail_percent),
        hwm=_decimal(hwm),
        triggered_at=_time(triggered_at),
        extended_hours=bool(extended_hours),
        order_class=OrderClass(order_class),
        position_intent=PositionIntent(position_intent),
        parent_id=_uuid(parent_id),
        replaces=_uuid(replaces),
        replaced_by=_uuid(replaced_by),
        stall=None if stall is None else StallReason(stall),
        stalled_until=_time(stalled_until),
        fees=to_decimal(fees),
        place=place,
    )


def execution_row(execution: Execution) -> tuple[object, ...]:
    return (
        str(execution.id), str(execution.order_id), execution.symbol, execution.side.value,
        plain(execution.qty), plain(execution.price), plain(execution.cumulative_qty),
        to_stamp(execution.time), execution.number, plain(execution.fees),
    )  # fmt: skip


def to_execution(row: tuple[Any, ...]) -> Execution:
    id_, order_id, symbol, side, qty, price, cumulative_qty, time, number, fees = row
    return Execution(
        UUID(id_), UUID(order_id), symbol, Side(side), to_decimal(qty), to_decimal(price),
        to_decimal(cumulative_qty), to_time(time), number, to_decimal(fees),
    )  # fmt: skip


def activity_columns(note: ActivityNote | None) -> tuple[object, ...]:
    """Return how moved cash is listed; an empty kind: by its sign."""
    if note is None:
        return "", "", "", 0
    after = note.shown_after
    seconds = None if after is None else int(after.total_seconds())
    return note.kind, note.symbol, note.description, seconds


def to_cash_activity(row: tuple[Any, ...]) -> CashActivityEntry:
    number, time, cash, kind, symbol, description, seconds = row
    moved = to_decimal(cash)
    after = None if seconds is None else timedelta(seconds=seconds)
    note = ActivityNote(kind, symbol, description, after) if kind else ActivityNote.of(moved)
    return CashActivityEntry(number, to_time(time), moved, note)


def action_row(listed: ListedAction) -> tuple[object, ...]:
    action = listed.action
    return (
        action.action_id, action.symbol, action.kind.value, action.ex_date.isoformat(),
        plain(action.new_shares), plain(action.old_shares), action.new_symbol,
        _stamp(listed.turned_at), _stamp(listed.followed_at), plain(listed.qty_before),
        plain(listed.qty_after),
    )  # fmt: skip


def to_action(row: tuple[Any, ...]) -> ListedAction:
    id_, symbol, kind, ex_date, new, old, new_symbol, turned_at, followed_at, before, after = row
    action = CorporateAction(
        id_, symbol, ActionKind(kind), date.fromisoformat(ex_date), to_decimal(new), to_decimal(old),
        new_symbol,
    )  # fmt: skip
    return ListedAction(
        action, turned_at=to_time(turned_at), followed_at=_time(followed_at),
        qty_before=to_decimal(before), qty_after=to_decimal(after),
    )  # fmt: skip


def to_stamp(time: datetime, *, up: bool = False) -> int:
    """Return whole seconds since 1970, rounded up when asked for."""
    seconds = int(time.timestamp())
    return seconds + 1 if up and time.microsecond else seconds


def to_time(stamp: int) -> datetime:
    """Return the time of a stamp. Raises ValueError for a value that is none."""
    try:
        return datetime.fromtimestamp(stamp, UTC)
    except (OverflowError, OSError, TypeError):
        raise ValueError(f"{str(stamp)[:40]!r} is no time") from None


def to_decimal(text: str) -> Decimal:
    """Return a stored number. Raises ValueError for a value that is none."""
    try:
        value = Decimal(text)
    except (ArithmeticError, TypeError):
        value = Decimal("NaN")
    if not value.is_finite() or (value and abs(value.adjusted()) > _MOST_DIGITS):
        raise ValueError(f"{str(text)[:40]!r} is no number")
    return value


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else to_decimal(text)


def _stamp(time: datetime | None) -> int | None:
    return None if time is None else to_stamp(time)


def _time(stamp: int | None) -> datetime | None:
    return None if stamp is None else to_time(stamp)


def _word(value: StrEnum | None) -> str | None:
    return None if value is None else value.value


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
