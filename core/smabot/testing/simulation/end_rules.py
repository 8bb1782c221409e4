"""What must be equal at the end of a schedule, with nothing under way (rules 1, 2 and 3): both books."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from smabot.domain.records import ZERO, Account, Adjustment, EquityPoint, Fill, Order, Position
from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.testing.simulation.audit_rules import audit_differences
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.ledger_sums import (
    differing_ends,
    differing_fees,
    differing_profit,
    invented_refusals,
    miscounted_fills,
    profit_from_outside,
    tried_twice,
    unexplained_cancels,
)
from smabot.testing.simulation.outside_changes import OutsideChanges

CENT = Decimal("0.01")
Broken = Iterator[tuple[str, str]]
"""Rules that are broken, each with what breaks it."""


class EndRules:
    """Compares the journal with the exchange's ledger."""

    def __init__(self, journal: Database, exchange: SimulatedExchange, bot: str) -> None:
        """``bot``: what its orders' ids begin with."""
        self._journal = journal
        self._exchange = exchange
        self._ours = f"{bot}-"
        self._first_cash = exchange.cash()
        self._refused: set[str] = set()

    def refused(self, order: Order) -> None:
        """Note that the exchange has refused an order."""
        self._refused.add(order.client_order_id)

    def broken(self, outside: OutsideChanges) -> Broken:
        """Yield the rules that are broken. ``outside``: what others did to the account."""
        yield from self._orders()
        yield from self._fills_once()
        yield from self._positions()
        yield from self._money()
        yield from self._sums(outside)

    def _orders(self) -> Broken:
        there = {
            order.client_order_id: order
            for order in self._exchange.orders()
            if order.client_order_id.startswith(self._ours)
        }
        here = {order.client_order_id: order for order in self._journal.rows(Order)}
        if strange := sorted(there.keys() - here.keys()):
            yield "1 committed first", f"the exchange has {strange}, never committed"
        late = {
            name: (str(here[name].filled_qty), str(order.filled_qty))
            for name, order in there.items()
            if here[name].filled_qty != order.filled_qty
        }
        if late:
            yield "2 fills", f"filled here and there: {late}"

    def _fills_once(self) -> Broken:
        kept = {
            (fill.client_order_id, fill.cumulative_qty): fill.qty
            for fill in self._journal.rows(Fill)
        }
        here: dict[str, Decimal] = {}
        for (name, _), qty in kept.items():
            here[name] = here.get(name, ZERO) + qty
        there: dict[str, Decimal] = {}
        for fill in self._exchange.fills():
            if fill.client_order_id.startswith(self._ours):
                name = fill.client_order_id
                there[name] = there.get(name, ZERO) + fill.qty
        if here != there:
            differing = {n for n in {*here, *there} if here.get(n) != there.get(n)}
            yield "2 fills", f"not counted once: {sorted(differing)}"

    def _positions(self) -> Broken:
        sums: dict[tuple[str, str], Decimal] = {}
        for fill in self._journal.rows(Fill):
            key = fill.strategy, fill.symbol
            sums[key] = sums.get(key, ZERO) + fill.qty * fill.side.sign
        for change in self._journal.rows(Adjustment):
            key = change.strategy, change.symbol
            sums[key] = sums.get(key, ZERO) + change.qty
        positions = self._journal.rows(Position)
        kept = {(p.strategy, p.symbol): p.qty for p in positions if p.qty}
        if kept != {key: qty for key, qty in sums.items() if qty and key[1]}:
            yield "2 positions", f"{kept} kept, {sums} by trades"
        held: dict[str, Decimal] = {}
        for (_, symbol), qty in kept.items():
            held[symbol] = held.get(symbol, ZERO) + qty
        if {s: q for s, q in held.items() if q} != self._exchange.positions():
            yield "2 positions", f"{held} here, {self._exchange.positions()} there"

    def _money(self) -> Broken:
        account = next(iter(self._journal.rows(Account)), None)
        if account is None:
            return
        if abs(account.cash - self._exchange.cash()) >= CENT:
            yield "3 cash", f"{account.cash} here, {self._exchange.cash()} there"
        point = max(self._journal.rows(EquityPoint), key=lambda each: each.time, default=None)
        flat = point is not None and not self._exchange.positions()
        if point is not None and flat and abs(point.cash - self._exchange.cash()) >= CENT:
            yield "3 equity", f"cash {point.cash} here, {self._exchange.cash()} there"

    def _sums(self, outside: OutsideChanges) -> Broken:
        journal, exchange = self._journal, self._exchange
        findings = {
            "1 once": tried_twice(journal, exchange),
            "2 ends": differing_ends(journal, exchange),
            "2 refusals": invented_refusals(journal, exchange, self._refused),
            "2 reasons": unexplained_cancels(journal),
            "2 hooks": miscounted_fills(journal),
            "3 fees": differing_fees(journal, exchange),
        }
        if not outside.traded:
            opening = self._first_cash + outside.deposited
            findings["3 profit"] = differing_profit(journal, exchange)
            findings["3 outside"] = profit_from_outside(journal, opening)
            findings["3 audit"] = audit_differences(journal, exchange, self._ours[:-1])
        for rule, found in findings.items():
            for what in found:
                yield rule, what
