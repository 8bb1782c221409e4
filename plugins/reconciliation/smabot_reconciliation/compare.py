"""The comparison itself: pure, so that each row of its table can be read and tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from smabot.book import Book, Holding
from smabot.config import Config
from smabot.hookspecs import Conflict, Reconciliation
from smabot.ports import BrokerAccount, BrokerOrder, BrokerPosition
from smabot.records import ZERO, Account, Adjustment, Order, OrderUpdate, Status

ACCEPT = "`smabot reconcile --accept broker` takes the broker's word, on the record"
SPLITS = {Fraction(n) for n in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 50)} | {Fraction(3, 2)}
CENT = Decimal("0.01")
ACCOUNT_MISMATCH = "account_mismatch"
"""The conflict that no second look can clear up."""


@dataclass(frozen=True, slots=True)
class BrokerView:
    """What the broker said: its open and recent orders, every order of ours that was looked up,
    positions."""

    account: BrokerAccount
    recent: tuple[BrokerOrder, ...]
    orders: Mapping[str, BrokerOrder]
    positions: Mapping[str, BrokerPosition]


def compare(
    config: Config, book: Book, view: BrokerView, symbols: Sequence[str], now: datetime
) -> Reconciliation:
    """Compare the book with the broker; changes neither.

    Returns updates that bring the book up to date, or conflicts that nobody but a person can
    resolve.
    """
    bound = book.account
    if bound is not None and bound.account_id != view.account.account_id:
        return Reconciliation(conflicts=(_account_mismatch(bound, view),))
    updates: list[OrderUpdate] = []
    conflicts: list[Conflict] = []
    for order in book.open_orders():
        found = _own_order(book, view, order, now)
        if isinstance(found, OrderUpdate):
            updates.append(found)
        elif found is not None:
            conflicts.append(found)
    updates += _after_all(book, view)
    conflicts += _strange_orders(config, book, view, symbols)
    conflicts += _positions(config, book, view, symbols, updates, conflicts, now)
    notes = _notes(book, view, updates)
    return Reconciliation(tuple(updates), tuple(conflicts), tuple(notes))


def _own_order(
    book: Book, view: BrokerView, order: Order, now: datetime
) -> OrderUpdate | Conflict | None:
    """What the broker knows of an order that is open here."""
    seen = view.orders.get(order.client_order_id)
    if seen is None:
        return _missing(order, now)
    if not seen.is_for(order):
        taken = replace(
            order, symbol=seen.symbol, side=seen.side, qty=seen.qty, type=seen.type,
            limit_price=seen.limit_price, time_in_force=seen.time_in_force,
            reduces=book.holding(order.strategy, seen.symbol) * seen.side.sign < 0,
            reason="payload taken from the broker",
        )  # fmt: skip
        return Conflict(
            "payload_mismatch",
            order.client_order_id,
            _payload(order),
            _payload(seen),
            ACCEPT,
            (taken,),
        )
    if seen.filled_qty < order.filled_qty:
        taken = replace(
            order, filled_qty=seen.filled_qty, filled_avg_price=seen.filled_avg_price,
            status=seen.status, reason="fills taken from the broker",
        )  # fmt: skip
        return Conflict(
            "overfilled_locally", order.client_order_id, f"filled {order.filled_qty}",
            f"filled {seen.filled_qty}", ACCEPT, (taken,),
        )  # fmt: skip
    return seen.update()


def _after_all(book: Book, view: BrokerView) -> list[OrderUpdate]:
    """Fills of orders that were given up here as never arrived, and had: late, and ended by now."""
    return [
        seen.update()
        for seen in view.recent
        if seen.status.terminal
        and (here := book.order(seen.client_order_id)) is not None
        and here.status is Status.ABANDONED
        and seen.filled_qty > here.filled_qty
        and seen.is_for(here)
    ]


def _missing(order: Order, now: datetime) -> Conflict | None:
    """An order of ours that the broker does not show.

    Whether one that nobody answered is sent again or given up is for who sends it: core's outbox
    knows when it was sent last.
    """
    if order.status not in (Status.PENDING, Status.UNKNOWN):
        gone = replace(
            order, status=Status.CANCELED, updated_at=now, reason="the broker does not know it"
        )
        return Conflict(
            "unknown_at_broker", order.client_order_id, f"{order.status} {_payload(order)}",
            "no such order", ACCEPT, (gone,),
        )  # fmt: skip
    return None


def _strange_orders(
    config: Config, book: Book, view: BrokerView, symbols: Sequence[str]
) -> list[Conflict]:
    """Orders at the broker that are not known here as what they are there.

    One of ours that ended without a fill harmed nobody.
    """
    conflicts = []
    for seen in view.recent:
        here = book.order(seen.client_order_id)
        alive = not seen.status.terminal
        if here is not None and here.given_up_at is not None:
            if seen.filled_qty > here.filled_qty:
                conflicts.append(_filled_after_its_end(here, seen))
        elif here is not None or seen.client_order_id.startswith(f"{config.bot}-"):
            if (here is None and (alive or seen.filled_qty)) or (
                here is not None and here.status.terminal and alive
            ):
                conflicts.append(_unknown_locally(seen, here))
        elif alive and seen.symbol in symbols and config.foreign == "conflict":
            conflicts.append(
                Conflict(
                    "foreign_activity", f"order {seen.client_order_id}", "not ours", _payload(seen),
                    'cancel it at the broker, or set foreign = "ignore"',
                )
            )  # fmt: skip
    return conflicts


def _filled_after_its_end(here: Order, seen: BrokerOrder) -> Conflict:
    """An order that was ended here, as the broker left it open after its session, and that filled.

    Where it is still open there, it is so here again: it ends once more by its time.
    """
    return Conflict(
        "filled_after_its_end", here.client_order_id, f"ended here with {here.filled_qty:f} filled",
        f"{seen.status}, filled {seen.filled_qty:f}", ACCEPT,
        (replace(here, status=Status.PENDING, given_up_at=None), seen.update()),
    )  # fmt: skip


def _unknown_locally(seen: BrokerOrder, here: Order | None) -> Conflict:
    """One of our ids that we never wrote, or that has ended here and lives there."""
    strategy = seen.client_order_id.split("-")[1] if seen.client_order_id.count("-") >= 4 else ""
    adopted = Order(
        client_order_id=seen.client_order_id, strategy=strategy, symbol=seen.symbol, side=seen.side,
        qty=seen.qty, type=seen.type, limit_price=seen.limit_price,
        time_in_force=seen.time_in_force, bar_time=seen.submitted_at, attempt=1,
        reduces=seen.side.sign < 0, created_at=seen.submitted_at,
        reason="taken over from the broker",
    )  # fmt: skip
    if here is not None:
        adopted = replace(here, status=Status.PENDING, reason=adopted.reason)
    return Conflict(
        "unknown_locally", seen.client_order_id, str(here.status) if here else "never written",
        f"{seen.status}, {_payload(seen)}",
        f"another bot under this name, or an older database? stop it or restore that; {ACCEPT}",
        (adopted, seen.update()),
    )  # fmt: skip


def _positions(
    config: Config,
    book: Book,
    view: BrokerView,
    symbols: Sequence[str],
    updates: Sequence[OrderUpdate],
    conflicts: Sequence[Conflict],
    now: datetime,
) -> list[Conflict]:
    """Positions that differ once all updates are applied, and orders of ours taken over."""
    holdings = _holdings_after(book, updates, conflicts)
    expected: dict[str, Decimal] = {}
    for (_, symbol), qty in holdings.items():
        expected[symbol] = expected.get(symbol, ZERO) + qty
    found = []
    for symbol in sorted({*expected, *(s for s in view.positions if s in symbols)}):
        here = expected.get(symbol, ZERO)
        there = view.positions[symbol].qty if symbol in view.positions else ZERO
        if here == there or _is_beside_ours(config, symbols, symbol, here, there):
            continue
        holders = {who: qty for (who, held), qty in holdings.items() if held == symbol and qty}
        found.append(
            Conflict(
                "position_mismatch" if symbol in expected else "foreign_activity",
                symbol, f"{here:f} shares", f"{there:f} shares", ACCEPT + _split_hint(here, there),
                _adjust(book, view, symbol, holders, there - here, now),
            )
        )  # fmt: skip
    return found


def _is_beside_ours(
    config: Config, symbols: Sequence[str], symbol: str, here: Decimal, there: Decimal
) -> bool:
    """Whether what the account holds can be ours and somebody else's shares beside them.

    Less than ours never is, nor shares sold short where we hold none: an exit of ours would sell what
    nobody holds.
    """
    if here == 0:
        return symbol not in symbols or (config.foreign == "ignore" and there > 0)
    return config.foreign == "ignore" and (there > here > 0 or there < here < 0)


def _holdings_after(
    book: Book, updates: Sequence[OrderUpdate], conflicts: Sequence[Conflict]
) -> dict[Holding, Decimal]:
    """Shares by strategy and symbol once the updates are applied and our orders taken over."""
    holdings = {holding: position.qty for holding, position in book.positions.items()}

    def add(strategy: str, symbol: str, qty: Decimal) -> None:
        holdings[strategy, symbol] = holdings.get((strategy, symbol), ZERO) + qty

    for update in updates:
        if (fill := book.fill_of(update)) is not None:
            add(fill.strategy, fill.symbol, fill.qty * fill.side.sign)
    for conflict in conflicts:
        if conflict.kind in ("unknown_locally", "filled_after_its_end"):
            order, update = conflict.remedy
            add(
                order.strategy,
                order.symbol,
                (update.filled_qty - order.filled_qty) * order.side.sign,
            )
    return holdings


def _adjust(
    book: Book,
    view: BrokerView,
    symbol: str,
    holders: Mapping[str, Decimal],
    change: Decimal,
    now: datetime,
) -> tuple[object, ...]:
    """Adjustments that make the holdings the broker's: by holder, and the rest for nobody."""
    there = view.positions.get(symbol)
    price = there.avg_price if there else ZERO
    shares: dict[str, Decimal] = {}
    left = change
    for strategy, held in sorted(holders.items()):
        part = max(left, -held) if left < 0 < held else ZERO
        if left > 0 and len(holders) == 1:
            part = left
        if part:
            shares[strategy] = part
            left -= part
    if left:
        shares[""] = shares.get("", ZERO) + left
    rows: list[object] = [
        Adjustment(now, strategy, symbol, qty, price, "position taken from the broker")
        for strategy, qty in shares.items()
    ]
    if book.account is not None:
        rows.append(replace(book.account, cash=view.account.cash))
    return tuple(rows)


def _account_mismatch(bound: Account, view: BrokerView) -> Conflict:
    return Conflict(
        ACCOUNT_MISMATCH, "account", f"{bound.broker} {bound.account_id}", view.account.account_id,
        "this database belongs to another account: use its account, or another --db",
    )  # fmt: skip


def _split_hint(here: Decimal, there: Decimal) -> str:
    if here <= 0 or there <= 0:
        return ""
    ratio = Fraction(there) / Fraction(here)
    if ratio in SPLITS:
        return f"; {ratio.numerator}-for-{ratio.denominator} split?"
    return f"; reverse split {1 / ratio}?" if 1 / ratio in SPLITS else ""


def _notes(book: Book, view: BrokerView, updates: Sequence[OrderUpdate]) -> list[str]:
    changed = [u for u in updates if _news(book, u)]
    notes = [f"{u.client_order_id} is {u.status}" for u in changed[:5]]
    if len(changed) > 5:
        notes.append(f"and {len(changed) - 5} more orders moved on")
    if book.account is not None:
        cash = book.account.cash
        for update in updates:
            if (fill := book.fill_of(update)) is not None:
                cash -= fill.qty * fill.price * fill.side.sign
        if abs(view.account.cash - cash) >= CENT:
            notes.append(
                f"cash differs by {view.account.cash - cash:,.2f} (deposits, fees, dividends?)"
            )
    return notes


def _news(book: Book, update: OrderUpdate) -> bool:
    order = book.order(update.client_order_id)
    return order is not None and (
        order.status is not update.status or order.filled_qty != update.filled_qty
    )


def _payload(order: Order | BrokerOrder) -> str:
    limit = f" at {order.limit_price:f}" if order.limit_price is not None else ""
    return f"{order.side} {order.qty:f} {order.symbol} {order.type}{limit}"
