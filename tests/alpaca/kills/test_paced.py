"""Bot and exchange are killed while the tape goes on: nothing is lost, doubled or decided twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("SMABOT_KILLS", "100")) // 2
SEEDS = [int(seed) for seed in os.environ.get("SMABOT_SEEDS", "1,2").split(",")]
SPEED = "8"
"""Minutes a second while somebody is killed. Afterwards the market stands still until it is asked, so that
the last life acts on every signal, however busy the machine is."""
SPARE = 3
"""Sessions that are left for the last life, should the kills take long."""
WHOM = {"bot": 0.7, "exchange": 0.2, "both": 0.1}
SHARES = 10
AVERAGES = 2, 5
"""As in the settings."""
NEVER_TRIPS = """
[default.plugin.risk.circuit_breaker]
max_failures = 0
"""


def sessions_after(ours: Any, time: int) -> list[tuple[int, int]]:
    """When the sessions open and close that begin after a time."""
    found: list[tuple[int, int]] = ours.there(
        f"SELECT open, close FROM sessions WHERE played AND open > {time} ORDER BY open"
    )
    return found


def now(ours: Any) -> int:
    """The exchange's time."""
    ((seconds,),) = ours.there("SELECT now FROM state")
    return int(seconds)


@pytest.mark.slow(seconds=30)
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
    sessions = min(80, 1 + SPARE + kills // 2)
    tapes = {seed: market(tmp_path / f"{seed}.csv", sessions, seed) for seed in SEEDS}

    def killed(seed: int) -> tuple[Any, Any, int]:
        ours = lab(f"killed-{seed}", tapes[seed], SPEED, settings=NEVER_TRIPS)
        ours.serve()  # time begins when the bot listens
        ours.serving.append("--at-once")
        death = killer(ours, seed, life=1.0, whom=WHOM)
        while death.kills < kills and len(sessions_after(ours, now(ours))) > SPARE:
            death.strike()
        ours.exchange.kill()
        if ours.bot.alive:
            ours.bot.kill()
        ours.bot = None
        opens, closes = sessions_after(ours, now(ours))[0]
        ours.speed = "step"
        ours.serving.clear()
        ours.running += ["--until", f"{datetime.fromtimestamp(closes, UTC):%Y-%m-%dT%H:%M:%SZ}"]
        ours.finish()
        return ours, death, opens

    with ThreadPoolExecutor(2) as pool:
        for seed, (ours, death, last) in zip(SEEDS, pool.map(killed, SEEDS), strict=True):
            again = f"{reproduce}: seed {seed}, {death.kills} kills, {death.starting} at a start"
            assert audit["audit"](ours, SHARES) == [], again
            assert ours.reconcile() == 0, again
            assert audit["decided"](ours) == audit["to_decide"](ours, *AVERAGES), again
            signals = "SELECT COUNT(*) FROM signals WHERE"
            ((missed,),) = ours.here(f"{signals} missed = 1")
            ((missed_last,),) = ours.here(f"{signals} missed = 1 AND unixepoch(bar_time) >= {last}")
            ((trades,),) = ours.here(f"SELECT COUNT(*) FROM trades WHERE unixepoch(time) > {last}")
            assert missed, again
            assert not missed_last, again
            assert trades, again
