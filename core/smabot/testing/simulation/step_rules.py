"""What must hold after each step: unwanted orders are canceled in time, and nothing held is out of sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from smabot.domain.bar_checks import is_valid_bar
from smabot.domain.book import Book
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import OrderType, Status, TimeInForce
from smabot.domain.records import Bar, Order
from smabot.settings.model import Config

SOON = timedelta(seconds=5)
"""Within which the cancel of an order is wanted, once it is known to be open and unwanted."""
ASKED_WITHIN = timedelta(seconds=15)
"""Within which a wanted cancel is handed to the transport."""
OUT_OF_SIGHT = timedelta(minutes=7)
"""Older than the exchange's no price of what is held may be: after 5 minutes it is asked for."""
OPEN_AT_BROKER = (Status.SUBMITTED, Status.ACCEPTED, Status.PARTIALLY_FILLED)
LEFT_OPEN = timedelta(minutes=61)
"""After its session's close the cancel of an order must be wanted."""
MADE_WITHIN = timedelta(minutes=2.5)
"""An exit that no other one came before: longer than it waits for an unanswered cancel, or a comparison."""
MARKET_WAITS = timedelta(minutes=1)


class StepRules:
    """Of one process after the other. A rule is broken where its cause has lasted too long."""

    def __init__(self, violation: Callable[[str, str], Exception]) -> None:
        self._violation = violation
        self._since: dict[tuple[str, str], datetime] = {}
        self._asked: set[str] = set()

    def begin(self) -> None:
        """Another process begins: whatever lasted is counted anew."""
        self.wake()
        self._asked.clear()

    def wake(self) -> None:
        """The process has slept: whatever lasted is counted anew."""
        self._since.clear()

    def cancel_handed_over(self, order: Order) -> None:
        self._asked.add(order.client_order_id)

    def look(
        self,
        book: Book,
        config: Config,
        now: datetime,
        latest: Mapping[str, Bar],
        *,
        undisturbed: bool,
    ) -> None:
        """Judge what a step has left. ``latest``: the exchange's newest bars; ``undisturbed``: no fault has
        struck lately. Raises Violation."""
        lasting = {
            **self._unwanted_entries(book, config, now),
            **(self._cancels(book) if undisturbed else {}),
            **_overdue(book, now),
            **_unmade_exits(book),
            **self._out_of_sight(book, now, latest),
        }
        self._since = {key: self._since.get(key, now) for key in lasting}
        for key, (patience, text) in lasting.items():
            if now - self._since[key] > patience:
                raise self._violation(key[0], f"{key[1]} {text} since {self._since[key]}")

    def _unwanted_entries(
        self, book: Book, config: Config, now: datetime
    ) -> dict[tuple[str, str], tuple[timedelta, str]]:
        found = {}
        for order in book.open_orders():
            if (
                order.reduces
                or order.cancel_requested_at is not None
                or order.status not in OPEN_AT_BROKER
            ):
                continue
            if why := _why_unwanted(order, book, config, now):
                found["4 canceled", order.client_order_id] = SOON, f"is open, {why},"
        return found

    def _cancels(self, book: Book) -> dict[tuple[str, str], tuple[timedelta, str]]:
        return {
            ("4 canceled", name): (ASKED_WITHIN, "is to be canceled, and nobody asks the broker")
            for name, order in book.canceling.items()
            if order.status in OPEN_AT_BROKER and name not in self._asked
        }

    @staticmethod
    def _out_of_sight(
        book: Book, now: datetime, latest: Mapping[str, Bar]
    ) -> dict[tuple[str, str], tuple[timedelta, str]]:
        found = {}
        for symbol in {symbol for _, symbol in book.positions if book.net(symbol)}:
            bar, seen = latest.get(symbol), book.priced_at(symbol)
            session = book.calendar.session_at(now)
            if bar is None or session is None or not is_valid_bar(bar):
                continue
            known = max(seen or session.open, session.open)
            if bar.end - known > OUT_OF_SIGHT:
                found["6 watched", symbol] = MINUTE, f"is held, and its price is of {seen},"
        return found


def _overdue(book: Book, now: datetime) -> dict[tuple[str, str], tuple[timedelta, str]]:
    """Return the DAY orders that are left open after their session, and that nobody ends."""
    found = {}
    for order in book.open_orders():
        day = order.time_in_force is TimeInForce.DAY and order.status in OPEN_AT_BROKER
        session = book.calendar.session_at(order.created_at)
        session = session or book.calendar.next_session(order.created_at)
        if not day or session is None or order.cancel_requested_at is not None:
            continue
        if now >= session.close + LEFT_OPEN:
            found["6 overdue", order.client_order_id] = SOON, "is of an earlier session and open"
    return found


def _unmade_exits(book: Book) -> dict[tuple[str, str], tuple[timedelta, str]]:
    """Return what is wanted flat and has no exit, though none has failed that would be tried again later."""
    found = {}
    for holding, state in book.signals.items():
        if (
            state.target
            or state.missed
            or book.holding(*holding) <= 0
            or book.blocking(reduces=True)
            or book.split_holds(holding[1])
            or book.splits.cancels(holding[1], book.now, book.calendar)
        ):
            continue
        latest = book.latest_order(*holding)
        tried = latest is not None and latest.reduces and latest.bar_time >= state.bar_time
        if not tried and not any(
            o.reduces and o.strategy == holding[0] for o in book.working(holding[1])
        ):
            found["6 exits", " ".join(holding)] = MADE_WITHIN, "is wanted flat, and no exit is made"
    return found


def _why_unwanted(entry: Order, book: Book, config: Config, now: datetime) -> str:
    state = book.signals.get((entry.strategy, entry.symbol))
    if state is not None and state.target == 0 and not state.missed:
        return "and flat is wanted"
    if config.cancel_entries and (blocks := book.blocking()):
        return f"despite a block: {blocks[0].reason}"
    timeout = timedelta(minutes=config.entry_timeout_minutes)
    since = entry.submitted_at or entry.created_at
    if entry.filled_qty and entry.updated_at is not None:
        since = entry.updated_at
    times_out = entry.type is OrderType.MARKET or entry.filled_qty
    if timeout and times_out and now - since >= timeout + MARKET_WAITS:
        return "longer than `entry_timeout_minutes`"
    return ""
