"""Fees are paid once and are no part of a position's cost: each fault counts them otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.records import ZERO, Fill, OrderUpdate
from smabot.hooks.ports import BrokerOrder
from smabot.testing.simulation.setup import COSTLY, MARKETS, Setup

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


def cumulative_fees_read_as_a_fills_own(plant: Any) -> None:
    """Each fill is charged all that its order was charged so far."""

    def make(original: Any) -> Any:
        def fill_of(self: Book, update: OrderUpdate) -> Fill | None:
            fill: Fill | None = original(self, update)
            return fill and replace(fill, fees=update.fees)

        return fill_of

    plant.instead(Book, "fill_of", make)


def fees_are_part_of_the_cost(plant: Any) -> None:
    """What was charged for a fill is added to what its shares have cost."""

    def make(original: Any) -> Any:
        def trading(
            self: Book, holding: Any, qty: Decimal, paid: Decimal, gross: Decimal, time: datetime,
            fees: Decimal = ZERO,
        ) -> None:  # fmt: skip
            original(self, holding, qty, paid + fees, gross, time)

        return trading

    plant.instead(Book, "_trade", make)


def a_query_forgets_the_fees(plant: Any) -> None:
    """An order that is looked up was charged nothing: after a restart, say."""

    def make(original: Any) -> Any:
        return lambda self: replace(original(self), fees=ZERO)

    plant.instead(BrokerOrder, "update", make)


def a_restart_forgets_the_fees(plant: Any) -> None:
    """An order that a start restores was charged nothing so far, and pays again with its next fill."""

    def make(original: Any) -> Any:
        def restoring(self: Book, records: Any) -> None:
            rows = [
                replace(row, fees=ZERO) if hasattr(row, "cancel_reason") else row for row in records
            ]
            original(self, rows)

        return restoring

    plant.instead(Book, "restore", make)


FAULTS = (
    cumulative_fees_read_as_a_fills_own,
    fees_are_part_of_the_cost,
    a_query_forgets_the_fees,
    a_restart_forgets_the_fees,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_fault_is_found(plant: Any, fault: Any) -> None:
    fault(plant)
    assert plant.is_found(["bar repeated"]).rule.startswith("3 ")


def test_half_of_the_markets_charge(setup: Setup) -> None:
    for seed in range(MARKETS):
        world = setup.world(setup.draw.schedule(seed))
        world.run()
        exchange = world.state.exchange
        charged = sum(fill.fees for fill in exchange.fills())
        assert (charged > 0) is (seed in COSTLY)
