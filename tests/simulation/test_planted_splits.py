"""Splits that the broker announces: each fault follows one wrongly, and the simulation finds it."""

from __future__ import annotations

from typing import Any

import pytest

from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.frozen_classes import replace
from smabot.domain.known_splits import KnownSplits
from smabot.domain.records import Adjustment
from smabot.engine import following_actions
from smabot.testing.simulation.setup import MARKETS, SPLITS, Setup
from smabot_reconciliation import conflict_table

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


def nobody_asks_for_splits(plant: Any) -> None:
    """The bot does not know of one before the account has followed it."""
    plant.never(following_actions, "announces_actions", False)


def positions_do_not_follow(plant: Any) -> None:
    """Prices are in new shares, positions in old ones."""
    plant.never(following_actions, "_held_before", [])


def a_restart_follows_again(plant: Any) -> None:
    """A start does not know any more that the book has followed."""

    def make(original: Any) -> Any:
        def put(self: KnownSplits, action: CorporateAction) -> bool:
            known = self.all.get(action.action_id)
            restored = known is None and action.applied_at is not None
            return bool(
                original(self, replace(action, applied_at=None, confirmed_at=None))
                if restored
                else original(self, action)
            )

        return put

    plant.instead(KnownSplits, "put", make)


def a_broker_that_follows_late_is_a_conflict(plant: Any) -> None:
    """A difference by just that split stops the bot."""
    plant.never(conflict_table, "is_half_split", False)


def nothing_waits_for_the_broker(plant: Any) -> None:
    """Exits of new shares leave while the account has the old ones."""
    plant.never(KnownSplits, "holds", "")
    plant.never(KnownSplits, "cancels", "")


FAULTS = (
    nobody_asks_for_splits,
    positions_do_not_follow,
    a_restart_follows_again,
    a_broker_that_follows_late_is_a_conflict,
    nothing_waits_for_the_broker,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_fault_is_found(plant: Any, fault: Any) -> None:
    fault(plant)
    plant.is_found(["bar repeated"])


@pytest.mark.parametrize("market", SPLITS)
def test_positions_are_held_over_splits(setup: Setup, market: int) -> None:
    """All of them are followed, by the bot and by the account."""
    held = 0
    for seed in range(market, 20 * MARKETS, MARKETS):
        world = setup.world(setup.draw.schedule(seed))
        assert world.run().violation is None
        (action,) = world.state.database.rows(CorporateAction)
        assert action.applied_at is not None
        assert action.confirmed_at is not None
        changes = world.state.database.rows(Adjustment)
        held += any(change.qty and not change.price for change in changes)
    assert held >= 2
