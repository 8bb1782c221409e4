"""What REST is asked for, and when, where time goes by itself: with a clock that the test moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from loguru import logger

from smabot.domain.calendar import MINUTE, Calendar
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Bar, OrderUpdate
from smabot.errors import BrokerError
from smabot.hooks.ports import BrokerOrder
from smabot_alpaca.feed.background_requests import BackgroundRequests
from smabot_alpaca.feed.bar_sync import HOLD_SECONDS, SECOND_REQUEST_SECONDS, BarSync, BarSyncLimits
from smabot_alpaca.feed.event_handling import EventHandler, FeedState
from smabot_alpaca.feed.minute_assembly import MinuteAssembly
from smabot_alpaca.feed.order_sync import OrderSync
from smabot_alpaca.feed.stream_status import StreamStatuses
from smabot_alpaca.machine import Machine
from smabot_alpaca.rest.bar_history import BarHistory
from smabot_alpaca.streams.event_queue import (
    DATA,
    TRADE,
    BarsReceived,
    EventQueue,
    StreamDown,
    StreamUp,
    UpdateReceived,
)

SETTLE, PATIENCE, QUIET = 3.0, 5.0, 0.25
SYMBOLS = ("A", "B")


def news(order: BrokerOrder) -> OrderUpdate:
    return order.update()


class Stopwatch(Machine):
    """A machine whose clock is the market's."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def seconds(self) -> float:
        return self._market.seconds


class Market:
    """A clock, REST, and streams that note what is asked of them."""

    def __init__(self, calendar: Calendar, opens: datetime) -> None:
        self.opens = opens
        self.seconds = 0.0
        self.bars: list[Bar] = []
        self.at_the_broker: dict[str, BrokerOrder] = {}
        self.asked: list[tuple[str, int, int]] = []
        self.looked_up: list[str] = []
        self.reconnected: list[str] = []
        self.down = False
        self.events = EventQueue()
        assembly = MinuteAssembly(SYMBOLS, calendar, QUIET, opens - MINUTE)
        self.state = FeedState(self, assembly, StreamStatuses((DATA, TRADE), 0), Stopwatch(self))
        self.handler = EventHandler(self.events, deque(), self.state)
        requests = BackgroundRequests(self.events, inline=True)
        history = BarHistory(self.get, calendar, "iex")
        self.bar_sync = BarSync(self.state, self, history, requests, BarSyncLimits(SETTLE, 2))
        self.order_sync = OrderSync(self.state, self, self, requests, PATIENCE)
        for stream in (DATA, TRADE):
            self.put(StreamUp(stream))
        self.go(0)

    def now(self) -> datetime:
        return self.opens + timedelta(seconds=self.seconds)

    def advance_to(self, time: datetime) -> None:
        """A wall clock is moved by nothing."""

    def reconnect(self, name: str, why: str) -> None:
        self.reconnected.append(name)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        self.looked_up.append(client_order_id)
        return self.at_the_broker.get(client_order_id)

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        raise NotImplementedError

    def get(self, path: str, params: Mapping[str, Any]) -> Any:
        if self.down:
            raise BrokerError("no answer")
        first, last = (datetime.fromisoformat(params[name]) for name in ("start", "end"))
        minutes = [(time - self.opens) // MINUTE for time in (first, last)]
        self.asked.append((params["symbols"], *minutes))
        page: dict[str, list[Any]] = {}
        for bar in self.bars:
            if bar.symbol in params["symbols"].split(",") and first <= bar.time <= last:
                row = {"t": bar.time.isoformat(), "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}
                page.setdefault(bar.symbol, []).append(row)
        return {"bars": page, "next_page_token": None}

    def put(self, event: Any) -> None:
        self.events.put(event)

    def send(self, minute: int, symbols: Sequence[str] = SYMBOLS) -> None:
        """Bars by the stream, on whose minutes REST has them too."""
        bars = [Bar(s, self.opens + minute * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0) for s in symbols]
        self.put(BarsReceived(bars, [], self.seconds))

    def have(self, minute: int, symbols: Sequence[str] = SYMBOLS) -> None:
        """Bars that REST has."""
        self.bars += [
            Bar(s, self.opens + minute * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0) for s in symbols
        ]

    def go(self, seconds: float) -> list[tuple[str, int]]:
        """Let the time come, and return the bars that leave: symbols and minute."""
        self.seconds = seconds
        self.handler.handle_events(seconds)
        self.bar_sync.ask_for_missing_bars(seconds)
        self.order_sync.ask_for_overdue_orders(seconds)
        minutes = self.state.assembly.take_minutes(seconds)
        minutes += self.state.assembly.take_minutes(seconds + QUIET)
        return [
            ("".join(bar.symbol for bar in minute), (minute[0].time - self.opens) // MINUTE)
            for minute in minutes
        ]

    def seen(self, name: str, status: Status, filled: int = 0) -> BrokerOrder:
        qty = Decimal(filled)
        return BrokerOrder(
            name, "id", "A", Side.BUY, Decimal(5), OrderType.MARKET, None, TimeInForce.DAY,
            status, qty, Decimal(1) if filled else None, self.now(), self.now(),
        )  # fmt: skip


@pytest.fixture
def market(calendar: Calendar, at: Callable[[str], datetime]) -> Market:
    return Market(calendar, at("2026-11-25 09:30"))


def test_rest_is_not_asked_while_all_comes(market: Market) -> None:
    for minute in range(5):
        market.send(minute)
        assert market.go(minute * 60 + 60) == [("AB", minute)]
        assert market.go(minute * 60 + 64) == []
    assert market.asked == []


def test_what_lacks_is_asked_for_a_moment_after_the_minute(market: Market) -> None:
    market.send(0, "A")
    market.have(0)
    assert market.go(60) == [("A", 0)]
    assert market.go(60 + SETTLE - 0.1) == []
    assert market.go(60 + SETTLE) == [("B", 0)]
    assert market.asked == [("B", 0, 0)]
    assert market.go(90) == []
    assert market.asked == [("B", 0, 0)]


def test_a_minute_without_trades_is_asked_for_once(market: Market) -> None:
    for second in (60, 63, 64, 70, 100):
        assert market.go(second) == []
    assert market.asked == [("A,B", 0, 0)]
    market.send(1)
    assert market.go(120) == [("AB", 1)]


def test_while_the_data_stream_is_down_bars_come_by_rest(market: Market) -> None:
    market.put(StreamDown(DATA, "406"))
    for minute in range(3):
        market.have(minute)
        assert market.go(minute * 60 + 60) == []
        assert market.go(minute * 60 + 63) == [("AB", minute)]
    assert market.reconnected == []


def test_what_rest_has_not_made_yet_is_asked_for_again(market: Market) -> None:
    """REST has bars 2 to 3 seconds after the minute, and this machine's clock may be early."""
    market.put(StreamDown(DATA, "406"))
    market.have(0, "A")
    assert market.go(60) == []
    assert market.go(63) == [("A", 0)]
    market.have(0, "B")
    assert market.go(63 + SECOND_REQUEST_SECONDS - 1) == []
    assert market.go(63 + SECOND_REQUEST_SECONDS) == [("B", 0)]
    for second in range(80, 120, 5):
        assert market.go(second) == []
    assert market.asked == [("A,B", 0, 0)] * 2
    assert market.state.assembly.revisions == []


def test_what_the_stream_brings_meanwhile_is_not_brought_twice(market: Market) -> None:
    market.put(StreamDown(DATA, "406"))
    assert market.go(60) == []
    assert market.go(63) == []
    market.put(StreamUp(DATA))
    market.send(0)
    market.have(0)
    assert market.go(64) == [("AB", 0)]
    assert market.go(63 + SECOND_REQUEST_SECONDS) == []
    assert market.state.assembly.revisions == []


def test_going_on_without_bars_is_told_once_an_outage(market: Market) -> None:
    told: list[str] = []
    sink = logger.add(told.append, format="{message}")
    try:
        market.down = True
        for minute in range(1, 20):
            market.send(minute, "A")
            for second in range(0, 60, 5):
                market.go(minute * 60 + 60 + second)
    finally:
        logger.remove(sink)
    assert sum("going on without" in line for line in told) == 1


@pytest.fixture
def told() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}")
    yield lines
    logger.remove(sink)


@pytest.mark.parametrize(
    ("comes", "words"),
    [(60 + 70, "70 s after"), (60 - 20, "20 s before"), (60 + 30, ""), (60 - 1, "")],
)
def test_a_clock_that_is_wrong_is_told_once(
    market: Market, told: list[str], comes: float, words: str
) -> None:
    """With one that is a minute fast no bar would be decided on, exits included, without a word."""
    for minute in range(3):
        market.seconds = comes + minute * 60
        market.send(minute)
        market.go(market.seconds)
    warned = [line for line in told if "clock" in line]
    assert len(warned) == bool(words)
    assert words in "".join(warned)


def test_a_machine_that_slept_for_hours_fetches_what_it_missed(market: Market) -> None:
    """Wall time jumps, and sockets are dead without a word: REST has all of it, oldest first."""
    market.send(0)
    assert market.go(60) == [("AB", 0)]
    for minute in range(1, 180):
        market.have(minute)
    asked = len(market.asked)
    assert market.go(180 * 60 + 20) == [("AB", minute) for minute in range(1, 179)]
    assert market.go(180 * 60 + 24) == [("AB", 179)]
    assert market.asked[asked:] == [("A,B", 1, 178), ("A,B", 179, 179)]


def test_a_weekend_and_a_holiday_pass_without_a_question_and_without_memory(
    market: Market, at: Callable[[str], datetime]
) -> None:
    """Wednesday's close to Friday's half-day and Monday: Thanksgiving is no session."""
    begin = (at("2026-11-25 15:59") - market.opens).total_seconds()
    market.state.assembly.mark_checked(at("2026-11-25 15:58"))
    market.send(389)
    assert market.go(begin + 60) == [("AB", 389)]
    friday = (at("2026-11-27 09:30") - market.opens).total_seconds()
    second = begin + 60
    while second < friday + 59:
        second += 600
        market.go(min(second, friday + 59))
    assert market.asked == []
    market.put(
        BarsReceived(
            [Bar(s, at("2026-11-27 09:30"), 1.0, 1.0, 1.0, 1.0, 1.0) for s in SYMBOLS], [], 0
        )
    )
    assert [symbols for symbols, _ in market.go(friday + 60.1)] == ["AB"]
    assert market.asked == []


def test_a_stale_data_stream_is_reconnected(market: Market) -> None:
    for minute in range(2):
        market.have(minute)
        market.go(minute * 60 + 60)
        assert market.reconnected == []
        assert market.go(minute * 60 + 63) == [("AB", minute)]
    assert market.reconnected == [DATA]


def test_a_stream_that_speaks_now_and_then_is_kept(market: Market) -> None:
    for minute in range(6):
        market.have(minute)
        if minute % 2:
            market.send(minute)
        market.go(minute * 60 + 60)
        assert len(market.go(minute * 60 + 63)) + minute % 2 == 1
    assert market.reconnected == []


def test_holes_before_the_newest_bar_are_no_reason_for_distrust(market: Market) -> None:
    for minute in range(4):
        market.have(minute)
    market.seconds = 240
    market.send(3)
    assert market.go(240) == [("AB", minute) for minute in range(4)]
    assert market.asked == [("A,B", 0, 2)]
    assert market.reconnected == []


def test_after_a_reconnect_missed_minutes_come_at_once_and_in_order(market: Market) -> None:
    market.send(0)
    market.go(60)
    market.put(StreamDown(DATA, "lost"))
    market.go(70)
    for minute in (1, 2, 3):
        market.have(minute)
    market.seconds = 245
    market.put(StreamUp(DATA))
    assert market.go(245) == [("AB", 1), ("AB", 2), ("AB", 3)]
    assert market.asked == [("A,B", 1, 3)]


def test_newer_bars_wait_for_missed_ones(market: Market) -> None:
    market.put(StreamDown(DATA, "lost"))
    market.down = True
    for second in (60, 64):
        assert market.go(second) == []
    market.put(StreamUp(DATA))
    market.send(1)
    assert market.go(120) == []
    market.down = False
    market.have(0)
    assert market.go(125) == [("AB", 0), ("AB", 1)]


def test_newer_bars_do_not_wait_for_ever(market: Market) -> None:
    market.down = True
    market.send(1)
    assert market.go(120) == []
    assert market.go(120 + HOLD_SECONDS - 1) == []
    assert market.go(120 + HOLD_SECONDS) == [("AB", 1)]


def test_nothing_is_asked_for_outside_the_sessions(market: Market) -> None:
    close = 390 * 60
    for minute in range(390):
        market.send(minute)
        market.go(minute * 60 + 60)
    for hour in range(1, 40):
        market.go(close + hour * 3600)
    assert market.asked == []


def test_a_silent_order_is_looked_up_and_a_stale_trade_stream_reconnected(market: Market) -> None:
    market.seconds = 10
    market.state.orders.note_answer(news(market.seen("o", Status.SUBMITTED)), 10)
    market.go(14)
    assert market.looked_up == []
    market.seconds = 14
    market.at_the_broker["o"] = market.seen("o", Status.FILLED, 5)
    market.go(15)
    assert market.looked_up == ["o"]
    assert [update.status for update in market.state.batch.updates] == [Status.FILLED]
    assert market.reconnected == []
    market.go(20)
    assert market.reconnected == [TRADE]
    market.go(40)
    assert market.reconnected == [TRADE]


def test_an_order_that_rests_is_no_reason_for_distrust(market: Market) -> None:
    market.seconds = 10
    market.at_the_broker["o"] = market.seen("o", Status.ACCEPTED)
    market.state.orders.note_answer(news(market.at_the_broker["o"]), 10)
    for second in range(11, 200):
        market.go(second)
    assert 2 <= len(market.looked_up) <= 5
    assert market.reconnected == []


def test_a_stream_that_tells_is_not_asked_behind_its_back(market: Market) -> None:
    market.seconds = 10
    market.state.orders.note_answer(news(market.seen("o", Status.SUBMITTED)), 10)
    market.put(UpdateReceived(news(market.seen("o", Status.FILLED, 5))))
    for second in range(11, 100):
        market.go(second)
    assert market.looked_up == []
