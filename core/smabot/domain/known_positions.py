"""Positions by strategy and symbol, with the P&L that they realized."""

from __future__ import annotations

from decimal import Decimal

from smabot.domain.cost_basis import closed_pnl, filled_value
from smabot.domain.records import ZERO, Holding, Order, Position


class KnownPositions:
    """Each holding's position, closed ones too."""

    def __init__(self) -> None:
        self.all: dict[Holding, Position] = {}
        self.by_symbol: dict[str, dict[str, Position]] = {}
        self.realized_pnl = ZERO
        self.changes = 0

    def qty(self, holding: Holding) -> Decimal:
        """Return the signed shares of a holding."""
        position = self.all.get(holding)
        return position.qty if position else ZERO

    def put(self, position: Position) -> Decimal:
        """Keep a position as it is now; returns by how many signed shares it has changed."""
        holding = (position.strategy, position.symbol)
        old = self.all.get(holding)
        self.changes += 1
        self.all[holding] = position
        self.by_symbol.setdefault(position.symbol, {})[position.strategy] = position
        self.realized_pnl += position.realized_pnl - (old.realized_pnl if old else ZERO)
        return position.qty - (old.qty if old else ZERO)

    def basis(self, holding: Holding) -> tuple[Decimal, Decimal, Decimal]:
        """Return a position's signed shares, their signed cost, and the P&L realized so far."""
        position = self.all.get(holding)
        if position is None:
            return ZERO, ZERO, ZERO
        basis = position.cost if position.qty >= 0 else -position.cost
        return position.qty, basis, position.realized_pnl

    def realized_by(self, order: Order, filled_qty: Decimal, value: Decimal) -> Decimal:
        """Return the P&L before fees of an order at a cumulative fill, from the holding before the order.

        Computed from the start of the order each time, so that rounding can't depend on how many
        of its updates were seen. Shares beyond that holding realize nothing: they open another one.
        """
        if not order.reduces:
            return ZERO
        sign = order.side.sign
        qty, basis, _ = self.basis((order.strategy, order.symbol))
        start_qty = qty - order.filled_qty * sign
        start_basis = basis - filled_value(order) * sign - order.gross_pnl
        return closed_pnl(start_qty, start_basis, filled_qty * sign, value)

    def average_price(self, symbol: str) -> Decimal:
        """Return what a share of a symbol cost that is held, of one strategy; 0: none is held."""
        held = (p for p in self.by_symbol.get(symbol, {}).values() if p.qty)
        return next((position.avg_price for position in held), ZERO)
