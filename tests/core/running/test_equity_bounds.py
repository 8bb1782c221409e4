"""A plugin that answers within which bounds it need not be told of equity is told of what is outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from smabot.domain.bot_records import Command
from smabot.domain.equity_bounds import ANY, EquityBounds
from smabot.domain.order_terms import Status
from smabot.domain.records import Batch, EquityPoint

Make = Callable[..., Any]
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
D = Decimal
LONG = 1
"""Bought in the fourth minute, 10 shares: from then on equity rises by 10 dollars a minute."""


def minute(number: float) -> datetime:
    return OPEN + number * MINUTE


def play(bot: Any, minutes: int) -> None:
    """Play minutes that come again after a kill: quiet ones where nothing else is in them."""
    for _ in range(minutes):
        batch = bot.exchange.next(0)
        bot.engine.take(replace(batch, comes_again=not batch.updates))


def told(bot: Any) -> list[datetime]:
    return [point.time for point in bot.plugin.of("equity")]


def test_within_them_it_is_not_told_and_the_curve_has_each_point(running: Make) -> None:
    with running() as bot:
        bot.plugin.bounds = ANY
        play(bot, 12)
        assert len(told(bot)) <= 2
        bot.engine.take(Batch(minute(12)))
        assert [point.time for point in bot.rows(EquityPoint)] == [minute(n) for n in range(1, 13)]


def test_without_an_answer_it_is_told_of_each(running: Make) -> None:
    with running() as bot:
        play(bot, 12)
        assert told(bot) == [minute(n) for n in range(1, 13)]


def test_it_is_told_above_the_ceiling_and_not_at_it(running: Make) -> None:
    with running({2: LONG}) as bot:
        play(bot, 6)
        now = bot.book.point.equity
        bot.plugin.bounds = EquityBounds(ceiling=now + 50)
        play(bot, 1)
        before = len(told(bot))
        play(bot, 4)
        assert bot.book.point.equity == now + 50
        assert len(told(bot)) == before
        play(bot, 1)
        assert told(bot)[before:] == [minute(12)]


def test_it_is_told_at_the_floor_and_not_above_it(running: Make) -> None:
    with running({2: LONG}) as bot:
        play(bot, 6)
        equity = bot.book.point.equity
        bot.plugin.bounds = EquityBounds(floor=equity + 20)
        play(bot, 2)
        assert (told(bot)[-1], bot.book.point.equity) == (minute(8), equity + 20)
        play(bot, 3)
        assert told(bot)[-1] == minute(8)


def test_it_is_told_from_their_end_on(running: Make) -> None:
    with running() as bot:
        bot.plugin.bounds = EquityBounds(until=minute(10))
        play(bot, 12)
        assert told(bot)[-3:] == [minute(10), minute(11), minute(12)]
        assert minute(9) not in told(bot)


def test_the_point_before_is_there_though_it_was_not_told(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.plugin.bounds = ANY
        play(bot, 12)
        assert minute(11) not in told(bot)
        assert (bot.book.point_before.time, bot.book.point.time) == (minute(11), minute(12))
        assert bot.book.point.equity - bot.book.point_before.equity == 10


def test_after_anything_but_bars_it_is_told_again(running: Make) -> None:
    with running() as bot:
        bot.plugin.bounds = ANY
        play(bot, 8)
        assert minute(8) not in told(bot)
        bot.engine.take(Batch(bot.exchange.now(), doubt="down"))
        bot.engine.take(Batch(bot.exchange.now()))
        play(bot, 1)
        assert told(bot)[-1] == minute(9)


def test_after_a_fill_it_is_told_though_its_bounds_hold(running: Make) -> None:
    with running({2: LONG, 8: 0}) as bot:
        bot.plugin.bounds = ANY
        play(bot, 14)
        filled = {minute(4), minute(10)}
        assert filled <= {*told(bot)}
        assert not {minute(8), minute(13), minute(14)} & {*told(bot)}


def test_after_a_command_it_is_told_though_its_bounds_hold(running: Make) -> None:
    with running() as bot:
        bot.plugin.bounds = ANY
        play(bot, 8)
        before = len(told(bot))
        bot.engine._commit._journal.send(Command("1", "halt", "lunch", OPEN))
        play(bot, 1)
        assert told(bot)[before:] == [minute(9)]


def test_where_the_stored_curve_is_thinned_it_is_told_of_each(running: Make) -> None:
    """The point before the one that is told is in the book then only if it was kept."""
    with running(equity_every_minutes=5) as bot:
        bot.plugin.bounds = ANY
        play(bot, 12)
        assert told(bot) == [minute(n) for n in range(1, 13)]


def test_after_an_order_that_was_blocked_it_is_told_though_its_bounds_hold(running: Make) -> None:
    """It heard of that order in `on_order`, and may have wanted other bounds since."""
    with running({5: LONG}) as bot:
        bot.plugin.bounds = ANY
        bot.engine._commit._journal.send(Command("1", "halt", "lunch", OPEN))
        play(bot, 9)
        assert bot.order().status is Status.BLOCKED
        assert told(bot)[-1] == minute(7)


def test_two_minutes_that_come_again_at_once_are_taken_one_after_the_other(running: Make) -> None:
    """Both are calm, and the curve has each of them all the same."""
    with running() as bot:
        play(bot, 5)
        one, other = bot.exchange.next(0), bot.exchange.next(0)
        bot.engine.take(Batch(other.time, bars=(*other.bars, *one.bars), comes_again=True))
        assert told(bot) == [minute(n) for n in range(1, 8)]
        assert [point.time for point in bot.rows(EquityPoint)] == [minute(n) for n in range(1, 8)]
