"""What an exchange needs of its ledger, be it a file or in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from smabot.provider import Bar, Session
from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.ledger.changes import AccountMovement, CashActivityEntry, LedgerChange
from smabot_exchange.matching.account import AccountTerms, ExchangePosition, LastDay
from smabot_exchange.matching.orders import ExchangeOrder, Execution, OrderFilter


class LedgerPort(Protocol):
    """Bars, sessions, the account, its orders and the clock. Times are UTC; every method may raise BrokerError."""

    # The data

    @property
    def account_id(self) -> str: ...

    @property
    def terms(self) -> AccountTerms:
        """The account's terms, as the ledger was opened with them."""
        ...

    @property
    def minutes(self) -> int:
        """Minutes with a bar, in all."""
        ...

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The data's sessions, and a few after its end."""
        ...

    @property
    def last_session(self) -> Session:
        """The last session of the data."""
        ...

    @property
    def start(self) -> datetime:
        """When the clock of the new ledger started."""
        ...

    def actions(self) -> list[ListedAction]:
        """Return the corporate actions that the data list, with what was done of them."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Return what an operator should know of the data and how far they are replayed, a line each."""
        ...

    def symbols(self) -> tuple[str, ...]: ...

    # The bars

    def minutes_from(self, time: datetime) -> list[tuple[datetime, list[Bar]]]:
        """Return some of the minutes that start at or after a time, one at least if there is one."""
        ...

    def newest_minutes_start(self, count: int, before: datetime) -> datetime | None:
        """Return the start of the ``count``-th last minute that starts before a time, or of the first."""
        ...

    def price_before(self, symbol: str, time: datetime) -> float | None:
        """Return a symbol's last close before a time, else its first open; None: no such symbol."""
        ...

    def bar_before(self, symbol: str, time: datetime) -> Bar | None:
        """Return a symbol's last bar that starts before a time."""
        ...

    def bars_at(self, minutes: Sequence[datetime], symbols: Collection[str]) -> list[Bar]:
        """Return the bars of some minutes, by time, then by symbol."""
        ...

    # The account

    def now(self) -> datetime: ...

    def minutes_played(self) -> int: ...

    def cash(self) -> Decimal: ...

    def last_day(self) -> LastDay | None:
        """Return the account of the session before; None in a ledger that doesn't know it yet."""
        ...

    def positions(self) -> list[ExchangePosition]:
        """Return what is held, by symbol."""
        ...

    def flags(self) -> dict[str, datetime | None]:
        """Return the account's flags that are set, and until when; None: until they are lifted."""
        ...

    def save_flags(self, flags: Mapping[str, datetime | None]) -> None:
        """Commit the account's flags."""
        ...

    def move_clock(self, now: datetime, minutes_played: int) -> None:
        """Commit minutes in which nothing but bars happened."""
        ...

    def record(self, change: LedgerChange, *, durable: bool = True) -> None:
        """Commit a change. Not ``durable``: as `move_clock` does."""
        ...

    # Its orders

    def last_execution(self) -> int:
        """Return the number of the last execution; 0: there was none."""
        ...

    def newest_order(self) -> ExchangeOrder | None:
        """Return the order that came in last."""
        ...

    def order(self, order_id: UUID) -> ExchangeOrder | None: ...

    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder | None: ...

    def taken_ids(self, client_order_ids: Collection[str]) -> set[str]:
        """Return those of some ids that orders have, in any state."""
        ...

    def open_orders(self) -> list[ExchangeOrder]: ...

    def orders_since(self, time: datetime | None) -> list[ExchangeOrder]:
        """Return the orders submitted at or after a time, or all, in the order they came in."""
        ...

    def find_orders(self, wanted: OrderFilter) -> list[ExchangeOrder]:
        """Return the orders that a filter lets through, without hidden ones."""
        ...

    def legs(self, parent: UUID) -> list[ExchangeOrder]:
        """Return an order's legs, without replaced ones."""
        ...

    def executions(self, since: datetime | None = None) -> list[Execution]:
        """Return the fills at or after a time, or all, in the order they happened."""
        ...

    def activities(
        self,
        limit: int | None,
        after_number: int | None,
        oldest_first: bool,
        since: datetime | None,
        until: datetime | None,
    ) -> list[Execution]:
        """Return a page of fills; see `Exchange.activities`."""
        ...

    def movements(self) -> list[AccountMovement]:
        """Return all that ever moved shares or cash, fills and what came from outside, by time."""
        ...

    def cash_activities(self) -> list[CashActivityEntry]:
        """Return the cash that moved without a trade, in its order, shown or not."""
        ...

    def close(self) -> None: ...
