"""Bot and exchange are killed, and the tape stands still meanwhile: as if nothing had happened."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

Dump = dict[str, list[tuple[Any, ...]]]
KILLS = int(os.environ.get("SMABOT_KILLS", "100")) // 2
SEEDS = [int(seed) for seed in os.environ.get("SMABOT_SEEDS", "1,2").split(",")]
MINUTES_A_KILL = 45
"""As many as a life may last; the tape must outlive the kills."""
WHOM = {"bot": 0.6, "exchange": 0.25, "both": 0.15}


def comparable(dumped: Dump) -> Dump:
    """What two databases must have in common: each exchange's account has its own number, and only
    one whose exchange was killed lost its streams, and answers to orders."""
    events = [row for row in dumped["events"] if not row[1].startswith(("stream_", "order_"))]
    return {**dumped, "account": [row[1:] for row in dumped["account"]], "events": events}


def fills_there(lab: Any) -> list[tuple[Any, ...]]:
    return sorted(
        (order, float(total), symbol, side, float(qty), float(price))
        for order, total, symbol, side, qty, price in lab.there(
            "SELECT client_order_id, cumulative_qty, fills.symbol, fills.side, fills.qty, price "
            "FROM fills JOIN orders ON orders.id = fills.order_id"
        )
    )


def fills_here(lab: Any) -> list[tuple[Any, ...]]:
    return sorted(
        (order, float(total), symbol, side, float(qty), float(price))
        for order, total, symbol, side, qty, price in lab.here(
            "SELECT client_order_id, cumulative_qty, symbol, side, qty, price FROM trades"
        )
    )


@pytest.mark.slow(seconds=30)
@pytest.mark.plugins
def test_killed_anywhere_the_database_is_that_of_a_bot_never_killed(
    lab: Callable[..., Any],
    market: Callable[..., Path],
    killer: Any,
    dumper: Callable[..., Dump],
    tmp_path: Path,
) -> None:
    reproduce = (
        f"SMABOT_KILLS={2 * KILLS} SMABOT_SEEDS={','.join(map(str, SEEDS))} pytest {__file__}"
    )
    print(reproduce)
    kills = KILLS // len(SEEDS)
    sessions = min(80, 1 + kills * MINUTES_A_KILL // 390)
    tapes = {seed: market(tmp_path / f"{seed}.csv", sessions, seed) for seed in SEEDS}

    def whole(seed: int) -> tuple[Any, Any]:
        never, front = (lab(f"{name}-{seed}", tapes[seed], "step") for name in ("never", "front"))
        never.finish(allowed=())
        front.run_in_process()
        return never, front

    def killed(seed: int) -> tuple[Any, Any]:
        ours = lab(f"killed-{seed}", tapes[seed], "step")
        death = killer(ours, seed, life=0.3, whom=WHOM)
        while death.kills < kills:
            death.strike()
        ours.finish()
        return ours, death

    with ThreadPoolExecutor(2) as pool:
        for seed, (never, front), (ours, death) in zip(
            SEEDS, pool.map(whole, SEEDS), pool.map(killed, SEEDS), strict=True
        ):
            again = f"{reproduce}: seed {seed}, {death.kills} kills, {death.starting} at a start"
            expected = comparable(dumper(never.db))
            assert len(expected["trades"]) > 100, again
            assert comparable(dumper(front.db)) == expected, again
            assert comparable(dumper(ours.db)) == expected, again
            assert fills_here(ours) == fills_there(ours), again
