"""Adjustments that make the database agree with an audit: trades and orders stay as they are.

What an order has filled here is taken back, and what the broker says is booked, under the order's id: the next
audit counts both. Where the shares were adopted before, without their order, nothing but that is corrected.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

from smabot.domain.book import Book
from smabot.domain.cash_movements import CashMovement
from smabot.domain.frozen_classes import replace
from smabot.domain.records import MICRO, ZERO, Adjustment
from smabot.engine.auditing.audit_table import UNKNOWN_CASH, Audit
from smabot.engine.auditing.own_records import OwnRecords, Traded
from smabot.engine.auditing.statement import Statement
from smabot.engine.reconciling.cash_activities import movement_of

BY_AUDIT = "by the audit of the broker's executions"
ADOPTED_BEFORE = "adopted before without its order"
TRADES = frozenset(
    {"fill_missing_here", "fill_missing_there", "quantity", "price", "side", "symbol", "external_trade"}
)  # fmt: skip
"""Kinds of differences that adjustments correct."""


def order_corrections(
    found: Audit,
    own: OwnRecords,
    book: Book,
    there: Mapping[str, Decimal],
    left_out: Collection[str],
    now: datetime,
) -> list[Adjustment]:
    """Return the adjustments of all orders that differ, but for ``left_out``: a comparison corrects those.

    ``there``: the broker's signed shares by symbol.
    """
    rows: list[Adjustment] = []
    for each in found.differences:
        name = each.order_id
        if each.kind not in TRADES or name in left_out:
            continue
        order = own.orders.get(name)
        strategy = order.strategy if order is not None else ""
        if (here := found.here.get(name)) is not None:
            rows.append(_row(name, strategy, here, -1, now))
        if (seen := found.there.get(name)) is not None:
            rows.append(_row(name, strategy, seen, 1, now))
    changes: dict[str, Decimal] = {}
    for row in rows:
        changes[row.symbol] = changes.get(row.symbol, ZERO) + row.qty
    adopted = {
        symbol
        for symbol, change in changes.items()
        if change and book.net(symbol) == there.get(symbol, ZERO)
    }
    back = [
        replace(row, qty=-row.qty, cash=-row.cash, client_order_id="", reason=ADOPTED_BEFORE)
        for row in rows
        if row.symbol in adopted
    ]
    return [*rows, *back]


def unknown_movements(
    found: Audit, statement: Statement, left_out: Collection[str], now: datetime
) -> list[CashMovement]:
    """Return the movements of cash that are not booked here, but for ``left_out``, by their ids."""
    unknown = {each.activity_id for each in found.differences if each.kind == UNKNOWN_CASH}
    wanted = unknown - set(left_out)
    return [movement_of(each, now) for each in statement.activities if each.activity_id in wanted]


def _row(name: str, strategy: str, traded: Traded, sign: int, now: datetime) -> Adjustment:
    """Return what books an order's trade (1), or takes it back (-1)."""
    qty = traded.qty * traded.side.sign * sign
    cash = -traded.value * traded.side.sign * sign
    price = (traded.value / traded.qty).quantize(MICRO) if traded.qty else ZERO
    return Adjustment(
        now, strategy, traded.symbol, qty, price, BY_AUDIT, cash, client_order_id=name
    )
