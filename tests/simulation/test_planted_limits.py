"""The operator's word and the limits hold: each fault lets one of them go."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.engine import operator_commands, step
from smabot.engine.mark_to_market import MarkToMarket

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


def first_word_last(plant: Any) -> None:
    """Commands that waited are carried out in another order than they were given."""
    plant.instead(
        step,
        "carry_out",
        lambda original: lambda commands, *more: original(commands[::-1], *more),
    )


def commands_never_expire(plant: Any) -> None:
    """A resume or a flatten of an hour ago is carried out."""
    plant.never(operator_commands, "_expired", answer=False)


def resume_lifts_every_block(plant: Any) -> None:
    """The operator's resume ends a trip and a reached limit, too."""

    def make(original: Any) -> Any:
        def resuming(book: Book) -> None:
            original(book)
            for block in list(book.blocks.values()):
                book.apply(replace(block, until=book.now))

        return resuming

    def no_veto(original: Any) -> Any:
        return lambda self, order, book: None

    from smabot_risk.circuit_breaker import CircuitBreaker

    plant.instead(operator_commands, "resume", make)
    plant.instead(CircuitBreaker, "may_leave", no_veto)


def breaker_reset_at_start(plant: Any) -> None:
    """Each start arms the circuit breaker again."""
    from smabot_risk.breaker_state import reset_breaker_state
    from smabot_risk.circuit_breaker import CircuitBreaker, breaker_state, save_breaker_state

    def make(original: Any) -> Any:
        def recovering(self: CircuitBreaker, recovery: Any) -> Any:
            answer, book = original(self, recovery), recovery.book
            state = breaker_state(book)
            if state.tripped:
                save_breaker_state(reset_breaker_state(state, book.equity()), book)
                self._sync_block(breaker_state(book), book, book.now)
            return answer

        return recovering

    plant.instead(CircuitBreaker, "on_startup_recover", make)


def daily_count_in_memory(plant: Any) -> None:
    """The orders of the date are counted by the process, not in the database."""
    from smabot_risk.daily_limits import DailyLimits

    def describing(original: Any) -> Any:
        def recovering(self: DailyLimits, recovery: Any) -> Any:
            answer, book = original(self, recovery), recovery.book
            counts = self._counts(book.trading_date, book)
            if counts.order_count:
                book.apply(replace(counts, order_count=0, trade_count=0))
            return answer

        return recovering

    plant.instead(DailyLimits, "on_startup_recover", describing)


def not_counted_while_the_limits_were_off(plant: Any) -> None:
    """Orders of runs without the plugin are not among its counts."""
    from smabot_risk.daily_limits import DailyLimits

    plant.never(DailyLimits, "_recount")


def marked_every_hour(plant: Any) -> None:
    """Losses are looked at only where a point of the curve is due."""

    def make(original: Any) -> Any:
        def marking(self: MarkToMarket, time: datetime) -> None:
            if time.minute == 0:
                original(self, time)

        return marking

    plant.instead(MarkToMarket, "mark_minute", make)


FAULTS: dict[Any, tuple[str, ...]] = {
    first_word_last: ("stopped and started",),
    commands_never_expire: ("clock steps",),
    resume_lifts_every_block: ("bar repeated",),
    breaker_reset_at_start: ("bar repeated",),
    daily_count_in_memory: ("bar repeated",),
    not_counted_while_the_limits_were_off: ("plugins changed",),
    marked_every_hour: ("bar repeated",),
}
"""Each planted fault, and the kinds of faults of the world that it shows up under."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_fault_is_found(plant: Any, fault: Any) -> None:
    fault(plant)
    plant.is_found(FAULTS[fault])
