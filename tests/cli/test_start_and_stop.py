"""`on_start` and `on_stop`: each run that plugins see begin, they see end, however it ends but by a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.plugins

PLUGIN = """
import os
from smabot.api import Plugin, hookimpl

def say(*words):
    with open("seen.txt", "a") as file:
        print(*words, file=file)

class Seen(Plugin):
    @hookimpl
    def on_start(self, run):
        say("start", run.run_id, run.ended_at is None)
        if os.environ.get("FAIL") == "start":
            raise OSError("no network")

    @hookimpl
    def on_startup_recover(self):
        say("recover")
        if os.environ.get("FAIL") == "recovery":
            raise OSError("no state")

    @hookimpl
    def on_stop(self, run, outcome):
        say("stop", run.run_id, run.exit_code, outcome == run.outcome, run.ended_at is not None)
        if os.environ.get("FAIL") == "stop":
            raise OSError("nothing to close")

    @hookimpl
    def after_commit(self, step):
        for run in step.runs:
            say("told", run.run_id, run.exit_code)

seen = Seen
"""
SECOND = """
from smabot.api import hookimpl

class Second:
    @hookimpl
    def on_stop(self):
        with open("seen.txt", "a") as file:
            print("second stops", file=file)

second = Second
"""


@pytest.fixture
def seen(tmp_path: Path) -> Any:
    """Runs the bot with both plugins; returns its exit code, stderr and what they saw, less run ids."""
    (tmp_path / "seen.py").write_text(PLUGIN)
    (tmp_path / "second.py").write_text(SECOND)
    log = tmp_path / "seen.txt"

    def seen(*words: str, fail: str = "") -> tuple[int, str, list[str]]:
        log.write_text("")
        done = subprocess.run(
            command(*words), cwd=tmp_path, env={**os.environ, "FAIL": fail}, capture_output=True, text=True
        )  # fmt: skip
        lines = [line.split() for line in log.read_text().splitlines()]
        assert len({line[1] for line in lines if line[0] in ("start", "stop")}) <= 1
        return done.returncode, done.stderr, [
            " ".join([line[0], *line[2:]] if line[0] in ("start", "stop", "told") else line)
            for line in lines
        ]  # fmt: skip

    return seen


def command(verb: str, *words: str) -> list[str]:
    live = {"run": ["--broker", "exchange", "--speed", "max"], "flatten": ["--broker", "exchange"]}
    return [
        str(Path(sys.executable).with_name("smabot")), verb, "--plugins", "sma,./seen.py,./second.py",
        "--data", "simulated:shape=waves,sessions=1,seed=4", *live.get(verb, ()), *words,
    ]  # fmt: skip


def test_a_run_is_seen_to_begin_and_to_end(seen: Any) -> None:
    code, _, lines = seen("run", "--until", "2026-03-02T15:30:00Z")
    told = [line for line in lines if line.startswith("told")]
    others = [line for line in lines if line not in told]
    assert code == 0
    assert others == ["start True", "recover", "second stops", "stop 0 True True"]
    assert told[0] == "told None"
    assert told[-1] == "told 0"


@pytest.mark.parametrize(
    ("fail", "code"), [("start", 1), ("recovery", 1), ("stop", 0)], ids=["start", "recovery", "stop"]
)  # fmt: skip
def test_one_that_raises(seen: Any, fail: str, code: int) -> None:
    got, err, lines = seen("run", "--until", "2026-03-02T15:00:00Z", fail=fail)
    assert got == code, err
    assert ("recover" in lines) == (fail != "start")
    assert "second stops" in lines
    assert f"stop {code} True True" in lines
    assert "Traceback" not in err
    assert ("no network" in err) == (fail == "start")


def test_a_flatten_is_a_run_and_a_backtest_is_none(seen: Any) -> None:
    seen("run", "--until", "2026-03-02T15:30:00Z")
    code, err, lines = seen("flatten", "--yes")
    assert code == 0, err
    assert "start True" in lines
    assert "stop 0 True True" in lines
    code, err, lines = seen("backtest")
    assert (code, lines) == (0, ["recover"]), err


def test_a_killed_run_does_not_stop_and_the_next_one_starts(seen: Any, tmp_path: Path) -> None:
    with subprocess.Popen(
        command("run", "--speed", "20"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:  # fmt: skip
        until = time.monotonic() + 20
        while time.monotonic() < until and (
            not (tmp_path / "seen.txt").exists()
            or "told" not in (tmp_path / "seen.txt").read_text()
        ):
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    assert "stop" not in (tmp_path / "seen.txt").read_text()
    code, err, lines = seen("run", "--until", "2026-03-02T15:30:00Z")
    assert code == 0, err
    assert [line for line in lines if not line.startswith("told")] == [
        "start True", "recover", "second stops", "stop 0 True True",
    ]  # fmt: skip
