"""Frames and pages of Alpaca's data gone wrong: left out by name, refused, or read as written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgpack
import pytest

pytest.importorskip("smabot_alpaca")

from smabot.domain.calendar import Calendar, Session
from smabot.errors import BrokerError, ConfigError, KeyRefused
from smabot_alpaca.bar_json import BarDecoder, MalformedData
from smabot_alpaca.clock import ExchangeClock
from smabot_alpaca.credentials import LOOPBACK
from smabot_alpaca.endpoints import StreamAddress
from smabot_alpaca.feed.replay import ReplayClient
from smabot_alpaca.rest.bar_history import BarHistory
from smabot_alpaca.streams.event_queue import BarsReceived, EventQueue, UpdateReceived
from smabot_alpaca.streams.supervision import StreamRefused
from smabot_alpaca.streams.websockets import DataStream, TradeStream

OPEN = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)
CALENDAR = Calendar([Session(date(2026, 11, 25), OPEN, datetime(2026, 11, 25, 21, 0, tzinfo=UTC))])
STAMP = "2026-11-25T14:30:00Z"
VALUES = {"o": 10.25, "h": 10.5, "l": 10, "c": 10.375, "v": 900, "n": 9, "vw": 10.3}
ROWS = [{"t": STAMP, **VALUES}, {"t": "2026-11-25T09:31:00-05:00", **VALUES}]
PAGE = {"bars": {"KO": ROWS, "SPY": ROWS[:1]}, "next_page_token": None}
ORDER = {
    "id": "1", "client_order_id": "a", "symbol": "SPY", "created_at": STAMP, "submitted_at": STAMP,
    "updated_at": STAMP, "qty": "10", "filled_qty": "4", "filled_avg_price": "480.25", "side": "buy",
    "time_in_force": "day", "status": "partially_filled",
}  # fmt: skip
UPDATE = {
    "stream": "trade_updates",
    "data": {"event": "partial_fill", "order": ORDER, "price": "480.25"},
}
ACCESS = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
LISTENING = {"stream": "listening", "data": {"streams": ["trade_updates"]}}

Explore = Callable[..., None]


def packed(messages: Any) -> bytes:
    """As msgpack, with the times that are texts as timestamps where they can be."""
    frame: bytes = msgpack.packb(messages, default=repr, unicode_errors="surrogatepass")
    return frame


def small(value: Any) -> Any:
    """The value as msgpack can carry it."""
    if isinstance(value, dict):
        return {str(key): small(each) for key, each in value.items()}
    if isinstance(value, list):
        return [small(each) for each in value]
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def is_bar_of(bar: Any, row: dict[str, Any], time: datetime) -> bool:
    """Whether a bar has a row's values, each a number as it was written."""
    prices = [row[name] for name in "ohlcv"]
    return (
        bar.time == time
        and all(type(value) in (int, float) for value in prices)
        and list(bar[2:7]) == [float(value) for value in prices]
        and (bar.trade_count or 0) == (row.get("n") or 0)
        and (bar.vwap or 0) == float(row.get("vw") or 0)
        and all(math.isfinite(value) for value in bar[2:7])
    )


def test_frames_of_bars(explore: Explore, odd: Any) -> None:
    messages = [
        {"T": "b", "S": "SPY", "t": STAMP, **VALUES}, {"T": "u", "S": "KO", "t": STAMP, **VALUES},
        {"T": "subscription", "bars": ["SPY", "KO"]},
    ]  # fmt: skip

    def check(data: Any) -> None:
        raw = small(data.draw(odd.mutated(messages)))
        for message in raw:
            if isinstance(message, dict) and message.get("t") == STAMP:
                message["t"] = msgpack.Timestamp.from_datetime(OPEN)
        whole = packed(raw)
        cut = data.draw(odd.damaged(whole))
        try:
            frame = BarDecoder(CALENDAR).decode_frame(cut)
        except MalformedData:
            return
        if cut != whole:
            return
        sent = [m for m in raw if m["T"] in ("b", "u")]
        assert len(frame.bars) + len(frame.revisions) + len(frame.unreadable) + len(
            frame.control
        ) <= len(raw)
        assert frame.counted == sum(m["T"] == "b" for m in raw)
        for bar in frame.bars + frame.revisions:
            rows = [m for m in sent if m.get("S") == bar.symbol]
            assert any(_is(m.get("t"), bar.time) and is_bar_of(bar, m, bar.time) for m in rows)
            assert bar.time.tzinfo is UTC

    explore(check)


def test_pages_of_history(explore: Explore, odd: Any) -> None:
    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(PAGE))
        pages = [raw, {"bars": {}, "next_page_token": None}]

        def get(path: str, params: Any) -> Any:
            return pages.pop(0)

        try:
            bars = BarHistory(get, CALENDAR, "iex").between(
                ["KO", "SPY"], OPEN, OPEN.replace(minute=40)
            )
        except BrokerError:
            assert raw != PAGE
            return
        assert raw["bars"] is None or isinstance(raw["bars"], dict)
        assert (len(pages) == 1) == (raw["next_page_token"] in (None, ""))
        for bar in bars:
            rows = [row for row in raw["bars"][bar.symbol] if isinstance(row, dict)]
            same = [row for row in rows if row.get("t") and _is(row["t"], bar.time)]
            assert any(is_bar_of(bar, row, bar.time) for row in same)
        if raw == PAGE:
            assert len(bars) == 3

    explore(check)


def _is(stamp: Any, time: datetime) -> bool:
    """Whether a time on the wire, which may name nanoseconds, is in a minute."""
    if isinstance(stamp, msgpack.Timestamp):
        stamp = stamp.to_datetime().isoformat()
    try:
        return datetime.fromisoformat(stamp.upper()).replace(microsecond=0) == time
    except (AttributeError, TypeError, ValueError):
        return False


def stream(kind: type[Any], *more: Any) -> tuple[Any, EventQueue]:
    events = EventQueue()
    return kind(events, StreamAddress("ws://127.0.0.1:9", LOOPBACK, True, False), *more), events


def test_frames_of_the_trade_stream(explore: Explore, odd: Any, written: Any) -> None:
    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(data.draw(odd.choice([UPDATE, ACCESS, LISTENING]))))
        frame = json.dumps(raw, default=repr).encode(
            data.draw(odd.choice(["utf-8", "utf-16", "utf-8-sig"]))
        )
        cut = data.draw(odd.damaged(frame))
        trades, events = stream(TradeStream)
        try:
            confirmed = trades._read_frame(cut)
        except (MalformedData, KeyRefused):
            assert raw not in (UPDATE, ACCESS, LISTENING) or cut != frame
            return
        if cut != frame:
            return
        raw = json.loads(json.dumps(raw, default=repr))
        assert not confirmed or "trade_updates" in raw["data"]["streams"]
        updates = [event.update for event in events.drain() if isinstance(event, UpdateReceived)]
        assert len(updates) == (raw["stream"] == "trade_updates")
        for update in updates:
            told = raw["data"]["order"]
            assert update.client_order_id == told["client_order_id"]
            assert update.filled_qty == written(told["filled_qty"])
            assert update.time == datetime.fromisoformat(told["updated_at"])

    explore(check)


def test_frames_of_the_data_stream(explore: Explore, odd: Any) -> None:
    messages = [
        {"T": "subscription", "bars": ["SPY"], "updatedBars": ["SPY"]},
        {"T": "error", "code": 405, "msg": "symbol limit exceeded"},
        {"T": "success", "msg": "authenticated"},
        {"T": "b", "S": "SPY", "t": STAMP, **VALUES},
    ]

    def check(data: Any) -> None:
        raw = small(data.draw(odd.mutated([data.draw(odd.choice(messages))])))
        bars, events = stream(DataStream, ["SPY"], BarDecoder(CALENDAR))
        try:
            confirmed = bars._read_frame(data.draw(odd.damaged(packed(raw))))
        except (MalformedData, KeyRefused, StreamRefused, ConfigError):
            return
        assert not confirmed or any("SPY" in message.get("bars", ()) for message in raw)
        for event in events.drain():
            assert not isinstance(event, BarsReceived) or event.counted >= len(event.bars)

    explore(check)


@pytest.mark.parametrize("frame", [b"[" * 100_000, b'{"stream": ' * 50_000, b"\x91" * 100_000])
def test_too_deep_a_frame_is_malformed(frame: bytes) -> None:
    trades, _ = stream(TradeStream)
    bars, _ = stream(DataStream, ["SPY"], BarDecoder(CALENDAR))
    for each in (trades, bars):
        with pytest.raises(MalformedData):
            each._read_frame(frame)


def test_no_digit_of_a_filled_quantity_is_lost() -> None:
    trades, events = stream(TradeStream)
    text = json.dumps(UPDATE).replace('"4"', "0.1234567890123456789")
    trades._read_frame(text)
    (event,) = events.drain()
    assert event.update.filled_qty == Decimal("0.1234567890123456789")


def test_states_of_a_replay(explore: Explore, odd: Any) -> None:
    state = {
        "time": STAMP,
        "ended": False,
        "progress": [1, 780],
        "bars_sent": 5,
        "updates_sent": None,
    }

    def check(data: Any) -> None:
        raw = data.draw(odd.mutated(state))
        try:
            client = ReplayClient(None, ExchangeClock(), raw)  # type: ignore[arg-type]
        except BrokerError:
            assert repr(raw) != repr(state)
            return
        assert client.ended is raw["ended"]
        assert [client.progress.done, client.progress.total] == raw["progress"]

    explore(check)
