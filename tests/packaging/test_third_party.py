"""A strategy by somebody else: an entry point is all it takes, and it survives kill -9."""

from __future__ import annotations

import math
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SMABOT = Path(sys.executable).with_name("smabot")
CLOSES = [round(100 + 3 * math.sin(minute / 2.7), 2) for minute in range(300)]


@pytest.fixture
def run(
    in_tmp: Path,
    uv: Callable[..., str],
    tape_writer: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    """The command that plays a tape with the plugin, which is built and installed from its folder."""
    pytest.importorskip("smabot_persistence_sqlite")
    pytest.importorskip("smabot_reconciliation")
    pytest.importorskip("smabot_exchange")
    site = in_tmp / "site"
    source = Path(__file__).parent / "third_party"
    uv("pip", "install", "--python", sys.executable, "--target", site, "--no-deps", source)
    monkeypatch.setenv("PYTHONPATH", str(site))
    tape = tape_writer(in_tmp / "tape.csv", {"SPY": CLOSES, "IBM": CLOSES[::-1]})
    return [str(SMABOT), "run", "--plugins", "streaks", "--data", str(tape), "--speed"]


def start(command: list[str], db: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*command, "--db", db], stdout=subprocess.DEVNULL)


def bars_in(db: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM bars").fetchone()
    except sqlite3.OperationalError:
        return 0
    return int(count)


def test_a_plugin_from_elsewhere_is_run_by_name_and_survives_a_kill(
    run: list[str], dumper: Callable[..., dict[str, list[tuple[Any, ...]]]]
) -> None:
    assert start([*run, "max"], "whole.db").wait(60) == 0
    whole = dumper(Path("whole.db"), without=("runs", "account"))
    assert [row[0] for row in whole["streaks"]] == ["IBM", "SPY"]
    assert [row[3] for row in whole["streaks"]] == [len(CLOSES)] * 2
    assert len(whole["trades"]) > 10

    with start([*run, "20"], "killed.db") as bot:
        deadline = time.monotonic() + 60
        while bars_in(Path("killed.db")) < len(CLOSES) // 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        bot.kill()
        assert bot.wait() == -signal.SIGKILL
    half = dumper(Path("killed.db"))
    assert 0 < half["streaks"][0][3] < len(CLOSES)

    assert start([*run, "max"], "killed.db").wait(60) == 0
    assert dumper(Path("killed.db"), without=("runs", "account")) == whole
