"""The paper exchange, as server and bot call it. One account on a virtual clock, all of it durable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from pathlib import Path

from smabot.provider import MINUTE, ZERO, Bar, BrokerError, ConfigError, Side
from smabot_exchange.data.data_source import DEFAULT_DATA, open_data
from smabot_exchange.exchange_orders import ExchangeOrders
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.faults.trading_halts import Halts
from smabot_exchange.faults.wrong_bars import WrongBars
from smabot_exchange.ledger.beginning import Beginning
from smabot_exchange.ledger.changes import OutsideChange
from smabot_exchange.ledger.ledger import Ledger
from smabot_exchange.ledger.ledger_port import LedgerPort
from smabot_exchange.ledger.memory_ledger import LedgerImage, MemoryLedger
from smabot_exchange.matching.account import (
    AccountState,
    AccountTerms,
    ExchangePosition,
    RequestedTerms,
)
from smabot_exchange.matching.activity_notes import ActivityNote
from smabot_exchange.matching.order_validation import (
    bad_parameter,
    check_adjustment,
    not_found,
    part_of,
)
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderRequest,
    PositionIntent,
    RequestRefused,
)
from smabot_exchange.replay import ReplayedMinute
from smabot_exchange.serialisation import one_at_a_time


class Exchange(ExchangeOrders):
    """All is a function of the data and of what was submitted at which time of its clock.

    Every change is in the ledger before a method returns. Each method raises BrokerError when the
    ledger can't be read or written, and from then on so does every later call.
    """

    def __init__(
        self,
        ledger_path: Path,
        data: str = DEFAULT_DATA,
        terms: AccountTerms | RequestedTerms | None = None,
        faults: FaultPlan | None = None,
        *,
        data_zone: str | None = None,
        beginning: Beginning | None = None,
    ) -> None:
        """Open the ledger; at the first start import the data into it.

        ``data`` is a path, ``simulated`` or ``simulated:symbols=50,sessions=3,seed=7,start=2026-03-02``.
        ``data_zone`` is the time zone of times in data files that have none, as ``America/New_York``.
        ``terms`` are of a new ledger; an existing one keeps its own and must agree with those requested.
        ``beginning`` is how much of the data of a new ledger is the past; an existing one keeps its own.
        ``faults`` may be added to at any time; what one has done to an order is in the ledger.
        Raises ConfigError for bad data or a bad ledger, LockHeld when another process has it open.
        """
        asked = (
            RequestedTerms.exactly(terms)
            if isinstance(terms, AccountTerms)
            else terms or RequestedTerms()
        )
        begins = beginning or Beginning()
        source = begins.around(open_data(data, data_zone))
        self._begin(Ledger(ledger_path, source, asked, begins), faults)

    @classmethod
    def in_memory(cls, image: LedgerImage, faults: FaultPlan | None = None) -> Exchange:
        """Return a new exchange that is gone with its process."""
        self = cls.__new__(cls)
        self._begin(MemoryLedger(image), faults)
        return self

    def opened_again(self) -> Exchange:
        """Return an exchange on the same ledger, as another process finds it."""
        other = type(self).__new__(type(self))
        other._begin(self._ledger, self.faults)
        return other

    def _begin(self, ledger: LedgerPort, faults: FaultPlan | None) -> None:
        self.faults = FaultPlan() if faults is None else faults
        """How it misbehaves. Those that are no faults of the market need a server."""
        self.halts = Halts(self.faults)
        self.wrong_bars = WrongBars(self.faults)
        """What is sent of bars; `ReplayedMinute.bars` are as they were."""
        try:
            ExchangeOrders.__init__(self, ledger, self.faults)
            self._day_ends = self._session_of(self._now).close
        except BrokerError as error:
            ledger.close()
            raise ConfigError(str(error)) from error
        except BaseException:
            ledger.close()
            raise

    @property
    def minutes(self) -> tuple[int, int]:
        """How many minutes with bars are replayed, and how many there are."""
        return self._replay.done, self._ledger.minutes

    # The account

    @one_at_a_time
    def account(self) -> AccountState:
        """Return cash, equity and buying power at last prices."""
        return self._engine.account()

    @one_at_a_time
    def positions(self) -> list[ExchangePosition]:
        """Return the positions, sorted by symbol."""
        return sorted(self._engine.positions.values(), key=attrgetter("symbol"))

    @one_at_a_time
    def position(self, symbol: str) -> ExchangePosition:
        """Return a symbol's position. Raises RequestRefused when there is none."""
        position = self._engine.positions.get(symbol)
        if position is None:
            raise not_found("position does not exist")
        return position

    @one_at_a_time
    def available(self, symbol: str) -> Decimal:
        """Return the signed shares of a symbol that no open order is about to close."""
        return self._engine.available(symbol)

    @one_at_a_time
    def close_position(
        self, symbol: str, qty: Decimal | None = None, percentage: Decimal | None = None
    ) -> ExchangeOrder:
        """Send a market order that closes a position, or ``qty`` shares or so many percent of it.

        Raises RequestRefused when there is no position, or open orders hold its shares.
        """
        if qty is not None and percentage is not None:
            raise bad_parameter("only one of qty or percentage is accepted")
        self._flags.check()
        position = self.position(symbol)
        long = position.qty > 0
        request = OrderRequest(
            symbol,
            Side.SELL if long else Side.BUY,
            part_of(position, percentage) if qty is None else qty,
            position_intent=PositionIntent.SELL_TO_CLOSE if long else PositionIntent.BUY_TO_CLOSE,
        )
        event = self._engine.accept(request, self._now)
        self._record([event])
        return event.order

    @one_at_a_time
    def close_all(
        self, cancel_orders: bool = False
    ) -> list[tuple[str, int, ExchangeOrder | RequestRefused]]:
        """Close every position; of each its symbol, HTTP status, and order or refusal.

        With ``cancel_orders`` cancel all open orders first, else a position with open orders is
        refused.
        """
        if cancel_orders:
            self.cancel_all()
        answers: list[tuple[str, int, ExchangeOrder | RequestRefused]] = []
        for position in self.positions():
            try:
                answers.append((position.symbol, 200, self.close_position(position.symbol)))
            except RequestRefused as refusal:
                answers.append((position.symbol, refusal.status, refusal))
        return answers

    @one_at_a_time
    def adjust(self, symbol: str, qty: Decimal, price: Decimal) -> ExchangePosition | None:
        """Add signed shares from outside at a cost; return the position then.

        No order, fill or cash moves. Raises RequestRefused when the symbol is unknown.
        """
        check_adjustment(qty, price)
        self._engine.adjust(symbol, qty, price)
        self._record([], OutsideChange(symbol, qty, price, ZERO))
        return self._engine.positions.get(symbol)

    @one_at_a_time
    def transfer(self, amount: Decimal, activity: ActivityNote | None = None) -> None:
        """Add cash from outside (negative: it goes), US dollars. ``activity``: how it is listed; by default
        as a deposit or a withdrawal, at once."""
        check_adjustment(amount)
        self._engine.cash += amount
        self._record([], OutsideChange(None, ZERO, ZERO, amount, activity))

    @property
    def flags(self) -> frozenset[str]:
        """The account's flags that keep it from trading: ``trading_blocked``, ``account_blocked``,
        ``trade_suspended_by_user``."""
        return self._flags.names

    @one_at_a_time
    def flag(self, name: str, on: bool = True) -> None:
        """Set a flag of the account, or lift it; with one set no order is taken."""
        if on:
            self._flags.set(name)
        else:
            self._flags.lift(name)

    # The clock

    @one_at_a_time
    def next_time(self) -> datetime | None:
        """Return what the clock will show after `advance`, or None at the data's end."""
        minute = self._replay.next_minute(self._now)
        if minute is not None:
            return minute[0] + MINUTE
        close = self._ledger.last_session.close
        return close if self._now < close else None

    @one_at_a_time
    def advance(self) -> ReplayedMinute | None:
        """Replay the next minute that has a bar; past the last one the last close. None at the end."""
        minute = self._replay.next_minute(self._now)
        if minute is None:
            return self._close_last_session()
        start, bars = minute
        engine = self._engine
        self._flags.begin_minute(start)
        halted, resumed = self.halts.begin_minute(start, self.symbols)
        withheld = [bar for bar in bars if bar.symbol in self.halts.symbols]
        if withheld:
            bars = [bar for bar in bars if bar.symbol not in self.halts.symbols]
        end = start + MINUTE
        new_day = start >= self._day_ends
        if new_day:
            engine.end_day()
            self._day_ends = self._session_of(start).close
        events = self._pass_time(start)
        if engine.open_orders:
            events += engine.match(start, bars)
        events += self._pass_time(end)
        self._latest.update([(bar.symbol, bar) for bar in bars])
        engine.prices_changed()
        self._now = end
        self._replay.complete()
        self._record(events, new_day=new_day, withheld=withheld)
        self._apply_cash_faults()
        return ReplayedMinute(end, tuple(events), bars, halted, resumed)

    @one_at_a_time
    def advance_quietly(self) -> tuple[datetime, list[Bar]] | None:
        """Replay the next minute where that does no more than move clock and prices, and return its end
        and its bars; else None.

        The clock is not in the ledger before `keep_clock`: an exchange that is opened before goes on at
        an earlier minute.
        """
        minute, engine = self._replay.next_minute(self._now), self._engine
        if minute is None or engine.open_orders or minute[0] >= self._day_ends:
            return None
        start, bars = minute
        end = start + MINUTE
        if self._actions.is_due(end) or self.faults or self.halts.symbols or self._flags.names:
            return None
        latest = self._latest
        for bar in bars:
            latest[bar.symbol] = bar
        engine.prices_changed()
        self._now = end
        self._replay.complete()
        return end, bars

    @one_at_a_time
    def keep_clock(self) -> None:
        """Commit the clock as it is now."""
        if self._kept_at != self._now:
            self._keep_clock()

    @one_at_a_time
    def pass_time(self, until: datetime) -> None:
        """Let time pass without a bar: up to the start of the next minute that has one, or the last close."""
        minute = self._replay.next_minute(self._now)
        limit = self._ledger.last_session.close if minute is None else minute[0]
        time = min(until, limit)
        if time <= self._now:
            return
        engine = self._engine
        new_day = time >= self._day_ends and self._session_of(time).close > self._day_ends
        if new_day:
            engine.end_day()
            self._day_ends = self._session_of(time).close
        self._flags.begin_minute(time)
        events = self._pass_time(time)
        self._now = time
        self._record(events, new_day=new_day)

    @one_at_a_time
    def follow(self, wall: Callable[[], datetime]) -> None:
        """Take the time at which orders are submitted from a clock, UTC, which never goes back."""
        self._numbers.wall = wall

    def close(self) -> None:
        """Close the ledger and let go of its lock."""
        with self._lock:
            self._ledger.close()
            self._stopped = "the exchange is closed"

    def _apply_cash_faults(self) -> None:
        """Move cash as faults say."""
        if self.faults:
            from smabot_exchange.faults.market_kinds import CashTransfer

            occasion = Occasion(f"cash {self._now}", self._now)
            for moved in self.faults.strikes(CashTransfer, occasion):
                self.transfer(moved.amount, moved.activity)

    def _close_last_session(self) -> ReplayedMinute | None:
        close = self._ledger.last_session.close
        if self._now >= close:
            return None
        self._now = close
        events = self._pass_time(close)
        self._record(events)
        return ReplayedMinute(close, tuple(events), [])
