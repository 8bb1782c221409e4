"""`smabot data fetch`, killed at any moment: the next one goes on, and the files are those of one that was not."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = ("--symbols", "SPY,AAPL,MSFT", "--from", "2026-03-20")
KILLS = 12


@pytest.fixture
def begin(in_tmp: Path, served: Any, fork: Any) -> Callable[[str], int]:
    """Begin to fetch into a folder, in a process of its own that writes often; returns its id."""

    def begin(folder: str) -> int:
        pid = os.fork()
        if pid == 0:
            from smabot_alpaca import bar_fetch

            devnull = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(devnull, number)
            bar_fetch.BARS_AT_ONCE = 1  # a symbol and a month at a time
            fork.become(["data", "fetch", *ARGUMENTS, "--url", served.url, "--data", folder], {})
        return pid

    return begin


def written(folder: Path) -> tuple[Any, ...]:
    found = []
    for file in sorted(folder.glob("*")) + sorted(folder.glob(".*")):
        try:
            stat = file.stat()
        except FileNotFoundError:
            continue
        found.append((file.name, stat.st_ino, stat.st_size))
    return tuple(found)


@pytest.mark.slow(seconds=40)
def test_killed_anywhere_it_ends_with_the_same_bytes(begin: Callable[[str], int]) -> None:
    assert os.waitpid(begin("whole"), 0)[1] == 0
    whole = {file.name: file.read_bytes() for file in Path("whole").glob("*.csv")}
    assert len(whole) == 3
    draw = random.Random(1)
    broken, kills = Path("broken"), 0
    for _ in range(KILLS):
        pid, changes, seen = begin(str(broken)), draw.randrange(1, 6), written(broken)
        while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
            if (now := written(broken)) != seen:
                seen, changes = now, changes - 1
            if changes <= 0:
                time.sleep(draw.random() * 0.02)
                os.kill(pid, signal.SIGKILL)
                ended = os.waitpid(pid, 0)
                break
        kills += os.WIFSIGNALED(ended[1])
        found = {file.name: file.read_bytes() for file in broken.glob("*.csv")}
        for name, content in found.items():
            assert whole[name].startswith(content)  # whole months, in their order
        if found == whole:
            break
    assert kills >= 3
    assert os.waitpid(begin(str(broken)), 0)[1] == 0
    assert {file.name: file.read_bytes() for file in broken.glob("*.csv")} == whole
    assert [file.name for file in broken.iterdir() if file.suffix not in (".csv", ".lock")] == []
