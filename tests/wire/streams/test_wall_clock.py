"""An exchange whose clock follows the wall clock; the wall is the test's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smabot_exchange.http import clock_driver
from smabot_exchange.ledger.beginning import Beginning

MID_SESSION = datetime(2026, 3, 4, 16, 0, 20, 500_000, tzinfo=UTC)


class Wall:
    def __init__(self, time: datetime) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time

    def go(self, **more: float) -> None:
        self.time += timedelta(**more)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the clock often: the test sets it."""
    monkeypatch.setattr(clock_driver, "LONGEST_SLEEP", 0.01)


@pytest.fixture
def wall() -> Wall:
    return Wall(MID_SESSION)


@pytest.fixture
def today(serve: Any, wall: Wall) -> Any:
    data, beginning = "simulated:symbols=1,sessions=2", Beginning(1, wall.time)
    return serve(data, beginning=beginning, clock=wall)


def test_it_starts_in_the_middle_of_todays_session(
    today: Any, call_at: Any, plain: Any, wall: Wall
) -> None:
    call = call_at(today)
    clock = call.get("/v2/clock")
    assert clock["timestamp"] == "2026-03-04T11:00:20.500000-05:00"
    assert (clock["is_open"], clock["next_close"]) == (True, "2026-03-04T16:00:00-05:00")
    bars = call.get("/v2/stocks/SPY/bars", timeframe="1Min", limit=1000)["bars"]
    assert (len(bars), bars[-1]["t"]) == (90, "2026-03-04T15:59:00Z")
    keys = {"APCA-API-KEY-ID": "PKTEST", "APCA-API-SECRET-KEY": "the secret"}
    client = plain(f"{today.socket_url}/v2/iex", headers=keys)
    assert [client.said[0]["msg"] for _ in range(2)] == ["connected", "authenticated"]
    client.subscribe(bars=["SPY"])
    wall.go(seconds=40)
    (bar,) = client.said
    assert bar["t"] == "2026-03-04T16:00:00Z"


def test_orders_are_submitted_at_the_walls_time_and_fill_with_the_minute(
    today: Any, call_at: Any, wall: Wall, eventually: Any
) -> None:
    call = call_at(today)
    before = call.get("/v2/clock")["timestamp"]
    wall.go(seconds=1)
    order = call.buy(1)
    assert order["submitted_at"] == "2026-03-04T16:00:21.000100003Z"
    assert [o["id"] for o in call.get("/v2/orders", after=before)] == [order["id"]]
    wall.go(seconds=45)
    eventually(lambda: call.get(f"/v2/orders/{order['id']}")["status"] == "filled")
    filled = call.get(f"/v2/orders/{order['id']}")
    assert filled["submitted_at"] <= filled["filled_at"]


def test_overnight_it_is_closed_and_orders_wait(
    serve: Any, call_at: Any, wall: Wall, eventually: Any
) -> None:
    beginning = Beginning(1, wall.time)
    place = serve("simulated:symbols=1", beginning=beginning, clock=wall)
    call = call_at(place)
    wall.time = datetime(2026, 3, 4, 23, 0, 10, tzinfo=UTC)
    eventually(lambda: place.exchange.now == datetime(2026, 3, 4, 23, tzinfo=UTC))
    clock = call.get("/v2/clock")
    assert (clock["is_open"], clock["next_open"]) == (False, "2026-03-05T09:30:00-05:00")
    order = call.buy(1)
    assert (order["status"], order["expires_at"]) == ("accepted", "2026-03-05T21:00:00Z")
    assert call.get("/_exchange")["ended"] is False


def test_after_the_data_it_stays_closed(
    today: Any, call_at: Any, wall: Wall, eventually: Any
) -> None:
    call = call_at(today)
    resting = call.buy(1, type="limit", limit_price=1)
    for time in (datetime(2026, 3, 4, 22, tzinfo=UTC), datetime(2026, 3, 6, 16, tzinfo=UTC)):
        wall.time = time
        eventually(lambda: call.get("/_exchange")["ended"])
        clock = call.get("/v2/clock")
        assert clock["is_open"] is False
        assert datetime.fromisoformat(clock["timestamp"]) == time
        assert datetime.fromisoformat(clock["next_open"]) > time
        assert call.buy(1)["status"] == "accepted"
    assert call.get(f"/v2/orders/{resting['id']}")["status"] == "expired"


def test_before_the_open_it_waits(serve: Any, call_at: Any, eventually: Any) -> None:
    wall = Wall(datetime(2026, 3, 4, 13, 0, 30, tzinfo=UTC))
    place = serve("simulated:symbols=1", beginning=Beginning(1, wall.time), clock=wall)
    call = call_at(place)
    clock = call.get("/v2/clock")
    assert (clock["is_open"], clock["next_open"]) == (False, "2026-03-04T09:30:00-05:00")
    early = call.buy(1)
    assert early["status"] == "accepted"
    wall.time = datetime(2026, 3, 4, 14, 30, 5, tzinfo=UTC)
    eventually(lambda: call.get("/v2/clock")["is_open"])
    eventually(lambda: call.get(f"/v2/orders/{early['id']}")["status"] == "new")
    assert call.buy(1)["status"] == "pending_new"
    wall.go(minutes=1)
    eventually(lambda: call.get(f"/v2/orders/{early['id']}")["status"] == "filled")


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize(
    ("time", "said"),
    [
        (datetime(2026, 3, 7, 15, 0, 30, tzinfo=UTC), "until 2026-03-09 09:30 ET; the bot waits"),
        (datetime(2026, 3, 4, 21, 0, 0, tzinfo=UTC), "until 2026-03-05 09:30 ET; the bot waits"),
        (MID_SESSION, ""),
    ],
)
def test_a_bot_says_until_when_the_market_is_closed(
    serve: Any, in_tmp: Path, time: datetime, said: str
) -> None:
    wall = Wall(time)
    keys = {"APCA_API_KEY_ID": "PKTEST", "APCA_API_SECRET_KEY": "the-secret"}
    place = serve(
        "simulated:symbols=1",
        beginning=Beginning(1, time),
        clock=wall,
        secret=keys["APCA_API_SECRET_KEY"],
    )
    bot = subprocess.Popen(
        [Path(sys.executable).with_name("smabot"), "run", "--url", place.url],
        env={**os.environ, **keys}, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with bot:
        assert bot.stdout is not None
        assert any(line.startswith("ready in") for line in bot.stdout)
        if said:
            assert bot.stdout.readline() == f"  the market is closed {said}\n"
        bot.send_signal(signal.SIGTERM)
        rest = bot.stdout.read()
    assert bot.returncode == 0
    assert "the market is closed" not in rest
