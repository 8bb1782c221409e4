"""A bot with small strategies over a short tape, its exchange and its database; and what kills it."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smabot.cli.broker_reconciliation import reconcile_with_broker
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Bar, Order, OrderUpdate, Position, Signal
from smabot.engine.loop import Engine
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.errors import UnknownOutcome
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
BASE = ("persistence_sqlite", "reconciliation", "exchange")
Dump = dict[str, list[tuple[Any, ...]]]
Wants = Mapping[tuple[str, int], int]


class Script:
    """A strategy that wants what it was told to want, by symbol and minute: 1 is long, 0 is flat."""

    def __init__(self, wants: Wants, start: datetime = OPEN) -> None:
        self._wants = {
            (symbol, start + timedelta(minutes=minute)): target
            for (symbol, minute), target in wants.items()
        }

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        target = self._wants.get((bar.symbol, bar.time))
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)


class World:
    """A tape, an exchange that keeps its ledger, and a database: a bot may start on them again."""

    def __init__(self, folder: Path, tape: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.tape = tape
        self.db = folder / "trades.db"
        self.settings = {
            "plugins": (),
            "broker": "exchange",
            "base_plugins": BASE,
            "audit": False,
            **settings,
        }
        self.strategies: dict[str, object] = {}

    def follow(self, **wants: Wants) -> None:
        """Trade by a `Script` a strategy."""
        self.strategies = {name: Script(its) for name, its in wants.items()}

    def again(self, name: str) -> World:
        """Return the same world with two empty books of its own."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return World(folder, self.tape, self.settings)

    # -- the bot -----------------------------------------------------------------------------------

    def config(self, **settings: Any) -> Config:
        return Config(db=self.db, data=str(self.tape), speed="max", **self.settings | settings)

    @contextmanager
    def opened(self, **settings: Any) -> Iterator[BotSession]:
        config = self.config(**settings)
        plugins = Plugins.load(config)
        for name, strategy in self.strategies.items():
            plugins.register(name, strategy)
        plugins.check()
        session = open_session(config, plugins)
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def started(self, **settings: Any) -> Iterator[tuple[BotSession, Engine]]:
        with self.opened(**settings) as session:
            yield session, recover(session)

    @staticmethod
    def go(engine: Engine, minutes: int) -> None:
        """Let the bot live through some minutes."""
        feed = engine._feed
        until = feed.now() + timedelta(minutes=minutes)
        while feed.now() < until:
            batch = feed.next(0)
            assert batch is not None
            engine.process(replace(batch, comes_again=False))  # committed at once

    def play(self, minutes: int | None = None, **settings: Any) -> None:
        """Start, let some minutes pass or the whole tape, and leave."""
        with self.started(**settings) as (_, engine):
            if minutes is None:
                assert engine.run() == "ended"
            else:
                self.go(engine, minutes)

    def pass_by(self, minutes: int) -> None:
        """Let the exchange go on while no bot runs."""
        self.there(minutes=minutes)

    def killed_at(
        self,
        port: str,
        *calls: str,
        late: bool = False,
        when: Callable[..., bool] = lambda *given: True,
    ) -> None:
        """Run in a process that dies by SIGKILL before (or after) its first call to a port."""
        pid = os.fork()
        if pid == 0:
            try:
                with self.opened() as session:
                    for name in calls:
                        _lay(getattr(session, port), name, when, late)
                    recover(session).run()
            finally:
                os._exit(1)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGKILL

    def killed_before_sending(self) -> None:
        """Die with the first orders committed and none of them sent."""
        self.killed_at("broker", "submit", "submit_many")

    # -- the two books -----------------------------------------------------------------------------

    def here(self, *rows: Any) -> None:
        """Write rows into the bot's database as an earlier process would have."""
        with self.opened() as session:
            assert session.journal is not None
            session.journal.commit(rows)

    def there(self, *orders: Order, minutes: int = 0) -> None:
        """Send orders to the exchange behind the bot's back, and let minutes pass."""
        with self.opened() as session:
            assert session.broker is not None
            assert session.feed is not None
            for order in orders:
                session.broker.submit(order)
            for _ in range(minutes):
                session.feed.next(0)

    def rows(self, kind: type, **where: Any) -> list[Any]:
        """The rows of a record class, oldest first for orders."""
        config = self.config()
        with closing(Plugins.load(config).open_rows(config)) as opened:
            rows: list[Any] = opened.rows(kind, where=where or None)
        if kind is Order:
            rows.sort(key=lambda order: (order.created_at, order.client_order_id))
        return rows

    def held(self) -> dict[tuple[str, str], int]:
        """Shares by strategy and symbol, without those that hold none."""
        return {(p.strategy, p.symbol): int(p.qty) for p in self.rows(Position) if p.qty}

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the bot's database."""
        connection = sqlite3.connect(self.db)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def compared(self, accept: str | None = None) -> int:
        """`smabot reconcile`."""
        loaded: Any = SimpleNamespace(config=self.config(), origins={})
        return reconcile_with_broker(loaded, accept, False)

    def accept(self) -> int:
        """`smabot reconcile --accept broker`."""
        return self.compared("broker")

    def refused(self, dumper: Callable[..., Any], **settings: Any) -> set[str]:
        """Start, expect a refusal that changes nothing, and return the kinds of conflict."""
        before = dumper(self.db, without=())
        with self.opened(**settings) as session, pytest.raises(ReconciliationConflict) as caught:
            recover(session)
        assert dumper(self.db, without=()) == before
        assert caught.value.exit_code == 6
        for conflict in caught.value.conflicts:
            assert conflict.resolve
        return {conflict.kind for conflict in caught.value.conflicts}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _lay(port: object, name: str, when: Callable[..., bool], late: bool) -> None:
    call = getattr(port, name)

    def deadly(*given: Any) -> Any:
        if when(*given) and not late:
            die()
        answer = call(*given)
        if when(*given):
            die()
        return answer

    setattr(port, name, deadly)


def _make_order(status: Status, *, minute: int = 3, **changes: Any) -> Order:
    """A buy of 10 SPY decided when the given number of minutes had passed."""
    decided = OPEN + timedelta(minutes=minute)
    order = Order(
        f"smabot-sma-SPY-{decided - timedelta(minutes=1):%Y%m%dT%H%MZ}-1", "sma", "SPY", Side.BUY,
        Decimal(10), OrderType.MARKET, None, TimeInForce.DAY, decided - timedelta(minutes=1), 1,
        False, decided, status,
    )  # fmt: skip
    return replace(order, **changes)


class Child:
    """A bot in a forked process, killed before (or after) its n-th commit to any file."""

    def __init__(
        self, play: Callable[[], None], kill_at: int | None = None, late: bool = False
    ) -> None:
        reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(reading)
            code = 1
            try:
                commits = _count_commits(kill_at, late)
                play()
                os.write(writing, str(commits[0]).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        self._answer = os.fdopen(reading)

    def wait(self) -> int:
        """Return how many commits it made, or -1 when it was killed."""
        with self._answer:
            answer = self._answer.read()
        _, status = os.waitpid(self._pid, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return -1
        assert os.WEXITSTATUS(status) == 0
        return int(answer)


def _count_commits(kill_at: int | None, late: bool) -> list[int]:
    """Count every commit of this process, by whatever way it is made, and die at one of them."""
    commits = [0]

    def counted(make: Callable[[], Any]) -> Any:
        commits[0] += 1
        if commits[0] == kill_at and not late:
            die()
        made = make()
        if commits[0] == kill_at:
            die()
        return made

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *args: Any) -> Any:
            def make() -> Any:
                return super(Cursor, self).execute(sql, *args)

            alone = not self.connection.in_transaction and sql.upper().startswith(
                ("INSERT", "UPDATE", "DELETE")
            )
            return counted(make) if alone or sql.upper().startswith("COMMIT") else make()

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(factory or Cursor)

        def execute(self, sql: str, *args: Any) -> Any:
            return self.cursor().execute(sql, *args)

        def commit(self) -> None:
            if self.in_transaction:
                counted(super().commit)

    connect = sqlite3.connect

    def killing(*args: Any, **kwargs: Any) -> Any:
        return connect(*args, **{**kwargs, "factory": Connection})

    sqlite3.connect = killing
    sqlite3.dbapi2.connect = killing
    return commits


@pytest.fixture
def make_world(tmp_path: Path, tape_writer: Callable[..., Path]) -> Callable[..., World]:
    """Worlds by their closes, a minute a value, each in a folder of its own."""

    def make(
        closes: Mapping[str, Sequence[float | None]],
        *,
        name: str = "t",
        volume: float = 10_000,
        start: datetime = OPEN,
        **settings: Any,
    ) -> World:
        folder = tmp_path / name
        folder.mkdir()
        tape = tape_writer(folder / "t.csv", closes, volume=volume, start=start)
        return World(folder, tape, settings)

    return make


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that finds a conflict looks again at once: what changes meanwhile, tests change."""
    monkeypatch.setattr("smabot.engine.surroundings.sleep", lambda seconds: None)


@pytest.fixture
def lose_first_order(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Let the first order of a session get no answer, and never arrive."""

    def lose(session: Any) -> None:
        send, lost = session.broker.submit, [1]

        def submit(order: Order) -> OrderUpdate:
            if lost:
                lost.pop()
                raise UnknownOutcome("timeout")
            answer: OrderUpdate = send(order)
            return answer

        monkeypatch.setattr(session.broker, "submit", submit)

    return lose


@pytest.fixture
def script() -> type[Script]:
    return Script


@pytest.fixture
def make_order() -> Callable[..., Order]:
    return _make_order


@pytest.fixture
def child() -> type[Child]:
    return Child


@pytest.fixture
def comparable() -> Callable[[Dump], Dump]:
    """What two databases must have in common: each exchange ledger is an account of its own."""

    def comparable(dumped: Dump) -> Dump:
        return {**dumped, "account": [row[1:] for row in dumped["account"]]}

    return comparable
