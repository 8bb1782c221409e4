"""The fixtures that pytest finds where smabot is installed: `bars`, `order`, `fill` and `bot`.

pytest imports this module at each start, so it imports nothing of smabot before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from smabot.domain.records import Bar, Fill, Order
    from smabot.testing.in_process_bot import Bot


@pytest.fixture
def bars() -> Callable[..., list[Bar]]:
    """Make bars of a minute each: ``bars("SPY", [10, 11, None, 12])``; see `smabot.testing.bars`."""
    from smabot.testing.sample_records import bars

    return bars


@pytest.fixture
def order() -> Callable[..., Order]:
    """Make an order, with defaults: ``order(qty=5, symbol="QQQ")``; see `smabot.testing.order`."""
    from smabot.testing.sample_records import order

    return order


@pytest.fixture
def fill() -> Callable[..., Fill]:
    """Make a fill, with defaults: ``fill(price=101)``; see `smabot.testing.fill`."""
    from smabot.testing.sample_records import fill

    return fill


@pytest.fixture
def bot() -> Iterator[Callable[..., Bot]]:
    """Make a bot in process: ``bot(plugins=[Streak], bars=…, settings=…)``; see `smabot.testing.Bot`.

    Its processes end with the test.
    """
    from smabot.testing.in_process_bot import Bot

    made: list[Bot] = []

    def make(*args: Any, **kwargs: Any) -> Bot:
        made.append(Bot(*args, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.kill()
