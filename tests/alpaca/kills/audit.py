"""Compares the bot's database with the exchange's ledger, and both with what must always be so.

What the bot did not hear of while it was dead it learns as a sum: its fills may each be several of the
exchange's, its minutes late; nothing may be lost, doubled or decided twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from smabot_sma.crossover import Crossover

NEW_YORK = ZoneInfo("America/New_York")
NEVER_SENT = {"blocked", "abandoned", "rejected"}
ENDED = {"filled", "canceled", "expired", "rejected"}
CENT = Decimal("0.01")
Rows = list[tuple[Any, ...]]


def audit(lab: Any, most: int) -> list[str]:
    """Return what is wrong, a line each. ``most`` shares of a symbol may be held."""
    return [
        f"{name.__name__[1:]}: {wrong}"
        for name in (_fills, _orders, _holdings, _cash, _bars, _missed, _limits)
        for wrong in (name(lab, most) if name is _holdings else name(lab))
    ]


def decided(lab: Any) -> set[tuple[Any, ...]]:
    """What was decided at which bar, missed or not."""
    return _changes(
        lab.here("SELECT symbol, unixepoch(bar_time), target FROM signals ORDER BY bar_time")
    )


def to_decide(lab: Any, fast: int, slow: int) -> set[tuple[Any, ...]]:
    """What the strategy decides on the bars that the bot has, when it sees each once, in order."""
    rules: dict[str, Crossover] = {}
    found = []
    for symbol, time, close in lab.here("SELECT symbol, ts, close FROM bars ORDER BY ts"):
        crossing = rules.setdefault(symbol, Crossover(fast, slow)).add(close)
        if crossing:
            found.append((symbol, time, max(crossing, 0)))
    return _changes(found)


def _changes(signals: Rows) -> set[tuple[Any, ...]]:
    """Leave out what says the same as before: it may be said again where it was missed."""
    last: dict[str, int] = {}
    found = set()
    for symbol, time, target in signals:
        if last.get(symbol) != target:
            found.add((symbol, time, target))
        last[symbol] = target
    return found


def _fills(lab: Any) -> Iterator[str]:
    there: dict[str, list[tuple[Decimal, ...]]] = defaultdict(list)
    for order, *numbers in lab.there(
        "SELECT client_order_id, cumulative_qty, fills.qty, price FROM fills "
        "JOIN orders ON orders.id = fills.order_id ORDER BY number"
    ):
        there[order].append(tuple(map(Decimal, numbers)))
    here: dict[str, list[tuple[Decimal, ...]]] = defaultdict(list)
    for order, *numbers in lab.here(
        "SELECT client_order_id, cumulative_qty, qty, price FROM trades"
    ):
        here[order].append(tuple(map(Decimal, numbers)))
    for order in there.keys() | here.keys():
        told, known = sorted(there[order]), sorted(here[order])
        totals = [Decimal(0), *(total for total, _, _ in known)]
        if [qty for _, qty, _ in known] != [b - a for a, b in pairwise(totals)]:
            yield f"{order}: {known} do not follow one another"
        if not {total for total, _, _ in known} <= {total for total, _, _ in told}:
            yield f"{order}: {known} here, {told} there"
        values = [sum(qty * price for _, qty, price in fills) for fills in (told, known)]
        if totals[-1] != sum(qty for _, qty, _ in told) or abs(values[0] - values[1]) > CENT:
            yield f"{order}: {known} here, {told} there"


def _orders(lab: Any) -> Iterator[str]:
    here = {
        order: row
        for order, *row in lab.here(
            "SELECT client_order_id, symbol, side, qty, status, filled_qty, created_at "
            "FROM order_intents"
        )
    }
    there = {
        order: row
        for order, *row in lab.there(
            "SELECT client_order_id, symbol, side, qty, status, filled_qty FROM orders"
        )
    }
    for order, (symbol, side, qty, status, filled) in there.items():
        if order not in here:
            yield f"{order} was never written here"
            continue
        known = here[order]
        if (known[:2], Decimal(known[2])) != ([symbol, side], Decimal(qty)):
            yield f"{order}: {known} here, {there[order]} there"
        if (known[3], status) not in {(same, same) for same in ENDED} and (
            known[3] in ENDED | NEVER_SENT or status in ENDED
        ):
            yield f"{order} is {known[3]} here, {status} there"
        if Decimal(known[4]) != Decimal(filled):
            yield f"{order} has {known[4]} here, {filled} there"
    ((now,),) = lab.there("SELECT now FROM state")
    for order, (*_, status, filled, created) in here.items():
        # one that nobody shows, and that is too old to be sent, is unknown until its day is over;
        # the last minute's may not have been sent before the tape's end
        lost = (
            status in NEVER_SENT
            or (status == "unknown" and _date(created) == _date(str(now)))
            or (status == "pending" and datetime.fromisoformat(created).timestamp() == now)
        )
        if order not in there and (not lost or Decimal(filled)):
            yield f"{order} is {status} here, and nothing there"
    for decided, count in Counter(
        lab.here("SELECT strategy, symbol, bar_time, attempt FROM order_intents")
    ).items():
        if count > 1:
            yield f"{decided} was ordered {count} times"


def _holdings(lab: Any, most: int) -> Iterator[str]:
    here = {
        symbol: Decimal(str(qty))
        for symbol, qty in lab.here(
            "SELECT symbol, SUM(CAST(qty AS REAL)) FROM positions_snapshot GROUP BY symbol"
        )
        if qty
    }
    there = {s: Decimal(qty) for s, qty in lab.there("SELECT symbol, qty FROM positions")}
    if here != {symbol: qty for symbol, qty in there.items() if qty}:
        yield f"{here} here, {there} there"
    held: Counter[str] = Counter()
    for symbol, side, qty, time in lab.there(
        "SELECT symbol, side, qty, time FROM fills ORDER BY number"
    ):
        held[symbol] += int(Decimal(qty)) * (1 if side == "buy" else -1)
        if not 0 <= held[symbol] <= most:
            yield f"{held[symbol]} {symbol} at {datetime.fromtimestamp(time, UTC)}"


def _cash(lab: Any) -> Iterator[str]:
    ((here,),) = lab.here("SELECT cash FROM account")
    ((there,),) = lab.there("SELECT cash FROM state")
    if abs(Decimal(here) - Decimal(there)) > CENT:
        yield f"{here} here, {there} there"


def _bars(lab: Any) -> Iterator[str]:
    """Every bar once, as the tape has it, or as it was revised before it was decided on."""
    ((now,),) = lab.there("SELECT now FROM state")
    columns = "ts, symbol, open, high, low, close, volume"
    there = {tuple(row[:2]): row[2:] for row in lab.there(f"SELECT {columns} FROM bars")}
    here = {tuple(row[:2]): row[2:] for row in lab.here(f"SELECT {columns} FROM bars")}
    played = {bar for bar in there if bar[0] < now}
    for what, bars in (("lacking", played - here.keys()), ("too many", here.keys() - played)):
        if bars:
            yield f"{len(bars)} bars are {what}, the first {min(bars)}"
    for bar in played & here.keys():
        if here[bar] != there[bar] and not _revised(here[bar], there[bar]):
            yield f"{bar} is {here[bar]}, on the tape {there[bar]}"


def _revised(bar: tuple[float, ...], first: tuple[float, ...]) -> bool:
    return bar[0] == first[0] and bar[4] >= first[4] and 1 < bar[3] / first[3] < 1.002


def _missed(lab: Any) -> Iterator[str]:
    """A signal that was missed is never acted on under its own bar."""
    for row in lab.here(
        "SELECT client_order_id FROM signals JOIN order_intents USING (strategy, symbol, bar_time) "
        "WHERE missed = 1"
    ):
        yield f"{row[0]} was sent although its signal was missed"


def _limits(lab: Any) -> Iterator[str]:
    orders: Counter[str] = Counter()
    for created, status in lab.here("SELECT created_at, status FROM order_intents"):
        orders[_date(created)] += status != "blocked"
    trades: Counter[str] = Counter()
    realized: dict[str, Decimal] = defaultdict(Decimal)
    for qty, total, pnl, time in lab.here(
        "SELECT qty, cumulative_qty, realized_pnl, time FROM trades"
    ):
        trades[_date(time)] += qty == total
        realized[_date(time)] += Decimal(pnl)
    for date, counted, ordered, pnl in lab.here(
        "SELECT trading_date, trade_count, order_count, realized_pnl FROM daily_limits"
    ):
        # one that was blocked later, because it could not leave, has been counted as an order
        if counted != trades[date] or ordered < orders[date] or Decimal(pnl) != realized[date]:
            found = (trades[date], orders[date], realized[date])
            yield f"{date}: {(counted, ordered, pnl)} counted, {found} found"


def _date(time: str) -> str:
    moment = datetime.fromisoformat(time) if "T" in time else datetime.fromtimestamp(int(time), UTC)
    return str(moment.astimezone(NEW_YORK).date())
