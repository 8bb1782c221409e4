"""The stock data stream's messages and how they are written: msgpack or JSON, in frames.

https://docs.alpaca.markets/docs/real-time-stock-pricing-data
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

import msgpack
import orjson

from smabot.provider import MINUTE, Bar
from smabot_exchange.json_forms import market_data_json

LARGEST_FRAME = 1024 * 1024 - 64
"""Bytes: clients refuse larger messages unless told otherwise."""

LAST_MOMENT = MINUTE - timedelta(microseconds=1)
"""When in its minute a bar's trade and quote happen."""

Json = dict[str, Any]


class MessageCodec(Protocol):
    """A way to write messages."""

    def time(self, moment: datetime) -> Any:
        """Return an instant as it is written."""
        ...

    def pack(self, message: Json) -> bytes: ...

    def unpack(self, frame: str | bytes) -> Any:
        """Return what a client sent. Raises ValueError."""
        ...

    def join(self, messages: list[bytes]) -> bytes | str:
        """Return the frame of packed messages."""
        ...


class MsgpackCodec:
    """Binary frames; times are msgpack timestamps."""

    def __init__(self) -> None:
        self._packer = msgpack.Packer()
        self.time = lru_cache(8)(msgpack.Timestamp.from_datetime)

    def pack(self, message: Json) -> bytes:
        packed: bytes = self._packer.pack(message)
        return packed

    def unpack(self, frame: str | bytes) -> Any:
        try:
            return msgpack.unpackb(frame if isinstance(frame, bytes) else frame.encode())
        except Exception as error:
            raise ValueError(str(error)) from error

    def join(self, messages: list[bytes]) -> bytes:
        header: bytes = self._packer.pack_array_header(len(messages))
        return header + b"".join(messages)


class JsonCodec:
    """Text frames; times are RFC 3339."""

    def __init__(self) -> None:
        self.time = lru_cache(8)(market_data_json.stamp)

    def pack(self, message: Json) -> bytes:
        return orjson.dumps(message)

    def unpack(self, frame: str | bytes) -> Any:
        return orjson.loads(frame)

    def join(self, messages: list[bytes]) -> str:
        return "[" + b",".join(messages).decode() + "]"


MSGPACK: MessageCodec = MsgpackCodec()
JSON: MessageCodec = JsonCodec()


def bar(codec: MessageCodec, kind: str, bar: Bar) -> bytes:
    """Return a bar, packed; ``kind`` is b (minute), u (updated) or d (day)."""
    return codec.pack(
        {"T": kind, "S": bar.symbol, **market_data_json.bar(bar, codec.time(bar.time))}
    )


def trade(codec: MessageCodec, bar: Bar) -> bytes:
    time = codec.time(bar.time + LAST_MOMENT)
    return codec.pack({"T": "t", "S": bar.symbol, **market_data_json.trade(bar, time)})


def quote(codec: MessageCodec, bar: Bar, half_spread: Decimal) -> bytes:
    time = codec.time(bar.time + LAST_MOMENT)
    shown = market_data_json.quote(bar, time, half_spread=half_spread)
    return codec.pack({"T": "q", "S": bar.symbol, **shown})


def status(
    codec: MessageCodec,
    symbol: str,
    moment: datetime,
    *,
    trading: bool,
    reason: tuple[str, str] = ("", ""),
) -> bytes:
    """Return that a symbol may be traded from now on, or not, in the words of tape C.

    ``reason`` is the code of a halt and what it means.
    """
    code, words = ("T", "Trading Resumption") if trading else ("H", "Trading Halt")
    return codec.pack(
        {
            "T": "s", "S": symbol, "sc": code, "sm": words, "rc": reason[0], "rm": reason[1],
            "t": codec.time(moment), "z": market_data_json.TAPE,
        }
    )  # fmt: skip


def frames(
    codec: MessageCodec, messages: Iterable[tuple[bytes, bool]]
) -> Iterator[tuple[bytes | str, int]]:
    """Yield as few frames as possible, each with the number of its messages that count."""
    chunk: list[bytes] = []
    size = counted = 0
    for message, counts in messages:
        if size + len(message) + 1 > LARGEST_FRAME:
            yield codec.join(chunk), counted
            chunk, size, counted = [], 0, 0
        chunk.append(message)
        size += len(message) + 1
        counted += counts
    if chunk:
        yield codec.join(chunk), counted
