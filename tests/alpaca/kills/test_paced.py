"""Bot and exchange are killed while the tape goes on: nothing is lost, doubled or decided twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("SMABOT_KILLS", "100")) // 2
SEEDS = [int(seed) for seed in os.environ.get("SMABOT_SEEDS", "1,2").split(",")]
SPEED, LATER = "8", "80"
"""Minutes a second while somebody is killed, and afterwards."""
WHOM = {"bot": 0.7, "exchange": 0.2, "both": 0.1}
SHARES = 10
AVERAGES = 2, 5
"""As in the settings."""


@pytest.mark.slow
@pytest.mark.plugins
def test_killed_while_time_goes_on_nothing_is_lost_or_doubled(
    lab: Callable[..., Any],
    market: Callable[..., Path],
    killer: Any,
    audit: dict[str, Any],
    tmp_path: Path,
) -> None:
    reproduce = (
        f"SMABOT_KILLS={2 * KILLS} SMABOT_SEEDS={','.join(map(str, SEEDS))} pytest {__file__}"
    )
    print(reproduce)
    kills = KILLS // len(SEEDS)
    sessions = min(80, 2 + kills // 6)
    tapes = {seed: market(tmp_path / f"{seed}.csv", sessions, seed) for seed in SEEDS}

    def killed(seed: int) -> tuple[Any, Any]:
        ours = lab(f"killed-{seed}", tapes[seed], SPEED)
        ours.serve()  # time begins when the bot listens
        ours.serving.append("--at-once")
        death = killer(ours, seed, life=1.0, whom=WHOM)
        while death.kills < kills:
            death.strike()
        ours.exchange.kill()
        ours.speed = LATER
        ours.finish()
        return ours, death

    with ThreadPoolExecutor(2) as pool:
        for seed, (ours, death) in zip(SEEDS, pool.map(killed, SEEDS), strict=True):
            again = f"{reproduce}: seed {seed}, {death.kills} kills, {death.starting} at a start"
            assert audit["audit"](ours, SHARES) == [], again
            assert ours.reconcile() == 0, again
            assert audit["decided"](ours) == audit["to_decide"](ours, *AVERAGES), again
            ((missed,),) = ours.here("SELECT COUNT(*) FROM signals WHERE missed = 1")
            ((trades,),) = ours.here("SELECT COUNT(*) FROM trades")
            assert missed, again
            assert trades > 50, again
