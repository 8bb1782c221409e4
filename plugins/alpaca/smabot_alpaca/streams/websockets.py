"""The two websockets: stock data, and updates of orders.

alpaca-py speaks the wire (connect, authenticate, subscribe; its private methods, which the pinned
version keeps still); frames are decoded here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from smabot.provider import ConfigError, KeyRefused
from smabot_alpaca.bar_json import BarDecoder, MalformedData
from smabot_alpaca.endpoints import StreamAddress
from smabot_alpaca.machine import REAL, Machine
from smabot_alpaca.order_json import UnreadableAnswer, broker_order
from smabot_alpaca.streams import alpaca_py
from smabot_alpaca.streams.event_queue import (
    DATA,
    TRADE,
    BarsDropped,
    BarsReceived,
    EventQueue,
    UpdateReceived,
)
from smabot_alpaca.streams.supervision import (
    PLAN_REFUSED,
    StreamRefused,
    SupervisedStream,
    socket_options,
)

FREE_SYMBOLS = 30
"""Symbols that the data stream takes on the free plan (https://alpaca.markets/data)."""


class DataStream(SupervisedStream):
    """Minute bars and their revisions.

    Where the plan allows fewer symbols, the first `FREE_SYMBOLS` are subscribed to; bars of the others
    come by REST, some seconds later.
    """

    name = DATA

    def __init__(
        self,
        events: EventQueue,
        address: StreamAddress,
        symbols: Sequence[str],
        decoder: BarDecoder,
        machine: Machine = REAL,
    ) -> None:
        super().__init__(events, address, machine)
        self._symbols = tuple(dict.fromkeys(symbols))
        self._decoder = decoder

    def _make_client(self) -> Any:
        client = _client(alpaca_py.streams()[0], self._address)
        client.subscribe_bars(_unused, *self._symbols)
        client.subscribe_updated_bars(_unused, *self._symbols)
        return client

    async def _subscribe(self, client: Any) -> None:
        await client._send_subscribe_msg()

    def _read_frame(self, data: bytes | str) -> bool:
        frame = self._decoder.decode_frame(data)
        confirmed = False
        if frame.counted or frame.revisions or frame.unreadable:
            at = self._machine.seconds()
            self._events.put(
                BarsReceived(frame.bars, frame.revisions, at, frame.unreadable, frame.counted)
            )
        if frame.beyond:
            self._events.put(BarsDropped(frame.beyond, "no session is known for that time"))
        for message in frame.control:
            if message["T"] == "subscription":
                confirmed = self._confirm(_names(message.get("bars")))
            elif message["T"] == "error":
                raise self._refusal(message)
        return confirmed

    def _confirm(self, subscribed: Sequence[str]) -> bool:
        if missing := sorted(set(self._symbols).difference(subscribed)):
            shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
            raise ConfigError(
                f"the data stream takes {len(self._symbols) - len(missing)} of "
                f"{len(self._symbols)} symbols and leaves out {shown}: name others with --symbols"
            )
        return True

    def _refusal(self, message: dict[str, Any]) -> Exception:
        code, words = message.get("code"), str(message.get("msg"))
        if code in (401, 402):
            return KeyRefused(f"{code} {words}")
        if code == 405 and len(self._symbols) > FREE_SYMBOLS:
            all_of_them = len(self._symbols)
            self._symbols = self._symbols[:FREE_SYMBOLS]
            return StreamRefused(
                f"{code} {words} with {all_of_them} symbols; from now on the first {FREE_SYMBOLS}, "
                "held ones before others, and bars of the rest by REST"
            )
        if code == 405:
            return ConfigError(
                f"the data stream refuses the {len(self._symbols)} symbols: {code} {words}: "
                "name fewer or others with --symbols, or take a plan that allows them"
            )
        return StreamRefused(words if words in PLAN_REFUSED else f"{code} {words}")


class TradeStream(SupervisedStream):
    """Updates of the account's orders."""

    name = TRADE

    def _make_client(self) -> Any:
        client = _client(alpaca_py.streams()[1], self._address)
        client.subscribe_trade_updates(_unused)
        return client

    async def _subscribe(self, client: Any) -> None:
        await client._subscribe_trade_updates()

    def _read_frame(self, data: bytes | str) -> bool:
        try:
            message = json.loads(data, parse_float=Decimal)
            stream, content = message["stream"], message["data"]
            if stream == "trade_updates":
                order = broker_order(content["order"], by_minutes=self._address.by_minutes)
                self._events.put(UpdateReceived(order.update()))
                return False
            if stream == "authorization" and content["status"] != "authorized":
                raise KeyRefused(str(content["status"]))
            return stream == "listening" and "trade_updates" in _names(content["streams"])
        except (UnreadableAnswer, RecursionError, LookupError, TypeError, ValueError) as error:
            raise MalformedData(f"no update of an order: {error!r}") from error


def _names(listed: Any) -> Sequence[str]:
    """Return a list of names, which may be missing. Raises MalformedData."""
    names = [] if listed is None else listed
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise MalformedData("names that are no list of texts")
    return names


def _client(kind: type[Any], address: StreamAddress) -> Any:
    return kind(
        address.key.key_id.get_secret_value(),
        address.key.secret_key.get_secret_value(),
        raw_data=True,
        url_override=address.url,
        websocket_params=socket_options(loopback=address.loopback),
    )


async def _unused(message: Any) -> None:
    """alpaca-py asks for a handler before it subscribes; frames are read here instead."""
