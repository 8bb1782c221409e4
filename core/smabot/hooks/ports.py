"""What core needs of the outside, as protocols. Plugins provide them (see `smabot.hooks.specifications`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable

from smabot.domain.bot_records import Command
from smabot.domain.calendar import Calendar
from smabot.domain.frozen_classes import frozen
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import ZERO, Bar, Batch, Order, OrderUpdate

R = TypeVar("R")


class Clock(Protocol):
    """The feed's clock: exchange time, which stands still where the exchange does."""

    def now(self) -> datetime:
        """Return the time, UTC."""
        ...


class Rows(Protocol):
    """Reads declared records. Safe while the bot is running."""

    def row(self, kind: type[R], *key: Any) -> R | None:
        """Return the record with that primary key, or None."""
        ...

    def rows(
        self,
        kind: type[R],
        *,
        where: Mapping[str, Any] | None = None,
        since: tuple[str, Any] | None = None,
        newest_by: str | None = None,
        limit: int | None = None,
        until: tuple[str, Any] | None = None,
    ) -> list[R]:
        """Return records whose columns equal ``where`` (a tuple or list: any of its members).

        ``since=(column, value)`` keeps those with ``column >= value``, ``until`` those with
        ``column <= value``. With ``newest_by`` they come in ascending order of that column and
        ``limit`` keeps the last ones; else in the order of the primary key, and it keeps the first.

        A journal may leave ``until`` out: core then reads more than it needs.
        """
        ...

    def count(self, kind: type, *, where: Mapping[str, Any] | None = None) -> int:
        """Return how many records `rows` would give."""
        ...

    def bar_counts(self) -> dict[str, int]:
        """Return the number of bars kept of each symbol."""
        ...

    def newest_bar(self) -> datetime | None:
        """Return the start of the newest minute that has a bar, or None. Cheap."""
        ...

    def in_use(self) -> bool:
        """Return whether a bot runs on it. Raises JournalError when the bot writes to another file."""
        ...

    def send(self, command: Command) -> None:
        """Leave an operator's command for the running bot. Raises JournalError."""
        ...

    def withdraw(self, command_id: str, at: datetime, answer: str) -> bool:
        """Withdraw a waiting command, at a wall time, UTC: it will not be carried out.

        False: there is none, or a bot has started on it; then the command's row says what was done.
        Raises JournalError.
        """
        ...

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        """Yield the newest ``lookback`` bars of each symbol, a minute at a time, oldest first.

        Within a minute bars come sorted by symbol. Costs by the lookback, not by the table's size.
        """
        ...

    def close(self) -> None: ...


class Journal(Rows, Protocol):
    """The durable record of everything. One writer at a time."""

    @property
    def location(self) -> str:
        """Where the journal is stored, for the screen."""
        ...

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        """Write all or nothing, durably: declared records by primary key, and new bars.

        A row replaces the one with its key. A bar that exists keeps the values that decisions used.
        Raises JournalError; then nothing was written.
        """
        ...

    def commands(self) -> list[Command]:
        """Return the `Command` rows not yet applied, in the order given: by ``created_at``, then id.

        Until the next commit they can't be withdrawn any more. Cheap when there
        are none. Raises JournalError.
        """
        ...

    def check_in_place(self) -> None:
        """Check that the committed data is still where a restart and an operator expect it.

        Called at every step and before any order leaves: cheap. Raises JournalError when the journal
        was removed, replaced or changed by others; from then on every commit raises it.
        """
        ...


@frozen
class BrokerAccount:
    """The broker's account. Money in US dollars. ``blocked``: why it may not trade; empty: it may."""

    account_id: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    blocked: str = ""


@frozen
class BrokerOrder:
    """An order as the broker knows it; quantities, prices and fees are cumulative.

    ``fees`` are commissions and fees that it has charged for the fills, US dollars. ``replaces`` is the
    broker's id of the order in whose place it came, empty where there was none.
    """

    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    type: OrderType
    limit_price: Decimal | None
    time_in_force: TimeInForce
    status: Status
    filled_qty: Decimal
    filled_avg_price: Decimal | None
    submitted_at: datetime
    updated_at: datetime
    reason: str = ""
    filled_at: datetime | None = None
    fees: Decimal = ZERO
    replaces: str = ""
    """The broker's id of the order whose place it took; empty: of none."""

    def update(self) -> OrderUpdate:
        """The same as an event."""
        return OrderUpdate(
            client_order_id=self.client_order_id,
            status=self.status,
            time=self.updated_at,
            broker_order_id=self.broker_order_id,
            filled_qty=self.filled_qty,
            filled_avg_price=self.filled_avg_price,
            submitted_at=self.submitted_at,
            reason=self.reason,
            filled_at=self.filled_at,
            symbol=self.symbol,
            fees=self.fees,
        )

    def is_for(self, order: Order) -> bool:
        """Whether it is the order that the bot wrote, and not another one with the same id."""
        return (
            order.symbol, order.side, order.qty, order.type, order.limit_price, order.time_in_force,
        ) == (
            self.symbol, self.side, self.qty, self.type, self.limit_price, self.time_in_force,
        )  # fmt: skip


@frozen
class BrokerPosition:
    """Signed shares the account holds of a symbol, and their average price.

    ``available`` shares are free of open orders; ``price`` is what the broker values one share at, in US
    dollars. None: the broker does not say.
    """

    symbol: str
    qty: Decimal
    avg_price: Decimal
    available: Decimal | None = None
    price: Decimal | None = None


class Broker(Protocol):
    """Takes orders and keeps the account. Every call raises BrokerError when it gets no answer.

    It raises KeyRefused when the broker rejects the API key, and `submit` raises AccountBlocked when
    the broker takes no orders of the account. Neither says anything about the order itself.
    """

    @property
    def name(self) -> str: ...

    @property
    def visibility_delay(self) -> timedelta | None:
        """How long `order` may not find an accepted order. A miss before that proves nothing.

        None: a miss never proves anything.
        """
        ...

    def account(self) -> BrokerAccount: ...

    def calendar(self) -> Calendar: ...

    def submit(self, order: Order) -> OrderUpdate:
        """Send an order once. A refusal is an update with ``Status.REJECTED`` and the reason.

        Raises UnknownOutcome when it is unknown whether it arrived, NotSent when it was not sent, and
        ConflictError when another order has its id.
        """
        ...

    def cancel(self, order: Order) -> None:
        """Request a cancel. It is no error when it comes too late: the order's update shows that."""
        ...

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Return an order in any state. None: the broker does not know it."""
        ...

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        """Return the open orders, and with ``since`` also those submitted from then on.

        Raises PartlyUnreadable where some can't be read.
        """
        ...

    def positions(self) -> list[BrokerPosition]:
        """Return what the account holds. Raises PartlyUnreadable where some can't be read."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class RemoteBroker(Broker, Protocol):
    """A broker whose answers take time. Core calls it from several threads at once."""

    @property
    def stepped(self) -> bool:
        """Whether its market stands still until the feed requests the next minute. Core then waits for all
        answers before that request, so that every run gives the same result."""
        ...

    @property
    def lookups(self) -> Sequence[float]:
        """Seconds after which the status of an unanswered order is queried, counted from its sending, ascending.

        After the last one it is resent under the same id, where it is still useful.
        """
        ...


def is_remote(broker: Broker) -> TypeGuard[RemoteBroker]:
    """Whether a broker's answers take time.

    It is what ``isinstance`` says of a whole `Broker`, without a look at what it has anyway.
    """
    return hasattr(broker, "stepped") and hasattr(broker, "lookups")


def goes_by_itself(broker: Broker) -> bool:
    """Whether a broker's answers take time while its market moves: core calls it in other threads."""
    return is_remote(broker) and not broker.stepped


@frozen
class Progress:
    """How many minutes of its data a feed has delivered."""

    done: int
    total: int


class Feed(Clock, Protocol):
    """Delivers bars and order updates. Its clock is the bot's clock."""

    def tradable(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """Return the symbols, checked; all that the feed has when none are given.

        Raises ConfigError that names an unknown one.
        """
        ...

    def history(
        self, symbols: Collection[str], since: datetime | None, bars: int
    ) -> Iterator[list[Bar]]:
        """Yield closed bars up to now, a minute at a time, oldest first, sorted by symbol.

        With ``since`` those that start after it; without, the newest ``bars`` minutes there are.
        """
        ...

    def catch_up(self, time: datetime) -> None:
        """Move the feed's clock forward to the journal's last time, where it can lag behind it."""
        ...

    def subscribe(self, symbols: Collection[str]) -> None:
        """Begin: `next` delivers these symbols' bars and the account's order updates."""
        ...

    def next(self, timeout: float) -> Batch | None:
        """Return the next events, an empty batch after ``timeout`` seconds, None at the end."""
        ...

    def progress(self) -> Progress | None: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the feed for the operator, for the screen."""
        ...

    def close(self) -> None: ...
