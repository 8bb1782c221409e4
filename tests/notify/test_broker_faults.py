"""What goes wrong at a broker far away is told: a served exchange misbehaves, and a bot trades there."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.plugins

TROUBLE = """
[[faults]]
kind = "disconnect"
stream = "trade"
at = "minute"
since = "2026-03-02T14:36:00Z"
times = 1
[[faults]]
kind = "refuse"
stream = "trade"
seconds = 4
[[faults]]
kind = "lost_answer"
minutes = 30
times = 1
"""
CONFLICT = """
[[faults]]
kind = "foreign_position"
symbol = "SPY"
qty = 5
since = "2026-03-02T15:00:00Z"
"""
SOON = "stream_minutes = 0.02\nfrozen_minutes = 0.01"


@pytest.fixture
def served(bot: Any) -> Iterator[Callable[[str, str], str]]:
    """Serve an exchange with faults, and let the bot trade there; returns its address."""
    children: list[subprocess.Popen[str]] = []

    def serve(faults: str, speed: str) -> str:
        (bot.folder / "faults.toml").write_text(faults)
        words = ("--faults", "faults.toml", "--speed", speed, "--port", "0", "--ledger", "e.db")
        child = bot.start("exchange", "serve", "--data", "simulated:seed=1", *words)
        children.append(child)
        assert child.stdout is not None
        for line in child.stdout:
            if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                return address[0]
        raise AssertionError("the exchange did not start")

    yield serve
    for child in children:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)


def without_data(bot: Any) -> None:
    """Let the bot's settings name no exchange of its own."""
    path = bot.folder / "settings.toml"
    lines = [
        line for line in path.read_text().splitlines() if not line.startswith(("broker", "data"))
    ]
    path.write_text("\n".join(lines))


@pytest.mark.slow(seconds=25)
def test_a_lost_stream_and_an_order_of_unknown_outcome_are_told_and_their_end(
    bot: Any, inbox: Any, served: Callable[[str, str], str]
) -> None:
    bot.settings(inbox.url, more=SOON)
    address = served(TROUBLE, "5")
    without_data(bot)
    with bot.start("run", "--url", address) as child:
        lost = inbox.await_message("order updates are lost", 60)
        assert "Entries are paused, exits pass." in lost.text
        inbox.await_message("order updates are back", 60)
        unknown = inbox.await_message("outcome unknown: sma-", 60)
        assert "See the broker's page." in unknown.text
        known = inbox.await_message("outcome known: sma-", 60)
        assert known.title.rpartition(" ")[2] == unknown.title.rpartition(" ")[2]
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)


@pytest.mark.slow(seconds=12)
def test_a_conflict_is_told_and_the_failure_that_it_causes(
    bot: Any, inbox: Any, served: Callable[[str, str], str]
) -> None:
    bot.settings(inbox.url)
    address = served(CONFLICT, "step")
    without_data(bot)
    bot.run("run", "--url", address, code=6)
    told = inbox.await_message("conflict: SPY")
    assert told.kind == "failure"
    assert "5 shares" in told.text
    failed = inbox.await_message("FAILED with exit code 6")
    assert "smabot reconcile" in failed.text
    assert inbox.messages.index(told) < inbox.messages.index(failed)
