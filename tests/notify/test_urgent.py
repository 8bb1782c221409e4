"""What is grave goes out before fills that wait, loses nothing by it over kills, and keeps the order of its matter."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from smabot.api import CommittedStep, Event, Fill, Side
from smabot_notify.delivery import Delivery, NotDelivered
from smabot_notify.receiver import Receiver
from smabot_notify.sender import Sender
from smabot_notify.settings import NotifySettings

AT = datetime(2026, 3, 2, 15, 31, tzinfo=UTC)
FLIP = """
from smabot.api import Bar, Signal, hookimpl

class Flip:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        return Signal.long(bar) if bar.time.minute % 2 else Signal.flat(bar)
"""
TRIPS = """repeat_minutes = 0
[default.sizing]
shares = 30
[default.plugin.risk.circuit_breaker]
max_session_drawdown = 0.0001
[default.plugin.risk.daily_limits]
max_orders = 1000
"""


TRIPPED = "SELECT min(at) FROM committed_steps WHERE content LIKE '%breaker_tripped%'"


def fills(number: int) -> tuple[Fill, ...]:
    return tuple(
        Fill(f"smabot-sma-SPY-{each}", Decimal(1), "sma", "SPY", Side.BUY, Decimal(1), Decimal(500), Decimal(0), AT, False)
        for each in range(number)
    )  # fmt: skip


def step(number: int, kind: str) -> CommittedStep:
    event = Event(AT, kind, "risk.circuit_breaker", "", kind == "breaker_tripped")
    return CommittedStep(number, events=(event,))


@pytest.fixture
def deliveries(inbox: Any) -> Callable[[], tuple[Delivery, Delivery]]:
    """What tells the urgent and the routine alerts of one receiver."""

    def make() -> tuple[Delivery, Delivery]:
        receiver, settings = Receiver(inbox.url, 1), NotifySettings()
        first = Delivery(receiver, settings, Sender())
        return first, Delivery(receiver, settings, Sender(), first=first)

    return make


def test_what_is_grave_waits_for_one_fill_at_most(deliveries: Any, inbox: Any) -> None:
    inbox.seconds = 0.1
    urgent, routine = deliveries()
    burst = threading.Thread(target=routine.take, args=(CommittedStep(1, fills=fills(20)), ""))
    burst.start()
    inbox.await_message("bought")
    for number, kind in enumerate(("breaker_tripped", "breaker_reset", "breaker_tripped"), 2):
        urgent.take(step(number, kind), "")
    burst.join()
    told = inbox.titles
    assert len(told) == 23
    changes = [title for title in told if "breaker" in title]
    assert changes == [f"circuit breaker {what}" for what in ("tripped", "reset", "tripped")]
    assert told.index("circuit breaker tripped") <= 2
    assert "circuit breaker tripped" in told[3:7], "one fill may come between two of them"


def test_after_an_outage_fills_wait_for_what_is_grave(deliveries: Any, inbox: Any) -> None:
    urgent, routine = deliveries()
    inbox.refuses = True
    with pytest.raises(NotDelivered, match=r"did not take alert 2\.1"):
        urgent.take(step(2, "breaker_tripped"), "")
    inbox.refuses = False
    with pytest.raises(NotDelivered, match=r"^1\. json://…: alert 1\.1 waits for one that failed"):
        routine.take(CommittedStep(1, fills=fills(1)), "")
    urgent.take(step(2, "breaker_tripped"), "")
    routine.take(CommittedStep(1, fills=fills(1)), "")
    assert [(message.key, message.again) for message in inbox.messages] == [("2.1", True), ("1.1", False)]  # fmt: skip


# -- a bot that trades five symbols each minute, until its breaker trips behind 30 fills ---------------


@pytest.fixture
def burst(bot: Any, inbox: Any) -> Any:
    (bot.folder / "flip.py").write_text(FLIP)
    bot.settings(inbox.url, more=TRIPS, plugins=("./flip.py", "risk"))
    path = bot.folder / "settings.toml"
    path.write_text(path.read_text().replace("simulated:shape=waves,sessions=2,seed=4", "simulated:seed=9"))  # fmt: skip
    return bot


def asked(bot: Any, query: str) -> Any:
    """Return a value of a bot's database; None where it has none yet."""
    try:
        with closing(sqlite3.connect(f"file:{bot.db}?mode=ro", uri=True)) as database:
            ((value,),) = database.execute(query).fetchall()
    except sqlite3.OperationalError:
        return None
    return value


def await_that(condition: Callable[[], Any], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def fill_keys(messages: Sequence[Any]) -> list[tuple[int, ...]]:
    """Return the keys of the fills that were told, each once, as they came."""
    told = [each.key for each in messages if ": bought" in each.title or ": sold" in each.title]
    return [tuple(map(int, key.split("."))) for key in dict.fromkeys(told)]


@pytest.mark.slow(seconds=6)
def test_the_breaker_is_told_at_once_behind_thirty_fills(burst: Any, inbox: Any) -> None:
    inbox.seconds = 1.0
    with burst.start("run", "--speed", "20") as child:
        inbox.await_message("circuit breaker tripped", 60)
        told, now = fill_keys(inbox.messages), datetime.now(UTC)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    delay = (now - datetime.fromisoformat(asked(burst, TRIPPED))).total_seconds()
    assert delay < 5, "a second for the message on its way, one for itself; the fills take thirty"
    assert len(told) < 10


@pytest.mark.slow(seconds=30)
def test_kills_lose_neither_the_breaker_nor_a_fill_behind_it(burst: Any, inbox: Any) -> None:
    inbox.seconds = 0.2
    with burst.start("run", "--speed", "20") as child:
        await_that(lambda: asked(burst, TRIPPED))
        child.send_signal(signal.SIGKILL)
        child.communicate()
    for least in (12, 25):
        with burst.start("run", "--speed", "20") as child:
            await_that(lambda least=least: len(inbox.messages) >= least)  # type: ignore[misc]
            child.send_signal(signal.SIGKILL)
            child.communicate()
    tripped = inbox.titles.index("circuit breaker tripped")
    assert len(fill_keys(inbox.messages[:tripped])) < 15
    inbox.seconds = 0.0
    with burst.start("run", "--speed", "20") as child:
        await_that(lambda: len(fill_keys(inbox.messages)) >= 35)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    first: dict[str, Any] = {}
    for message in inbox.messages:
        known = first.setdefault(message.key, message)
        assert known is message or (message.again and message.title == known.title), message
    keys = fill_keys(inbox.messages)
    assert keys == sorted(keys)
    assert len(keys) == asked(burst, "SELECT count(*) FROM trades")
    trips = [each for each in first.values() if "circuit breaker tripped" in each.title]
    assert len(trips) == 1
