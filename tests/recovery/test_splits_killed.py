"""Killed for real over a split's night, in process and over HTTP: the same trades as a run that never was."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.plugins

SMABOT = str(Path(sys.executable).with_name("smabot"))
DATA = "simulated:shape=waves,sessions=2,seed=1,split=SPY@2026-03-03@{}"
LINES = (25, 40, 12, 9, 12, 15)
"""A life is killed once its screen has so many lines more: around the split, and away from it."""


def command(broker: str, split: str, db: str) -> list[str]:
    return [
        SMABOT, "run", "--plugins", "sma", "--broker", broker, "--data", DATA.format(split),
        "--symbols", "SPY,KO", "--speed", "max", "--db", db,
    ]  # fmt: skip


def rows(folder: Path, db: str, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / db)) as database:
        return database.execute(query).fetchall()


def killed(words: list[str], folder: Path, lines: int) -> bool:
    """Run until the screen has so many lines, then kill; returns whether it was alive."""
    screen = folder / "screen.txt"
    with (
        screen.open("w") as out,
        subprocess.Popen(words, cwd=folder, stdout=out, stderr=out, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as child,
    ):  # fmt: skip
        while child.poll() is None and len(screen.read_text().splitlines()) < lines:
            time.sleep(0.002)
        alive = child.poll() is None
        if alive:
            child.send_signal(signal.SIGKILL)
    return alive


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize("broker", ["exchange", "alpaca"])
@pytest.mark.parametrize("split", ["2:1", "3:2", "1:10"])
def test_the_trades_are_those_of_a_run_without_kills(
    tmp_path: Path, broker: str, split: str
) -> None:
    whole = subprocess.run(
        command(broker, split, "whole.db"), cwd=tmp_path, capture_output=True, text=True
    )
    assert whole.returncode == 0, whole.stderr
    words = command(broker, split, "killed.db")
    kills = sum(killed(words, tmp_path, lines) for lines in LINES)
    assert kills >= 2
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for query in (
        "SELECT client_order_id, qty, price, time FROM trades ORDER BY time, client_order_id",
        "SELECT symbol, strategy, qty, cost FROM positions_snapshot ORDER BY symbol",
        "SELECT time, symbol, qty, price FROM adjustments ORDER BY time, symbol",
        "SELECT time, kind, subject FROM events WHERE kind LIKE 'split%' ORDER BY time, kind",
    ):
        assert rows(tmp_path, "killed.db", query) == rows(tmp_path, "whole.db", query)
    assert rows(tmp_path, "whole.db", "SELECT count(*) FROM events WHERE kind = 'split_followed'") == [(1,)]  # fmt: skip
    checked = subprocess.run(
        [SMABOT, "db", "check", "--db", "killed.db"], cwd=tmp_path, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
