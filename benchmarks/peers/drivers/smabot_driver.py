"""Averages of 10 and 30 closes with smabot: `smabot backtest`, of which the engine's run is timed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

from smabot.cli.app import App
from smabot.cli.backtest_run import traded
from smabot.cli.backtest_settings import load_backtest
from smabot.domain.records import Fill
from smabot.engine.loop import Engine


def main(data: Path, settings: Path) -> None:
    app = App()
    app.settings = settings
    flags = dict.fromkeys(("cash", "costs", "since", "until"))
    loaded = load_backtest(app, {**flags, "data": str(data)})
    app.set_up_log()
    spent = 0.0
    run = Engine.run

    def timed(engine: Engine) -> str:
        nonlocal spent
        begun = process_time()
        outcome = run(engine)
        spent = process_time() - begun
        return outcome

    with patch.object(Engine, "run", timed):
        done = traded(loaded)
    with data.open() as file:
        bars = sum(1 for _ in file) - 1
    trades = [_trade(fill) for fill in done.performance.fills]
    print(json.dumps({"bars": bars, "cpu": spent, "trades": trades}))


def _trade(fill: Fill) -> list[Any]:
    return [int(fill.time.timestamp()), str(fill.side), float(fill.price)]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
