"""What the exchange knows of the past: orders, fills and bars so far, and the account."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from smabot.provider import MINUTE, ZERO, Bar, Calendar, ConfigError, Session
from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.data.sessions import regular_sessions
from smabot_exchange.data.split_bars import split_bar
from smabot_exchange.ledger.changes import CashActivityEntry
from smabot_exchange.ledger.ledger_port import LedgerPort
from smabot_exchange.ledger.past_equity import equity_history, equity_times
from smabot_exchange.matching.account import EquityHistoryPoint
from smabot_exchange.matching.action_schedule import ActionSchedule
from smabot_exchange.matching.costs import cost_notes
from smabot_exchange.matching.order_validation import not_found
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    Execution,
    OrderClass,
    OrderFilter,
    OrderType,
)
from smabot_exchange.serialisation import Serialised, one_at_a_time


class ExchangeQueries(Serialised):
    """The reading half of an `Exchange`. Each method raises BrokerError when the ledger can't be
    read, and from then on so does every later call."""

    def __init__(self, ledger: LedgerPort) -> None:
        super().__init__()
        self._ledger = ledger
        self._opening_cash = ledger.terms.cash
        self.half_spread = ledger.terms.half_spread
        """US dollars a share between the bars' prices and the bid or the ask."""
        self.calendar = Calendar(ledger.sessions)
        self._opens = [session.open for session in self.calendar.sessions]
        self._now = ledger.now()
        self._actions = ActionSchedule(ledger.actions(), self.calendar, ledger.start)
        if (overdue := self._actions.overdue(self._now)) is not None:
            raise ConfigError(
                f"{ledger.notes()[0]}: lists a {overdue.text}, and the ledger's clock is at "
                f"{self._now:%Y-%m-%d %H:%MZ} without it: list it before its day, or give another --ledger or --db"
            )
        self._latest: dict[str, Bar] = {}
        self._first_opens: dict[str, Decimal] = {}
        self.symbols = ledger.symbols()
        self.notes = ledger.notes()
        """What an operator should know of the data, a line each."""
        self.cost_notes = cost_notes(self.half_spread, ledger.terms.costs)

    @property
    def account_id(self) -> str:
        return self._ledger.account_id

    @property
    def now(self) -> datetime:
        """The virtual clock, UTC: the end of the last minute replayed, at first the first open."""
        return self._now

    @property
    def is_open(self) -> bool:
        """Whether a session is open now."""
        return self.is_open_at(self._now)

    def is_open_at(self, time: datetime) -> bool:
        """Whether a session of the data is open at an instant; after their end the exchange stays closed."""
        return time < self._ledger.last_session.close and (
            self.calendar.session_at(time) is not None
        )

    def absent_sessions(self) -> list[Session]:
        """Return the sessions of which the data have no bar, from their first to their last one."""
        own = {session.date for session in self.calendar.sessions}
        between = regular_sessions(min(own), max(own))
        return [session for session in between if session.date not in own]

    # Corporate actions

    @one_at_a_time
    def corporate_actions(
        self, symbols: Collection[str] | None, since: date, until: date
    ) -> list[ListedAction]:
        """Return the corporate actions that are announced by now, with an ex-date in these days, both included."""
        return self._actions.announced(symbols, since, until, self._now)

    @one_at_a_time
    def followed_actions(self) -> list[ListedAction]:
        """Return the corporate actions with which the account's shares became others, oldest first."""
        return self._actions.followed()

    def adjusted(self, symbol: str, bars: list[Bar]) -> list[Bar]:
        """Return bars of a symbol as if they had been traded in shares of now."""
        for since, ratio in self._actions.ratios(symbol):
            bars = [split_bar(bar, ratio) if bar.time < since else bar for bar in bars]
        return bars

    # Orders

    @one_at_a_time
    def order(self, order_id: UUID) -> ExchangeOrder:
        """Return an order in any state. Raises RequestRefused when it is unknown."""
        order = self._ledger.order(order_id)
        if order is None or order.hidden:
            raise not_found(f"order not found for {order_id}")
        return order

    @one_at_a_time
    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder:
        """Return an order in any state. Raises RequestRefused when it is unknown."""
        order = self._ledger.order_by_client_id(client_order_id)
        if order is None or order.hidden:
            raise not_found(f"order not found for {client_order_id}")
        return order

    @one_at_a_time
    def find_orders(self, wanted: OrderFilter | None = None) -> list[ExchangeOrder]:
        """Return the orders a filter lets through, by time of submission."""
        return self._ledger.find_orders(wanted or OrderFilter())

    @one_at_a_time
    def legs(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return an order's legs as they are now, the take-profit first; without replaced ones."""
        if order.order_class is OrderClass.SIMPLE:
            return []
        found = self._ledger.legs(order.id)
        return sorted(found, key=lambda leg: leg.type is not OrderType.LIMIT)

    @one_at_a_time
    def executions(self, since: datetime | None = None) -> list[Execution]:
        """Return the fills, oldest first; with ``since`` those from then on."""
        return self._ledger.executions(since)

    @one_at_a_time
    def activities(
        self,
        limit: int | None = 100,
        after_number: int | None = None,
        oldest_first: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Execution]:
        """Return fills, a page at a time; `Execution.number` is their stable, unique order.

        ``after_number`` is the last one of the page before; ``since`` and ``until`` are exclusive, but a
        time within a second includes the fills of that second.
        """
        return self._ledger.activities(limit, after_number, oldest_first, since, until)

    @one_at_a_time
    def cash_activities(self) -> list[CashActivityEntry]:
        """Return the cash that has moved without a trade and is listed by now, oldest first."""
        return [each for each in self._ledger.cash_activities() if each.is_shown(self._now)]

    # Prices

    @one_at_a_time
    def last_price(self, symbol: str) -> Decimal:
        """Return a symbol's last close, in shares of now; before its first bar, that bar's open.

        Raises RequestRefused when the symbol is unknown.
        """
        price = self._price(symbol)
        if price is None:
            raise not_found(f"asset not found for {symbol}")
        return price

    @one_at_a_time
    def previous_close(self, symbol: str) -> Decimal:
        """Return the last price before the session that is open or was last, in shares of that session.

        Raises RequestRefused when the symbol is unknown.
        """
        self.last_price(symbol)
        return self._price_at(symbol, self._session_of(self._now).open)

    @one_at_a_time
    def latest_bars(self, symbols: Collection[str]) -> dict[str, Bar]:
        """Return each symbol's last replayed bar; without those that have none, or are unknown."""
        found = ((symbol, self._last_bar(symbol)) for symbol in symbols)
        return {symbol: bar for symbol, bar in found if bar is not None}

    def bars(self, symbols: Collection[str], start: datetime, end: datetime) -> Iterator[Bar]:
        """Yield the replayed bars that start in ``[start, end]``, by time, then by symbol."""
        end = min(end, self._now - MINUTE)
        for session in self.calendar.sessions:
            if session.close > start and session.open <= end:
                span = int((session.close - session.open) / MINUTE)
                minutes = (session.open + MINUTE * number for number in range(span))
                yield from self._bars_at([m for m in minutes if start <= m <= end], symbols)

    def history(
        self,
        symbols: Collection[str] | None = None,
        since: datetime | None = None,
        bars: int | None = None,
    ) -> Iterator[list[Bar]]:
        """Yield the bars replayed so far, a minute at a time, oldest first, sorted by symbol.

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

    # The account's past

    @one_at_a_time
    def equity_history(
        self, start: datetime, end: datetime, step: timedelta
    ) -> list[EquityHistoryPoint]:
        """Return the account's worth in ``(start, end]`` while sessions were open, a point a step.

        A point lies at each multiple of ``step`` after a session's open, and at its close; nothing
        beyond `now`. Gains count from the worth at ``start``.
        """
        times = equity_times(self.calendar.sessions, start, min(end, self._now), step)
        return equity_history(
            self._opening_cash, self._ledger.movements(), self._price_at, start, times
        )

    @one_at_a_time
    def _read_from(self, time: datetime) -> list[tuple[datetime, list[Bar]]]:
        return self._ledger.minutes_from(time)

    @one_at_a_time
    def _newest_start(self, count: int, before: datetime) -> datetime:
        return self._ledger.newest_minutes_start(count, before) or before

    @one_at_a_time
    def _bars_at(self, minutes: Sequence[datetime], symbols: Collection[str]) -> list[Bar]:
        return self._ledger.bars_at(minutes, symbols)

    def _session_of(self, time: datetime) -> Session:
        """Return the session that is open at a time or was last; the first one before it."""
        opened = bisect_right(self._opens, time)
        return self.calendar.sessions[max(opened - 1, 0)]

    def _price(self, symbol: str) -> Decimal | None:
        """Return a symbol's last close; before its first bar, that bar's open."""
        bar = self._last_bar(symbol)
        if bar is not None:
            close = Decimal(repr(bar.close))
            return self._actions.in_new_shares(close, symbol, bar.time)
        price = self._first_opens.get(symbol)
        if price is None:
            first_open = self._ledger.price_before(symbol, self._now)
            if first_open is None:
                return None
            price = self._first_opens[symbol] = Decimal(repr(first_open))
        return price

    def _price_at(self, symbol: str, time: datetime) -> Decimal:
        if self._actions.splits(symbol) and (bar := self._ledger.bar_before(symbol, time)):
            close = Decimal(repr(bar.close))
            return self._actions.in_new_shares(close, symbol, bar.time, time)
        price = self._ledger.price_before(symbol, time)
        return ZERO if price is None else Decimal(repr(price))

    def _last_bar(self, symbol: str) -> Bar | None:
        bar = self._latest.get(symbol)
        if bar is None and symbol not in self._first_opens:
            bar = self._ledger.bar_before(symbol, self._now)
            if bar is not None:
                self._latest[symbol] = bar
        return bar
