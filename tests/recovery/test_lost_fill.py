"""A fill near the close of which no update tells: it is found before the bot ends its order itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.calendar import Session
from smabot.domain.order_terms import Status
from smabot.domain.records import Bar, Batch, Fill, Order, Signal
from smabot.engine.loop import Engine
from smabot.errors import BrokerError
from smabot.hooks.ports import BrokerOrder, BrokerPosition
from smabot.hooks.specifications import hookimpl
from smabot.testing.fake_bot import FakeBot
from smabot.testing.fake_exchange import FakeExchange

plugin = pytest.importorskip("smabot_reconciliation.plugin")

CLOSE = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SESSIONS = [
    Session(day.date(), day - 390 * MINUTE, day) for day in (CLOSE, CLOSE + DAY, CLOSE + 2 * DAY)
]
MORNING = CLOSE + DAY - 390 * MINUTE
LATE = {"reconcile_every_minutes": 300}
"""The timer's comparison comes hours after the close."""


class Deaf(FakeExchange):
    """It fills, and tells nobody; a cancel is never answered."""

    shows_fills = True
    answers = True

    def next(self, timeout: float) -> Batch | None:
        batch = super().next(timeout)
        return replace(batch, updates=()) if batch is not None else None

    def cancel(self, order: Order) -> None:
        raise BrokerError("no answer")

    def order(self, client_order_id: str) -> BrokerOrder | None:
        seen = super().order(client_order_id)
        return seen if self.shows_fills or seen is None else _unfilled(seen)

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        seen = super().orders(since)
        return seen if self.shows_fills else [_unfilled(order) for order in seen]

    def positions(self) -> list[BrokerPosition]:
        if not self.answers:
            raise BrokerError("no answer")
        return super().positions() if self.shows_fills else []


def _unfilled(seen: BrokerOrder) -> BrokerOrder:
    nothing = Decimal(0)
    return replace(
        seen, status=Status.ACCEPTED, filled_qty=nothing, filled_avg_price=None, filled_at=None
    )


class Buys:
    """Wants SPY long from one minute on."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        return Signal.long(bar) if bar.time == self._at else None


@pytest.fixture
def bot() -> FakeBot:
    minutes = [CLOSE - n * MINUTE for n in range(5, 0, -1)] + [
        MORNING + n * MINUTE for n in range(9)
    ]
    bars = [Bar("SPY", time, 100.0, 100.0, 100.0, 100.0, 1000) for time in minutes]
    return FakeBot(
        Deaf(bars, sessions=SESSIONS),
        reconciliation=plugin.ReconciliationPlugin,
        buys=lambda: Buys(CLOSE - 4 * MINUTE),
    )


@contextmanager
def evening(bot: FakeBot) -> Iterator[Engine]:
    """A bot that bought before the close and was not told of its fill."""
    with bot.started(**LATE) as engine:
        while bot.exchange.now() < CLOSE:
            engine.take(batch_of(bot))
        yield engine


def batch_of(bot: FakeBot) -> Batch:
    batch = bot.exchange.next(0)
    assert batch is not None
    return batch


def pass_to(bot: FakeBot, engine: Engine, minutes: int) -> None:
    """Let time pass to so many minutes after the close, minute by minute."""
    while bot.exchange.now() < CLOSE + minutes * MINUTE:
        bot.exchange.shift += MINUTE
        engine.take(Batch(bot.exchange.now()))


def the_order(bot: FakeBot) -> Order:
    (order,) = bot.rows(Order)
    return order


def given_up(bot: FakeBot) -> int:
    return sum(event.kind == "given_up" for event in bot.rows(Event))


def filled(bot: FakeBot) -> list[Any]:
    return [fill.qty for fill in bot.rows(Fill)]


def test_a_fill_whose_update_is_lost_is_found_before_its_order_is_given_up(bot: FakeBot) -> None:
    with evening(bot) as engine:
        assert the_order(bot).status is Status.ACCEPTED
        assert bot.exchange.positions()
        pass_to(bot, engine, 60)
        assert the_order(bot).status is Status.ACCEPTED
        pass_to(bot, engine, 62)
        assert the_order(bot).status is Status.FILLED
        pass_to(bot, engine, 700)
    assert given_up(bot) == 0
    assert filled(bot) == [the_order(bot).qty]


def test_a_start_finds_it_as_well(bot: FakeBot) -> None:
    with evening(bot) as engine:
        pass_to(bot, engine, 60)
    bot.exchange.shift += 30 * MINUTE
    with bot.started(**LATE):
        assert the_order(bot).status is Status.FILLED
    assert given_up(bot) == 0


def test_no_order_is_given_up_while_the_broker_can_not_be_compared_with(
    bot: FakeBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "RETRY_SECONDS", (0.0,))
    with evening(bot) as engine:
        bot.exchange.answers = False
        pass_to(bot, engine, 200)
        assert the_order(bot).status is Status.ACCEPTED
        bot.exchange.answers = True
        pass_to(bot, engine, 202)
        assert the_order(bot).status is Status.FILLED
    assert given_up(bot) == 0


def test_what_the_broker_leaves_open_is_given_up_once_a_comparison_has_shown_it(
    bot: FakeBot,
) -> None:
    with evening(bot) as engine:
        bot.exchange.shows_fills = False
        pass_to(bot, engine, 60)
        assert the_order(bot).status is Status.ACCEPTED
        pass_to(bot, engine, 62)
        assert (the_order(bot).status, given_up(bot)) == (Status.EXPIRED, 1)


@pytest.mark.parametrize("started", [False, True], ids=["running", "started"])
def test_a_fill_that_shows_after_that_and_was_before_it_is_counted(
    bot: FakeBot, started: bool
) -> None:
    with evening(bot) as engine:
        bot.exchange.shows_fills = False
        pass_to(bot, engine, 62)
        bot.exchange.shows_fills = True
        if not started:
            pass_to(bot, engine, 400)
    if started:
        with bot.started(**LATE):
            pass
    order = the_order(bot)
    assert (order.status, order.given_up_at) == (Status.FILLED, None)
    assert filled(bot) == [order.qty]


def test_an_update_that_tells_of_it_late_is_counted_and_compared_at_once(bot: FakeBot) -> None:
    with evening(bot) as engine:
        bot.exchange.shows_fills = False
        pass_to(bot, engine, 62)
        bot.exchange.shows_fills = True
        (seen,) = bot.exchange.orders(CLOSE - DAY)
        engine.take(Batch(bot.exchange.now(), updates=(seen.update(),)))
        assert filled(bot) == [seen.qty]
        assert engine.gate.standing.agreed_at == bot.exchange.now()
        assert not engine.gate.standing.comparing
