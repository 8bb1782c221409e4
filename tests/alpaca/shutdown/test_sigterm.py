"""A service manager's stop while the broker does not answer: as quick as at any other time."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("smabot_alpaca")
pytest.importorskip("smabot_exchange.http.server")

import requests

from smabot_exchange.embedded import KEY_ID, SECRET_KEY
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.server import ReplayPace, ServerThread, listen
from smabot_exchange.http.venue import Venue

SMABOT = str(Path(sys.executable).with_name("smabot"))
STOP_SECONDS = 30.0
"""Less than what hangs takes, and far more than an end takes."""
DEADLINE = 60.0
HEADERS = {"APCA-API-KEY-ID": KEY_ID, "APCA-API-SECRET-KEY": SECRET_KEY}

pytestmark = pytest.mark.slow


class Place:
    """A served exchange whose minutes take a while, and a bot's folder."""

    def __init__(self, folder: Path, serving: ServerThread) -> None:
        self.folder = folder
        self.serving = serving

    def fault(self, *faults: dict[str, Any]) -> None:
        with requests.Session() as session:
            session.trust_env = False
            url = f"{self.serving.url}/_exchange/faults"
            session.post(
                url, json={"faults": faults}, headers=HEADERS, timeout=5
            ).raise_for_status()

    def struck(self) -> int:
        with requests.Session() as session:
            session.trust_env = False
            told = session.get(f"{self.serving.url}/_exchange", headers=HEADERS, timeout=5).json()
        return sum(told["faults"].values())

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SMABOT, "run", "--url", self.serving.url, "--plugins", "sma", "--db", "trades.db"],
            cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def wait(self, bot: subprocess.Popen[str], ready: Any) -> None:
        deadline = time.monotonic() + DEADLINE
        while not ready():
            assert bot.poll() is None, bot.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self, bot: subprocess.Popen[str]) -> tuple[float, str, str]:
        begun = time.monotonic()
        bot.send_signal(signal.SIGTERM)
        out, err = bot.communicate(timeout=DEADLINE)
        return time.monotonic() - begun, out, err

    def runs(self) -> list[tuple[int | None, str]]:
        with sqlite3.connect(self.folder / "trades.db") as db:
            return db.execute("SELECT exit_code, outcome FROM runs ORDER BY run_id").fetchall()


@pytest.fixture
def place(tmp_path: Path, tape_writer: Any) -> Iterator[Place]:
    closes = {name: [100 + n % 7 for n in range(390)] for name in ("KO", "SPY")}
    tape = tape_writer(tmp_path / "tape.csv", closes, volume=100_000)
    exchange = Exchange(tmp_path / "ledger.db", str(tape))
    venue = Venue(exchange, ApiKeys({KEY_ID: SECRET_KEY}), clock="paced")
    serving = ServerThread(venue, listen(), ReplayPace(2.0))
    serving.start()
    yield Place(tmp_path, serving)
    serving.stop()
    exchange.close()


@pytest.mark.parametrize("path", ["/v2/positions", "/v2/orders*"])
def test_while_it_starts_and_an_answer_does_not_come(place: Place, path: str) -> None:
    place.fault({"kind": "hang", "path": path, "seconds": 60})
    bot = place.start()
    place.wait(bot, place.struck)
    took, _, err = place.end(bot)
    assert took < STOP_SECONDS
    assert (bot.returncode, err) == (0, "")
    assert place.runs() == [(0, "stopped")]


def test_while_it_runs_and_no_answer_comes(place: Place) -> None:
    bot = place.start()
    assert bot.stdout is not None
    for line in bot.stdout:
        if line.startswith("ready in"):
            break
    place.fault({"kind": "hang", "path": "/v2/*", "seconds": 60})
    place.wait(bot, lambda: place.struck() >= 1)
    took, _, err = place.end(bot)
    assert took < STOP_SECONDS
    assert bot.returncode == 0, err
    assert "Traceback" not in err
    assert place.runs() == [(0, "stopped")]
