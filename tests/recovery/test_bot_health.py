"""`smabot health` of real processes: each state is named as it is, in under a minute."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main
from smabot.cli.health_answer import BotHealth, bot_health

SMABOT = str(Path(sys.executable).with_name("smabot"))
SLOWLY = ("run", "--broker", "exchange", "--speed", "5", "--json")
"""A run of which two sessions take minutes."""

pytestmark = pytest.mark.plugins


class Answer:
    """What `smabot health` said."""

    def __init__(self, *options: str) -> None:
        begun = time.monotonic()
        done = subprocess.run(
            [SMABOT, "health", *options], capture_output=True, text=True, check=False
        )
        self.seconds = time.monotonic() - begun
        self.code, self.line, self.err = done.returncode, done.stdout.rstrip("\n"), done.stderr


@contextmanager
def bot(*options: str, ready: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Run a bot in this folder; ``ready``: from when it trades on."""
    command = [SMABOT, *SLOWLY, *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            if ready:
                until(lambda: seen().state != "dead" and seen().reasons == ())
            yield running
        finally:
            running.kill()
            assert running.stdout is not None
            running.stdout.close()


def seen() -> BotHealth:
    return bot_health(
        Path("data/trades.db"), timedelta(seconds=30), timedelta(minutes=3), lambda health: "gone"
    )


def until(true: Callable[[], bool], seconds: float = 60) -> float:
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds
        time.sleep(0.02)
    return time.monotonic() - begun


@pytest.mark.slow(seconds=15)
def test_a_bot_that_runs_and_ends_is_named_so_at_each_moment(in_tmp: Path) -> None:
    never = Answer()
    assert (never.code, never.line[:20]) == (2, "dead: no bot runs: n")
    with bot() as running:
        fine = Answer()
        assert fine.code == 0
        assert fine.line.startswith("ok: PAPER trading, ")
        assert stat.S_IMODE(Path("data/trades.db.health").stat().st_mode) == 0o600
        told = json.loads(Answer("--json").line)
        assert (told["state"], told["reasons"], told["pid"]) == ("ok", [], running.pid)
        Path("data/trades.db.lock").unlink()
        assert Answer().code == 0
        running.send_signal(signal.SIGKILL)
        running.wait(30)
        killed = Answer()
        assert killed.code == 2
        assert " and was killed, its last health is of " in killed.line
    with bot() as running:
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
        assert Answer().line.endswith("with exit code 0: was stopped")
    with bot("--symbols", "NOPE", ready=False) as running:
        assert running.wait(30) == 3
        failed = Answer()
        assert failed.code == 2
        assert "with exit code 3: symbol 'NOPE' is not in the data" in failed.line
    assert failed.line.count("\n") == 0
    assert json.loads(Answer("--json").line)["exit_code"] == 3


@pytest.mark.slow(seconds=45)
def test_a_bot_that_is_stopped_like_a_hung_one_is_dead_in_under_a_minute(in_tmp: Path) -> None:
    with bot() as running:
        running.send_signal(signal.SIGSTOP)
        assert Answer().code == 0
        assert until(lambda: Answer().code == 2) < 45
        hung = Answer()
        assert hung.line.startswith(f"dead: pid {running.pid} hangs: its deciding thread has not ")
        running.send_signal(signal.SIGCONT)
        until(lambda: Answer().code == 0, 10)


HANGS = """
import os, time
from pathlib import Path
from smabot.api import Plugin, hookimpl

class Hangs(Plugin):
    @hookimpl
    def on_startup_recover(self, recovery):
        while Path("hang_at_start").exists():
            time.sleep(0.05)

    @hookimpl
    def on_bar(self, bar):
        while Path("hang").exists():
            time.sleep(0.05)

    @hookimpl
    def on_health(self, health):
        with open("told", "a") as file:
            file.write(f"{health.phase} {health.start_step} {os.getpid()}\\n")

hangs = Hangs
"""


@pytest.mark.slow(seconds=30)
def test_a_plugin_that_hangs_is_found_out_and_no_health_is_told_meanwhile(in_tmp: Path) -> None:
    Path("hangs.py").write_text(HANGS)
    Path("hang_at_start").touch()
    with bot("--plugins", "sma,./hangs.py", ready=False):
        until(lambda: "reconcile" in (Answer().line))
        starting = Answer("--max-age", "1s")
        assert starting.code == 1
        assert starting.line.startswith("degraded: it has been starting for ")
        assert starting.line.endswith("its step 'reconcile' is done")
        Path("hang_at_start").unlink()
        until(lambda: Answer().code == 0)
        until(lambda: "trading" in Path("told").read_text())
        Path("hang").touch()
        until(lambda: Answer("--max-age", "6s").code == 2, 20)
        told = Path("told").read_text()
        time.sleep(5)
        assert Path("told").read_text() == told
        Path("hang").unlink()
        until(lambda: Answer("--max-age", "6s").code == 0, 20)
        until(lambda: Path("told").read_text() != told, 10)


@pytest.mark.slow(seconds=15)
def test_a_halted_bot_is_degraded(in_tmp: Path) -> None:
    with bot():
        subprocess.run([SMABOT, "halt", "lunch"], check=True, stdout=subprocess.DEVNULL)
        until(lambda: Answer().code == 1, 10)
        assert Answer().line == "degraded: halted: lunch"
        subprocess.run([SMABOT, "resume"], check=True, stdout=subprocess.DEVNULL)
        until(lambda: Answer().code == 0, 10)


@pytest.mark.slow(seconds=35)
def test_lost_streams_are_degraded_until_they_are_back(in_tmp: Path) -> None:
    serve = [SMABOT, "exchange", "serve", "--port", "0", "--speed", "1", "--ledger", "e.db"]
    with ExitStack() as opened:
        server = opened.enter_context(
            subprocess.Popen([*serve, "--json"], stdout=subprocess.PIPE, text=True)
        )
        opened.callback(server.kill)
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        opened.callback(server.stdout.close)
        trading = ("--broker", "alpaca", "--url", url, "--symbols", "SPY,KO")
        with bot(*trading):
            server.send_signal(signal.SIGSTOP)
            until(lambda: (said := Answer()).code == 1 and " lost" in said.line, 45)
            server.send_signal(signal.SIGCONT)
            until(lambda: Answer().code == 0, 30)


@pytest.mark.slow(seconds=30)
def test_it_is_named_rightly_while_it_starts_is_killed_and_starts_again(in_tmp: Path) -> None:
    answers: list[tuple[str, BotHealth]] = []
    phase, over = ["before"], threading.Event()

    def watch() -> None:
        while not over.is_set():
            at = phase[0]
            found = seen()
            if at == phase[0]:
                answers.append((at, found))
            time.sleep(0.001)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        until(lambda: bool(answers))
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            phase[0] = "starting"
            with bot() as running:
                phase[0] = "running"
                time.sleep(1)
                phase[0] = "ending"
                running.send_signal(how)
                running.wait(30)
                phase[0] = "over"
                time.sleep(0.3)
    finally:
        over.set()
        watching.join()
    states = {at: {found.state for when, found in answers if when == at} for at, _ in answers}
    assert states["before"] <= {"dead"}
    assert states["running"] == {"ok"}
    assert states["over"] == {"dead"}
    assert "degraded" in states["starting"]
    ends = {found.reasons[0] for when, found in answers if when == "over"}
    assert {end.partition(":")[2].strip()[:8] for end in ends} == {"gone", "the last"}


def test_a_wrong_command_line_is_no_answer(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in (
        ["health", "--max-age", "soon"],
        ["health", "--max-age", "0s"],
        ["health", "--bogus"],
        ["health", "more"],
        ["--bogus", "health"],
        ["health", "--settings", "nowhere.toml"],
    ):
        assert main(wrong) == 3
    assert capsys.readouterr().out == ""
    Path("data").mkdir()
    Path("data/trades.db.health").mkdir()
    assert main(["health"]) == 3
    assert "data/trades.db.health: Is a directory" in capsys.readouterr().err


def test_it_answers_at_once_and_imports_nothing_heavy(in_tmp: Path) -> None:
    code = "import sys\nfrom smabot.cli import main\ncode = main(['health'])\nprint(code, *sys.modules)"
    Path("data").mkdir()
    Path("data/trades.db.health").write_bytes(ENDED)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line, told = done.stdout.splitlines()
    assert line.endswith("with exit code 6: a conflict")
    modules = told.split()
    assert modules[0] == "2"
    assert {"sqlalchemy", "pandas", "numpy", "dynaconf", "alembic"} & set(modules) == set()


ENDED = (
    b'{"phase": "ended", "time": "2026-03-02T17:00:00Z", "monotonic": 1.0, "pid": 7, "version": "0.1.0",'
    b' "mode": "PAPER", "started_at": "2026-03-02T16:00:00Z", "exit_code": 6, "outcome": "a conflict"}'
)


def test_a_lock_without_health_is_a_start_and_later_another_command(in_tmp: Path) -> None:
    from smabot.system.lock import FileLock

    db = Path("data/trades.db")
    db.parent.mkdir()
    db.with_name("trades.db.health").write_bytes(ENDED)
    lock = FileLock(db, "database", "another")
    try:
        new = seen()
        assert (new.state, new.reasons) == (
            "degraded",
            (f"pid {os.getpid()} opens the database: a start, or another command",),
        )
        mine = ENDED.replace(b'"pid": 7', f'"pid": {os.getpid()}'.encode())
        db.with_name("trades.db.health").write_bytes(mine)
        closing = seen()
        assert closing.state == "dead"
        assert closing.reasons[0].endswith("with exit code 6: a conflict")
        db.with_name("trades.db.health").write_bytes(ENDED)
        long_ago = time.time() - 300
        os.utime(db.with_name("trades.db.lock"), (long_ago, long_ago))
        old: Any = seen()
        assert (old.state, old.reasons) == (
            "dead",
            (f"no bot runs: pid {os.getpid()} has the database for 5 minutes",),
        )
    finally:
        lock.release()


def test_a_bot_that_hangs_is_dead_though_the_clock_was_set_back(in_tmp: Path) -> None:
    from smabot.domain.bot_health import TRADING, Health, stored
    from smabot.system.lock import FileLock

    db, at = Path("data/trades.db"), datetime(2026, 3, 2, 15, tzinfo=UTC)
    db.parent.mkdir()
    lock = FileLock(db, "database", "the bot")
    try:
        old = time.monotonic() - 100
        health = Health(TRADING, at, old, os.getpid(), "0.1", "PAPER", at)
        db.with_name("trades.db.health").write_bytes(stored(health))
        ahead = time.time() + 3_600
        os.utime(db.with_name("trades.db.lock"), (ahead, ahead))
        hung = seen()
        assert hung.state == "dead"
        assert hung.reasons[0].startswith(f"pid {os.getpid()} hangs")
    finally:
        lock.release()
