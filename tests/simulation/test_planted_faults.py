"""The simulation finds bugs: faults planted by patches, of the kinds that were found before and others."""

from __future__ import annotations

import pytest
from planted_faults import THEMES, PlantedFault

from smabot.testing.simulation.setup import Setup

MOST_SEEDS = 500

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


@pytest.mark.parametrize("fault", THEMES, ids=lambda fault: fault.__name__)
def test_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch, fault: PlantedFault) -> None:
    fault(monkeypatch)
    setup = Setup(faults=THEMES[fault])
    for seed in range(MOST_SEEDS):
        schedule = setup.draw.schedule(seed)
        if setup.play(schedule).violation is not None:
            break
    else:
        pytest.fail(f"not found within {MOST_SEEDS} seeds")

    monkeypatch.undo()
    assert Setup(faults=THEMES[fault]).play(schedule).violation is None
