"""What is grave goes out before fills that wait, loses nothing by it over kills, and keeps the order of its matter."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
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


TRIPPED = """
    SELECT at FROM committed_steps WHERE content LIKE '%breaker_tripped%' ORDER BY number LIMIT 1
"""


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
    inbox.seconds = 0.3
    urgent, routine = deliveries()
    burst = threading.Thread(target=routine.take, args=(CommittedStep(1, fills=fills(12)), ""))
    burst.start()
    inbox.await_message("bought")
    for number, kind in enumerate(("breaker_tripped", "breaker_reset", "breaker_tripped"), 2):
        urgent.take(step(number, kind), "")
    burst.join()
    places = [place for place, title in enumerate(inbox.titles) if "breaker" in title]
    assert len(inbox.titles) == 15
    assert [inbox.titles[place].rpartition(" ")[2] for place in places] == ["tripped", "reset", "tripped"]  # fmt: skip
    assert places[0] <= 3
    assert places[-1] < 8, "one fill may come between two of them"


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
    (committed,) = burst.row(TRIPPED)
    delay = (now - datetime.fromisoformat(committed)).total_seconds()
    assert delay < 5, "a second for the message on its way, one for itself; the fills take thirty"
    assert len(told) < 10


@pytest.mark.slow(seconds=30)
def test_kills_lose_neither_the_breaker_nor_a_fill_behind_it(burst: Any, inbox: Any) -> None:
    inbox.seconds = 0.2
    with burst.start("run", "--speed", "20") as child:
        burst.await_row(TRIPPED)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    for least in (12, 25):
        with burst.start("run", "--speed", "20") as child:
            inbox.await_number(least)
            child.send_signal(signal.SIGKILL)
            child.communicate()
    tripped = inbox.titles.index("circuit breaker tripped")
    assert len(fill_keys(inbox.messages[:tripped])) < 15
    inbox.seconds = 0.0
    with burst.start("run", "--speed", "20") as child:
        while len(fill_keys(inbox.messages)) < 35:
            inbox.await_number(len(inbox.messages) + 1)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    first: dict[str, Any] = {}
    for message in inbox.messages:
        known = first.setdefault(message.key, message)
        assert known is message or (message.again and message.title == known.title), message
    keys = fill_keys(inbox.messages)
    assert keys == sorted(keys)
    assert (len(keys),) == burst.row("SELECT count(*) FROM trades")
    trips = [each for each in first.values() if "circuit breaker tripped" in each.title]
    assert len(trips) == 1
