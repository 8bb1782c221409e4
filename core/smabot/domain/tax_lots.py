"""Lots, first in, first out: which shares each sale closes, with their cost and proceeds, as for a tax return.

P&L elsewhere is by average cost (`smabot.domain.cost_basis`) and by strategy. Lots are of the account: a broker does
not know strategies. Fees belong to lots here: those of the entry to its cost, those of the exit to its proceeds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from heapq import merge

from smabot.domain.calendar import new_york_date
from smabot.domain.records import MICRO, ZERO, Adjustment, Fill


@dataclass(frozen=True, slots=True)
class ClosedLot:
    """Shares that were opened at once and closed at once. Times in UTC, money in US dollars.

    ``side`` is that of the position: ``long``, or ``short``. ``proceeds`` are less the sale's fees, ``cost_basis``
    has the purchase's; ``gain`` is what is between them. ``fees`` are both. ``holding_days`` are between the New
    York dates. Order ids are empty where a reconciliation adopted the shares.
    """

    symbol: str
    side: str
    qty: Decimal
    acquired_at: datetime
    sold_at: datetime
    proceeds: Decimal
    cost_basis: Decimal
    fees: Decimal
    gain: Decimal
    holding_days: int
    opening_order: str
    closing_order: str


@dataclass(slots=True)
class _Lot:
    """Signed shares that are open, what they were traded for, and the fees of that."""

    qty: Decimal
    value: Decimal
    fees: Decimal
    time: datetime
    order: str

    def split_off(self, qty: Decimal) -> _Lot:
        """Take so many of its shares, with their part of value and fees."""
        if qty == self.qty:
            value, fees = self.value, self.fees
        else:
            value = (self.value * qty / self.qty).quantize(MICRO)
            fees = (self.fees * qty / self.qty).quantize(MICRO)
        self.qty, self.value, self.fees = self.qty - qty, self.value - value, self.fees - fees
        return _Lot(qty, value, fees, self.time, self.order)


def closed_lots(
    fills: Iterable[Fill], adjustments: Iterable[Adjustment] = ()
) -> tuple[list[ClosedLot], dict[str, Decimal]]:
    """Return the closed lots, by when they were closed, and the signed shares that are still open by symbol.

    Both must come oldest first, and from the beginning. A split (an adjustment without a price) changes the
    shares of the open lots, and neither their cost nor their dates; a change of name closes none.
    """
    adjustments = list(adjustments)
    renamed = _renamed(adjustments)
    lots: dict[str, deque[_Lot]] = {}
    closed: list[ClosedLot] = []
    rows: Iterable[Fill | Adjustment] = merge(fills, adjustments, key=lambda row: row.time)
    for row in rows:
        if not row.symbol or not row.qty:
            continue
        queue = lots.setdefault(row.symbol, deque())
        if (change := renamed.get(id(row))) is not None:
            if row is change.gone:
                _rename(queue, lots.setdefault(change.come.symbol, deque()), abs(row.qty))
            continue
        if isinstance(row, Adjustment) and not row.price:
            _split(queue, row.qty)
            continue
        closed += _taken(queue, row.symbol, _lot_of(row))
    held = {symbol: sum((lot.qty for lot in queue), ZERO) for symbol, queue in lots.items()}
    return closed, {symbol: qty for symbol, qty in sorted(held.items()) if qty}


@dataclass(frozen=True, slots=True)
class _Renamed:
    """Shares that are called otherwise: two adjustments at one time, which nobody paid for."""

    gone: Adjustment
    come: Adjustment


def _renamed(adjustments: Iterable[Adjustment]) -> dict[int, _Renamed]:
    """Return the adjustments that a change of name made, by their identity."""
    half: dict[tuple[object, ...], Adjustment] = {}
    found: dict[int, _Renamed] = {}
    for row in adjustments:
        if not row.price or not row.qty or row.from_outside or row.client_order_id:
            continue
        other = half.pop((row.time, row.strategy, -row.qty, row.reason), None)
        if other is None or other.symbol == row.symbol:
            half[row.time, row.strategy, row.qty, row.reason] = row
            continue
        first, second = (other, row) if _is_gone(other) else (row, other)
        found[id(row)] = found[id(other)] = _Renamed(first, second)
    return found


def _is_gone(row: Adjustment) -> bool:
    """Whether it is the half of a change of name that has the old name, as its reason begins with it."""
    return row.reason.startswith(f"{row.symbol} ")


def _rename(old: deque[_Lot], new: deque[_Lot], qty: Decimal) -> None:
    """Move so many shares, oldest first: they keep what they cost, and their dates."""
    while qty and old:
        lot = old[0]
        part = min(qty, abs(lot.qty))
        new.append(lot.split_off(part if lot.qty > 0 else -part))
        qty -= part
        if not lot.qty:
            old.popleft()


def _lot_of(row: Fill | Adjustment) -> _Lot:
    if isinstance(row, Adjustment):
        return _Lot(row.qty, row.value, ZERO, row.time, row.client_order_id)
    qty = row.qty * row.side.sign
    return _Lot(qty, qty * row.price, row.fees, row.time, row.client_order_id)


def _taken(queue: deque[_Lot], symbol: str, new: _Lot) -> list[ClosedLot]:
    """Let new shares close the oldest lots of the other side; what is left opens one."""
    closed = []
    while new.qty and queue and queue[0].qty * new.qty < 0:
        oldest = queue[0]
        qty = min(abs(oldest.qty), abs(new.qty))
        sign = 1 if oldest.qty > 0 else -1
        opened, closing = oldest.split_off(qty * sign), new.split_off(-qty * sign)
        closed.append(_closed(symbol, opened, closing))
        if not oldest.qty:
            queue.popleft()
    if new.qty:
        queue.append(new)
    return closed


def _closed(symbol: str, opened: _Lot, closing: _Lot) -> ClosedLot:
    is_long = opened.qty > 0
    bought, sold = (opened, closing) if is_long else (closing, opened)
    cost, proceeds = bought.value + bought.fees, -sold.value - sold.fees
    days = new_york_date(closing.time) - new_york_date(opened.time)
    return ClosedLot(
        symbol, "long" if is_long else "short", abs(opened.qty), bought.time, sold.time,
        proceeds, cost, opened.fees + closing.fees, proceeds - cost, days.days, opened.order,
        closing.order,
    )  # fmt: skip


def _split(queue: deque[_Lot], change: Decimal) -> None:
    """Divide a split's change among the open lots, by their shares."""
    held = sum((lot.qty for lot in queue), ZERO)
    if not held:
        return
    left = change
    for lot in list(queue)[:-1]:
        part = (change * lot.qty / held).quantize(MICRO)
        lot.qty, left = lot.qty + part, left - part
    queue[-1].qty += left
