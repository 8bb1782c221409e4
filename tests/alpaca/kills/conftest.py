"""Bot and exchange as processes of their own, to be killed; and the two books that they leave."""

from __future__ import annotations

import csv
import json
import os
import random
import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

SMABOT = str(Path(sys.executable).with_name("smabot"))
KEYS = {"APCA-API-KEY-ID": "PKSMABOT", "APCA-API-SECRET-KEY": "smabot"}
SYMBOLS = {"AAA": 100.0, "BBB": 40.0, "CCC": 250.0, "DDD": 15.0}
COLUMNS = ("symbol", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap")
MINUTES = 390
HOLIDAYS = {(4, 3), (5, 25), (6, 19), (7, 3)}
DEADLINE = 60.0
SETTINGS = """
[default]
reconcile_every_minutes = 30

[default.plugin.sma]
fast = 2
slow = 5

[default.plugin.risk.daily_limits]
max_trades = 150
max_orders_per_symbol = 60

[default.plugin.alpaca]
connect_timeout = 1.0
request_timeout = 2.0
lookups = [0.05, 0.1, 0.2, 0.4]
"""


def session_opens(count: int) -> list[datetime]:
    """The first sessions from 2 March 2026 on; the clocks change on the 8th."""
    half_past_nine = datetime(2026, 3, 2, 9, 30, tzinfo=ZoneInfo("America/New_York"))
    days = (half_past_nine + timedelta(days=n) for n in range(2 * count + 7))
    opens = [day for day in days if day.weekday() < 5 and (day.month, day.day) not in HOLIDAYS]
    return [day.astimezone(UTC) for day in opens[:count]]


def write_market(path: Path, sessions: int, seed: int) -> Path:
    """Write a tape that gives much to do: restless prices, volumes that fill orders in parts, and
    now and then a minute without a bar."""
    chance = random.Random(seed)
    prices = dict(SYMBOLS)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for opens in session_opens(sessions):
            for minute in range(MINUTES):
                stamp = (opens + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
                for symbol, before in prices.items():
                    if 0 < minute < MINUTES - 1 and chance.random() < 0.03:
                        continue
                    base = SYMBOLS[symbol]
                    drift = 0.05 * (base - before)
                    after = round(before + drift + base * chance.gauss(0, 0.002), 2)
                    volume = chance.choice([20, 60, 110, 5_000, 5_000, 5_000])
                    high, low = max(before, after), min(before, after)
                    writer.writerow([symbol, stamp, before, high, low, after, volume, "", ""])
                    prices[symbol] = after
    return path


class Lost(AssertionError):
    """A process ended as it must not have."""


class Process:
    """One life of a program; what it says goes to files."""

    def __init__(self, folder: Path, name: str, *command: str) -> None:
        own = {n: v for n, v in os.environ.items() if not n.startswith(("APCA", "SMABOT"))}
        self.name = name
        self.log = folder / f"{name}.log"
        self.errors = folder / f"{name}.err"
        self.began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out, self.errors.open("ab") as err:
            self.popen = subprocess.Popen(
                [SMABOT, *command], cwd=folder, env=own, stdout=out, stderr=err
            )

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    @property
    def code(self) -> int | None:
        return self.popen.poll()

    def said(self, event: str) -> dict[str, Any] | None:
        """The first line of this life that has a key or an event of that name."""
        with self.log.open("rb") as file:
            file.seek(self.began)
            for line in file:
                if event.encode() in line and line.endswith(b"\n"):
                    told: dict[str, Any] = json.loads(line)
                    if event in told or told.get("event") == event:
                        return told
        return None

    def kill(self) -> bool:
        """Kill it for good; tell whether it still lived."""
        self.popen.kill()
        return self.popen.wait() == -signal.SIGKILL

    def end(self) -> int:
        """End it in peace."""
        self.popen.terminate()
        return self.popen.wait(DEADLINE)

    def status(self, *names: str) -> tuple[int, ...]:
        """Figures of /proc/PID/status, memory in kB."""
        text = Path(f"/proc/{self.popen.pid}/status").read_text()
        told = dict(line.split(":", 1) for line in text.splitlines())
        return tuple(int(told[name].split()[0]) for name in names)

    def tail(self) -> str:
        lines = self.errors.read_text(errors="replace").splitlines()
        return f"{self.name} ended with {self.code}:\n" + "\n".join(lines[-25:])


class Lab:
    """A folder with a tape, an exchange's ledger and a bot's database; processes come and go."""

    def __init__(self, folder: Path, tape: Path, speed: str, *, settings: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.tape = tape
        self.speed = speed
        self.db = folder / "trades.db"
        self.ledger = folder / "exchange.db"
        self.exchange: Process | None = None
        self.bot: Process | None = None
        self.port = "0"
        self.serving: list[str] = []
        self.running: list[str] = []
        self.start_seconds = 2.0
        """How long the last start took: a moment while starting is a part of it."""
        (folder / "settings.toml").write_text(SETTINGS + settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # -- processes ---------------------------------------------------------------------------------

    def start_exchange(self) -> Process:
        """Start it, and do not wait; always on the port of its first life."""
        self.exchange = Process(
            self.folder, "exchange", "exchange", "serve", "--json", "--speed", self.speed,
            "--data", str(self.tape), "--ledger", str(self.ledger), "--port", self.port,
            "--requests-per-minute", "0", *self.serving,
        )  # fmt: skip
        return self.exchange

    def start_bot(self) -> Process:
        self.bot = Process(
            self.folder, "bot", "run", "--json", "--broker", "alpaca", "--url", self.url,
            "--plugins", "sma,risk", "--speed", "max", "--db", str(self.db), *self.running,
        )  # fmt: skip
        return self.bot

    def serve(self) -> None:
        """Start the exchange and wait until it listens."""
        exchange = self.start_exchange()
        told = self.wait(lambda: exchange.said("url") or not exchange.alive, "the exchange")
        if told is True:
            raise Lost(exchange.tail())
        self.port = told["url"].rpartition(":")[2]

    def ask(self, path: str = "", method: str = "GET", **more: Any) -> Any:
        """Call the exchange's own door; None while it does not answer."""
        with suppress(requests.ConnectionError, requests.Timeout):
            answer = requests.request(
                method, f"{self.url}/_exchange{path}", headers=KEYS, timeout=5, **more
            )
            answer.raise_for_status()
            return answer.json()
        return None

    def wait(self, what: Callable[[], Any], name: str, seconds: float = DEADLINE) -> Any:
        """Poll until something is true, and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if told := what():
                return told
            time.sleep(0.01)
        raise Lost(f"waited {seconds} s in vain for {name}")

    def finish(self, allowed: Sequence[int] = (4,), seconds: float = 240) -> None:
        """Let bot and exchange live until the bot says that the tape is over, or its time has come."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.exchange is None or not self.exchange.alive:
                self.serve()
            bot = self.bot if self.bot is not None else self.start_bot()
            with suppress(subprocess.TimeoutExpired):
                bot.popen.wait(1)
            if bot.code == 0:
                return
            if bot.code is not None and bot.code not in (*allowed, -signal.SIGKILL):
                raise Lost(bot.tail())
            if bot.code is not None:
                self.bot = None
        raise Lost(f"the tape was not over after {seconds} s; {self.ask()}")

    def close(self) -> None:
        for process in (self.bot, self.exchange):
            if process is not None and process.alive:
                process.kill()

    def run_in_process(self) -> None:
        """Play the whole tape with the exchange inside the bot, without a wire."""
        process = Process(
            self.folder, "front", "run", "--json", "--broker", "exchange", "--speed", "max",
            "--data", str(self.tape), "--plugins", "sma,risk", "--db", str(self.db),
        )  # fmt: skip
        if process.popen.wait(2 * DEADLINE) != 0:
            raise Lost(process.tail())

    def reconcile(self) -> int:
        """`smabot reconcile` on both books; returns its exit code."""
        if self.exchange is None or not self.exchange.alive:
            self.serve()
        process = Process(
            self.folder, "reconcile", "reconcile", "--broker", "alpaca", "--url", self.url,
            "--db", str(self.db),
        )  # fmt: skip
        return process.popen.wait(DEADLINE)

    # -- the two books -----------------------------------------------------------------------------

    def here(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the bot's database."""
        return _query(self.db, sql)

    def there(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the exchange's ledger."""
        return _query(self.ledger, sql)


def _query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


class Killer:
    """Kills bot, exchange or both at seeded moments of their lives, and starts them again."""

    def __init__(self, lab: Lab, seed: int, *, life: float, whom: Mapping[str, float]) -> None:
        """``life``: seconds that a ready bot may live; ``whom``: how often who is killed."""
        self.kills = 0
        self.starting = 0
        self._lab = lab
        self._chance = random.Random(seed)
        self._life = life
        self._whom = whom

    def strike(self) -> None:
        """Start what does not run, wait for the moment, and kill."""
        lab, chance = self._lab, self._chance
        whom = chance.choices([*self._whom], [*self._whom.values()])[0]
        starting, restarted = chance.random() < 0.4, chance.random() < 0.2
        fraction = chance.random()
        if lab.exchange is None or not lab.exchange.alive:
            if restarted and lab.exchange is not None:  # the bot starts while it does
                lab.start_exchange()
            else:
                lab.serve()
        if lab.bot is None or not lab.bot.alive:
            self._left()
            lab.start_bot()
        bot = lab.bot
        assert bot is not None
        if starting and not bot.said("ready"):
            time.sleep(fraction * lab.start_seconds)
        else:
            ready = lab.wait(lambda: bot.said("ready") or not bot.alive, "a ready bot")
            if isinstance(ready, dict):
                lab.start_seconds = ready["ms"] / 1000
            time.sleep(fraction * self._life)
        self.starting += bot.alive and not bot.said("ready")
        if whom in ("exchange", "both") and lab.exchange is not None:
            self.kills += lab.exchange.kill()
        if whom in ("bot", "both"):
            self.kills += bot.kill()

    def _left(self) -> None:
        """A bot may leave by itself, while its exchange is away, and by code 4 alone."""
        bot = self._lab.bot
        if bot is not None and bot.code not in (4, -signal.SIGKILL):
            raise Lost(bot.tail())


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def lab(name: str, tape: Path, speed: str, **more: Any) -> Lab:
        labs.append(Lab(tmp_path / name, tape, speed, **more))
        return labs[-1]

    yield lab
    for one in labs:
        one.close()


@pytest.fixture
def market() -> Callable[..., Path]:
    return write_market


@pytest.fixture
def audit() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).with_name("audit.py")))


@pytest.fixture
def killer() -> type[Killer]:
    return Killer
