from datetime import UTC, datetime, timedelta

import pytest
from smabot.testing.bot import FakeBot
from smabot.testing.exchange import FakeExchange
from smabot_streak import Losses, Streak, StreakSettings

from smabot.api import Bar, Book, Fill, Order, Status

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
CLOSES = [55, 56, 57, 58, 58, 57, 56, 55, 54, 55, 56, 57]
BARS = [
    Bar("SPY", OPEN + timedelta(minutes=n), close, close, close, close, 1000)
    for n, close in enumerate(map(float, CLOSES))
]


def test_buys_after_three_rises_and_sells_after_three_falls():
    strategy, book = Streak(StreakSettings()), Book()
    signals = [strategy.on_bar(bar, book) for bar in BARS]
    assert [n for n, s in enumerate(signals) if s and s.target == 1] == [3, 11]
    assert [n for n, s in enumerate(signals) if s and s.target == 0] == [7, 8]


@pytest.mark.parametrize("killed_at", range(len(BARS)))
def test_a_restarted_strategy_decides_alike(killed_at):
    old, new, book = Streak(StreakSettings()), Streak(StreakSettings()), Book()
    for bar in BARS[:killed_at]:
        old.on_bar(bar, book)
    for bar in BARS[max(0, killed_at - new.lookback()) : killed_at]:
        new.on_bar(bar, book)
    for bar in BARS[killed_at:]:
        assert new.on_bar(bar, book) == old.on_bar(bar, book)


def make_bot():
    return FakeBot(FakeExchange(BARS), streak=lambda: Streak(StreakSettings()))


def test_orders_fill_and_the_loss_is_counted():
    bot = make_bot()
    bot.play()
    assert [(f.side, f.qty, f.price) for f in bot.rows(Fill)] == [("buy", 10, 58), ("sell", 10, 54)]
    assert [order.status for order in bot.rows(Order)][-1] is Status.ACCEPTED  # no bar to fill at
    assert [(row.symbol, row.count) for row in bot.rows(Losses)] == [("SPY", 1)]


@pytest.mark.parametrize("killed_at", range(len(BARS)))
def test_a_bot_that_is_killed_ends_as_one_that_never_was(killed_at):
    whole, killed = make_bot(), make_bot()
    whole.play()
    killed.play(killed_at)
    killed.play()
    for kind in (Order, Fill, Losses):
        assert killed.rows(kind) == whole.rows(kind)
