"""Exits in short, and what they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.order_terms import OrderType, Side, Status
from smabot.domain.records import Order, OrderIntent, Signal
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.hooks.specifications import hookimpl


class Rests:
    """A strategy's sizer: it buys at a limit below the market."""

    def __init__(self, strategy: str = "b", limit: int = 90) -> None:
        self._strategy, self._limit = strategy, Decimal(limit)

    @hookimpl
    def on_signal(self, signal: Signal) -> OrderIntent | None:
        if signal.strategy != self._strategy or not signal.target:
            return None
        return OrderIntent(signal.symbol, Side.BUY, Decimal(10), OrderType.LIMIT, self._limit)


@pytest.fixture
def resting() -> type[Rests]:
    return Rests


@pytest.fixture
def calm(make_world: Any, limits: Any) -> Any:
    """Two symbols that stand still, and no limits."""
    return make_world({"SPY": [100.0] * 90, "IBM": [50.0] * 90}, **limits())


def _exits(of: Any, *statuses: Status) -> list[Order]:
    return [o for o in of.rows(Order) if o.reduces and (not statuses or o.status in statuses)]


@pytest.fixture
def exits() -> Callable[..., list[Order]]:
    """The exits of a world, or of a bot that lives in it; oldest first."""
    return _exits


@pytest.fixture
def sizes() -> Callable[[Any], list[tuple[int, str]]]:
    """The exits in short: how many shares were asked for, and what became of it."""
    return lambda of: [(int(o.qty), o.status.value) for o in _exits(of)]


@pytest.fixture
def kinds() -> Callable[[Any], list[str]]:
    """The kinds of events."""
    return lambda of: sorted(event.kind for event in of.rows(Event))


@pytest.fixture
def the_event() -> Callable[[Any, str], Event]:
    """The only event of a kind."""

    def the_event(of: Any, kind: str) -> Event:
        (event,) = [event for event in of.rows(Event) if event.kind == kind]
        assert isinstance(event, Event)
        return event

    return the_event


@pytest.fixture
def ends_in_conflict() -> Callable[[], AbstractContextManager[Any]]:
    @contextmanager
    def ends_in_conflict() -> Iterator[Any]:
        with pytest.raises(ReconciliationConflict) as caught:
            yield caught
        assert caught.value.exit_code == 6

    return ends_in_conflict
