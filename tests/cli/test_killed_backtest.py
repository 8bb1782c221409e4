"""A backtest that was killed by SIGKILL: what it left misleads nobody, and the next one begins anew."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from smabot.cli.performance.kept_notes import UNFINISHED

pytestmark = pytest.mark.plugins
SMABOT = str(Path(sys.executable).with_name("smabot"))
BACKTEST = ("backtest", "--data", "simulated:shape=waves,symbols=5,sessions=12", "--plugins", "sma")
KILLS = 10


def files_of(folder: str) -> list[str]:
    return sorted(file.name for file in Path(folder).iterdir())


@pytest.mark.slow(seconds=20)
def test_what_a_kill_leaves_is_taken_for_no_whole_backtest(call: Callable[..., Any]) -> None:
    begun = time.monotonic()
    assert subprocess.run([SMABOT, *BACKTEST, "--db", "whole/t.db"], check=False).returncode == 0
    took, chance, left = time.monotonic() - begun, Random(5), 0
    whole = files_of("whole")
    for number in range(KILLS):
        folder = f"killed-{number}"
        with subprocess.Popen([SMABOT, *BACKTEST, "--db", f"{folder}/t.db"]) as process:
            time.sleep(took * (0.2 + 0.7 * (number + chance.random()) / KILLS))
            process.kill()
        if process.returncode == 0:
            continue
        database = ("--db", f"{folder}/t.db")
        if Path(folder, "t.db").exists():
            left += 1
            _is_known_for_a_part(call, database)
            refused = call(*database, *BACKTEST)
            assert refused.code == 3
            named = refused.err.split("or remove ")[1].split()
            for file in named:
                Path(file).unlink()
            assert files_of(folder) == []
        done = call(*database, *BACKTEST)
        assert done.code == 0, done.err
        assert files_of(folder) == whole
        assert UNFINISHED not in call("--json", *database, "report").json["notes"]
    assert left


def _is_known_for_a_part(call: Callable[..., Any], database: tuple[str, str]) -> None:
    """Every command that reads it says so, where a part was written at all."""
    checked = call(*database, "db", "check")
    assert checked.code == 0, checked.err
    report = call("--json", *database, "report").json
    is_part = report["sessions"] == 0 or report["notes"][0] == UNFINISHED
    for run in call("--json", *database, "runs").json["runs"]:
        assert run["end"] in ("killed", "killed at its start") or not is_part
        if is_part:
            assert "a backtest" in call(*database, "status").out


def test_what_a_kill_left_of_a_database_in_the_making_is_cleared(
    call: Callable[..., Any],
) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"t.db.new{suffix}").write_bytes(b"what was written until the kill")
    assert call("--db", "t.db", *BACKTEST).code == 0
    assert files_of(".") == ["t.db", "t.db.lock"]
