"""When the price of something held is requested: at the first step of each minute that needs it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from smabot.domain.book import Book
from smabot.domain.calendar import Calendar, Session
from smabot.domain.records import Bar, Mark, Position
from smabot.engine.gate import Standing
from smabot.engine.price_requests import PriceRequests
from smabot.errors import BrokerError
from smabot.system.background_query import BackgroundQuery

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
CALENDAR = Calendar([Session(date(2026, 3, 2), OPEN, OPEN + timedelta(hours=6, minutes=30))])


class Quoted:
    """A feed that answers requests for prices, or fails to."""

    fails = False

    def __init__(self) -> None:
        self.time = OPEN
        self.asked: list[str] = []

    def now(self) -> datetime:
        return self.time

    def prices(self, symbols: Sequence[str]) -> list[Mark]:
        self.asked.append(f"{self.time:%H:%M:%S} {' '.join(symbols)}")
        if self.fails:
            raise BrokerError("503")
        return [Mark(symbol, Decimal(99), self.time, "trade") for symbol in symbols]


@pytest.fixture
def feed() -> Quoted:
    return Quoted()


@pytest.fixture
def book() -> Book:
    book = Book(CALENDAR)
    hold(book, "AAA")
    return book


def hold(book: Book, symbol: str) -> None:
    book.apply(Bar(symbol, OPEN, 100.0, 100.0, 100.0, 100.0, 1.0))
    book.apply(Position("s", symbol, Decimal(10), Decimal(1000), Decimal(100), Decimal(0), OPEN))


def begin(book: Book, feed: Quoted) -> PriceRequests:
    query: BackgroundQuery[list[Mark]] = BackgroundQuery("prices", beside=False)
    return PriceRequests(book, feed, Standing(), query)  # type: ignore[arg-type]


def step(requests: PriceRequests, feed: Quoted, *at: str) -> None:
    for time in at:
        feed.time = datetime.fromisoformat(f"2026-03-02T{time}Z")
        requests.update()


def test_a_process_that_began_later_asks_at_the_same_moments(book: Book, feed: Quoted) -> None:
    first, second = ("14:34:30", "14:35:59", "14:36:10"), ("14:36:40", "14:37:00", "14:37:30")
    step(begin(book, feed), feed, *first, *second)
    whole, feed.asked = feed.asked, []
    assert whole == ["14:36:10 AAA", "14:37:00 AAA"]
    step(begin(book, feed), feed, *first)
    step(begin(book, feed), feed, *second[1:])
    assert feed.asked == whole


def test_what_becomes_held_within_a_minute_is_asked_for_at_once(book: Book, feed: Quoted) -> None:
    requests = begin(book, feed)
    step(requests, feed, "14:36:10")
    hold(book, "BBB")
    step(requests, feed, "14:36:20", "14:36:30")
    assert feed.asked == ["14:36:10 AAA", "14:36:20 AAA BBB"]


def test_a_request_that_fails_is_made_again_after_ten_seconds(book: Book, feed: Quoted) -> None:
    requests, feed.fails = begin(book, feed), True
    step(requests, feed, "14:36:10", "14:36:15", "14:36:20")
    feed.fails = False
    step(requests, feed, "14:36:30", "14:36:40", "14:37:05")
    assert [asked[:8] for asked in feed.asked] == ["14:36:10", "14:36:20", "14:36:30", "14:37:05"]
