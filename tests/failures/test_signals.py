"""Signals of the operating system, and other processes beside a running bot."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

READING = (
    ["status"], ["orders"], ["trades"], ["signals"], ["equity"], ["pnl", "--by", "day"],
    ["limits"], ["breaker"], ["plugins"], ["config", "show"],
)  # fmt: skip
SLOW = ("run", "--speed", "2")
STOP_SECONDS = 40
"""Less than what is stuck takes, and far more than an end takes."""

pytestmark = pytest.mark.slow


@contextmanager
def running(world: Any, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A bot that trades already, gone at the end whatever happens."""
    with world.start(*(arguments or SLOW)) as bot:
        try:
            world.wait_ready(bot)
            yield bot
        finally:
            bot.kill()


def finish(bot: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = bot.communicate(timeout=STOP_SECONDS)
    return out, err


def test_ctrl_c_ends_with_the_summary(world: Any, undisturbed: Any) -> None:
    with running(world) as bot:
        bot.send_signal(signal.SIGINT)
        out, err = finish(bot)
    assert (bot.returncode, err) == (130, "")
    assert "stopped; positions stay, run it again to resume" in out
    assert "the same command resumes from this minute" in out
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


STUCK = """
import os
import time
from pathlib import Path
from smabot.api import hookimpl

class Plugin:
    @hookimpl
    def on_bar(self):
        Path(os.environ["STUCK"]).touch()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(1)
"""


def test_ctrl_c_twice_leaves_at_once(
    world: Any, installed: Callable[..., Any], undisturbed: Any, tmp_path: Path
) -> None:
    folder, stuck = str(installed("stuck", STUCK)), tmp_path / "is-stuck"
    told = {"PYTHONPATH": folder, "STUCK": str(stuck)}
    with world.start("run", "--plugins", "sma,risk,stuck", **told) as bot:
        deadline = time.monotonic() + STOP_SECONDS
        while not stuck.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert stuck.exists()
        while bot.poll() is None and time.monotonic() < deadline:  # two at once count as one
            bot.send_signal(signal.SIGINT)
            time.sleep(0.3)
        _, err = bot.communicate(timeout=STOP_SECONDS)
    assert bot.returncode == 130
    assert err == "smabot: left at once; nothing committed is lost\n"
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


def test_sigterm_stops_after_the_step(world: Any, undisturbed: Any) -> None:
    with running(world) as bot:
        began = time.monotonic()
        bot.terminate()
        out, err = finish(bot)
    assert (bot.returncode, err) == (0, "")
    assert time.monotonic() - began < STOP_SECONDS
    assert "stopped; positions stay" in out
    assert "was stopped at " in world.run("status").out
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


def test_sigterm_between_two_slow_minutes(world: Any) -> None:
    with running(world, "run", "--speed", "0.01") as bot:
        began = time.monotonic()
        bot.terminate()
        finish(bot)
    assert bot.returncode == 0
    assert time.monotonic() - began < STOP_SECONDS


def test_status_tells_of_a_killed_bot(world: Any, undisturbed: Any) -> None:
    with running(world) as bot:
        status = json.loads(world.run("status", "--json").out)
        assert (status["running"], status["pid"]) == (True, bot.pid)
        bot.kill()
        bot.wait()
    status = world.run("status")
    assert (status.code, status.err) == (0, "")
    assert f"the last run (pid {bot.pid}) was killed: run it again" in status.out
    assert json.loads(world.run("status", "--json").out)["running"] is False
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


def test_reading_does_not_disturb_a_running_bot(world: Any, undisturbed: Any) -> None:
    with running(world) as bot:
        for verb in READING:
            read = world.run(*verb, "--json")
            assert (read.code, read.err) == (0, ""), verb
            assert json.loads(read.out) is not None
        assert world.run("reconcile", "--json").code == 7
        assert bot.poll() is None
        bot.terminate()
        finish(bot)
    assert bot.returncode == 0
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


@pytest.mark.parametrize(
    ("verb", "answer", "shown"),
    [
        (["halt", "for", "lunch"], "halted: no new entries; exits still pass", "YES: for lunch"),
        (["breaker", "reset"], "", "armed"),
    ],
    ids=["halt", "breaker"],
)
def test_a_running_bot_does_as_it_is_told_and_keeps_it_over_kill_9(
    verb: list[str], answer: str, shown: str, world: Any
) -> None:
    with running(world) as bot:
        began = time.monotonic()
        told = world.run(*verb)
        assert (told.code, told.err) == (0, "")
        assert time.monotonic() - began < STOP_SECONDS
        assert answer in told.out
        assert bot.poll() is None
        bot.kill()
        bot.wait()
    assert shown in world.run("status").out
    ((applied,),) = [row[4:5] for row in world.dump("commands")]
    assert applied is not None


def test_a_halt_blocks_and_resume_allows_again(world: Any) -> None:
    world.half_way()
    with running(world) as bot:
        assert world.run("halt").code == 0
        bot.kill()
    assert world.run("run", "--until", "2026-03-02T15:05:00Z").code == 0
    orders = json.loads(world.run("orders", "--json").out)
    blocked = [order for order in orders["orders"] if order["status"] == "blocked"]
    assert blocked
    assert all(order["reason"] == "halted: by hand" for order in blocked)
    with running(world) as bot:
        assert "resumed: entries are allowed again" in world.run("resume").out
        bot.kill()
    assert json.loads(world.run("status", "--json").out)["halted"] is None
