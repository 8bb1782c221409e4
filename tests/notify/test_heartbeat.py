"""A ping while the deciding thread goes on; none when it hangs or is dead, and another one when a run fails."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest
from loguru import logger

from smabot_notify.heartbeat import Heartbeat

HANGING = """
import os, time
from smabot.api import hookimpl

class Hanging:
    @hookimpl
    def on_bar(self, bar):
        if os.path.exists("hang"):
            time.sleep(60)
"""


def await_pings(inbox: Any, count: int, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while len(inbox.pings) < count:
        assert time.monotonic() < until, inbox.pings
        time.sleep(0.05)


def test_it_pings_when_that_is_due_and_says_once_that_it_fails(inbox: Any) -> None:
    now, logged = [100.0], list[str]()
    sink = logger.add(lambda line: logged.append(line.strip()), format="{message}")
    heart = Heartbeat(f"{inbox.heartbeat_url}?source=bot", 60, lambda: now[0])
    for _ in range(3):
        heart.beat()
    assert inbox.pings == ["/0f1e2d3c-ping?source=bot"]
    inbox.refuses = True
    for _ in range(3):
        now[0] += 60
        heart.beat()
    inbox.leave()
    heart.fail()
    inbox.come_back()
    inbox.refuses = False
    heart.fail()
    assert inbox.pings[-1] == "/0f1e2d3c-ping/fail?source=bot"
    assert len(inbox.pings) == 5
    logger.remove(sink)
    assert logged == [
        "the heartbeat does not get through: HTTP 500",
        "the heartbeat gets through again",
    ]


@pytest.mark.slow(seconds=40)
@pytest.mark.plugins
def test_no_ping_comes_while_the_deciding_thread_hangs_or_is_killed(bot: Any, inbox: Any) -> None:
    (bot.folder / "hanging.py").write_text(HANGING)
    more = f'heartbeat_url = "{inbox.heartbeat_url}"\nheartbeat_seconds = 5'
    bot.settings(more=more, plugins=("./hanging.py",))
    with bot.start("run", "--speed", "2") as child:
        await_pings(inbox, 2)
        assert set(inbox.pings) == {"/0f1e2d3c-ping"}
        (bot.folder / "hang").touch()
        time.sleep(10)  # a ping that was due before may still come
        count = len(inbox.pings)
        time.sleep(10)
        assert len(inbox.pings) == count
        assert child.poll() is None
        child.send_signal(signal.SIGKILL)
        printed, _ = child.communicate()
    assert "0f1e2d3c" not in printed


@pytest.mark.slow(seconds=5)
@pytest.mark.plugins
def test_a_run_that_fails_says_so_and_one_that_is_stopped_does_not(bot: Any, inbox: Any) -> None:
    (bot.folder / "wrong.py").write_text(
        HANGING.replace("time.sleep(60)", "raise OSError('broken')")
    )
    bot.settings(more=f'heartbeat_url = "{inbox.heartbeat_url}"', plugins=("./wrong.py",))
    bot.run()
    assert "/0f1e2d3c-ping/fail" not in inbox.pings
    (bot.folder / "hang").touch()
    bot.run("run", "--db", "another.db", code=1)
    assert inbox.pings[-1] == "/0f1e2d3c-ping/fail"
    assert "0f1e2d3c" not in bot.log.read_text()


@pytest.mark.plugins
def test_a_heartbeat_that_is_no_address_is_one_line(bot: Any) -> None:
    bot.settings(more='heartbeat_url = "hc-ping.com/0f1e2d3c-ping"')
    printed = bot.run("config", "check", code=3)
    assert (
        "plugin.notify.heartbeat_url = '********': must begin with https:// or http://" in printed
    )
