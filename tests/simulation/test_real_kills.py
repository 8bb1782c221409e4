"""Schedules on a real file, by processes that SIGKILL ends: the file holds what the simulation says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.plugins

PLAY = """
import json, sys
from pathlib import Path
from loguru import logger
from smabot.testing.simulation.real_kills import play_with_real_kills
from smabot.testing.simulation.setup import Setup

logger.disable("smabot")
setup, folder = Setup(), Path(sys.argv[1])
for seed in map(int, sys.argv[3:]):
    drawn = setup.draw.schedule(seed)
    kept = [a for n, a in enumerate(drawn.actions) if a.verb != "kill" or n % int(sys.argv[2]) == 0]
    schedule = drawn.with_actions(kept)
    result, kills = play_with_real_kills(setup, schedule, folder / f"{seed}.db")
    print(json.dumps([schedule.far, len(result.kills), kills, str(result.violation)]), flush=True)
"""
PLANTED = """
from smabot.testing.simulation.databases import FileDatabase
open_journal = FileDatabase.open

def forgetful(self, records):
    journal = open_journal(self, records)
    commit = journal.commit
    journal.commit = lambda rows, bars=(): commit(rows, bars[:1])
    return journal

FileDatabase.open = forgetful
"""


def played(folder: Path, each: int, *seeds: int, before: str = "") -> list[Any]:
    """Play in a process of its own, for it forks; of the kills some are left out, but for one of so many."""
    words = [sys.executable, "-c", before + PLAY, str(folder), str(each), *map(str, seeds)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_file_survives_real_kills(folder: Path) -> None:
    ((_, simulated, real, violation),) = played(folder, 8, 1)
    assert violation == "None"
    assert real == simulated >= 3


@pytest.mark.slow(seconds=25)
def test_ten_files_survive_real_kills(folder: Path) -> None:
    found = played(folder, 4, *range(10))
    assert [each for each in found if each[3] != "None" or each[1] != each[2]] == []
    assert {far for far, *_ in found} == {True, False}
    assert sum(real for _, _, real, _ in found) >= 50


def test_a_file_that_lost_a_row_is_found(folder: Path) -> None:
    ((_, _, _, violation),) = played(folder, 8, 1, before=PLANTED)
    assert violation.startswith("9 real kills: table bars")
