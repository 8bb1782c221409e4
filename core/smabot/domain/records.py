"""The facts the bot works on: immutable, with UTC times and Decimal money.

Bar prices are binary doubles, as they come on the wire: measurements that indicators work on. What
becomes money (fills, cash, P&L, marks) is Decimal, by a double's shortest decimal form.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from smabot.domain.bot_records import Block, BotState, Command, Event, Run, StepRow
from smabot.domain.calendar import MINUTE
from smabot.domain.cash_movements import CashMovement
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.frozen_classes import frozen, replace
from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.tables import record

ZERO = Decimal(0)
MICRO = Decimal("0.000001")
_TIME = attrgetter("time")
Holding = tuple[str, str]
"""A strategy and a symbol."""


def money(amount: Decimal) -> Decimal:
    """Round to a millionth of a dollar: finer than any price times any share fraction in use."""
    return amount.quantize(MICRO)


class Bar(NamedTuple):
    """One minute of one symbol. ``time`` is the START of the minute, UTC; prices in US dollars."""

    symbol: str
    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    trade_count: int | None = None
    vwap: float | None = None

    @property
    def end(self) -> datetime:
        """The end of the minute, when the bar is complete."""
        return self.time + MINUTE


@record(table="signals", key=("strategy", "symbol", "bar_time"), restore=False)
class Signal:
    """A strategy's target position, decided at a bar: 1 long, 0 flat.

    A strategy makes one with `Signal.long` or `Signal.flat`; the engine fills in ``strategy`` and
    ``missed`` (true when it fell into minutes that passed while the bot was down).
    """

    symbol: str
    target: int
    bar_time: datetime
    price: float
    strategy: str = ""
    missed: bool = False
    reason: str = ""
    label: str = ""

    @classmethod
    def long(cls, bar: Bar, reason: str = "") -> Signal:
        """Target the strategy's full size of the bar's symbol: a BUY."""
        return cls(bar.symbol, 1, bar.time, bar.close, reason=reason, label="BUY")

    @classmethod
    def flat(cls, bar: Bar, reason: str = "") -> Signal:
        """Target no shares of the bar's symbol: a SELL."""
        return cls(bar.symbol, 0, bar.time, bar.close, reason=reason, label="SELL")


@record(table="signal_state", key=("strategy", "symbol"))
class SignalState:
    """The last signal of a strategy for a symbol: its current target."""

    strategy: str
    symbol: str
    last_signal: str
    target: int
    bar_time: datetime
    missed: bool = False


@frozen
class OrderIntent:
    """The order that a sizer wants. The engine adds an id and makes it an `Order`."""

    symbol: str
    side: Side
    qty: Decimal
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    timeout_minutes: int | None = None
    """Minutes after which the unfilled rest of an entry is canceled; 0: never. None: as
    `entry_timeout_minutes` sets for a market order, and never for a limit order without a fill."""
    reason: str = ""
    """How the sizer came to the quantity, in words; it is kept with the order's checks."""


@record(table="order_intents", key=("client_order_id",))
class Order:
    """An order intent and its current state. Money in US dollars, quantities in shares.

    ``bar_time`` is the start of the bar that led to it, ``created_at`` the time of the decision.
    ``filled_qty``, ``filled_avg_price`` and ``fees`` are cumulative; ``realized_pnl`` is this order's,
    less those fees.
    ``reduces`` says that it only makes the position smaller.

    ``checks`` holds how its size came and what each risk check answered, as JSON
    (`smabot.domain.risk_answers`).
    ``cancel_requested_at`` is when the bot first requested its cancel, and ``cancel_reason`` why.
    ``cause`` and ``available`` come from the broker's refusal: its cause, and the number of free
    shares. ``collared``: the bar that led to it was outside the price collar, so it waits for another
    one. ``given_up_at``: when the bot ended it without the broker's confirmation; None again once the
    broker has confirmed that end.
    """

    client_order_id: str
    strategy: str
    symbol: str
    side: Side
    qty: Decimal
    type: OrderType
    limit_price: Decimal | None
    time_in_force: TimeInForce
    bar_time: datetime
    attempt: int
    reduces: bool
    created_at: datetime
    status: Status = Status.PENDING
    broker_order_id: str | None = None
    filled_qty: Decimal = ZERO
    filled_avg_price: Decimal | None = None
    realized_pnl: Decimal = ZERO
    submitted_at: datetime | None = None
    updated_at: datetime | None = None
    reason: str = ""
    timeout_minutes: int | None = None
    cancel_requested_at: datetime | None = None
    cancel_reason: str = ""
    cause: RefusalCause = RefusalCause.OTHER
    available: Decimal | None = None
    collared: bool = False
    given_up_at: datetime | None = None
    checks: str = ""
    fees: Decimal = ZERO

    @property
    def open_qty(self) -> Decimal:
        """Signed shares that may still fill; 0 once the order has ended."""
        return ZERO if self.status.terminal else (self.qty - self.filled_qty) * self.side.sign

    @property
    def gross_pnl(self) -> Decimal:
        """What its fills realized before fees."""
        return self.realized_pnl + self.fees


@frozen
class OrderUpdate:
    """The broker's view of one order at one time. Quantity, price and fees are cumulative, so that any
    update may be lost, duplicate or late without harm. ``filled_at`` is the last fill's time.

    ``fees`` are commissions and fees in US dollars, charged with the fills; they count with new shares.

    ``symbol`` is empty where the bot made the update. ``cause`` and ``available`` belong to a refusal,
    see `Order`.
    """

    client_order_id: str
    status: Status
    time: datetime
    broker_order_id: str | None = None
    filled_qty: Decimal = ZERO
    filled_avg_price: Decimal | None = None
    submitted_at: datetime | None = None
    reason: str = ""
    filled_at: datetime | None = None
    symbol: str = ""
    cause: RefusalCause = RefusalCause.OTHER
    available: Decimal | None = None
    fees: Decimal = ZERO


@record(table="trades", key=("client_order_id", "cumulative_qty"), restore=False)
class Fill:
    """New shares of an order. ``cumulative_qty`` after it makes it unique; ``price`` and ``fees`` are its own.

    ``realized_pnl`` is less the fees, also where it opens a position: there it is minus the fees.
    """

    client_order_id: str
    cumulative_qty: Decimal
    strategy: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    realized_pnl: Decimal
    time: datetime
    reduces: bool
    fees: Decimal = ZERO

    @property
    def first(self) -> bool:
        """Whether this is the order's first fill: the limit `max_trades` counts it."""
        return self.cumulative_qty == self.qty


@record(table="positions_snapshot", key=("strategy", "symbol"))
class Position:
    """A strategy's position in a symbol: shares, their cost, and the P&L realized so far.

    ``cost`` is by average cost, without fees; ``avg_price`` is ``cost`` per share, for display.
    ``realized_pnl`` is less all fees, those of opening fills too.
    """

    strategy: str
    symbol: str
    qty: Decimal
    cost: Decimal
    avg_price: Decimal
    realized_pnl: Decimal
    updated_at: datetime


@record(table="equity_curve", key=("time",), restore=False)
class EquityPoint:
    """Account value at a time: cash and positions at their last prices, US dollars."""

    time: datetime
    equity: Decimal
    cash: Decimal
    positions_value: Decimal
    realized_pnl: Decimal


@record(table="account", key=("account_id",))
class Account:
    """The broker account that the database is bound to, and its cash as the fills give it.

    ``opening_cash`` is the cash at the first start, plus what came or went from outside since, by
    `Adjustment`: equity less opening cash is profit and loss.
    """

    account_id: str
    broker: str
    cash: Decimal
    opening_cash: Decimal
    bound_at: datetime


@record(table="adjustments", key=("time", "strategy", "symbol"), restore=False)
class Adjustment:
    """An audit record of a change that no order of the bot made, by `smabot reconcile --accept broker`.

    ``qty`` signed shares came, as if bought at ``price`` each (sold, where negative); ``price`` 0 is a
    split, which leaves the position's cost as it is. ``cash`` came to the account with it, signed, in
    US dollars. ``realized_pnl`` is of the shares that went; the Book fills it in. Without a symbol only
    cash came or went. ``client_order_id`` is the external order that it adopts, or a part
    of: the next acceptance takes the rest.
    """

    time: datetime
    strategy: str
    symbol: str
    qty: Decimal
    price: Decimal
    reason: str
    cash: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    client_order_id: str = ""

    @property
    def value(self) -> Decimal:
        """What the shares were traded for, signed as they are. Where ``price`` is but the cash by the
        share, rounded, that is the cash itself."""
        value = money(self.qty * self.price)
        rounded = (abs(self.qty) + 1) * MICRO
        return -self.cash if abs(self.cash + value) <= rounded else value

    @property
    def from_outside(self) -> Decimal:
        """What the account is worth more by it and has not earned: a deposit; negative: a withdrawal."""
        return self.cash + self.value


@record(table="bar_revisions", key=("time", "symbol", "seen_at"), restore=False)
class BarRevision:
    """A bar that came late, or again with other values. No decision used it, so it is kept
    apart from ``bars``, which has the values that decisions used. ``seen_at`` is when it came."""

    time: datetime
    symbol: str
    seen_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    trade_count: int | None = None
    vwap: float | None = None

    @classmethod
    def of(cls, bar: Bar, seen_at: datetime) -> BarRevision:
        return cls(
            bar.time, bar.symbol, seen_at, bar.open, bar.high, bar.low, bar.close, bar.volume,
            bar.trade_count, bar.vwap,
        )  # fmt: skip


@record(table="marks", key=("symbol",))
class Mark:
    """A price that the bot requested because no bar came: US dollars, at ``time`` UTC; ``source`` is
    `trade` or `position`."""

    symbol: str
    price: Decimal
    time: datetime
    source: str


CORE_RECORDS: tuple[type, ...] = (
    Signal, SignalState, Order, Fill, Position, EquityPoint, Account, BotState, Block, Event, Adjustment,
    BarRevision, Mark, Command, Run, StepRow, CashMovement, CorporateAction,
)  # fmt: skip


@frozen
class Batch:
    """What a feed delivers at once: events up to ``time`` on the feed's clock.

    Updates come before bars: they happened within the bars' minute. ``resync`` says that the feed
    lost its connection meanwhile, so that the bot must compare itself with the broker. ``doubt`` says
    why order updates may be missing; while it is not empty, entries are paused and exits pass.
    ``revisions`` are bars that came again with other values, after decisions on them. ``refused``
    says why the broker refuses the API key on the feed's connections; empty: it accepts it. ``events``
    is what an operator should know of the feed. ``comes_again`` says that it holds bars alone, which the
    feed delivers again after a restart that comes before `ReplayingFeed.keep`: their commit may wait for
    that of a later batch.
    """

    time: datetime
    updates: tuple[OrderUpdate, ...] = ()
    bars: tuple[Bar, ...] = ()
    resync: bool = False
    doubt: str = ""
    revisions: tuple[Bar, ...] = ()
    refused: str = ""
    events: tuple[Event, ...] = ()
    comes_again: bool = False

    @property
    def is_quiet(self) -> bool:
        """Whether it holds nothing but a minute's bars that come again."""
        return (
            self.comes_again
            and self._is_of_one_minute
            and not (
                self.updates
                or self.doubt
                or self.resync
                or self.refused
                or self.revisions
                or self.events
            )
        )

    @property
    def _is_of_one_minute(self) -> bool:
        times = [*map(_TIME, self.bars)]
        return len(times) < 2 or times.count(times[0]) == len(times)

    def minutes(self) -> list[Batch]:
        """Return it by its minutes, oldest first, what is no bar in the first."""
        bars = self.bars
        if self._is_of_one_minute:
            return [self]
        times = sorted({bar.time for bar in bars})
        minutes = [
            Batch(min(time + MINUTE, self.time), bars=tuple(b for b in bars if b.time == time))
            for time in times
        ]
        first = replace(
            minutes[0], updates=self.updates, revisions=self.revisions, events=self.events
        )
        return [first, *minutes[1:]]
