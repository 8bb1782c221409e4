"""What must be equal at the end, with nothing under way: both books' orders, fills, sums and calls of hooks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal

from smabot.domain.order_terms import Side, Status
from smabot.domain.records import ZERO, Account, Fill, Holding, Order
from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.fill_probe import FillCalls
from smabot.testing.simulation.shares import followed_splits

CENT = Decimal("0.01")


def differing_ends(journal: Database, exchange: SimulatedExchange) -> Iterator[str]:
    """Yield the orders that are open on one side and have ended on the other."""
    there = {order.client_order_id: order for order in exchange.orders()}
    for order in journal.rows(Order):
        seen = there.get(order.client_order_id)
        if not order.status.terminal and (seen is None or seen.status.terminal):
            at_exchange = seen.status if seen else "unknown"
            yield f"{order.client_order_id} is {order.status} here and {at_exchange} there"
        ended = order.status.terminal and order.given_up_at is None
        if ended and seen is not None and not seen.status.terminal:
            yield f"{order.client_order_id} is {order.status} here and {seen.status} there"


def invented_refusals(
    journal: Database, exchange: SimulatedExchange, refused: Collection[str]
) -> Iterator[str]:
    """Yield the orders that are refused here and were never refused there. ``refused``: their ids."""
    there = {o.client_order_id for o in exchange.orders() if o.status is Status.REJECTED}
    for order in journal.rows(Order, where={"status": [Status.REJECTED]}):
        name = order.client_order_id
        if name not in there and name not in refused:
            yield f"{name} was never refused: {order.reason}"


def unexplained_cancels(journal: Database) -> Iterator[str]:
    """Yield the orders that the bot canceled and that do not say why."""
    for order in journal.rows(Order, where={"status": [Status.CANCELED]}):
        if order.cancel_requested_at is not None and not (order.reason and order.cancel_reason):
            yield f"{order.client_order_id} does not say why it was canceled"


def tried_twice(journal: Database, exchange: SimulatedExchange) -> Iterator[str]:
    """Yield the decisions to enter that have more than one order at the exchange."""
    entries: dict[str, list[str]] = {}
    kept = {order.client_order_id for order in journal.rows(Order) if not order.reduces}
    for order in exchange.orders():
        if (name := order.client_order_id) in kept:
            entries.setdefault(name.rpartition("-")[0], []).append(name)
    for names in entries.values():
        if len(names) > 1:
            yield f"one decision, {len(names)} orders: {names}"


def miscounted_fills(journal: Database) -> Iterator[str]:
    """Yield the fills that a plugin's `on_fill` was not shown exactly once."""
    calls = {(c.client_order_id, c.cumulative_qty): c.count for c in journal.rows(FillCalls)}
    fills = {(fill.client_order_id, fill.cumulative_qty) for fill in journal.rows(Fill)}
    for key in sorted(fills | calls.keys()):
        if (count := calls.get(key, 0)) != (key in fills):
            yield f"{key[0]} at {key[1]} shares: {count} calls of on_fill"


def differing_profit(journal: Database, exchange: SimulatedExchange) -> Iterator[str]:
    """Yield the positions whose realized P&L is not what the exchange's fills make, by average cost and less fees."""
    holdings: dict[str, Holding] = {
        order.client_order_id: (order.strategy, order.symbol) for order in journal.rows(Order)
    }
    held: dict[Holding, Decimal] = {}
    cost: dict[Holding, Decimal] = {}
    right: dict[Holding, Decimal] = {}
    splits = followed_splits(journal)
    for fill in exchange.fills():
        while splits and splits[0].effective_at <= fill.time:
            split = splits.pop(0)
            for holding in held:
                held[holding] *= split.ratio if holding[1] == split.symbol else 1
        if (key := holdings.get(fill.client_order_id)) is None:
            continue
        right[key] = right.get(key, ZERO) - fill.fees
        if fill.side is Side.BUY:
            held[key] = held.get(key, ZERO) + fill.qty
            cost[key] = cost.get(key, ZERO) + fill.qty * fill.price
        elif held.get(key):
            average = cost[key] / held[key]
            right[key] += fill.qty * (fill.price - average)
            held[key], cost[key] = held[key] - fill.qty, cost[key] - fill.qty * average
    kept: dict[Holding, Decimal] = {}
    for row in journal.rows(Fill):
        holding = row.strategy, row.symbol
        kept[holding] = kept.get(holding, ZERO) + row.realized_pnl
    for key, profit in right.items():
        if abs(profit - kept.get(key, ZERO)) >= CENT:
            yield f"{key} realized {kept.get(key, ZERO)} here, {profit} by the exchange's fills"


def differing_fees(journal: Database, exchange: SimulatedExchange) -> Iterator[str]:
    """Yield the orders that were charged something else than the exchange charged, or than their fills say."""
    there: dict[str, Decimal] = {}
    for fill in exchange.fills():
        there[fill.client_order_id] = there.get(fill.client_order_id, ZERO) + fill.fees
    by_fills: dict[str, Decimal] = {}
    for row in journal.rows(Fill):
        by_fills[row.client_order_id] = by_fills.get(row.client_order_id, ZERO) + row.fees
    for order in journal.rows(Order):
        name = order.client_order_id
        charged, fills = there.get(name, ZERO), by_fills.get(name, ZERO)
        if not order.fees == fills == charged:
            yield f"{name} was charged {order.fees}, its fills {fills}, and {charged} by the exchange"


def profit_from_outside(journal: Database, opening_cash: Decimal) -> Iterator[str]:
    """Yield where cash that came or went counts as profit. ``opening_cash``: with what came and went."""
    for account in journal.rows(Account):
        if abs(account.opening_cash - opening_cash) >= CENT:
            yield f"opening cash is {account.opening_cash}, and should be {opening_cash}"
