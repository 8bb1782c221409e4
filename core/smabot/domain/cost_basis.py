"""What a trade realizes against what is held at a cost: pure sums, in US dollars."""

from __future__ import annotations

from decimal import Decimal

from smabot.domain.records import ZERO, Order, OrderUpdate, money


def closed_pnl(held: Decimal, basis: Decimal, qty: Decimal, value: Decimal) -> Decimal:
    """Return the P&L of trading signed shares for a value against what is held at a signed cost."""
    closing = min(abs(qty), abs(held)) if qty * held < 0 else ZERO
    if not closing:
        return ZERO
    closed = basis if closing == abs(held) else money(basis * closing / abs(held))
    got = value if closing == abs(qty) else money(value * closing / abs(qty))
    return (got if held > 0 else -got) - closed


def filled_value(filled: Order | OrderUpdate) -> Decimal:
    """Return what an order's filled shares cost, or brought."""
    return money(filled.filled_qty * (filled.filled_avg_price or ZERO))
