"""Frames and pages become bars, at a fraction of the cost of a model each."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import msgpack
import pytest

from smabot.domain.calendar import Calendar
from smabot.domain.records import Bar
from smabot_alpaca.bar_json import BarDecoder, MalformedData

Wire = Callable[..., dict[str, Any]]
MakeBar = Callable[..., Bar]


def test_bars_and_revisions_of_a_frame(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire
) -> None:
    spy, ko = make_bar("SPY", "2026-11-25 09:30", 660.5), make_bar("KO", "2026-11-25 09:30")
    revised = spy._replace(close=660.25, low=660.25)
    ack = {"T": "subscription", "bars": ["KO", "SPY"]}
    messages = [ack, on_the_wire(spy), on_the_wire(ko), on_the_wire(revised, "u")]
    frame = BarDecoder(calendar).decode_frame(msgpack.packb(messages))
    assert (frame.bars, frame.revisions, frame.control) == ([spy, ko], [revised], [ack])
    assert frame.counted == 2
    assert all(type(value) is float for value in frame.bars[0][2:7])
    assert frame.bars[0].time.tzinfo is UTC


def test_whole_numbers_become_floats(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire
) -> None:
    message = on_the_wire(make_bar("SPY", "2026-11-25 09:30"), o=660, h=660, l=660, c=660, vw=660)
    (bar,) = BarDecoder(calendar).decode_frame(msgpack.packb([message])).bars
    assert [type(value) for value in bar[2:7]] == [float] * 5
    assert type(bar.vwap) is float


def test_what_the_tape_does_not_know_is_none(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire
) -> None:
    bar = make_bar("SPY", "2026-11-25 09:30")
    for nothing in (None, 0):
        message = on_the_wire(bar, n=nothing, vw=nothing)
        (decoded,) = BarDecoder(calendar).decode_frame(msgpack.packb([message])).bars
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
    frame = decoder.decode_frame(msgpack.packb([on_the_wire(bar), on_the_wire(bar, "u")]))
    assert (frame.bars, frame.revisions, frame.counted) == ([], [], 1)
    row = {"t": f"{bar.time:%Y-%m-%dT%H:%M:%SZ}", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}
    assert decoder.decode_page({"SPY": [row]}) == ([], [])


def test_a_page_of_history(calendar: Calendar, at: Callable[[str], datetime]) -> None:
    page = {
        "KO": [{"t": "2026-11-25T14:30:00Z", "o": 70, "h": 71, "l": 69.5, "c": 70.1, "v": 900, "n": 9, "vw": 70.05}],
        "SPY": [{"t": "2026-11-25T09:31:00-05:00", "o": 660, "h": 661, "l": 659, "c": 660, "v": 5}],
    }  # fmt: skip
    assert BarDecoder(calendar).decode_page(page)[0] == [
        Bar("KO", at("2026-11-25 09:30"), 70.0, 71.0, 69.5, 70.1, 900.0, 9, 70.05),
        Bar("SPY", at("2026-11-25 09:31"), 660.0, 661.0, 659.0, 660.0, 5.0, None, None),
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"garbage", "text", b"\x93\x01", msgpack.packb({"T": "b"}), msgpack.packb([1]), msgpack.packb([{}]),
     msgpack.packb([None]), msgpack.packb([{"T": "b", "t": msgpack.Timestamp(2**62)}])],
)  # fmt: skip
def test_garbage_is_named(calendar: Calendar, data: bytes | str) -> None:
    with pytest.raises(MalformedData):
        BarDecoder(calendar).decode_frame(data)


IMPOSSIBLE: list[dict[str, Any]] = [
    *({name: value} for name in "ohlc" for value in (0, -5.0, math.nan, math.inf)),
    {"l": 11.0}, {"h": 9.0}, {"o": 12.0}, {"c": 12.0}, {"o": 8.0}, {"c": 8.0}, {"v": -1.0},
    {"v": math.nan}, {"vw": -1.0}, {"n": -1},
]  # fmt: skip
"""Of a bar from 10 to 10.5."""


@pytest.mark.parametrize("change", IMPOSSIBLE, ids=str)
def test_a_bar_that_can_not_be_costs_itself(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire, change: dict[str, Any]
) -> None:
    good, bad = make_bar("KO", "2026-11-25 09:30"), make_bar("SPY", "2026-11-25 09:30")
    data = msgpack.packb([on_the_wire(good), on_the_wire(bad, **change), on_the_wire(bad, "u", **change)])  # fmt: skip
    frame = BarDecoder(calendar).decode_frame(data)
    assert (frame.bars, frame.revisions, frame.counted) == ([good], [], 2)
    assert [symbol for symbol, _ in frame.unreadable] == ["SPY", "SPY"]
    assert "09:30" not in frame.unreadable[0][1]
    assert "the bar of 14:30Z is left out" in frame.unreadable[0][1]


@pytest.mark.parametrize(
    "change",
    [
        {"o": None}, {"c": "much"}, {"t": None}, {"t": "yesterday"}, {"t": 1e300},
        {"t": []}, {"v": {}}, {"vw": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_a_bar_that_can_not_be_read_costs_itself(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire, change: dict[str, Any]
) -> None:
    good, bad = make_bar("KO", "2026-11-25 09:30"), make_bar("SPY", "2026-11-25 09:30")
    data = msgpack.packb([on_the_wire(bad, **change), on_the_wire(good)])
    frame = BarDecoder(calendar).decode_frame(data)
    assert (frame.bars, frame.counted) == ([good], 2)
    ((symbol, why),) = frame.unreadable
    assert symbol == "SPY"
    assert why.startswith("a bar can't be read: ")


def test_a_bar_that_begins_within_a_minute_costs_itself(
    calendar: Calendar, make_bar: MakeBar, on_the_wire: Wire, at: Callable[[str], datetime]
) -> None:
    odd = make_bar("SPY", at("2026-11-25 09:30") + timedelta(seconds=5))
    good = make_bar("KO", "2026-11-25 09:30")
    frame = BarDecoder(calendar).decode_frame(msgpack.packb([on_the_wire(odd), on_the_wire(good)]))
    assert frame.bars == [good]
    assert "not at a minute" in frame.unreadable[0][1]


@pytest.mark.parametrize("page", [{"SPY": None}, [], {"SPY": 1}])
def test_a_page_that_is_none(calendar: Calendar, page: Any) -> None:
    with pytest.raises(MalformedData):
        BarDecoder(calendar).decode_page(page)


@pytest.mark.parametrize(
    "row",
    [{}, None, 1, {"t": "soon"}, *IMPOSSIBLE, {"o": "x"}, {"v": None}, {"n": "many"}],
    ids=str,
)
def test_a_row_of_a_page_costs_itself(calendar: Calendar, row: Any) -> None:
    good = {"t": "2026-11-25T14:30:00Z", "o": 10, "h": 10.5, "l": 10, "c": 10.2, "v": 5, "n": 1}
    bad = {**good, **row} if row and isinstance(row, dict) and "t" not in row else row
    bars, odd = BarDecoder(calendar).decode_page({"KO": [good], "SPY": [bad, good]})
    assert [(bar.symbol, bar.close) for bar in bars] == [("KO", 10.2), ("SPY", 10.2)]
    assert [symbol for symbol, _ in odd] == ["SPY"]


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
    with ThreadPoolExecutor(1) as beside:  # another test's browser may have a loop in this thread
        models = min(
            beside.submit(_seconds, lambda: asyncio.run(by_models())).result() for _ in range(5)
        )
    ours = min(_seconds(lambda: decoder.decode_frame(data)) for _ in range(5))
    assert len(received) == 5 * len(bars)
    assert decoder.decode_frame(data).bars == bars
    assert ours * 5 < models


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds, which other processes don't add to."""
    begun = process_time()
    work()
    return process_time() - begun
