"""What a simulation needs of an exchange in its process: a market with an account, seen from outside the bot."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.order_terms import Side
from smabot.domain.records import ZERO, Bar, OrderUpdate
from smabot.hooks.ports import Broker, BrokerOrder

if TYPE_CHECKING:
    import asyncio

Application = Callable[..., Coroutine[Any, Any, None]]
"""An ASGI application: called with scope, receive and send."""


@dataclass(frozen=True, slots=True)
class ExchangeMinute:
    """A minute that the market has traded: its end, UTC, and its bars, sorted by symbol."""

    time: datetime
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class ExchangeFill:
    """A fill as the exchange keeps it. ``cumulative_qty`` shares of the order are filled after it;
    ``price`` is in US dollars a share, ``time`` UTC, ``fees`` are what was charged for it, US dollars."""

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    cumulative_qty: Decimal
    time: datetime
    fees: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class SimulatedAction:
    """A corporate action of the market, announced from the beginning. From its ex-date on, bars are in new shares.

    The account follows ``minutes_late`` after the open of the ex-date's session (negative: before it); None: in the
    night before it.
    """

    action: CorporateAction
    minutes_late: int | None = None


class SimulatedExchange(Protocol):
    """A deterministic exchange on a virtual clock. It outlives the bots that connect to it.

    The same calls give the same answers. Nothing it keeps is lost with a bot.
    """

    def connect(self) -> Broker:
        """Return the broker of a new bot, in this process."""
        ...

    def serve(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], datetime],
        keys: Mapping[str, str],
    ) -> Application:
        """Return its HTTP API and its streams as an ASGI application, for these keys and their secrets.

        ``loop``: runs the streams; ``clock``: the virtual time between its minutes, UTC. To end a connection
        without an answer it calls ``scope["extensions"]["smabot.reset"]``.
        """
        ...

    # The clock

    @property
    def now(self) -> datetime:
        """The virtual clock, UTC."""
        ...

    def next_minute(self) -> datetime | None:
        """Return when the next minute that has bars ends, UTC; None where the data have ended."""
        ...

    def trade_minute(self) -> ExchangeMinute | None:
        """Let the market trade that minute; the clock shows its end. None at the data's end."""
        ...

    def trade_quiet_minute(self) -> ExchangeMinute | None:
        """Do what `trade_minute` does where nothing but bars comes of it, until `keep`; else None."""
        ...

    def keep(self) -> None:
        """Keep the quiet minutes."""
        ...

    def fall_back(self) -> None:
        """Be as an exchange in the bot's process is after a kill: quiet minutes that were not kept come again."""
        ...

    def pass_time(self, until: datetime) -> None:
        """Let time pass without trades, at most up to the next minute that has bars."""
        ...

    def take_updates(self) -> list[OrderUpdate]:
        """Return what happened to orders, the bot's and others, since this was asked last, oldest first."""
        ...

    # What is true

    def positions(self) -> dict[str, Decimal]:
        """Return the account's signed shares by symbol, without those that are 0."""
        ...

    def cash(self) -> Decimal: ...

    def equity(self) -> Decimal: ...

    def orders(self) -> list[BrokerOrder]:
        """Return every order there ever was, also those that a fault hides."""
        ...

    def fills(self) -> list[ExchangeFill]:
        """Return every fill, oldest first."""
        ...

    # What happens from outside

    def trade_by_hand(self, symbol: str, side: Side, qty: Decimal) -> bool:
        """Send a market order that is not the bot's; False: it was refused."""
        ...

    def cancel_by_hand(self) -> None:
        """Cancel what is open of such orders."""
        ...

    def transfer(self, amount: Decimal) -> None:
        """Add cash, US dollars; negative: it goes."""
        ...

    def split(self, symbol: str, ratio: Decimal) -> None:
        """Multiply the shares held of a symbol, at an unchanged cost."""
        ...

    def set_fault(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Let a fault of the market happen. Raises ConfigError for an unknown one."""
        ...

    def clear_faults(self) -> None:
        """Let no fault happen any more; what one has done stays done."""
        ...

    def fault_counts(self) -> dict[str, int]:
        """Return how often each kind of fault has struck."""
        ...


class SimulatedExchanges(Protocol):
    """Makes exchanges over the same bars, each at its beginning."""

    def open(self) -> SimulatedExchange: ...
