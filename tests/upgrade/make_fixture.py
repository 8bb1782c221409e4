"""Make tests/upgrade/fixture with an older release: its database and its exchange's ledger.

Run it in an environment with that release's packages (the fixture is of commit 9b230a2):

    python tests/upgrade/make_fixture.py

It trades the scenario and is killed with orders on their way, a missed exit and a tripped breaker;
then an operator halts. What an older release wrote does not change: make the fixture anew only to add
to the scenario, and with the same release.
"""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scenario import GAP, HALT, KILLED, MINUTES, SETTINGS, SYMBOLS, WANTS, has_bar, price, volume

from smabot.domain.bot_records import Command, Run
from smabot.domain.records import Bar, Order, OrderUpdate, Signal
from smabot.engine.loop import Engine
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.offline_command import apply_command_offline
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.errors import BrokerError, UnknownOutcome
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
COLUMNS = ("symbol", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap")
FIXTURE = Path(__file__).with_name("fixture")


class Script:
    """A strategy that wants what it was told to want, by symbol and minute."""

    def __init__(self, wants: dict[tuple[str, int], int]) -> None:
        self._wants = {
            (symbol, OPEN + timedelta(minutes=minute)): target
            for (symbol, minute), target in wants.items()
        }

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        target = self._wants.get((bar.symbol, bar.time))
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)


class BrokenLine:
    """A line to the broker that fails as the scenario has it.

    The order of ``lost`` never arrives; that of ``unanswered`` does, but no answer and no update comes
    back; the broker finds no order by its id; and the first of ``unsent`` kills the process.
    """

    def __init__(self, session: BotSession) -> None:
        broker: Any = session.broker
        feed: Any = session.feed
        self._send, self._next = broker.submit_many, feed.next
        broker.submit, broker.submit_many, broker.order = (
            self._submit,
            self._submit_many,
            self._find,
        )
        feed.next = self._deliver

    def _submit(self, order: Order) -> OrderUpdate:
        if order.strategy == "unsent":
            os.kill(os.getpid(), signal.SIGKILL)
        if order.strategy == "lost":
            raise UnknownOutcome("timeout")
        answer: OrderUpdate = self._send([order])[0]
        if order.strategy == "unanswered":
            raise UnknownOutcome("timeout")
        return answer

    def _submit_many(self, orders: list[Order]) -> list[OrderUpdate]:
        return [self._submit(order) for order in orders]

    def _find(self, client_order_id: str) -> None:
        raise BrokerError("timeout")

    def _deliver(self, timeout: float) -> Any:
        batch = self._next(timeout)
        known = [update for update in batch.updates if "-unanswered-" not in update.client_order_id]
        return replace(batch, updates=tuple(known))


def write_market(path: Path) -> None:
    """Write the historical data that the exchange replays."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for minute in range(MINUTES):
            stamp = (OPEN + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for symbol in SYMBOLS:
                if has_bar(symbol, minute):
                    begin, end = price(symbol, max(minute - 1, 0)), price(symbol, minute)
                    prices = begin, max(begin, end), min(begin, end), end
                    writer.writerow([symbol, stamp, *prices, volume(symbol), "", ""])


@contextmanager
def opened(config: Config) -> Iterator[BotSession]:
    session = open_session(config, load(config))
    try:
        yield session
    finally:
        session.close()


def load(config: Config) -> Plugins:
    plugins = Plugins.load(config)
    for name, wants in WANTS.items():
        plugins.register(name, Script(wants))
    plugins.check()
    return plugins


def live_until(session: BotSession, engine: Engine, minute: int) -> None:
    """Let the bot live until a minute has passed."""
    feed = session.feed
    assert feed is not None
    while feed.now() <= OPEN + timedelta(minutes=minute):
        batch = feed.next(0)
        assert batch is not None
        engine.process(batch)


def live_and_die(config: Config) -> None:
    with opened(config) as session:
        engine = recover(session)
        BrokenLine(session)
        live_until(session, engine, KILLED)


def make(config: Config) -> None:
    """Let the release trade the scenario."""
    with opened(config) as session:
        live_until(session, recover(session), GAP.start - 1)
        run = Run(
            "20260302T143000Z-1", 1, "0.1.0", "risk", "PAPER", OPEN, 100.0, "[]",
            OPEN + timedelta(minutes=GAP.start), 0, "stopped",
        )  # fmt: skip
        assert session.journal is not None
        session.journal.commit([run])
    with opened(config) as session:
        assert session.feed is not None
        for _ in GAP:
            session.feed.next(0)
    pid = os.fork()
    if pid == 0:
        try:
            live_and_die(config)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    apply_command_offline(config, load(config), Command("halt-1", "halt", HALT, OPEN))


def compact(path: Path) -> bytes:
    """Return a database as a single file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
    return path.read_bytes()


def main() -> None:
    FIXTURE.mkdir(exist_ok=True)
    market = FIXTURE / "market.csv"
    write_market(market)
    with tempfile.TemporaryDirectory() as folder:
        config = Config(db=Path(folder) / "trades.db", tape=str(market), speed="max", **SETTINGS)
        make(config)
        for path in (config.db, config.ledger_path):
            (FIXTURE / path.name).write_bytes(compact(path))


if __name__ == "__main__":
    main()
