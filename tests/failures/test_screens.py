"""Nobody reads what the bot says, or nobody can: it trades as if somebody did."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.plugins
SMABOT = str(Path(sys.executable).with_name("smabot"))
ASCII = {
    "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
}  # fmt: skip


def shell(world: Any, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which $S is the executable."""
    return subprocess.run(
        ["bash", "-c", line], cwd=world.folder, env=os.environ | variables | {"S": SMABOT},
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip


def close() -> None:
    os.close(1)
    os.close(2)


def close_all() -> None:
    os.close(0)
    close()


def full_disk() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    os.dup2(full, 2)


def no_reader() -> None:
    mine, theirs = os.pipe()
    os.dup2(theirs, 1)
    os.dup2(theirs, 2)
    os.close(mine)


def reader_that_sleeps() -> None:
    """A pipe that is full: its reader lives, and does not read."""
    _, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 4096)
    os.set_blocking(theirs, True)
    os.dup2(theirs, 1)
    os.dup2(theirs, 2)


@pytest.mark.parametrize("json", [[], ["--json"], ["-vv"]], ids=str)
@pytest.mark.parametrize("screen", [close, close_all, full_disk, no_reader, reader_that_sleeps])
def test_a_run_that_nobody_can_read(
    world: Any, screen: Callable[[], None], json: list[str], undisturbed: Any
) -> None:
    assert world.run("run", *json, before=screen, SMABOT_LOG__FILE="bot.log").code == 0
    assert world.tables() == undisturbed
    assert "bought" in (world.folder / "bot.log").read_text()
    assert world.run("db", "check").code == 0  # closed descriptors did not become a database's


@pytest.mark.parametrize("screen", [close_all, full_disk, no_reader, reader_that_sleeps])
def test_a_flatten_that_nobody_can_read(world: Any, screen: Callable[[], None]) -> None:
    world.half_way()
    assert world.run("flatten", "--yes", before=screen).code == 0
    assert all(float(row[2]) == 0 for row in world.dump("positions_snapshot"))


@pytest.mark.slow
def test_the_first_line_and_no_more(world: Any, undisturbed: Any) -> None:
    done = shell(world, "$S run 2>&1 | head -1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("smabot 0.")
    assert world.tables() == undisturbed


@pytest.mark.slow
def test_a_terminal_that_takes_no_more_holds_nothing_up(world: Any, undisturbed: Any) -> None:
    mine, theirs = pty.openpty()
    done = subprocess.run(
        [SMABOT, "run", "-vv"], cwd=world.folder, stdout=theirs, stderr=theirs, stdin=theirs,
        timeout=40,
    )  # fmt: skip
    os.close(theirs)
    os.close(mine)
    assert done.returncode == 0
    assert world.tables() == undisturbed


@pytest.mark.slow
def test_a_reader_that_is_killed_in_the_middle(world: Any, undisturbed: Any) -> None:
    running = world.start("run", "--speed", "40")
    world.wait_ready(running)
    running.stdout.readline()
    running.stdout.close()
    running.stderr.close()
    assert running.wait(60) == 0
    assert world.tables() == undisturbed


@pytest.mark.slow
def test_an_ascii_terminal_gets_what_it_can_show(world: Any, undisturbed: Any) -> None:
    done = world.execute("run", **ASCII)
    assert (done.code, done.err) == (0, "")
    assert done.out.isascii()
    assert world.tables() == undisturbed
    assert world.execute("halt", "größer – als", **ASCII).code == 0  # codespell:ignore
    for command in (["status"], ["--help"], ["status", "--json"], ["orders"], ["config", "show"]):
        shown = world.execute(*command, **ASCII)
        assert shown.code == 0, shown.err
        assert shown.out.isascii()


@pytest.mark.parametrize(
    "command", ["status", "--help", "config show", "orders --json", "db check"]
)
def test_an_answer_that_is_lost_is_a_failure(world: Any, command: str) -> None:
    world.half_way()
    answer = command.split()
    lost = "the answer can't be written to stdout: "
    full = world.run(*answer, before=lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 1))
    assert (full.code, full.line) == (1, lost + "No space left on device")
    closed = world.run(*answer, before=lambda: os.close(1))
    assert (closed.code, closed.line) == (1, lost + "it is closed")
    assert world.run(*answer, before=lambda: os.close(2)).code == 0
    assert world.run(*answer, before=full_disk).code == 1
    unread = world.run(*answer, before=no_reader)
    assert (unread.code, unread.err) == (1, "")


@pytest.mark.slow
def test_a_pipe_that_is_closed_is_quiet(world: Any) -> None:
    done = shell(world, "$S --help | true; exit ${PIPESTATUS[0]}")
    assert done.returncode in (0, 1)  # it may have been written before the reader left
    assert done.stderr == ""


@pytest.mark.slow
def test_an_exchange_that_nobody_can_read_serves(world: Any) -> None:
    serving = world.start("exchange", "serve", "--data", "tape.csv", "--port", "0", "--json")
    assert serving.stdout is not None
    assert serving.stdout.readline().startswith('{"url"')
    serving.stdout.close()
    serving.stderr.close()
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(60) == 0
