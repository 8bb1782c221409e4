"""What a running bot makes of others' orders, refusals, lost updates and revised bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import (
    Bar,
    BarRevision,
    Batch,
    Order,
    OrderUpdate,
    Position,
)
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.errors import BrokerError
from smabot.hooks.recovery_answers import Reconciliation

Make = Callable[..., Any]
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
D = Decimal
LONG, FLAT = 1, 0


def minute(number: float) -> datetime:
    return OPEN + number * MINUTE


@pytest.mark.parametrize(
    ("symbol", "told"), [("SPY", True), ("IBM", True), ("QQQ", False)], ids=str
)
def test_an_order_of_somebody_else_is_an_event_where_it_concerns_us(
    running: Make, symbol: str, told: bool
) -> None:
    """SPY is traded, IBM only held, QQQ neither."""
    with running() as bot:
        bot.book.apply(Position("old", "IBM", D(5), D(500), D(100), D(0), OPEN))
        bot.play(1)
        begun = len(bot.plugin.compared)
        bot.update("hand-1", Status.FILLED, symbol=symbol, filled_qty=D(3))
        assert bot.events() == ([("external_activity", symbol, False)] if told else [])
        assert len(bot.plugin.compared) - begun == told


def test_strange_orders_in_a_row_ask_for_one_comparison(running: Make) -> None:
    with running() as bot:
        bot.play(1)
        begun = len(bot.plugin.compared)
        for seconds in (0, 2, 4.9, 5, 7):
            bot.exchange.shift = seconds * SECOND
            bot.update("hand-1", Status.ACCEPTED)
        times = [time - minute(1) for time in bot.plugin.compared[begun:]]
        assert times == [timedelta(0), 5 * SECOND]


def test_an_exit_waits_for_the_comparison_and_no_longer(running: Make) -> None:
    with running({1: LONG, 4: FLAT}, reconcile_every_minutes=99) as bot:
        bot.play(4)

        def fails() -> Reconciliation:
            raise BrokerError("503")

        bot.plugin.answer = fails
        bot.exchange.shift = 55 * SECOND
        bot.update("hand-1", Status.ACCEPTED)
        bot.exchange.shift = timedelta(0)
        bot.play(1)
        assert len(bot.exchange.sent) == 1
        bot.at(4)
        assert len(bot.exchange.sent) == 1
        bot.at(5)
        assert len(bot.exchange.sent) == 2


@pytest.mark.parametrize("told", [True, False])
def test_an_order_under_our_name_that_we_did_not_write_is_a_conflict(
    running: Make, told: bool
) -> None:
    """Unless the comparison knows it by then."""
    name = "smabot-s-SPY-20260302T1430Z-9"
    with running() as bot:
        bot.play(1)
        if told:
            news = OrderUpdate(name, Status.ACCEPTED, minute(1))
            bot.plugin.answer = lambda: Reconciliation(updates=(news,))
            bot.update(name, Status.ACCEPTED)
            return
        with pytest.raises(ReconciliationConflict) as caught:
            bot.update(name, Status.ACCEPTED)
        assert caught.value.conflicts[0].what == name


def test_an_order_of_ours_that_is_known_by_then_is_none(running: Make) -> None:
    name = "smabot-s-SPY-20260302T1430Z-9"
    known = Order(
        name, "s", "SPY", Side.BUY, D(1), OrderType.MARKET, None, TimeInForce.DAY, OPEN, 9, False,
        OPEN, Status.ACCEPTED,
    )  # fmt: skip
    with running() as bot:
        bot.play(1)

        def learns() -> Reconciliation:
            bot.book.apply(known)
            return Reconciliation()

        bot.plugin.answer = learns
        bot.update(name, Status.ACCEPTED)


@pytest.mark.parametrize(
    ("cause", "compares"), [(RefusalCause.POSITION, True), (RefusalCause.OTHER, False)]
)
def test_a_refused_exit_is_an_event_and_compared_where_the_account_contradicts(
    running: Make, cause: RefusalCause, compares: bool
) -> None:
    with running({1: LONG, 4: FLAT}, reconcile_every_minutes=99) as bot:
        bot.play(5)
        (exit_,) = bot.book.open_orders()
        begun = len(bot.plugin.compared)
        bot.update(exit_.client_order_id, Status.REJECTED, reason="no shares", cause=cause)
        refused = 2 if compares else 1  # the next attempt is, too, in the same minute
        assert bot.events() == [("refused_exit", "SPY", True)] * refused
        assert min(bot.rows(Event), key=lambda event: event.time).text == "no shares"
        assert (len(bot.plugin.compared) > begun) is compares


@pytest.mark.parametrize("shares", ["1", "0.5"])
def test_a_fill_without_a_price_is_asked_about(running: Make, shares: str) -> None:
    with running({1: LONG}, reconcile_every_minutes=99) as bot:
        bot.play(2)
        (entry,) = bot.book.open_orders()
        begun = len(bot.plugin.compared)
        told = OrderUpdate(entry.client_order_id, Status.PARTIALLY_FILLED, minute(2))
        bot.plugin.answer = lambda: Reconciliation(updates=(told,))
        bot.update(entry.client_order_id, Status.PARTIALLY_FILLED, filled_qty=D(shares))
        assert len(bot.plugin.compared) - begun == 1
        assert bot.book.net("SPY") == 0


def test_a_refused_entry_is_no_event(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(2)
        (entry,) = bot.book.open_orders()
        bot.update(entry.client_order_id, Status.REJECTED, cause=RefusalCause.POSITION)
        assert bot.events() == []


def test_a_fill_of_an_order_that_was_given_up_stops_the_bot(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(2)
        (entry,) = bot.book.open_orders()
        ended = replace(entry, status=Status.EXPIRED, given_up_at=minute(2))
        bot.book.apply(ended)
        with pytest.raises(ReconciliationConflict) as caught:
            bot.update(entry.client_order_id, Status.FILLED, filled_qty=D(4), filled_avg_price=D(9))
        (conflict,) = caught.value.conflicts
        assert (conflict.kind, conflict.here, conflict.there) == (
            "filled_after_its_end", "ended by the bot with 0 filled", "filled 4",
        )  # fmt: skip
        assert bot.events() == [("conflict", entry.client_order_id, True)]
        assert bot.rows(Position) == []


def test_lost_order_updates_and_their_return_are_events(running: Make) -> None:
    with running() as bot:
        bot.play(1)
        for doubt in ("", "down", "down", "still down", "", ""):
            bot.exchange.shift += SECOND
            bot.engine.take(Batch(bot.exchange.now(), doubt=doubt))
        assert bot.events() == [("stream_lost", "", True), ("stream_back", "", False)]


def test_a_doubt_counts_where_a_feed_marks_its_minute_as_quiet(running: Make) -> None:
    """Minutes before it were calm, and nothing but bars was looked at."""
    with running({4: LONG}) as bot:
        for number in range(5):
            batch = bot.exchange.next(0)
            doubt = "down" if number == 4 else ""
            bot.engine.take(replace(batch, comes_again=True, doubt=doubt))
        assert bot.exchange.sent == []
        assert bot.events() == [("stream_lost", "", True)]
        assert bot.order().status is not Status.ACCEPTED


def test_a_bar_that_came_again_is_kept_beside_the_first(running: Make) -> None:
    with running() as bot:
        bot.play(2)
        again = Bar("SPY", minute(1), 1.0, 2.0, 0.5, 1.5, 10)
        bot.engine.take(Batch(minute(2) + SECOND, revisions=(again,)))
        (revision,) = bot.rows(BarRevision)
        assert (revision.time, revision.seen_at, revision.close) == (
            minute(1), minute(2) + SECOND, 1.5,
        )  # fmt: skip
        assert bot.book.price("SPY") == 101
