"""What stands between a bot and its exchange in a test: bad lines, lost streams, and a look at each order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from smabot.domain.frozen_classes import replace
from smabot.domain.records import Batch, Order, OrderUpdate
from smabot.errors import NotSent, UnknownOutcome

DOWN = "the stream of order updates is down"


class Market(Protocol):
    """The exchange, as somebody beside the bot sees and uses it: the oracle."""

    def held(self) -> dict[str, Decimal]:
        """Return the account's signed shares by symbol."""
        ...

    def filled(self) -> dict[str, Decimal]:
        """Return the shares filled of every order there ever was, by its client order id."""
        ...

    def equity(self) -> Decimal: ...

    def sell_by_hand(self, symbol: str, qty: Decimal) -> bool:
        """Sell shares in the account that no order of the bot's sells; False: it was refused."""
        ...

    def freeze_cancels(self) -> None:
        """Let the next cancel stay unanswered for ever."""
        ...


class NearBroker:
    """A broker on a line that loses requests and answers; ``arriving`` sees each order that gets through.

    ``faults`` are what befalls the next orders: ``lost`` on the way there, ``unanswered`` on the way
    back, ``full`` where there was no room to send it.
    """

    def __init__(self, broker: Any, arriving: Callable[[Order], None]) -> None:
        self.faults: list[str] = []
        self._broker = broker
        self._arriving = arriving

    def submit(self, order: Order) -> OrderUpdate:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "full":
            raise NotSent("no room under the rate limit", 1.0)
        if fault == "lost":
            raise UnknownOutcome("the request was lost")
        self._arriving(order)
        answer: OrderUpdate = self._broker.submit(order)
        if fault == "unanswered":
            raise UnknownOutcome("the answer was lost")
        return answer

    def __getattr__(self, name: str) -> Any:
        if name == "submit_many":
            raise AttributeError(name)
        return getattr(self._broker, name)


class FarBroker(NearBroker):
    """The same, where that an order is not found proves nothing."""

    stepped = True
    lookups: Sequence[float] = (0.2, 0.5, 1.0)
    visibility_delay: timedelta | None = None


class Stream:
    """A feed that may lose order updates for a while; then it says so, and the bot compares."""

    def __init__(self, feed: Any) -> None:
        self.down = False
        self._feed = feed
        self._was_down = False

    def next(self, timeout: float) -> Batch | None:
        batch: Batch | None = self._feed.next(timeout)
        if batch is None:
            return None
        back, self._was_down = self._was_down and not self.down, self.down
        if self.down:
            return replace(batch, updates=(), doubt=DOWN)
        return replace(batch, resync=True) if back else batch

    def now(self) -> datetime:
        now: datetime = self._feed.now()
        return now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)
