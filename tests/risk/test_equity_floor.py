"""The comparison that spares the rules a computation never changes what they decide."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.calendar import MINUTE
from smabot.domain.records import ZERO, Account, Adjustment, EquityPoint
from smabot_risk.circuit_breaker import CircuitBreaker
from smabot_risk.daily_limits import DailyLimits
from smabot_risk.settings import CircuitBreakerSettings, DailyLimitsSettings

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
A_CENT = Decimal("0.01")


def opened(cash: Decimal) -> Book:
    book = Book()
    book.now = NOON
    book.apply(Account("paper", "exchange", cash, cash, NOON))
    return book


def mark(plugin: Any, book: Book, equity: Decimal) -> None:
    book.now += MINUTE
    point = EquityPoint(book.now, equity, equity, ZERO, ZERO)
    book.apply(point)
    plugin.on_equity(point, book)


@pytest.mark.parametrize("cash", [Decimal("0.50"), Decimal(10), Decimal(100_000), Decimal(10**12)])
@pytest.mark.parametrize("cause", ["max_session_drawdown", "max_peak_drawdown"])
def test_the_breaker_trips_at_its_limit_and_not_a_cent_above(cash: Decimal, cause: str) -> None:
    off = {"max_session_drawdown": 0, "max_peak_drawdown": 0}
    breaker = CircuitBreaker(CircuitBreakerSettings(**{**off, cause: "0.04"}))  # type: ignore[arg-type]
    book = opened(cash)
    limit = cash * Decimal("0.96")
    for equity in (cash, cash, limit + A_CENT):
        mark(breaker, book, equity)
        assert not book.blocks
    mark(breaker, book, limit)
    assert "risk.circuit_breaker" in {plugin for plugin, _ in book.blocks}


@pytest.mark.parametrize("cash", [Decimal("0.50"), Decimal(10), Decimal(100_000)])
@pytest.mark.parametrize("fraction", [True, False])
def test_a_loss_limit_blocks_at_its_loss_and_not_a_cent_before(
    cash: Decimal, fraction: bool
) -> None:
    loss = cash * Decimal("0.04")
    given = {"max_loss": 0, "max_loss_fraction": "0.04"} if fraction else {"max_loss": loss}
    limits = DailyLimits(DailyLimitsSettings(**given))  # type: ignore[arg-type]
    book = opened(cash)
    for equity in (cash, cash, cash - loss + A_CENT):
        mark(limits, book, equity)
        assert not book.blocks
    mark(limits, book, cash - loss)
    assert "risk.daily_limits" in {plugin for plugin, _ in book.blocks}


class Anew:
    """A breaker that remembers nothing between two points but its row: it computes each in full."""

    def __init__(self, settings: CircuitBreakerSettings) -> None:
        self._settings = settings

    def on_equity(self, point: EquityPoint, book: Book) -> None:
        CircuitBreaker(self._settings).on_equity(point, book)


@pytest.mark.parametrize("seed", range(6))
def test_any_points_deposits_and_resets_leave_the_rows_of_a_breaker_that_computes_each(
    seed: int,
) -> None:
    rng = random.Random(seed)
    settings = CircuitBreakerSettings(
        max_session_drawdown=Decimal("0.03"), max_peak_drawdown=Decimal("0.04"), cool_down_minutes=5
    )
    quick, slow = CircuitBreaker(settings), Anew(settings)
    books = opened(Decimal(1_000)), opened(Decimal(1_000))
    equity, tripped = Decimal(1_000), 0
    for number in range(600):
        equity += Decimal(rng.randint(-900, 950)) / 100
        if rng.random() < 0.02:
            added = Decimal(rng.randint(-200, 200))
            equity += added
            for book in books:
                assert book.account is not None
                time = book.now + timedelta(seconds=number + 1)
                book.apply(Adjustment(time, "", "", ZERO, ZERO, "deposit", cash=added))
        mark(quick, books[0], equity)
        mark(slow, books[1], equity)
        rows, others = books[0].drain()[0], books[1].drain()[0]
        assert rows == others
        tripped += any(getattr(row, "kind", "") == "breaker_tripped" for row in rows)
    assert tripped > 2


def test_a_new_trading_date_starts_from_the_equity_before_it() -> None:
    settings = CircuitBreakerSettings(max_session_drawdown=Decimal("0.05"))
    breaker, book = CircuitBreaker(settings), opened(Decimal(1_000))
    for equity in (1_000, 990, 985):
        mark(breaker, book, Decimal(equity))
    book.now += timedelta(days=1)
    mark(breaker, book, Decimal(980))
    (row,) = [r for r in book.drain()[0] if type(r).__name__ == "BreakerState"]
    assert (row.session_date, row.session_equity) == (date(2026, 3, 3), Decimal(985))
