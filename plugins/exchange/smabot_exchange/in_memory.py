"""The exchange of a simulation: in memory, and seen from outside the bot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from smabot.provider import (
    ZERO,
    Bar,
    Broker,
    BrokerOrder,
    ConfigError,
    ExchangeFill,
    ExchangeMinute,
    OrderUpdate,
    Side,
    SimulatedAction,
)
from smabot_exchange.data.corporate_actions import as_listed
from smabot_exchange.data.given_bars import GivenBars
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_kinds import KINDS
from smabot_exchange.in_process import (
    ExchangeBroker,
    SharedExchange,
    to_broker_order,
    to_update,
)
from smabot_exchange.ledger.memory_ledger import LedgerImage
from smabot_exchange.matching.account import RequestedTerms
from smabot_exchange.matching.orders import (
    OrderEvent,
    OrderRequest,
    PositionIntent,
    RequestRefused,
)

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from smabot_exchange.streams.broadcast import Broadcast


class ExchangesInMemory:
    """Makes `ExchangeInMemory`, all from one image of a ledger."""

    def __init__(
        self, bars: Sequence[Bar], terms: RequestedTerms, actions: Sequence[SimulatedAction] = ()
    ) -> None:
        listed = [
            replace(as_listed(each.action), minutes_late=each.minutes_late) for each in actions
        ]
        self._image = LedgerImage(GivenBars(bars, actions=listed), terms)

    def open(self) -> ExchangeInMemory:
        return ExchangeInMemory(Exchange.in_memory(self._image))


class ExchangeInMemory:
    """Implements `smabot.provider.SimulatedExchange`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._shared = SharedExchange(exchange)
        self._shared.add_user(self)
        self._updates: list[OrderUpdate] = []
        self._broadcast: Broadcast | None = None
        self._by_hand: set[UUID] = set()
        exchange.listen(self._note)

    def connect(self) -> Broker:
        self._shared.waiting.clear()
        return ExchangeBroker(self._shared)

    def serve(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], datetime],
        keys: Mapping[str, str],
    ) -> Starlette:
        from smabot_exchange.http.in_process_app import in_process_app, in_process_venue

        venue = in_process_venue(self._exchange, loop, clock, keys)
        self._broadcast = venue.broadcast
        return in_process_app(venue)

    @property
    def now(self) -> datetime:
        return self._exchange.now

    def next_minute(self) -> datetime | None:
        return self._exchange.next_time()

    def trade_minute(self) -> ExchangeMinute | None:
        play = self._exchange.advance if self._broadcast is None else self._broadcast.replay_minute
        minute = play()
        return None if minute is None else ExchangeMinute(minute.time, tuple(minute.bars))

    def trade_quiet_minute(self) -> ExchangeMinute | None:
        minute = self._exchange.advance_quietly() if self._broadcast is None else None
        return None if minute is None else ExchangeMinute(minute[0], tuple(minute[1]))

    def keep(self) -> None:
        self._exchange.keep_clock()

    def fall_back(self) -> None:
        self._exchange = self._shared.exchange = self._exchange.opened_again()
        self._exchange.listen(self._note)

    def pass_time(self, until: datetime) -> None:
        self._exchange.pass_time(until)
        if self._broadcast is not None:
            self._broadcast.time_passed()

    def take_updates(self) -> list[OrderUpdate]:
        updates, self._updates = self._updates, []
        return updates

    def positions(self) -> dict[str, Decimal]:
        return {each.symbol: each.qty for each in self._exchange.positions()}

    def cash(self) -> Decimal:
        return self._exchange.account().cash

    def equity(self) -> Decimal:
        return self._exchange.account().equity

    def orders(self) -> list[BrokerOrder]:
        return [to_broker_order(order) for order in self._exchange.every_order()]

    def fills(self) -> list[ExchangeFill]:
        names = {order.id: order.client_order_id for order in self._exchange.every_order()}
        return [
            ExchangeFill(
                names[each.order_id], each.symbol, each.side, each.qty, each.price,
                each.cumulative_qty, each.time, each.fees,
            )
            for each in self._exchange.executions()
        ]  # fmt: skip

    def trade_by_hand(self, symbol: str, side: Side, qty: Decimal) -> bool:
        closes = self._exchange.available(symbol) * side.sign < 0
        intent = PositionIntent.SELL_TO_CLOSE if closes and side is Side.SELL else None
        try:
            event = self._exchange.submit(OrderRequest(symbol, side, qty, position_intent=intent))
        except RequestRefused:
            return False
        self._by_hand.add(event.order.id)
        return True

    def cancel_by_hand(self) -> None:
        for order in self._exchange.every_order():
            if order.open and order.id in self._by_hand:
                with suppress(RequestRefused):
                    self._exchange.cancel(order.id)

    def transfer(self, amount: Decimal) -> None:
        self._exchange.transfer(amount)

    def split(self, symbol: str, ratio: Decimal) -> None:
        held = self.positions().get(symbol, ZERO)
        if held:
            self._exchange.adjust(symbol, held * (ratio - 1), ZERO)

    def set_fault(self, kind: str, fields: Mapping[str, Any]) -> None:
        if kind not in KINDS:
            raise ConfigError(f"no such fault: {kind}")
        self._exchange.faults.add([KINDS[kind](**fields)])

    def clear_faults(self) -> None:
        self._exchange.faults.clear()

    def fault_counts(self) -> dict[str, int]:
        return self._exchange.faults.counts()

    def _note(self, events: Sequence[OrderEvent]) -> None:
        self._updates += [to_update(event.order) for event in events]
