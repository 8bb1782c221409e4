"""The account that is probed: orders of one share far from the market, each answer kept, all cleaned up.

An order is known by its client order id before it is sent, so that it is found again whatever becomes of
its request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, TypeVar

from smabot.provider import ZERO, BrokerError, NotSent, UnknownOutcome
from smabot_alpaca.connection import AlpacaConnection
from smabot_alpaca.order_json import STATUSES, parse_time
from smabot_alpaca.probe.seen import NotTried
from smabot_alpaca.rest.account import read_positions
from smabot_alpaca.rest.client import RequestRefused, RequestUnauthorized
from smabot_alpaca.rest.rate_limit import RateLimitFull, Urgency

T = TypeVar("T")
Json = dict[str, Any]

PREFIX = "smabot-probe-"
CENT = Decimal("0.01")
LOOKS = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0)
"""Seconds after an answer at which it is looked for what it said."""
GONE_LOOKS = LOOKS[:-1]
LONGEST_WAIT = 130.0
"""Seconds that a request waits at most for room under the rate limit."""
NOT_FOUND, ENDED = 404, 422


@dataclass(frozen=True, slots=True)
class FarPrices:
    """Half of the market's price, and one and a half times of it, US dollars."""

    below: Decimal
    above: Decimal

    @classmethod
    def from_market(cls, lowest: Decimal, highest: Decimal) -> FarPrices:
        return cls(_cents(lowest / 2), _cents(highest * Decimal("1.5")))


class ProbeAccount:
    """What procedures use. ``run`` tells the ids of this run from all others.

    ``shorts``: whether the account may sell what it does not hold.
    """

    def __init__(
        self,
        connection: AlpacaConnection,
        symbol: str,
        prices: FarPrices,
        clock: Json,
        *,
        run: str,
        shorts: bool,
    ) -> None:
        self.connection = connection
        self.symbol = symbol
        self.prices = prices
        self.clock = clock
        self.answers: list[Json] = []
        """Each request and its answer, of the assumption that is being tried."""
        self._shorts = shorts
        self._prefix = f"{PREFIX}{run}-"
        self._count = 0
        self._open: dict[str, set[str]] = {}
        """Broker ids of the orders that may be open, by client order id; none: it is not known."""
        self._missing: set[str] = set()
        """Orders whose request was not answered and that no query found."""

    @property
    def market_is_open(self) -> bool:
        return bool(self.clock["is_open"])

    @property
    def session_close(self) -> datetime:
        """The end of the session that is open, or of the next one, UTC."""
        return parse_time(self.clock["next_close"])

    def require_shorting(self) -> None:
        """Raise NotTried where the account can't sell without shares."""
        if not self._shorts:
            raise NotTried("the account may not sell short")

    # -- orders ------------------------------------------------------------------------------------

    def new_id(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}"

    def submit(self, **changes: Any) -> Json:
        """Send a limit buy of one share at half of the price, for the day, changed; return the answer.

        Raises RequestRefused, and UnknownOutcome where it may have arrived.
        """
        body = {
            "symbol": self.symbol, "qty": "1", "side": "buy", "type": "limit",
            "time_in_force": "day", "limit_price": str(self.prices.below),
            "client_order_id": self.new_id(), **changes,
        }  # fmt: skip
        body = {name: value for name, value in body.items() if value is not None}
        return self._sent("POST", "/v2/orders", body)

    def submit_stop(self, side: str, price: Decimal, **changes: Any) -> Json:
        """Send a stop order of one share; see `submit`."""
        return self.submit(
            side=side, type="stop", limit_price=None, stop_price=str(price), **changes
        )

    def submit_bracket(self) -> Json:
        """Send a buy with two exits; see `submit`."""
        below = self.prices.below
        return self.submit(
            order_class="bracket",
            time_in_force="gtc",
            take_profit={"limit_price": str(self.prices.above)},
            stop_loss={"stop_price": str(_cents(below / 2))},
        )

    def replace(self, order: Json, **changes: Any) -> Json:
        """Put a changed order in an order's place; return the answer. Raises as `submit` does."""
        body = {"client_order_id": self.new_id(), **changes}
        return self._sent("PATCH", f"/v2/orders/{order['id']}", body)

    def cancel(self, order: Json) -> None:
        self.ask("DELETE", f"/v2/orders/{order['id']}", urgency=Urgency.EXIT)

    def order(self, client_order_id: str) -> Json:
        answer: Json = self.ask(
            "GET", "/v2/orders:by_client_order_id", {"client_order_id": client_order_id}
        )
        return answer

    def find(self, client_order_id: str) -> Json | None:
        """Return an order; None: Alpaca does not find it."""
        try:
            return self.order(client_order_id)
        except RequestRefused as refusal:
            if refusal.status == NOT_FOUND:
                return None
            raise

    def open_orders(self) -> list[Json]:
        """Return the open orders of the symbol."""
        params = {"status": "open", "symbols": self.symbol, "limit": 500}
        answer: list[Json] = self.ask("GET", "/v2/orders", params)
        return answer

    def ask(
        self,
        method: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        urgency: Urgency = Urgency.READ,
    ) -> Any:
        """Send a request when there is room for it, and keep its answer. Raises what the client does."""
        record: Json = {"request": f"{method} {path}", **({"sent": dict(data)} if data else {})}
        self.answers.append(record)
        named = {"params" if method == "GET" else "json": data}
        deadline = time.monotonic() + LONGEST_WAIT
        while True:
            try:
                answer = self.connection.rest.trading(method, path, urgency=urgency, **named)
            except RateLimitFull as full:
                if time.monotonic() + full.wait > deadline:
                    raise
                time.sleep(full.wait)
            except RequestRefused as refusal:
                record |= {"status": refusal.status, "answer": dict(refusal.body)}
                raise
            except BrokerError as error:
                record["error"] = str(error)
                raise
            else:
                record |= {"status": "ok", "answer": answer}
                return answer

    def _sent(self, method: str, path: str, body: Json) -> Json:
        """Send an order, known from before it is sent until it is refused."""
        name = str(body["client_order_id"])
        there_already = name in self._open
        ids = self._open.setdefault(name, set())
        try:
            answer: Json = self.ask(method, path, body)
        except (RequestRefused, NotSent):
            if not there_already:
                del self._open[name]
            raise
        if not isinstance(answer, dict) or "id" not in answer:
            raise UnknownOutcome(f"{method} {path} was accepted, but the answer is no order")
        ids.add(str(answer["id"]))
        return answer

    # -- cleaning up -------------------------------------------------------------------------------

    @property
    def left(self) -> list[str]:
        """A line for each order that may be open."""
        return [
            *(f"order {name} may be open: cancel it at the broker" for name in self._open),
            *(
                f"order {name} was sent, was not answered and is not found: look for it at the broker"
                for name in self._missing
            ),
        ]

    def clean_up(self) -> None:
        """Cancel what is open, as far as the broker answers. Raises RequestUnauthorized."""
        for name, ids in list(self._open.items()):
            with _only_unauthorized():
                if not ids:
                    self._look_for_unanswered(name)
                for broker_id in ids:
                    self._cancel_if_open(broker_id)
        with _only_unauthorized():
            look_for(self._forget_ended, GONE_LOOKS)

    def clean_up_at_last(self) -> None:
        """Do the same, and look once more for what was not found."""
        self._open.update((name, set()) for name in self._missing)
        self._missing.clear()
        self.clean_up()

    def _look_for_unanswered(self, name: str) -> None:
        """Find out the id of an order whose request was not answered."""
        found, *_ = look_for(lambda: self.find(name), GONE_LOOKS)
        if found is None:
            del self._open[name]
            self._missing.add(name)
        else:
            self._open[name].add(str(found["id"]))

    def _cancel_if_open(self, broker_id: str) -> None:
        try:
            self.ask("DELETE", f"/v2/orders/{broker_id}", urgency=Urgency.EXIT)
        except RequestUnauthorized:
            raise
        except RequestRefused as refusal:
            if refusal.status not in (NOT_FOUND, ENDED):
                raise

    def _forget_ended(self) -> bool | None:
        """Let go of the orders that have ended; None: not all have."""
        for name, ids in list(self._open.items()):
            if ids and all(self._has_ended(broker_id) for broker_id in ids):
                del self._open[name]
        return True if not any(self._open.values()) else None

    def _has_ended(self, broker_id: str) -> bool:
        try:
            order = self.ask("GET", f"/v2/orders/{broker_id}", urgency=Urgency.EXIT)
        except RequestUnauthorized:
            raise
        except RequestRefused:
            return False  # it is not shown yet
        status = STATUSES.get(str(order.get("status"))) if isinstance(order, dict) else None
        return status is not None and status.terminal

    def held(self) -> Decimal:
        """Return the signed shares of the symbol in the account. Raises BrokerError."""
        positions = read_positions(self.connection.rest)
        return sum((each.qty for each in positions if each.symbol == self.symbol), ZERO)


@contextmanager
def _only_unauthorized() -> Iterator[None]:
    """Let no failed request end a clean-up, but one whose key is refused: no other will pass."""
    try:
        yield
    except RequestUnauthorized:
        raise
    except BrokerError:
        pass


def look_for(
    look: Callable[[], T | None], looks: tuple[float, ...] = LOOKS
) -> tuple[T | None, float, float]:
    """Look for something at these seconds from now on, until it is there.

    Return it, the seconds of the look that found it, and those of the last in vain (below 0: none was).
    """
    begun = time.monotonic()
    before = -1.0
    for at in looks:
        time.sleep(max(begun + at - time.monotonic(), 0))
        if (found := look()) is not None:
            return found, at, before
        before = at
    return None, looks[-1], before


def _cents(price: Decimal) -> Decimal:
    return price.quantize(CENT, ROUND_DOWN)
