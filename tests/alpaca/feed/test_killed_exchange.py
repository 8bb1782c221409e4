"""The exchange, a process of its own, is killed with -9 at seeded moments; the feed goes on."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("smabot_exchange.http.server")

from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Bar, Order
from smabot.errors import BrokerError
from smabot_alpaca import credentials, endpoints
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import AlpacaConnection
from smabot_alpaca.feed.alpaca_feed import AlpacaFeed
from smabot_alpaca.settings import AlpacaSettings

SMABOT = str(Path(sys.executable).with_name("smabot"))
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTES = 60
DEADLINE = 60.0
KILLS = 4
CLOSES = {
    "KO": [50 + n % 7 / 4 for n in range(MINUTES)],
    "SPY": [100.0 + n for n in range(MINUTES)],
}


class Process:
    """An exchange that can be killed and started again, on the same port and ledger."""

    def __init__(self, folder: Path, tape: Path, speed: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        self._command = [
            SMABOT, "exchange", "serve", "--data", str(tape), "--speed", speed, "--ledger", "l.db",
            "--port", str(self.port), "--requests-per-minute", "0", "--json",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        names = ("APCA", "SMABOT")
        self.popen = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env={name: value for name, value in os.environ.items() if not name.startswith(names)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout is not None
        assert json.loads(self.popen.stdout.readline())["url"].endswith(f":{self.port}")

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(DEADLINE)
        assert self.popen.stdout is not None
        self.popen.stdout.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.slow
@pytest.mark.parametrize("speed", ["step", "20"])
def test_killed_while_the_tape_goes_on(
    tmp_path: Path, tape_writer: Any, stack: ExitStack, speed: str
) -> None:
    tape = tape_writer(tmp_path / "tape.csv", CLOSES, volume=100_000)
    process = Process(tmp_path, tape, speed)
    stack.callback(process.kill)
    connection = AlpacaConnection(
        endpoints.at(f"http://127.0.0.1:{process.port}", "iex"),
        credentials.LOOPBACK,
        AlpacaSettings(request_timeout=2),
    )
    broker, feed = AlpacaBroker(connection), AlpacaFeed(connection)
    stack.callback(broker.close)
    stack.callback(feed.close)
    feed.subscribe(["KO", "SPY"])
    kills = set(random.Random(7).sample(range(3, MINUTES - 3), KILLS))
    bars: list[Bar] = []
    ends: dict[str, Status] = {}
    doubts, resyncs, deadline = 0, 0, time.monotonic() + DEADLINE
    while (batch := feed.next(0.2)) is not None:
        assert time.monotonic() < deadline, (feed.now(), batch)
        bars += batch.bars
        doubts += bool(batch.doubt)
        resyncs += batch.resync
        ends.update({u.client_order_id: u.status for u in batch.updates})
        minute = len({bar.time for bar in bars})
        if batch.bars and minute % 5 == 0 and minute < MINUTES:
            name = f"smabot-{minute}"
            try:
                broker.submit(order(feed, name))
                ends.setdefault(name, Status.SUBMITTED)
            except BrokerError:
                pass  # core asks again under its id; here nobody does
        if batch.bars and minute in kills:
            kills.discard(minute)
            process.kill()
            process.start()
    told = [(bar.symbol, bar.time, bar.close) for bar in bars]
    tape_bars = [
        (symbol, OPEN + n * MINUTE, float(CLOSES[symbol][n]))
        for n in range(MINUTES)
        for symbol in ("KO", "SPY")
    ]
    assert told == tape_bars
    assert doubts
    assert resyncs >= 1 + KILLS
    if speed == "step":  # else some fill while nobody listens, and core asks for them
        assert set(ends.values()) == {Status.FILLED}


def order(feed: AlpacaFeed, name: str) -> Order:
    now = feed.now()
    return Order(
        name, "sma", "SPY", Side.BUY, Decimal(1), OrderType.MARKET, None, TimeInForce.DAY,
        now - MINUTE, 1, False, now,
    )  # fmt: skip
