"""The audit: our trades against the broker's executions, and each day's cash. Pure, so that each row can be tested.

An order is matched by its cumulative quantity, as one of our fills may be many executions, and its price by what
all its shares were traded for, to the cent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from smabot.domain.records import MICRO, ZERO
from smabot.engine.auditing.own_records import OwnRecords, Traded
from smabot.engine.auditing.statement import Statement
from smabot.hooks.account_activities import BrokerExecution

CENT = Decimal("0.01")
UNKNOWN_CASH = "cash_unknown_here"


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs: in words, and with what adopts it. ``day`` is the New York date of the trade or movement."""

    kind: str
    what: str
    here: str
    there: str
    day: date | None = None
    order_id: str = field(default="", compare=False)
    """The client order id of the order that traded something else; empty: it is none of an order."""
    activity_id: str = field(default="", compare=False)
    """The broker's id of a movement of cash; empty: it is none."""

    @property
    def is_late(self) -> bool:
        """Whether the bot may just not have booked it yet."""
        return self.kind == UNKNOWN_CASH


@dataclass(frozen=True, slots=True)
class DayCash:
    """A New York date's cash by trades (without fees) and by movements, here and at the broker, US dollars."""

    day: date
    here: Decimal
    there: Decimal


@dataclass(frozen=True, slots=True)
class Audit:
    """The result. ``there`` is what the broker says that each order has traded, by client order id."""

    differences: tuple[Difference, ...]
    days: tuple[DayCash, ...]
    orders: int
    executions: int
    movements: int
    there: dict[str, Traded] = field(repr=False)
    here: dict[str, Traded] = field(repr=False)

    @property
    def agrees(self) -> bool:
        return not self.differences

    def told(self) -> str:
        """Return what was compared, in words."""
        return f"{self.orders} orders, {self.executions} executions, {self.movements} movements of cash"


def audit_records(
    own: OwnRecords, statement: Statement, bot: str, *, cash: bool = True, foreign: str = "conflict"
) -> Audit:
    """Compare. ``cash``: also the account's cash of now; ``foreign``: the setting of that name."""
    ids = {order.broker_order_id: name for name, order in own.orders.items()}
    names = {**statement.names, **{key: name for key, name in ids.items() if key}}
    counted = [each for each in statement.executions if each.broker_order_id not in own.others]
    there = _by_order(counted, names)
    found: list[Difference] = []
    for name in sorted(own.traded.keys() | there.keys()):
        here, seen = own.traded.get(name), there.get(name)
        is_own = name in own.orders or name.startswith(f"{bot}-")
        if not is_own and not _counts(here, seen, own, foreign):
            continue
        found += _order_differences(name, here, seen, is_own)
    found += _movement_differences(own, statement)
    difference = statement.cash - own.cash
    if cash and abs(difference) >= CENT and not found:
        found.append(
            Difference("cash", "the account's cash", f"{own.cash:,.2f}", f"{statement.cash:,.2f}")
        )
    days = _days(own, statement, there)
    return Audit(
        tuple(found), days, len(there.keys() | own.traded.keys()), len(counted),
        len(statement.activities), there, own.traded,
    )  # fmt: skip


def _counts(here: Traded | None, seen: Traded | None, own: OwnRecords, foreign: str) -> bool:
    """Whether an external order matters: one that was adopted, or that traded in a symbol of ours."""
    if here is not None:
        return True
    return foreign == "conflict" and seen is not None and seen.symbol in own.symbols


def _order_differences(
    name: str, here: Traded | None, there: Traded | None, is_own: bool
) -> Iterator[Difference]:
    if here is None and there is not None:
        kind = "fill_missing_here" if is_own else "external_trade"
        yield Difference(kind, name, "no fill", _shown(there), there.day, name)
    elif there is None and here is not None:
        yield Difference("fill_missing_there", name, _shown(here), "no fill", here.day, name)
    elif here is not None and there is not None:
        kind = ""
        if (here.side, here.symbol) != (there.side, there.symbol):
            kind = "side" if here.symbol == there.symbol else "symbol"
        elif here.qty != there.qty:
            kind = "quantity"
        elif is_own and abs(here.value - there.value) >= max(CENT, here.qty * MICRO):
            kind = "price"
        if kind:
            yield Difference(kind, name, _shown(here), _shown(there), there.day, name)


def _movement_differences(own: OwnRecords, statement: Statement) -> Iterator[Difference]:
    there = {each.activity_id: each for each in statement.activities}
    for key in sorted(there.keys() | own.movements.keys()):
        seen, row = there.get(key), own.movements.get(key)
        if row is None and seen is not None:
            what = f"{seen.kind} {key}"
            yield Difference(
                UNKNOWN_CASH,
                what,
                "not booked",
                f"{seen.amount:+,.2f}",
                seen.booked_on,
                activity_id=key,
            )
        elif seen is None and row is not None:
            what = f"{row.kind} {key}"
            yield Difference(
                "cash_missing_there", what, f"{row.amount:+,.2f}", "no activity", row.booked_on
            )
        elif row is not None and seen is not None and row.amount != seen.amount:
            yield Difference(
                "cash_amount", f"{row.kind} {key}", f"{row.amount:+,.2f}", f"{seen.amount:+,.2f}",
                seen.booked_on,
            )  # fmt: skip


def _by_order(executions: Iterable[BrokerExecution], names: dict[str, str]) -> dict[str, Traded]:
    """Return what each order has traded; one without a name is called by the broker's id."""
    found: dict[str, Traded] = {}
    for each in executions:
        name = names.get(each.broker_order_id, each.broker_order_id)
        before = found.get(name) or Traded(each.symbol, each.side)
        found[name] = before.plus(each.qty, each.qty * each.price, each.time)
    return found


def _days(own: OwnRecords, statement: Statement, there: dict[str, Traded]) -> tuple[DayCash, ...]:
    """Return each date's cash: what orders were traded for, and movements that are counted."""
    sums: dict[date, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for place, orders in enumerate((own.traded, there)):
        for name, each in orders.items():
            day = there[name].day if name in there else each.day
            if day is not None and (name in own.traded or name in own.orders):
                sums[day][place] -= each.value * each.side.sign
    uncounted = {key for key, row in own.movements.items() if not row.counted}
    for row in own.movements.values():
        if row.counted:
            sums[row.booked_on][0] += row.amount
    for seen in statement.activities:
        if seen.activity_id not in uncounted:
            sums[seen.booked_on][1] += seen.amount
    return tuple(DayCash(day, *map(_cents, pair)) for day, pair in sorted(sums.items()))


def _shown(traded: Traded) -> str:
    price = (traded.value / traded.qty).quantize(MICRO).normalize() if traded.qty else ZERO
    return f"{traded.side} {traded.qty.normalize():f} {traded.symbol} at {price:f}"


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT)
