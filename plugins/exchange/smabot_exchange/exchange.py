"""The paper exchange: what every front calls. One account on a virtual clock, all of it durable."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Concatenate, Literal, ParamSpec, TypeVar
from uuid import UUID

from smabot.calendar import MINUTE, Calendar
from smabot.errors import BrokerError, ConfigError
from smabot.records import Bar
from smabot_exchange.account import AccountState, EquityPoint, Holding, Terms
from smabot_exchange.admission import check_client_id, duplicate
from smabot_exchange.intake import open_source
from smabot_exchange.ledger import Ledger
from smabot_exchange.matching import Market
from smabot_exchange.orders import (
    ExchangeOrder,
    Execution,
    OrderChange,
    OrderEvent,
    OrderFilter,
    OrderRequest,
    Refusal,
)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute that was played: its end, what happened to orders, its bars sorted by symbol.

    ``bars`` is empty where only a close was reached that ended orders.
    """

    time: datetime
    events: tuple[OrderEvent, ...]
    bars: list[Bar]


def _one_at_a_time(
    method: Callable[Concatenate[Exchange, P], R],
) -> Callable[Concatenate[Exchange, P], R]:
    """Let fronts in several threads take turns, and stop for good when a turn was not finished:
    what is in memory may then be ahead of the ledger."""

    @wraps(method)
    def turn(self: Exchange, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._turn:
            if self._stopped:
                raise BrokerError(self._stopped)
            try:
                return method(self, *args, **kwargs)
            except Refusal:
                raise
            except BaseException as error:
                self._stopped = f"the exchange has stopped: {error or type(error).__name__}"
                raise

    return turn


class Exchange:
    """All is a function of the tape and of what was submitted at which time of its clock.

    Every change is in the ledger before a method returns. Each method raises BrokerError when the
    ledger can't be read or written, and from then on so does every later call.
    """

    def __init__(self, ledger_path: Path, tape: str = "made", terms: Terms | None = None) -> None:
        """Open the ledger; at the first start import the tape into it.

        ``tape`` is a path, ``made`` or ``made:symbols=50,sessions=3,seed=7,start=2026-03-02``.
        Raises ConfigError for a bad tape or ledger, LockHeld when another process has it open.
        """
        terms = terms or Terms()
        self._turn = RLock()
        self._stopped = ""
        self._ledger = ledger = Ledger(ledger_path, open_source(tape), terms)
        try:
            self.calendar = Calendar(ledger.sessions)
            self._now = ledger.now()
            self._played = ledger.minutes_played()
            self._prices: dict[str, float] = {}
            self._market = Market(
                terms, self.calendar, self._price, ledger.cash(), ledger.holdings(),
                ledger.open_orders(), ledger.last_seq(),
            )  # fmt: skip
            self._ahead: list[tuple[datetime, list[Bar]]] = []
            self.symbols = ledger.symbols()
            self.notes = ledger.notes()
        except BrokerError as error:
            ledger.close()
            raise ConfigError(str(error)) from error
        except BaseException:
            ledger.close()
            raise

    @property
    def account_id(self) -> str:
        return self._ledger.account_id

    @property
    def now(self) -> datetime:
        """The virtual clock, UTC: the end of the last minute played, at first the first open."""
        return self._now

    @property
    def is_open(self) -> bool:
        """Whether a session is open now."""
        return self.calendar.session_at(self._now) is not None

    @property
    def minutes(self) -> tuple[int, int]:
        """How many minutes with bars are played, and how many there are."""
        return self._played, self._ledger.minutes

    # Orders

    def submit(self, request: OrderRequest) -> OrderEvent:
        """Accept an order. Raises Refusal, which leaves nothing behind."""
        (answer,) = self.submit_many([request])
        if isinstance(answer, Refusal):
            raise answer
        return answer

    @_one_at_a_time
    def submit_many(self, requests: Sequence[OrderRequest]) -> list[OrderEvent | Refusal]:
        """Accept or refuse orders one after the other, as `submit` does; durable all at once."""
        answers: list[OrderEvent | Refusal] = []
        accepted: dict[str, OrderEvent] = {}
        for request in requests:
            try:
                if request.client_order_id is not None:
                    check_client_id(request.client_order_id)
                    if request.client_order_id in accepted or self._taken(request.client_order_id):
                        raise duplicate()
                event = self._market.accept(request, self._now)
            except Refusal as refusal:
                answers.append(refusal)
            else:
                answers.append(event)
                accepted[event.order.client_order_id] = event
        if accepted:
            self._record(list(accepted.values()))
        return answers

    @_one_at_a_time
    def cancel(self, order_id: UUID) -> OrderEvent:
        """Cancel an open order. Raises Refusal when it is unknown or has ended."""
        event = self._market.cancel(self._known(order_id), self._now)
        self._record([event])
        return event

    @_one_at_a_time
    def replace(self, order_id: UUID, change: OrderChange) -> ExchangeOrder:
        """Put a changed order in an open one's place; return the new one. Raises Refusal."""
        raise NotImplementedError

    @_one_at_a_time
    def cancel_all(self) -> list[tuple[UUID, int]]:
        """Cancel every open order; return each one's id and HTTP status."""
        raise NotImplementedError

    @_one_at_a_time
    def close_position(
        self, symbol: str, qty: Decimal | None = None, percentage: Decimal | None = None
    ) -> ExchangeOrder:
        """Send a market order that closes a position, or ``qty`` shares or so many percent of it.

        Raises Refusal when there is no position, or open orders hold its shares.
        """
        raise NotImplementedError

    @_one_at_a_time
    def close_all(
        self, cancel_orders: bool = False
    ) -> list[tuple[str, int, ExchangeOrder | Refusal]]:
        """Close every position; of each its symbol, HTTP status, and order or refusal.

        With ``cancel_orders`` cancel all open orders first, else a position with open orders is
        refused.
        """
        raise NotImplementedError

    @_one_at_a_time
    def find_orders(self, wanted: OrderFilter | None = None) -> list[ExchangeOrder]:
        """Return the orders a filter lets through, by time of submission."""
        raise NotImplementedError

    @_one_at_a_time
    def legs(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return an order's legs as they are now, the take-profit first; without replaced ones."""
        raise NotImplementedError

    @_one_at_a_time
    def activities(
        self,
        limit: int | None = 100,
        after_number: int | None = None,
        oldest_first: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Execution]:
        """Return fills, a page at a time; `Execution.number` is their stable, unique order.

        ``after_number`` is the last one of the page before; ``since`` and ``until`` are exclusive.
        """
        raise NotImplementedError

    def listen(self, callback: Callable[[Sequence[OrderEvent]], None]) -> None:
        """Have every change of orders told after it is durable, in order.

        The callback runs in the thread that caused the change, while the others wait: it must
        return at once, must not raise, and may read this exchange.
        """
        raise NotImplementedError

    @_one_at_a_time
    def order(self, order_id: UUID) -> ExchangeOrder:
        """Return an order in any state. Raises Refusal when it is unknown."""
        return self._known(order_id)

    @_one_at_a_time
    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder:
        """Return an order in any state. Raises Refusal when it is unknown."""
        order = self._ledger.order_by_client_id(client_order_id)
        if order is None:
            raise Refusal(404, 40410000, f"order not found for {client_order_id}")
        return order

    @_one_at_a_time
    def orders(
        self, status: Literal["open", "closed", "all"] = "open", since: datetime | None = None
    ) -> list[ExchangeOrder]:
        """Return orders in the order they came in; with ``since`` those submitted from then on."""
        if status == "open":
            found = list(self._market.open_orders.values())
            return [order for order in found if since is None or order.submitted_at >= since]
        found = self._ledger.orders_since(since)
        return found if status == "all" else [order for order in found if not order.open]

    @_one_at_a_time
    def executions(self, since: datetime | None = None) -> list[Execution]:
        """Return the fills, oldest first; with ``since`` those from then on."""
        return self._ledger.executions(since)

    # The account

    @_one_at_a_time
    def account(self) -> AccountState:
        """Return cash, equity and buying power at last prices."""
        return self._market.account()

    @_one_at_a_time
    def positions(self) -> list[Holding]:
        """Return what is held, sorted by symbol."""
        return sorted(self._market.holdings.values(), key=lambda holding: holding.symbol)

    @_one_at_a_time
    def position(self, symbol: str) -> Holding:
        """Return what is held of a symbol. Raises Refusal when there is nothing."""
        raise NotImplementedError

    @_one_at_a_time
    def equity_history(self, start: datetime, end: datetime, step: timedelta) -> list[EquityPoint]:
        """Return the account's worth in ``(start, end]`` while sessions were open, a point a step.

        A point lies at each multiple of ``step`` after a session's open, and at its close; nothing
        beyond `now`. Gains count from the worth at ``start``.
        """
        raise NotImplementedError

    @_one_at_a_time
    def adjust(self, symbol: str, qty: Decimal, price: Decimal) -> Holding | None:
        """Let signed shares appear from outside at a cost; return what is held then.

        No order, fill or cash moves. Raises Refusal when the symbol is unknown.
        """
        raise NotImplementedError

    @_one_at_a_time
    def transfer(self, amount: Decimal) -> None:
        """Let cash come (or go, when negative) from outside, US dollars."""
        raise NotImplementedError

    @_one_at_a_time
    def previous_close(self, symbol: str) -> Decimal:
        """Return the last price before the session that is open or was last; Refusal if unknown."""
        raise NotImplementedError

    @_one_at_a_time
    def available(self, symbol: str) -> Decimal:
        """Return the shares of a symbol that no open order is about to sell."""
        return self._market.available(symbol)

    @_one_at_a_time
    def last_price(self, symbol: str) -> Decimal:
        """Return a symbol's last close; before its first bar, that bar's open.

        Raises Refusal when the symbol is unknown.
        """
        price = self._price(symbol)
        if price is None:
            raise Refusal(404, 40410000, f"asset not found for {symbol}")
        return price

    # The tape

    def bars(self, symbols: Collection[str], start: datetime, end: datetime) -> Iterator[Bar]:
        """Yield the played bars that start in ``[start, end]``, by time, then by symbol."""
        raise NotImplementedError

    @_one_at_a_time
    def latest_bars(self, symbols: Collection[str]) -> dict[str, Bar]:
        """Return each symbol's last played bar; without those that have none, or are unknown."""
        raise NotImplementedError

    def history(
        self,
        symbols: Collection[str] | None = None,
        since: datetime | None = None,
        bars: int | None = None,
    ) -> Iterator[list[Bar]]:
        """Yield the bars played so far, a minute at a time, oldest first, sorted by symbol.

        With ``since`` those that start after it; with ``bars`` only the newest so many minutes.
        """
        end = self._now
        start = None if since is None else since + MINUTE
        if bars is not None:
            newest = self._newest_start(bars, end) if bars > 0 else end
            start = newest if start is None else max(start, newest)
        start = start or self.calendar.sessions[0].open
        wanted = None if symbols is None else frozenset(symbols)
        while start < end and (minutes := self._read_from(start)):
            for time, traded in minutes:
                if time >= end:
                    return
                kept = traded if wanted is None else [b for b in traded if b.symbol in wanted]
                if kept:
                    yield kept
            start = minutes[-1][0] + MINUTE

    @_one_at_a_time
    def next_time(self) -> datetime | None:
        """Return what the clock will show after `advance`, or None at the tape's end."""
        minute = self._next_minute()
        if minute is not None:
            return minute[0] + MINUTE
        close = self._ledger.last_session.close
        return close if self._now < close else None

    @_one_at_a_time
    def advance(self) -> Minute | None:
        """Play the next minute that has a bar; past the last one the last close. None at the end."""
        minute = self._next_minute()
        if minute is None:
            return self._close_last_session()
        start, bars = minute
        market = self._market
        end = start + MINUTE
        events: list[OrderEvent] = []
        if market.open_orders:
            events += market.elapse(start)
            events += market.match(bars)
            events += market.elapse(end)
        self._ahead.pop()
        self._prices.update([(bar.symbol, bar.close) for bar in bars])
        market.reprice()
        self._now = end
        self._played += 1
        self._record(events)
        return Minute(end, tuple(events), bars)

    def close(self) -> None:
        """Close the ledger and let go of its lock."""
        with self._turn:
            self._ledger.close()
            self._stopped = "the exchange is closed"

    def _close_last_session(self) -> Minute | None:
        close = self._ledger.last_session.close
        if self._now >= close:
            return None
        self._now = close
        events = self._market.elapse(close)
        self._record(events)
        return Minute(close, tuple(events), [])

    def _record(self, events: list[OrderEvent]) -> None:
        if events:
            market = self._market
            self._ledger.record(self._now, self._played, events, market.cash, market.holdings)
        else:
            self._ledger.move_clock(self._now, self._played)

    def _next_minute(self) -> tuple[datetime, list[Bar]] | None:
        if not self._ahead:
            self._ahead = self._ledger.minutes_from(self._now)[::-1]
        return self._ahead[-1] if self._ahead else None

    @_one_at_a_time
    def _read_from(self, time: datetime) -> list[tuple[datetime, list[Bar]]]:
        return self._ledger.minutes_from(time)

    @_one_at_a_time
    def _newest_start(self, count: int, before: datetime) -> datetime:
        return self._ledger.newest_minutes_start(count, before) or before

    def _taken(self, client_order_id: str) -> bool:
        return self._ledger.order_by_client_id(client_order_id) is not None

    def _known(self, order_id: UUID) -> ExchangeOrder:
        order = self._market.open_orders.get(order_id) or self._ledger.order(order_id)
        if order is None:
            raise Refusal(404, 40410000, f"order not found for {order_id}")
        return order

    def _price(self, symbol: str) -> Decimal | None:
        price = self._prices.get(symbol)
        if price is None:
            price = self._ledger.price_before(symbol, self._now)
            if price is None:
                return None
            self._prices[symbol] = price
        return Decimal(repr(price))
