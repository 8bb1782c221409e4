"""From what strategies answer to targets, and what is made up for when it was missed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smabot.domain.records import Bar, Order, Signal, SignalState
from smabot.errors import PluginError
from smabot.hooks.specifications import hookimpl
from smabot.testing.fake_bot import FakeBot
from smabot.testing.fake_exchange import FakeExchange

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LONG, FLAT = 1, 0


def minute(number: int) -> datetime:
    return OPEN + number * MINUTE


class Strategy:
    """Answers at the bar of a number and symbol what it is told to answer, given the bar."""

    def __init__(self, answers: dict[tuple[str, int], Callable[[Bar], Any]]) -> None:
        self._answers = answers

    @hookimpl
    def on_bar(self, bar: Bar) -> Any:
        answer = self._answers.get((bar.symbol, (bar.time - OPEN) // MINUTE))
        return answer(bar) if answer else None


def exchange(*symbols: str) -> FakeExchange:
    return FakeExchange(
        Bar(symbol, minute(n), 100.0, 100.0 + n, 100.0, 100.0 + n, 1000)
        for symbol in symbols or ("SPY",)
        for n in range(30)
    )


def bot(answers: dict[tuple[str, int], Callable[[Bar], Any]], *symbols: str) -> FakeBot:
    return FakeBot(exchange(*symbols), s=lambda: Strategy(answers))


def signals(bot: FakeBot) -> list[tuple[str, int, str, bool]]:
    found = sorted(bot.rows(Signal), key=lambda signal: (signal.bar_time, signal.symbol))
    return [(s.symbol, s.target, s.label, s.missed) for s in found]


def states(bot: FakeBot) -> dict[str, tuple[int, str, datetime, bool]]:
    return {
        s.symbol: (s.target, s.last_signal, s.bar_time, s.missed) for s in bot.rows(SignalState)
    }


def test_a_signal_is_kept_with_its_strategy_and_label() -> None:
    found = bot(
        {
            ("SPY", 1): lambda bar: Signal.long(bar, "rising"),
            ("SPY", 3): lambda bar: Signal(bar.symbol, FLAT, bar.time, bar.close),
            ("SPY", 5): lambda bar: Signal(bar.symbol, LONG, bar.time, bar.close),
            ("SPY", 7): lambda bar: Signal(bar.symbol, FLAT, bar.time, bar.close, label="STOP"),
        }
    )
    found.play(10)
    assert signals(found) == [
        ("SPY", LONG, "BUY", False), ("SPY", FLAT, "SELL", False), ("SPY", LONG, "BUY", False),
        ("SPY", FLAT, "STOP", False),
    ]  # fmt: skip
    first = min(found.rows(Signal), key=lambda signal: signal.bar_time)
    assert (first.strategy, first.reason, first.price) == ("s", "rising", 101.0)
    assert states(found) == {"SPY": (FLAT, "STOP", minute(7), False)}


def test_an_answer_may_be_a_list_over_symbols() -> None:
    def both(bar: Bar) -> list[Signal]:
        return [Signal.long(bar), Signal("IBM", LONG, bar.time, 50.0)]

    found = bot({("SPY", 2): both}, "SPY", "IBM")
    found.play(5)
    assert [symbol for symbol, *_ in signals(found)] == ["IBM", "SPY"]
    assert {order.symbol for order in found.rows(Order)} == {"IBM", "SPY"}


@pytest.mark.parametrize("answer", ["long", 1, ["long"], [None]], ids=repr)
def test_what_is_no_signal_is_the_plugin_s_error(answer: Any) -> None:
    found = bot({("SPY", 1): lambda bar: answer})
    with pytest.raises(PluginError, match=r"plugin 's'.*return a Signal, a list or None"):
        found.play(3)
    assert found.rows(Signal) == []


def test_a_missed_signal_again_is_no_repetition() -> None:
    found = bot({("SPY", 6): Signal.long, ("SPY", 7): Signal.long, ("SPY", 12): Signal.long})
    found.play(5)
    found.exchange.catch_up(minute(10))
    found.play(1)
    assert signals(found) == [("SPY", LONG, "BUY", True)] * 2
    assert states(found) == {"SPY": (LONG, "BUY", minute(7), True)}
    assert found.rows(Order) == []
    found.play(4)
    assert signals(found)[-1] == ("SPY", LONG, "BUY", False)
    assert len(found.rows(Order)) == 1


@pytest.mark.parametrize("acts", [False, True])
def test_what_was_missed_is_made_up_for_at_the_first_fresh_bar_of_its_symbol(acts: bool) -> None:
    stop = {"label": "STOP"}
    found = bot(
        {
            ("A", 1): Signal.long,
            ("A", 6): lambda bar: Signal(bar.symbol, FLAT, bar.time, bar.close, **stop),
            ("B", 6): Signal.long,
            ("C", 6): Signal.flat,
        },
        "A",
        "B",
        "C",
    )
    found.play(5)
    found.exchange.catch_up(minute(9))
    found.play(3, act_on_missed_entries=acts)
    told = [s for s in found.rows(Signal) if s.bar_time >= minute(7)]
    expected = [("A", FLAT, "STOP")] + ([("B", LONG, "BUY")] if acts else [])
    assert [(s.symbol, s.target, s.label) for s in told] == expected
    assert {s.reason for s in told} == {"acts late on a missed signal"}
    assert {(s.bar_time, s.price, s.strategy) for s in told} == {(minute(8), 108.0, "s")}
    assert states(found) == {
        "A": (FLAT, "STOP", minute(8), False),
        "B": (LONG, "BUY", minute(8) if acts else minute(6), not acts),
        "C": (FLAT, "SELL", minute(6), False),
    }
