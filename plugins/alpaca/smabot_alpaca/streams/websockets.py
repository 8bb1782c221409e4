"""The two websockets: stock data, and updates of orders.

alpaca-py speaks the wire (connect, authenticate, subscribe; its private methods, which the pinned
version keeps still); frames are decoded here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from smabot.provider import ConfigError, KeyRefused
from smabot_alpaca.bar_json import BarDecoder, MalformedData
from smabot_alpaca.order_json import UnreadableAnswer, broker_order
from smabot_alpaca.streams import alpaca_py as library
from smabot_alpaca.streams.event_queue import (
    DATA,
    TRADE,
    BarsDropped,
    BarsReceived,
    EventQueue,
    UpdateReceived,
)
from smabot_alpaca.streams.supervision import PLAN_REFUSED, StreamRefused, SupervisedStream

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
        inbox: EventQueue,
        url: str,
        key: tuple[str, str],
        loopback: bool,
        symbols: Sequence[str],
        decoder: BarDecoder,
    ) -> None:
        super().__init__(inbox, url, key, loopback)
        self._symbols = tuple(dict.fromkeys(symbols))
        self._decoder = decoder

    def _make(self) -> Any:
        client = library.streams()[0](
            *self._key, raw_data=True, url_override=self._url, websocket_params=self._options
        )
        client.subscribe_bars(_unused, *self._symbols)
        client.subscribe_updated_bars(_unused, *self._symbols)
        return client

    async def _subscribe(self, client: Any) -> None:
        await client._send_subscribe_msg()

    def _read(self, data: bytes | str) -> bool:
        frame = self._decoder.frame(data)
        confirmed = False
        if frame.counted or frame.revisions or frame.odd:
            came = BarsReceived(frame.bars, frame.revisions, time.monotonic(), frame.odd)
            self._inbox.put(came, messages=frame.counted)
        if frame.beyond:
            self._inbox.put(BarsDropped(frame.beyond, "no session is known so late"))
        for message in frame.control:
            if message["T"] == "subscription":
                confirmed = self._confirm(message.get("bars") or [])
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

    def _make(self) -> Any:
        client = library.streams()[1](
            *self._key, raw_data=True, url_override=self._url, websocket_params=self._options
        )
        client.subscribe_trade_updates(_unused)
        return client

    async def _subscribe(self, client: Any) -> None:
        await client._subscribe_trade_updates()

    def _read(self, data: bytes | str) -> bool:
        try:
            message = json.loads(data)
            stream, content = message["stream"], message["data"]
            if stream == "trade_updates":
                self._inbox.put(UpdateReceived(broker_order(content["order"]).update()), messages=1)
                return False
        except (UnreadableAnswer, LookupError, TypeError, ValueError) as error:
            raise MalformedData(f"no update of an order: {error!r}") from error
        if stream == "authorization" and content.get("status") != "authorized":
            raise KeyRefused(str(content.get("status")))
        return stream == "listening" and "trade_updates" in content.get("streams", ())


async def _unused(message: Any) -> None:
    """alpaca-py asks for a handler before it subscribes; frames are read here instead."""
