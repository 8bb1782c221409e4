"""Getting flat by a person's word: `smabot flatten`.

The word is kept as signal states with target 0 and the label `FLATTEN`, so it outlives the process
that took it. Until their holdings are flat no strategy's word replaces them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from smabot.book import Book, Holding
from smabot.calendar import MINUTE
from smabot.halts import halt
from smabot.ordering import order_id, retry_at
from smabot.records import (
    ZERO,
    Order,
    OrderIntent,
    OrderType,
    OrderUpdate,
    Side,
    Signal,
    SignalState,
    Status,
)

FLATTEN = "FLATTEN"
"""The label of a target that a person set; strategies leave it alone."""
PATIENCE = timedelta(minutes=1)
"""How long exits of a symbol wait for the end of entries that were called off: brokers refuse a sale
that would meet a resting buy of the same account."""
CANCELABLE = (Status.SUBMITTED, Status.ACCEPTED, Status.PARTIALLY_FILLED)


def flatten(book: Book, symbol: str = "") -> str:
    """Want all holdings flat, or those of a symbol; returns what that means, in a line.

    Without a symbol new entries are halted, too.
    """
    wanted = sorted(_concerned(book, symbol))
    for holding in wanted:
        book.apply(SignalState(*holding, FLATTEN, 0, _decided_at(book, *holding)))
    if not symbol and not book.halted:
        halt(book, "flattened by hand")
    closing = sum(1 for holding in wanted if book.holding(*holding))
    entries = sum(
        1 for order in book.open_orders() if _in_scope(order, symbol) and not order.reduces
    )
    left_alone = f"entries in {symbol} are not halted"
    parts = [
        f"closes {closing} holding{'' if closing == 1 else 's'}" if closing else "nothing is held",
        f"calls off {entries} entr{'y' if entries == 1 else 'ies'}" if entries else "",
        closed_until(book),
        left_alone if symbol else "new entries are halted: `smabot resume` ends that",
    ]
    return "; ".join(part for part in parts if part)


def being_flattened(book: Book, state: SignalState | None) -> bool:
    """Whether a target is a person's, and its holding not flat yet."""
    return (
        state is not None
        and state.last_signal == FLATTEN
        and state.strategy in book.unsettled().get(state.symbol, ())
    )


def closed_until(book: Book) -> str:
    """Say until when the market is closed; empty while it is open, or where nobody knows."""
    following = book.calendar.next_session(book.now)
    if following is None or following.open <= book.now:
        return ""
    return f"the market is closed until {following.open:%Y-%m-%d %H:%M} UTC, orders wait for it"


# -- what is not flat yet ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Left:
    """A holding that is not flat, or an order still at work, and why."""

    strategy: str
    symbol: str
    qty: Decimal
    why: str
    blocked: bool = False
    """Whether a plugin lets no exit pass, so that waiting alone changes nothing."""


def left_over(book: Book, symbol: str = "") -> list[Left]:
    """Return what is not flat, of all symbols or of one."""
    working: dict[Holding, list[Order]] = {}
    for order in book.open_orders():
        working.setdefault((order.strategy, order.symbol), []).append(order)
    held = {holding for holding, position in book.positions.items() if position.qty}
    return [
        _left(book, *holding, working.get(holding, []))
        for holding in sorted(held | working.keys())
        if symbol in ("", holding[1])
    ]


def _left(book: Book, strategy: str, symbol: str, working: list[Order]) -> Left:
    latest = book.latest_order(strategy, symbol)
    why, blocked = "no exit was ordered yet", False
    if working:
        why = "; ".join(_at_work(order) for order in working)
    elif latest is not None and latest.reduces:
        why = f"its exit {latest.client_order_id} was {latest.status}"
        why += f": {latest.reason}" if latest.reason else ""
        blocked = latest.status is Status.BLOCKED
    closed = closed_until(book) if working else ""
    return Left(
        strategy, symbol, book.holding(strategy, symbol),
        f"{why}; {closed}" if closed else why, blocked,
    )  # fmt: skip


def _at_work(order: Order) -> str:
    what = "exit" if order.reduces else "entry"
    text = f"its {what} {order.client_order_id} is {order.status}"
    if order.filled_qty:
        text += f", {order.filled_qty:f} of {order.qty:f} filled"
    return f"{text}: {order.reason}" if order.reason else text


# -- going after it ------------------------------------------------------------------------------------


class MakeOrder(Protocol):
    """How an order is judged, kept and sent."""

    def __call__(self, signal: Signal, attempt: int, intent: OrderIntent) -> None: ...


class Flattening:
    """Goes after what a person wants flat: at news of the symbol and once a minute, until it is."""

    def __init__(
        self, bot: str, book: Book, order: MakeOrder, cancel: Callable[[Order], None]
    ) -> None:
        self._bot = bot
        self._book = book
        self._order = order
        self._cancel = cancel
        self._called_off: dict[str, datetime] = {}
        self._minute: datetime | None = None

    def press(self, updates: Collection[OrderUpdate], *, at_once: bool) -> None:
        """Call entries off and order exits where none is at work.

        Of the symbols that there are updates of; once a minute and ``at_once`` of all, and then
        without regard to the pause after an exit that failed.
        """
        book = self._book
        unsettled = book.unsettled()
        if not unsettled:
            self._called_off.clear()
            return
        minute = book.now.replace(second=0, microsecond=0)
        everywhere = at_once or minute != self._minute
        self._minute = minute
        orders = (book.orders.get(update.client_order_id) for update in updates)
        symbols = unsettled.keys() & {order.symbol for order in orders if order is not None}
        for symbol in sorted(unsettled if everywhere else symbols):
            targets = unsettled[symbol]
            names = sorted(s for s, target in targets.items() if target.last_signal == FLATTEN)
            states = [targets[name] for name in names]
            if states and not self._entries_ending(symbol, names):
                for state in states:
                    self._exit(state, at_once)

    def _entries_ending(self, symbol: str, strategies: Collection[str]) -> bool:
        """Call off what stands in the way; tell whether to wait for its end.

        A market order that reduces the holding is what is wanted; a limit order may rest for ever.
        """
        now, wait = self._book.now, False
        for order in list(self._book.working(symbol)):
            wanted = order.reduces and order.type is OrderType.MARKET
            if order.strategy not in strategies or wanted or order.status not in CANCELABLE:
                continue
            asked = self._called_off.get(order.client_order_id)
            if asked is None or now - asked >= PATIENCE:
                self._called_off[order.client_order_id] = now
                self._cancel(order)
            wait = wait or asked is None or now - asked < PATIENCE
        return wait

    def _exit(self, state: SignalState, at_once: bool) -> None:
        book = self._book
        latest = book.latest_order(state.strategy, state.symbol)
        attempt = 1
        if latest is not None:
            if not latest.status.terminal or (not at_once and self._pausing(latest, state)):
                return
            if latest.bar_time >= state.bar_time:
                attempt = latest.attempt + 1
        intent = _closing(book, state)
        if intent is None:
            return
        price = book.price(state.symbol) or book.positions[state.strategy, state.symbol].avg_price
        signal = Signal(
            state.symbol, 0, state.bar_time, float(price), state.strategy, label=FLATTEN
        )
        while book.order(order_id(self._bot, signal, attempt)) is not None:
            attempt += 1
        self._order(signal, attempt, intent)

    def _pausing(self, latest: Order, state: SignalState) -> bool:
        failed = latest.reduces and latest.bar_time >= state.bar_time
        ours = latest.client_order_id in self._called_off
        return failed and not ours and self._book.now < retry_at(latest)


def _closing(book: Book, state: SignalState) -> OrderIntent | None:
    """Return the market order that closes a holding, less what exits at work close already."""
    held = book.holding(state.strategy, state.symbol)
    exits = (o for o in book.working(state.symbol) if o.strategy == state.strategy and o.reduces)
    left = held + sum((order.open_qty for order in exits), ZERO)
    if left * held <= 0:
        return None
    return OrderIntent(state.symbol, Side.SELL if left > 0 else Side.BUY, abs(left))


def _concerned(book: Book, symbol: str) -> set[Holding]:
    """Return the holdings that have shares, an order at work, or a missed entry to be made up for."""
    held = {holding for holding, position in book.positions.items() if position.qty}
    working = {(order.strategy, order.symbol) for order in book.open_orders()}
    missed = {holding for holding, state in book.signals.items() if state.missed and state.target}
    return {each for each in held | working | missed if symbol in ("", each[1])}


def _in_scope(order: Order, symbol: str) -> bool:
    return symbol in ("", order.symbol)


def _decided_at(book: Book, strategy: str, symbol: str) -> datetime:
    """Return the bar that counts as the one that decided: the last one, and none before an order's."""
    bar, latest = book.last.get(symbol), book.latest_order(strategy, symbol)
    known = [bar.time] if bar else []
    known += [latest.bar_time] if latest else []
    return max(known, default=book.now.replace(second=0, microsecond=0) - MINUTE)
