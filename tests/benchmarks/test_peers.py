"""The comparison with other backtesters, as far as it needs none of them."""

from __future__ import annotations

import csv
import importlib
import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FAST, SLOW = 10, 30


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that imports a module of the comparison."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.peers.{name}")


@pytest.mark.plugins
def test_smabot_trades_as_the_rule_says_at_the_next_open(peers: Any, tmp_path: Path) -> None:
    data = tmp_path / "bars.csv"
    peers("bars").write_bars(data, 1_200)
    own = peers("own").Own(tmp_path)
    done = subprocess.run(
        own.driver(data), cwd=ROOT, env={**_environment(), **own.variables}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    answer = peers("comparison").Answer.of(done.stdout.splitlines()[-1])
    assert answer.bars == 1_200
    assert answer.cpu > 0
    assert [tuple(trade) for trade in answer.trades] == _by_hand(data)
    assert len(answer.trades) > 20


def test_trades_that_differ_give_no_figures(peers: Any) -> None:
    kinds, measures = peers("comparison"), peers("measures")
    buy, sell = kinds.Trade(1325603040, "buy", 100.01), kinds.Trade(1325603640, "sell", 99.89)
    ours = kinds.Answer(60, 1.0, (buy, sell))
    measures.require_same({"smabot": ours, "same": kinds.Answer(60, 9.0, (buy, sell))})
    for theirs, said in (
        (kinds.Answer(60, 1.0, (buy,)), "other: trade 2: smabot sell at 99.89 .* it has none"),
        (kinds.Answer(60, 1.0, (buy, sell._replace(price=99.9))), "it sell at 99.9 in 2012-01-03"),
        (kinds.Answer(60, 1.0, (buy, sell._replace(time=0))), "other: trade 2"),
        (kinds.Answer(59, 1.0, (buy, sell)), "it has 59 bars, smabot 60"),
    ):
        with pytest.raises(measures.TradesDiffer, match=said):
            measures.require_same({"smabot": ours, "other": theirs})
    with pytest.raises(measures.TradesDiffer, match="nothing to compare"):
        measures.require_same({"smabot": kinds.Answer(60, 1.0, ())})


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SMABOT")}


def _by_hand(data: Path) -> list[tuple[int, str, float]]:
    """Return the trades as a plain loop makes them."""
    with data.open() as file:
        bars = list(csv.DictReader(file))
    cents = [round(float(bar["close"]) * 100) for bar in bars]
    trades: list[tuple[int, str, float]] = []
    for end in range(SLOW + 1, len(bars)):
        before, now = (
            sum(cents[last - FAST : last]) * SLOW - sum(cents[last - SLOW : last]) * FAST
            for last in (end - 1, end)
        )
        held = len(trades) % 2 == 1
        start = int(datetime.fromisoformat(bars[end]["timestamp"]).timestamp())
        if before <= 0 < now and not held:
            trades.append((start, "buy", float(bars[end]["open"])))
        elif now < 0 <= before and held:
            trades.append((start, "sell", float(bars[end]["open"])))
    return trades
