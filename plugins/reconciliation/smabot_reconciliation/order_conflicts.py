"""The conflicts about an order, each with its remedy: the records that make the database agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smabot.provider import MICRO, ZERO, Book, BrokerOrder, Conflict, Fill, Order, Status, money

ACCEPT = "`smabot reconcile --accept broker` accepts the broker's state, with audit records"


def order_mismatch(book: Book, order: Order, seen: BrokerOrder, fills: Sequence[Fill]) -> Conflict:
    """Return the conflict of an order that the broker has with another payload, or with fewer fills: it
    busted some.

    The remedy reverses busted fills, writes the broker's payload, and applies the broker's fills, all in
    one acceptance. ``fills`` are those that the database has of it.
    """
    same = (seen.symbol, seen.side) == (order.symbol, order.side)
    kept = min(order.filled_qty, seen.filled_qty) if same else ZERO
    known = seen if kept == seen.filled_qty else order
    after = book.copy()
    after.apply(order)
    after.apply(
        replace(
            order, status=Status.PENDING, given_up_at=None, filled_qty=kept,
            filled_avg_price=known.filled_avg_price if kept else None, fees=known.fees if kept else ZERO,
        )
    )  # fmt: skip
    left = after.orders[order.client_order_id]
    remedy: list[object] = [order, left, *_corrected_fills(left, order, fills)]
    if seen.is_for(order):
        kind, here, there = "overfilled_locally", _filled(order), _filled(seen)
        reason = "fills taken from the broker"
    else:
        kind, here, there = "payload_mismatch", describe_payload(order), describe_payload(seen)
        reason = "payload taken from the broker"
        held = after.holding(order.strategy, seen.symbol)
        remedy.append(
            replace(
                left, symbol=seen.symbol, side=seen.side, qty=seen.qty, type=seen.type,
                limit_price=seen.limit_price, time_in_force=seen.time_in_force,
                reduces=left.reduces if kept else held * seen.side.sign < 0,
            )
        )  # fmt: skip
    remedy.append(replace(seen.update(), reason=reason))
    return Conflict(kind, order.client_order_id, here, there, ACCEPT, tuple(remedy))


def _corrected_fills(left: Order, order: Order, fills: Sequence[Fill]) -> list[Fill]:
    """Return an order's fills after some were busted: those keep their rows, with 0 shares.

    Fees that the broker has kept for them stay with the first one.
    """
    if left.filled_qty == order.filled_qty:
        return []
    kept = [fill for fill in fills if fill.cumulative_qty <= left.filled_qty]
    gone = [fill for fill in fills if fill.cumulative_qty > left.filled_qty]
    if not gone:
        return []
    rows = [replace(fill, qty=ZERO, realized_pnl=ZERO, fees=ZERO) for fill in gone]
    qty = left.filled_qty - sum((fill.qty for fill in kept), ZERO)
    realized = left.realized_pnl - sum((fill.realized_pnl for fill in kept), ZERO)
    fees = left.fees - sum((fill.fees for fill in kept), ZERO)
    if not qty:
        rows[0] = replace(rows[0], realized_pnl=realized, fees=fees)
        return rows
    value = money(left.filled_qty * (left.filled_avg_price or ZERO))
    value -= sum((fill.qty * fill.price for fill in kept), ZERO)
    rest = replace(
        gone[0], cumulative_qty=left.filled_qty, qty=qty, price=(value / qty).quantize(MICRO),
        realized_pnl=realized, fees=fees,
    )  # fmt: skip
    return [*rows, rest]


def filled_after_its_end(here: Order, seen: BrokerOrder) -> Conflict:
    """Return the conflict of an order that the bot ended, as the broker left it open after its session, and
    that filled later.

    Where the broker still has it open, the remedy opens it here again: it ends once more by its time.
    """
    return Conflict(
        "filled_after_its_end", here.client_order_id, f"ended by the bot with {here.filled_qty:f} filled",
        f"{seen.status}, filled {seen.filled_qty:f}", ACCEPT,
        (replace(here, status=Status.PENDING, given_up_at=None), seen.update()),
    )  # fmt: skip


def unknown_locally(book: Book, seen: BrokerOrder, here: Order | None) -> Conflict:
    """Return the conflict of one of our ids that was never written here, or whose order has ended here and
    is open there.

    A sale of what its strategy does not hold is no exit: it realizes nothing.
    """
    strategy = seen.client_order_id.split("-")[1] if seen.client_order_id.count("-") >= 4 else ""
    reason = "adopted from the broker"
    adopted = Order(
        client_order_id=seen.client_order_id, strategy=strategy, symbol=seen.symbol, side=seen.side,
        qty=seen.qty, type=seen.type, limit_price=seen.limit_price,
        time_in_force=seen.time_in_force, bar_time=seen.submitted_at, attempt=1,
        reduces=book.holding(strategy, seen.symbol) * seen.side.sign < 0,
        created_at=seen.submitted_at, reason=reason,
    )  # fmt: skip
    if here is not None:
        adopted = replace(here, status=Status.PENDING, reason=reason)
    return Conflict(
        "unknown_locally", seen.client_order_id, str(here.status) if here else "never written",
        f"{seen.status}, {describe_payload(seen)}",
        f"another bot with this name, or an older database? stop that bot, or restore the newer database; {ACCEPT}",
        (adopted, seen.update()),
    )  # fmt: skip


def describe_payload(order: Order | BrokerOrder) -> str:
    """Return what an order is for, in words."""
    limit = f" at {order.limit_price:f}" if order.limit_price is not None else ""
    return f"{order.side} {order.qty:f} {order.symbol} {order.type}{limit}"


def _filled(order: Order | BrokerOrder) -> str:
    return f"filled {order.filled_qty:f}"
