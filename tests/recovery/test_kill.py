"""kill -9, and everything is as if nothing had happened.

Real processes, real SIGKILL, real files. What counts is the database: every table but ``runs``,
which tells of the processes themselves.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

Dump = dict[str, list[tuple[Any, ...]]]
SMABOT = str(Path(sys.executable).with_name("smabot"))
AT_ONCE = 6
"""Children at a time: a commit is mostly waiting for the disk."""
WAVES = {
    symbol: [
        round(price + 3 * math.sin(minute / 2.7 + shift) + 0.01 * minute, 2) for minute in range(30)
    ]
    for shift, (symbol, price) in enumerate({"SPY": 500.0, "IBM": 90.0, "KO": 60.0}.items())
}


def _play(config: dict[str, Any]) -> None:
    from smabot.engine.start.opening import open_session
    from smabot.engine.start.recovery import recover
    from smabot.hooks.plugins import Plugins
    from smabot.settings.model import Config

    settings = Config(**config)
    session = open_session(settings, Plugins.load(settings))
    try:
        assert recover(session).run() == "ended"
    finally:
        session.close()


def make_config(folder: Path, tape: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    return {
        "db": folder / "trades.db",
        "tape": str(tape),
        "speed": "max",
        "broker": "exchange",
        "plugins": ("sma", "risk"),
        "plugin": {
            "sma": {"fast": 2, "slow": 5},
            "risk": {"daily_limits": {"max_trades": 5}},
            "exchange": {"costs": "alpaca", "commission_per_share": 0.3, "commission_minimum": 1},
        },
    }


def cash_here(database: Path) -> Decimal:
    with closing(sqlite3.connect(database)) as opened:
        return Decimal(opened.execute("SELECT cash FROM account").fetchone()[0])


def cash_there(database: Path) -> Decimal:
    """What the exchange has, in its ledger beside the bot's database."""
    with closing(sqlite3.connect(database.with_name("trades.exchange.db"))) as opened:
        return Decimal(opened.execute("SELECT cash FROM state").fetchone()[0])


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_killed_at_every_commit(
    late: bool,
    tmp_path: Path,
    tape_writer: Callable[..., Path],
    dumper: Callable[..., Dump],
    child: Any,
    comparable: Callable[[Dump], Dump],
) -> None:
    """The bot's commits and the exchange's, each once the last thing a process did or failed to do.

    Orders fill share by share, and the first fills of an order pay for the next ones: a minimum is by order.
    """
    near_close = datetime(2026, 3, 2, 20, 30, tzinfo=UTC)
    tape = tape_writer(tmp_path / "tape.csv", WAVES, volume=10, start=near_close)
    _play(make_config(tmp_path / "here", tape))  # imports and calendar: once, not in every child
    whole = make_config(tmp_path / "whole", tape)
    commits = child(partial(_play, whole)).wait()
    expected = comparable(dumper(whole["db"]))
    assert len(expected["trades"]) > 10
    assert {row[12] for row in expected["order_intents"]} >= {
        "filled",
        "blocked",
        "canceled",
        "expired",
    }
    assert commits > 50
    fees = [row[-1] for row in expected["trades"]]
    assert len({*fees}) > 2
    assert "0" in fees
    configs = {n: make_config(tmp_path / f"killed-{n}", tape) for n in range(1, commits + 1)}
    for first in range(1, commits + 1, AT_ONCE):
        several = range(first, min(first + AT_ONCE, commits + 1))
        killed = [child(partial(_play, configs[n]), n, late) for n in several]
        assert [one.wait() for one in killed] == [-1] * len(several)
        for again in [child(partial(_play, configs[n])) for n in several]:
            again.wait()
        for n in several:
            tables = comparable(dumper(configs[n]["db"]))
            assert tables == expected, f"killed at commit {n} of {commits}"
            assert cash_here(configs[n]["db"]) == cash_there(configs[n]["db"])


@pytest.mark.slow
def test_killed_25_times(
    tmp_path: Path, dumper: Callable[..., Dump], comparable: Callable[[Dump], Dump]
) -> None:
    """The real command, killed at 25 seeded moments of its life, start-up included."""
    market = "simulated:sessions=3"  # more than they can play, however long a life lasts
    command = [SMABOT, "run", "--plugins", "sma,risk", "--data", market, "--speed", "30"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SMABOT")}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    fast = [*command[:-1], "max"]
    subprocess.run(fast, cwd=whole, env=environment, check=True, stdout=subprocess.DEVNULL)
    moments = random.Random(20260302)
    kills = 0
    for _ in range(25):
        with subprocess.Popen(
            command, cwd=killed, env=environment, stdout=subprocess.DEVNULL
        ) as process:
            time.sleep(moments.uniform(0.1, 1.5))
            process.kill()
            kills += process.wait() == -signal.SIGKILL
    assert kills == 25
    subprocess.run(fast, cwd=killed, env=environment, check=True, stdout=subprocess.DEVNULL)
    expected = comparable(dumper(whole / "data/trades.db"))
    assert len(expected["trades"]) > 20
    assert comparable(dumper(killed / "data/trades.db")) == expected
