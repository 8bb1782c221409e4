"""A minute's bars of the data stream to what a program decides on: this bot's way, and alpaca-py's
with its models, over the same frames in turns. Seconds are the process's own on the CPU."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from time import process_time
from typing import Any

import msgpack

from benchmarks.report import Figure, middle
from benchmarks.tapes import OPEN, batches, walks
from smabot.domain.calendar import EXCHANGE_ZONE, Calendar, Session
from smabot.domain.records import Bar
from smabot_alpaca.bar_json import BarDecoder
from smabot_alpaca.streams import alpaca_py as library
from smabot_exchange.streams import frames as wire

SYMBOLS = 11_000
TIMES = 5.0
MICRO = 1e6


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield microseconds a bar of each way, in large frames and with a frame for each bar."""
    rounds = 3 if quick else 9
    ((batch,)) = batches(walks(SYMBOLS, 1), SYMBOLS)
    packed = [
        (wire.bar(wire.MSGPACK, "b", bar._replace(trade_count=9, vwap=bar.close)), True)
        for bar in batch.bars
    ]
    large = [frame for frame, _ in wire.frames(wire.MSGPACK, packed)]
    yield from _compare("large frames", large, rounds)
    for size in (100, 1):
        small = [
            wire.MSGPACK.join([bar for bar, _ in packed[first : first + size]])
            for first in range(0, SYMBOLS, size)
        ]
        yield from _compare(f"frames of {size}", small, rounds)


def _compare(name: str, frames: Sequence[Any], rounds: int) -> Iterator[Figure]:
    ways = {"floor": _unpack, "ours": _ours(), "raw": _alpaca(True), "models": _alpaca(False)}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, decode in ways.items():
            begun = process_time()
            count = decode(frames)
            spent[way].append((process_time() - begun) / SYMBOLS * MICRO)
            assert count == SYMBOLS
    cost = {way: middle(seconds[1:]) for way, seconds in spent.items()}
    yield Figure(f"floor: msgpack.unpackb alone, {name}", cost["floor"], "µs/bar")
    yield Figure(f"alpaca-py to models, {name}", cost["models"], "µs/bar")
    yield Figure(f"alpaca-py raw_data, {name}", cost["raw"], "µs/bar")
    yield Figure(f"this bot, {name}", cost["ours"], "µs/bar")
    ratios = [theirs / own for theirs, own in zip(spent["models"], spent["ours"], strict=True)]
    yield Figure(f"models : this bot, {name}", middle(ratios[1:]), "×", least=TIMES)


def _unpack(frames: Sequence[bytes]) -> int:
    return sum(len(msgpack.unpackb(frame)) for frame in frames)


def _ours() -> Callable[[Sequence[bytes]], int]:
    day = OPEN.astimezone(EXCHANGE_ZONE).date()
    decoder = BarDecoder(Calendar([Session(day, OPEN, OPEN + timedelta(minutes=390))]))

    def decode(frames: Sequence[bytes]) -> int:
        bars: list[Bar] = []
        for frame in frames:
            bars += decoder.decode_frame(frame).bars
        return len(bars)

    return decode


def _alpaca(raw: bool) -> Callable[[Sequence[bytes]], int]:
    """What its client does with a frame, from the unpacking to the handler."""
    client = library.streams()[0]("key", "secret", raw_data=raw)
    bars: list[Any] = []

    async def take(bar: Any) -> None:
        bars.append(bar)

    async def consume(frames: Sequence[bytes]) -> None:
        for frame in frames:
            for message in msgpack.unpackb(frame):
                await client._dispatch(message)

    def decode(frames: Sequence[bytes]) -> int:
        bars.clear()
        asyncio.run(consume(frames))
        return len(bars)

    client.subscribe_bars(take, "*")
    return decode
