"""What a journal, a broker or a feed may offer besides what core needs (`smabot.hooks.ports`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Protocol, TypeGuard, runtime_checkable

from smabot.domain.calendar import Session
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.records import Bar, Mark, Order, OrderUpdate
from smabot.errors import BrokerError
from smabot.hooks.ports import Broker


@runtime_checkable
class BarRows(Protocol):
    """A journal that can also return the bars of a span of time: `smabot explain` shows them."""

    def bars_within(self, since: datetime, until: datetime, symbol: str | None = None) -> list[Bar]:
        """Return the bars that start from ``since`` to ``until``, both included, oldest first.

        Of one minute they come sorted by symbol. Costs by the minutes, not by the table's size.
        """
        ...


@runtime_checkable
class BulkBroker(Broker, Protocol):
    """A broker that takes several orders in one call, where that is cheaper."""

    def submit_many(self, orders: Sequence[Order]) -> list[OrderUpdate | BrokerError]:
        """Send orders once each, in this order, and return their answers, as `Broker.submit` does.

        An order's error takes the place of its answer. Raises UnknownOutcome when
        it is unknown which of them arrived.
        """
        ...


@runtime_checkable
class ActionsBroker(Broker, Protocol):
    """A broker that announces corporate actions."""

    def corporate_actions(
        self, symbols: Collection[str], since: date, until: date
    ) -> list[CorporateAction]:
        """Return splits and changes of name of these symbols with an ex-date from ``since`` to ``until``, both
        included.

        Core may call it from another thread. Raises BrokerError.
        """
        ...


def announces_actions(broker: Broker) -> TypeGuard[ActionsBroker]:
    """Whether a broker announces corporate actions; one that stands before another has what that one has."""
    return hasattr(broker, "corporate_actions")


@runtime_checkable
class PricedFeed(Protocol):
    """A feed that can return a symbol's price when no bar comes."""

    def prices(self, symbols: Collection[str]) -> list[Mark]:
        """Return the latest price of each symbol that has one.

        It is the price of the latest trade, or the broker's valuation of the account's position where
        that is newer. Core may call it from another thread. Raises BrokerError.
        """
        ...


@runtime_checkable
class ReplayingFeed(Protocol):
    """A feed that replays known bars, and after a restart goes on at the minute that was kept last.

    It marks a batch that `keep` has to follow with ``comes_again``. A feed without `keep` goes on by
    itself: each of its batches is committed at once.
    """

    def keep(self) -> None:
        """Keep that all that was delivered is committed: no restart gets it again.

        Before the first call the feed keeps that by itself.
        """
        ...


@runtime_checkable
class HistoricalFeed(Protocol):
    """A feed of data that may lack whole sessions: they are in no `Broker.calendar`."""

    def absent_sessions(self) -> Sequence[Session]:
        """Return the sessions between the data's first and last one of which they have no bar, oldest first."""
        ...
