"""Frames and pages become bars, at a fraction of the cost of a model each."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import msgpack
import pytest

from smabot.calendar import Calendar
from smabot.records import Bar
from smabot_alpaca.decode import BarDecoder, Garbage

Wire = Callable[..., dict[str, Any]]
MakeBar = Callable[..., Bar]


def test_bars_and_revisions_of_a_frame(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire
) -> None:
    spy, ko = make_bar("SPY", "2026-11-25 09:30", 660.5), make_bar("KO", "2026-11-25 09:30")
    revised = spy._replace(close=660.25)
    ack = {"T": "subscription", "bars": ["KO", "SPY"]}
    messages = [ack, on_the_wire(spy), on_the_wire(ko), on_the_wire(revised, "u")]
    frame = BarDecoder(calendar).frame(msgpack.packb(messages))
    assert (frame.bars, frame.revisions, frame.control) == ([spy, ko], [revised], [ack])
    assert frame.counted == 2
    assert all(type(value) is float for value in frame.bars[0][2:7])
    assert frame.bars[0].time.tzinfo is UTC


def test_whole_numbers_become_floats(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire
) -> None:
    message = on_the_wire(make_bar("SPY", "2026-11-25 09:30"), o=660, h=660, l=660, c=660, vw=660)
    (bar,) = BarDecoder(calendar).frame(msgpack.packb([message])).bars
    assert [type(value) for value in bar[2:7]] == [float] * 5
    assert type(bar.vwap) is float


def test_what_the_tape_does_not_know_is_none(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire
) -> None:
    bar = make_bar("SPY", "2026-11-25 09:30")
    for nothing in (None, 0):
        message = on_the_wire(bar, n=nothing, vw=nothing)
        (decoded,) = BarDecoder(calendar).frame(msgpack.packb([message])).bars
        assert decoded == bar._replace(trade_count=None, vwap=None)


@pytest.mark.parametrize(
    "local",
    ["2026-11-25 09:29", "2026-11-25 16:00", "2026-11-27 13:00", "2026-11-26 10:00", "2026-11-28 10:00"],
)  # fmt: skip
def test_only_regular_sessions(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire, local: str
) -> None:
    bar = make_bar("SPY", local)
    decoder = BarDecoder(calendar)
    frame = decoder.frame(msgpack.packb([on_the_wire(bar), on_the_wire(bar, "u")]))
    assert (frame.bars, frame.revisions, frame.counted) == ([], [], 1)
    row = {"t": f"{bar.time:%Y-%m-%dT%H:%M:%SZ}", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}
    assert decoder.page({"SPY": [row]}) == []


def test_a_page_of_history(calendar: Calendar, at: Callable[[str], datetime]) -> None:
    page = {
        "KO": [{"t": "2026-11-25T14:30:00Z", "o": 70, "h": 71, "l": 69.5, "c": 70.1, "v": 900, "n": 9, "vw": 70.05}],
        "SPY": [{"t": "2026-11-25T09:31:00-05:00", "o": 660, "h": 661, "l": 659, "c": 660, "v": 5}],
    }  # fmt: skip
    assert BarDecoder(calendar).page(page) == [
        Bar("KO", at("2026-11-25 09:30"), 70.0, 71.0, 69.5, 70.1, 900.0, 9, 70.05),
        Bar("SPY", at("2026-11-25 09:31"), 660.0, 661.0, 659.0, 660.0, 5.0, None, None),
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"garbage", "text", b"\x93\x01", msgpack.packb({"T": "b"}), msgpack.packb([1]), msgpack.packb([{}]),
     msgpack.packb([{"T": "b"}]), msgpack.packb([None])],
)  # fmt: skip
def test_garbage_is_named(calendar: Calendar, data: bytes | str) -> None:
    with pytest.raises(Garbage):
        BarDecoder(calendar).frame(data)


@pytest.mark.parametrize(
    "change",
    [
        {"l": 0}, {"l": -1.0}, {"h": math.inf}, {"h": math.nan}, {"l": math.nan}, {"l": 11.0},
        {"o": None}, {"c": "much"}, {"t": None}, {"t": "yesterday"}, {"t": 1e300},
        {"t": msgpack.Timestamp(2**62)}, {"t": []}, {"v": {}}, {"vw": "x"},
    ],
)  # fmt: skip
def test_a_bar_that_can_not_be(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire, change: dict[str, Any]
) -> None:
    message = on_the_wire(make_bar("SPY", "2026-11-25 09:30"), **change)
    with pytest.raises(Garbage):
        BarDecoder(calendar).frame(msgpack.packb([message]))


def test_a_bar_that_begins_within_a_minute(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire, at: Callable[[str], datetime]
) -> None:
    odd = make_bar("SPY", at("2026-11-25 09:30") + timedelta(seconds=5))
    with pytest.raises(Garbage, match="not at a minute"):
        BarDecoder(calendar).frame(msgpack.packb([on_the_wire(odd)]))


@pytest.mark.parametrize("page", [{"SPY": None}, {"SPY": [{}]}, [], {"SPY": [{"t": "soon"}]}])
def test_a_page_that_can_not_be_read(calendar: Calendar, page: Any) -> None:
    with pytest.raises(Garbage):
        BarDecoder(calendar).page(page)


@pytest.mark.slow
def test_a_bar_costs_a_fifth_of_alpaca_py_s_model_path(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire
) -> None:
    from alpaca.data.live.stock import StockDataStream

    bars = [make_bar(f"S{number}", "2026-11-25 10:00", 10 + number / 100) for number in range(2000)]
    data = msgpack.packb([on_the_wire(bar) for bar in bars])
    received = []

    async def handler(bar: Any) -> None:
        received.append(bar)

    stream = StockDataStream("key", "secret")
    stream.subscribe_bars(handler, *[bar.symbol for bar in bars])

    async def by_models() -> None:
        for message in msgpack.unpackb(data):
            await stream._dispatch(message)

    decoder = BarDecoder(calendar)
    models = min(_seconds(lambda: asyncio.run(by_models())) for _ in range(5))
    ours = min(_seconds(lambda: decoder.frame(data)) for _ in range(5))
    assert len(received) == 5 * len(bars)
    assert decoder.frame(data).bars == bars
    assert ours * 5 < models


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds, which other processes don't add to."""
    begun = process_time()
    work()
    return process_time() - begun
