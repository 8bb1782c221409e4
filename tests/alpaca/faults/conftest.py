"""A bot with scripted strategies at a served exchange that misbehaves; and the two books they leave."""

from __future__ import annotations

import csv
import math
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

pytest.importorskip("smabot_alpaca")
pytest.importorskip("smabot_exchange.http.server")

from smabot.domain.book import Book
from smabot.domain.order_terms import OrderType, Side
from smabot.domain.records import Bar, OrderIntent, Signal
from smabot.engine.loop import Engine
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.errors import SmabotError
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config
from smabot_exchange.as_seen.behaviours import AsSeen
from smabot_exchange.embedded import KEY_ID, SECRET_KEY
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.rate_limit import RequestQuota
from smabot_exchange.http.server import ReplayPace, ServerThread, listen
from smabot_exchange.http.venue import Venue

Dump = dict[str, list[tuple[Any, ...]]]
COLUMNS = ("symbol", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap")
EVENING = datetime(2026, 3, 2, 20, 36, tzinfo=UTC)
MORNING = datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
MINUTES = [EVENING + timedelta(minutes=n) for n in range(24)] + [
    MORNING + timedelta(minutes=n) for n in range(24)
]
"""The end of one session and the beginning of the next, so that orders of a day expire."""
LIQUID, THIN = 10_000, 40
"""Shares a minute: an order may take a tenth, so that ten shares fill at once, or in three minutes."""
VOLUMES = {"AAA": LIQUID, "BBB": THIN, "CCC": LIQUID, "DDD": THIN}
PRICES = {"AAA": 100.0, "BBB": 40.0, "CCC": 250.0, "DDD": 15.0}
WANTS: Mapping[str, Mapping[int, int]] = {
    "AAA": {2: 1, 7: 0, 10: 1, 15: 0, 26: 1, 33: 0, 36: 1},
    "BBB": {3: 1, 9: 0, 12: 1, 13: 0, 22: 1, 30: 0, 37: 1, 38: 0},
    "CCC": {2: 1, 8: 0, 12: 1, 28: 0, 30: 1, 44: 0},
    "DDD": {4: 1, 6: 0, 14: 1, 25: 1, 31: 0, 33: 1, 37: 0},
}
"""By symbol and minute: 1 is long, 0 is flat. BBB turns flat amid its fills, DDD rests on limits."""
FINISH_SECONDS = 150.0
ALPACA = {"connect_timeout": 1.0, "request_timeout": 1.5, "lookups": [0.02, 0.05, 0.1]}


def _without_wait(value: Any) -> Any:
    """An order's checks without why it had to wait before it left."""
    if not isinstance(value, str):
        return value
    return re.sub(r'(\["may_leave", true, "", "", )"[^"]*"', r'\1""', value)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class Script:
    """Wants what it was told to want; entries into DDD are limit orders below the market."""

    def __init__(self, wants: Mapping[str, Mapping[int, int]]) -> None:
        self._wants = {
            (symbol, MINUTES[minute]): target
            for symbol, targets in wants.items()
            for minute, target in targets.items()
        }

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        target = self._wants.get((bar.symbol, bar.time))
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)

    @hookimpl
    def on_signal(self, signal: Signal, book: Book) -> OrderIntent | None:
        if signal.symbol != "DDD" or not signal.target:
            return None
        limit = Decimal(repr(round(signal.price * 0.999, 2)))
        return OrderIntent(signal.symbol, Side.BUY, Decimal(10), OrderType.LIMIT, limit)


def write_tape(path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        before = dict(PRICES)
        for n, minute in enumerate(MINUTES):
            for phase, (symbol, base) in enumerate(PRICES.items()):
                after = round(base * (1 + 0.004 * math.sin(0.7 * n + phase)), 2)
                begin, before[symbol] = before[symbol], after
                writer.writerow(
                    [symbol, minute.isoformat(), begin, max(begin, after), min(begin, after),
                     after, VOLUMES[symbol], 9, after]
                )  # fmt: skip
    return path


class Scene:
    """An exchange, its ledger and its faults; a database, and a bot that may start on it again."""

    def __init__(
        self,
        folder: Path,
        tape: Path,
        faults: Sequence[Mapping[str, Any]] = (),
        *,
        pace: float | None = None,
        wants: Mapping[str, Mapping[int, int]] = WANTS,
        alpaca: Mapping[str, Any] | None = None,
        quota: RequestQuota | None = None,
        as_seen: AsSeen | None = None,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.tape = tape
        self.db = folder / "trades.db"
        self.ledger = folder / "exchange.db"
        self.wants = wants
        self.refused = 0
        """How often `try_call` was told that the quota is used up."""
        self._settings = settings
        self._alpaca = {**ALPACA, **(alpaca or {})}
        self._stack = ExitStack()
        folder.mkdir()
        self.exchange = Exchange(self.ledger, str(tape))
        self._stack.callback(self.exchange.close)
        clock, its_pace = ("stepped", None) if pace is None else ("paced", ReplayPace(pace))
        self.venue = Venue(
            self.exchange, ApiKeys({KEY_ID: SECRET_KEY}), quota, clock=clock,
            as_seen=as_seen or AsSeen(),
        )  # fmt: skip
        self.serving = ServerThread(self.venue, listen(), its_pace)
        self.serving.start()
        self._stack.callback(self.serving.stop)
        if faults:
            self.arm(*faults)

    def close(self) -> None:
        self._stack.close()

    # -- the exchange ------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            headers = {"APCA-API-KEY-ID": KEY_ID, "APCA-API-SECRET-KEY": SECRET_KEY}
            answer = session.request(
                method, self.serving.url + path, json=body, headers=headers, timeout=10
            )
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def try_call(self, path: str) -> None:
        """Ask as another program under the same key would, whatever comes of it."""
        headers = {"APCA-API-KEY-ID": KEY_ID, "APCA-API-SECRET-KEY": SECRET_KEY}
        self.refused += (
            requests.get(self.serving.url + path, headers=headers, timeout=10).status_code == 429
        )

    def arm(self, *faults: Mapping[str, Any]) -> None:
        self.call("POST", "/_exchange/faults", {"seed": 1, "faults": list(faults)})

    def take_connections(self) -> None:
        """End what a fault refuses, before its time."""
        self.venue.broadcast.clients._refused_until.clear()

    @property
    def struck(self) -> dict[str, int]:
        """How often each fault has happened, as the exchange tells it."""
        counts: dict[str, int] = self.call("GET", "/_exchange")["faults"]
        return counts

    # -- the bot -----------------------------------------------------------------------------------

    def config(self, **settings: Any) -> Config:
        values: dict[str, Any] = {
            "db": self.db,
            "broker": "alpaca",
            "url": self.serving.url,
            "speed": "max",
            "plugins": ("risk",),
            "reconcile_every_minutes": 5,
            "plugin": {"alpaca": self._alpaca},
        }
        return Config(**values | self._settings | settings)

    @contextmanager
    def opened(self, **settings: Any) -> Iterator[BotSession]:
        config = self.config(**settings)
        plugins = Plugins.load(config)
        plugins.register("script", Script(self.wants))
        plugins.check()
        session = open_session(config, plugins)
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def started(
        self, lay: Callable[[BotSession], None] | None = None, **settings: Any
    ) -> Iterator[Engine]:
        with self.opened(**settings) as session:
            if lay is not None:
                lay(session)
            engine = recover(session)
            watchdog = threading.Timer(FINISH_SECONDS, engine.stopping.set)
            watchdog.start()
            try:
                yield engine
            finally:
                watchdog.cancel()
                engine._outbox.stop_sending(0)

    def play(self, **settings: Any) -> None:
        """Let the bot live through the tape."""
        with self.started(**settings) as engine:
            assert engine.run() == "ended"

    def go(self, engine: Engine, until: datetime) -> None:
        """Let it live until a time of the exchange."""
        feed = engine._feed
        while feed.now() < until:
            batch = feed.next(1)
            assert batch is not None
            engine.process(batch)

    def stops(self, **settings: Any) -> SmabotError:
        """Let it live until it refuses to go on, and return why."""
        with pytest.raises(SmabotError) as caught:
            self.play(**settings)
        return caught.value

    def die(self, *, late: bool, **settings: Any) -> None:
        """Let it live until the first commit after a fault has struck, and end it there: before it,
        or when it is done."""

        def lay(session: BotSession) -> None:
            journal: Any = session.journal
            commit = journal.commit

            def deadly(*what: Any) -> None:
                doomed = any(self.venue.faults.counts().values())
                if late or not doomed:
                    commit(*what)
                if doomed:
                    raise Killed

            journal.commit = deadly

        with pytest.raises(Killed), self.started(lay, **settings) as engine:
            engine.run()

    # -- the two books -----------------------------------------------------------------------------

    def here(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the bot's database."""
        return _query(self.db, sql)

    def there(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the exchange's ledger."""
        return _query(self.ledger, sql)

    def dump(self) -> Dump:
        """Every row of the bot's database that a fault must not change."""
        tables = [
            name for (name,) in self.here("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        kept = sorted(t for t in tables if not t.startswith("sqlite_") and t != "runs")
        dumped = {name: sorted(self.here(f"SELECT * FROM {name}"), key=repr) for name in kept}
        events = [row for row in dumped["events"] if not row[1].startswith(("stream_", "order_"))]
        orders = [tuple(map(_without_wait, row)) for row in dumped["order_intents"]]
        account = [row[1:] for row in dumped["account"]]
        return {**dumped, "account": account, "events": events, "order_intents": orders}

    def agree(self, *, merged: bool = False) -> None:
        """Both books tell the same of every order and every execution; those of an order that were
        not seen one by one may be ``merged``, to the share and the cent."""
        trades = "SELECT client_order_id, symbol, side, qty, price, cumulative_qty FROM trades"
        fills = (
            "SELECT orders.client_order_id, fills.symbol, fills.side, fills.qty, fills.price, "
            "fills.cumulative_qty FROM fills JOIN orders ON orders.id = fills.order_id"
        )
        here, there = self.here(trades), self.there(fills)
        if merged:
            assert {row[:3] + row[-1:] for row in _exact(here)} <= {
                row[:3] + row[-1:] for row in _exact(there)
            }
            assert _sums(here) == _sums(there)
        else:
            assert _exact(here) == _exact(there)
        ours = "SELECT client_order_id FROM order_intents WHERE broker_order_id IS NOT NULL"
        assert sorted(self.here(ours)) == sorted(self.there("SELECT client_order_id FROM orders"))
        held_here = (
            "SELECT symbol, SUM(qty) FROM positions_snapshot GROUP BY symbol HAVING SUM(qty)"
        )
        held_there = "SELECT symbol, qty FROM positions"
        assert _floats(self.here(held_here)) == _floats(self.there(held_there))

    def wait(self, what: Callable[[], Any], name: str, seconds: float = 60) -> Any:
        """Poll until something is true, and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.01)
        raise AssertionError(f"waited {seconds} s in vain for {name}")


def _query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def _exact(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Numbers that are text in one book and scaled in the other, as Decimals."""
    return sorted(
        (*row[:3], *(Decimal(str(value)).normalize() for value in row[3:])) for row in rows
    )


def _sums(rows: Sequence[tuple[Any, ...]]) -> dict[str, tuple[Decimal, Decimal]]:
    """Shares and dollars by order."""
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for name, _, _, qty, price, _ in _exact(rows):
        shares, dollars = sums.get(name, (Decimal(0), Decimal(0)))
        sums[name] = (shares + qty, round(dollars + qty * price, 3))
    return sums


def _floats(rows: Sequence[tuple[Any, ...]]) -> list[tuple[str, float]]:
    return sorted((symbol, float(qty)) for symbol, qty in rows)


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tape(tmp_path_factory.mktemp("tape") / "tape.csv")


@pytest.fixture
def scene(tmp_path: Path, tape: Path) -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def scene(*faults: Mapping[str, Any], name: str = "scene", **more: Any) -> Scene:
        scenes.append(Scene(tmp_path / name, tape, faults, **more))
        return scenes[-1]

    yield scene
    for one in scenes:
        one.close()


@pytest.fixture(scope="session")
def fair(tmp_path_factory: pytest.TempPathFactory, tape: Path) -> Scene:
    """What the tape gives without any fault; stepped."""
    fair = Scene(tmp_path_factory.mktemp("fair") / "scene", tape)
    try:
        fair.play()
    finally:
        fair.close()
    return fair
