"""An upgrade: today's bot starts on what an older release left behind when it was killed.

The fixture is of a bot with positions, an exit that is filled in part, orders that were never sent or
never answered, a missed exit, a tripped breaker, a halt, and a day's limits in part used; see
`make_fixture.py`. What is asserted holds in any release: nothing lost, doubled or allowed again.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import Block, Command, Run
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Order, Position, SignalState
from smabot.engine.start.offline_command import apply_command_offline
from smabot.engine.start.recovery import recover
from smabot.errors import RiskHalt
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.schema_version import LINEAGE
from smabot_risk.breaker_state import RESET_COMMAND, BreakerState
from smabot_risk.daily_counts import DayCounts, SymbolCounts

pytestmark = pytest.mark.plugins

Dump = dict[str, list[tuple[Any, ...]]]
Dumper = Callable[..., Dump]
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
REVISION = "0002"
"""The release's schema."""
RISK = (BreakerState, DayCounts, SymbolCounts)
BREAKER, HALTED = ("risk.circuit_breaker", "entries"), ("core", "entries")
LIMITED = ("risk.daily_limits", "entries")
UNSENT_EXIT = "smabot-unsent-GGG-20260302T1455Z-1"
UNSENT_ENTRY = "smabot-unsent-HHH-20260302T1455Z-1"
UNANSWERED_EXIT = "smabot-unanswered-EEE-20260302T1454Z-1"
LOST_ENTRY = "smabot-lost-FFF-20260302T1453Z-1"
PARTLY_FILLED_EXIT = "smabot-partly-CCC-20260302T1452Z-1"


def read(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def there(world: Any, sql: str) -> list[tuple[Any, ...]]:
    """Ask the exchange's ledger."""
    return read(world.folder / "trades.exchange.db", sql)


def shares_there(world: Any) -> dict[str, int]:
    return {s: int(qty) for s, qty in there(world, "SELECT symbol, qty FROM positions") if int(qty)}


def shares(positions: Iterable[Position]) -> dict[str, int]:
    """Sum up by symbol what the bot holds."""
    held: Counter[str] = Counter()
    for position in positions:
        held[position.symbol] += int(position.qty)
    return {symbol: qty for symbol, qty in held.items() if qty}


def orders(world: Any) -> dict[str, Order]:
    return {order.client_order_id: order for order in world.rows(Order)}


def tell(world: Any, *verbs: str) -> None:
    """Give the stopped bot an operator's commands."""
    from smabot.hooks.plugins import Plugins

    config = world.config()
    for number, verb in enumerate(verbs):
        command = Command(f"upgrade-{number}", verb, "", OPEN + timedelta(minutes=30))
        apply_command_offline(config, Plugins.load(config), command)


def test_the_fixture_is_of_a_bot_that_was_killed_in_the_middle_of_everything(
    released: Callable[..., Any], scenario: dict[str, Any]
) -> None:
    world = released()
    assert world.ask("SELECT version_num FROM alembic_version") == [(REVISION,)]
    assert REVISION in LINEAGE.revisions[:-1]
    statuses = dict(world.ask("SELECT client_order_id, status FROM order_intents"))
    assert statuses[PARTLY_FILLED_EXIT] == "partially_filled"
    assert statuses[UNSENT_EXIT] == statuses[UNSENT_ENTRY] == "pending"
    assert statuses[UNANSWERED_EXIT] == statuses[LOST_ENTRY] == "unknown"
    assert world.ask("SELECT value FROM bot_state WHERE key = 'halted'") == [(scenario["HALT"],)]
    assert world.ask("SELECT tripped FROM circuit_breaker") == [(1,)]
    assert world.ask("SELECT symbol FROM signal_state WHERE missed = 1 AND target = 0") == [
        ("DDD",)
    ]
    sent = {name for (name,) in there(world, "SELECT client_order_id FROM orders")}
    assert statuses.keys() - sent == {UNSENT_EXIT, UNSENT_ENTRY, LOST_ENTRY}


def test_a_migration_keeps_every_row_and_makes_blocks_of_halt_and_breaker(
    released: Callable[..., Any], dumper: Dumper, scenario: dict[str, Any]
) -> None:
    world = released()
    tables = [t for (t,) in world.ask("SELECT name FROM sqlite_master WHERE type = 'table'")]
    changed = {"alembic_version", "declared_records", "bot_state"}
    columns = {
        table: ", ".join(name for _, name, *_ in world.ask(f"PRAGMA table_info({table})"))
        for table in tables
        if table not in changed
    }
    before = {t: world.ask(f"SELECT {names} FROM {t}") for t, names in columns.items()}
    whole = dumper(world.db, without=())
    world.here()
    assert {t: world.ask(f"SELECT {names} FROM {t}") for t, names in columns.items()} == before
    assert world.ask("SELECT version_num FROM alembic_version") == [(LINEAGE.head,)]
    assert world.ask("SELECT * FROM bot_state WHERE key = 'halted'") == []
    assert [run.settings for run in world.rows(Run)] == [None]
    blocks = {(block.plugin, block.scope): block for block in world.rows(Block)}
    assert blocks.keys() == {BREAKER, HALTED}
    assert all(block.until is None for block in blocks.values())
    assert blocks[HALTED].reason == scenario["HALT"]
    (state,) = world.rows(BreakerState)
    assert (state.tripped, state.tripped_at) == (True, blocks[BREAKER].since)
    assert blocks[BREAKER].reason == state.reason
    (copy,) = world.folder.glob("*.bak")
    assert dumper(copy, without=()) == whole


def test_the_blocks_are_made_where_the_breaker_is_not_part_of_the_run(
    released: Callable[..., Any],
) -> None:
    world = released()
    with closing(SqliteJournal.open(world.db)) as journal:
        assert {(block.plugin, block.scope) for block in journal.rows(Block)} == {BREAKER, HALTED}


def at_revision(path: Path, revision: str) -> None:
    """Bring a database up to an older release's schema."""
    import sqlalchemy as sa
    from alembic import command
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", LINEAGE.location)
    config.set_main_option("path_separator", "os")
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


REACHED = "max_loss 90.00: lost 100.00 of 100,000.00 on 2026-03-02"


@pytest.mark.parametrize("revision", [REVISION, "0003"])
def test_the_blocks_of_a_breaker_and_a_loss_limit_are_derived_where_they_are_missing(
    released: Callable[..., Any], revision: str
) -> None:
    """From an order that the limit has blocked on the newest date, and a breaker that has no row."""
    world = released()
    at_revision(world.db, revision)
    with closing(sqlite3.connect(world.db)) as db, db:
        if revision == "0003":
            db.execute("DELETE FROM blocks WHERE plugin != 'core'")
        db.execute(
            "UPDATE order_intents SET status = 'blocked', reason = ? WHERE client_order_id = ?",
            (f"max_orders 5: 5 orders on 2026-03-02; {REACHED}", UNSENT_ENTRY),
        )
    with closing(SqliteJournal.open(world.db)) as journal:
        blocks = {(block.plugin, block.scope): block for block in journal.rows(Block)}
    assert blocks.keys() == {BREAKER, HALTED, LIMITED}
    assert blocks[BREAKER].until is None
    assert REACHED in blocks[LIMITED].reason
    assert blocks[LIMITED].until == datetime(2026, 3, 3, 5, tzinfo=UTC)


def test_an_older_bots_block_needs_its_plugin_too(released: Callable[..., Any]) -> None:
    world = released()
    with world.opened(plugins=()) as session, pytest.raises(RiskHalt, match=BREAKER[0]):
        recover(session)


def test_a_bot_upgraded_goes_on_where_the_release_was_killed(
    released: Callable[..., Any], scenario: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = released()
    before = shares_there(world)
    arrived = {name for (name,) in there(world, "SELECT client_order_id FROM orders")}
    sent: Counter[str] = Counter()
    with world.opened() as session:
        (limits,) = session.journal.rows(DayCounts)
        submit_many = session.broker.submit_many

        def counted(several: Any) -> Any:
            sent.update(order.client_order_id for order in several)
            return submit_many(several)

        monkeypatch.setattr(session.broker, "submit_many", counted)
        engine = recover(session)
        assert shares(session.book.positions.values()) == shares_there(world) == before
        state = session.book.signals["missed", "DDD"]
        assert (state.missed, state.target) == (True, 0)
        world.go(engine, scenario["RESUMES"] - scenario["KILLED"] - 1)
        assert session.book.holding("missed", "DDD") == scenario["SHARES"]
        assert not [order for order in session.book.open_orders() if order.symbol == "DDD"]
        world.go(engine, 1)
        (made_up,) = [order for order in session.book.open_orders() if order.symbol == "DDD"]
        assert made_up.reduces
        assert engine.run() == "ended"

    # each of the orders that were on their way has its proper end
    ours = orders(world)
    new = ours.keys() - arrived
    for name in (PARTLY_FILLED_EXIT, UNSENT_EXIT, UNANSWERED_EXIT):
        assert ours[name].status is Status.FILLED
    for name in (UNSENT_ENTRY, LOST_ENTRY):
        assert ours[name].status.terminal
        assert ours[name].filled_qty == 0
    assert all(order.status.terminal for order in ours.values())

    # nothing was sent twice, and nothing but two exits was sent at all
    assert sent == {UNSENT_EXIT: 1, made_up.client_order_id: 1}
    known = {name for (name,) in there(world, "SELECT client_order_id FROM orders")}
    assert known == arrived | set(sent)
    exits = Counter(o.symbol for o in ours.values() if o.side is Side.SELL and o.filled_qty)
    assert exits == {"CCC": 1, "DDD": 1, "EEE": 1, "GGG": 1}

    # still halted and tripped: the entry that a strategy wanted since then was blocked
    (later,) = [ours[name] for name in new if ours[name].strategy == "later"]
    assert later.status is Status.BLOCKED
    assert {(b.plugin, b.scope) for b in world.rows(Block) if b.until is None} == {BREAKER, HALTED}
    assert world.rows(BreakerState)[0].tripped

    # what is held is what the exchange has, and the limits count on
    assert world.held() == {("one", "AAA"): 10, ("two", "BBB"): 10}
    assert shares_there(world) == shares(world.rows(Position)) == {"AAA": 10, "BBB": 10}
    (state,) = [state for state in world.rows(SignalState) if state.strategy == "missed"]
    assert not state.missed
    (after,) = world.rows(DayCounts)
    assert after.trading_date == limits.trading_date
    assert after.start_equity == limits.start_equity
    assert after.order_count > limits.order_count
    assert after.trade_count == len(
        {order.client_order_id for order in ours.values() if order.filled_qty}
    )
    assert after.realized_pnl == sum((p.realized_pnl for p in world.rows(Position)), Decimal(0))
    assert world.compared() == 0


@pytest.mark.parametrize(
    "verbs, most, status",
    [
        (("resume", RESET_COMMAND), 0, Status.FILLED),
        (("resume",), 0, Status.BLOCKED),
        ((RESET_COMMAND,), 0, Status.BLOCKED),
        (("resume", RESET_COMMAND), 10, Status.BLOCKED),
        (("resume", RESET_COMMAND), 11, Status.FILLED),
    ],
    ids=["allowed", "still tripped", "still halted", "the day's trades used", "one trade left"],
)
def test_an_operator_allows_entries_again_within_what_the_day_has_left(
    released: Callable[..., Any],
    scenario: dict[str, Any],
    verbs: tuple[str, ...],
    most: int,
    status: Status,
) -> None:
    """Seven orders are filled by the release and three exits after it: ten trades."""
    limits = {"daily_limits": {"max_trades": most}, "circuit_breaker": {"max_session_drawdown": 0}}
    world = released(plugin={"risk": limits})
    world.play(scenario["RESUMES"] + 2 - scenario["KILLED"])
    tell(world, *verbs)
    world.play()
    (later,) = [order for order in world.rows(Order) if order.strategy == "later"]
    assert later.status is status
    assert world.held().get(("later", "III"), 0) == later.filled_qty


# -- killed while it migrates ------------------------------------------------------------------------


def statements_counted(kill_at: int | None, late: bool) -> list[int]:
    """Count every statement that this process gives to SQLite, and die before or after one of them."""
    count = [0]
    connect = sqlite3.connect

    def counted(make: Callable[..., Any], *given: Any, **named: Any) -> Any:
        count[0] += 1
        if count[0] == kill_at and not late:
            os.kill(os.getpid(), signal.SIGKILL)
        made = make(*given, **named)
        if count[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    class Cursor(sqlite3.Cursor):
        def execute(self, *given: Any) -> Any:
            return counted(super().execute, *given)

        def executemany(self, *given: Any) -> Any:
            return counted(super().executemany, *given)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(factory or Cursor)

        def execute(self, *given: Any) -> Any:
            return self.cursor().execute(*given)

        def executemany(self, *given: Any) -> Any:
            return self.cursor().executemany(*given)

        def commit(self) -> None:
            counted(super().commit)

        def backup(self, *given: Any, **named: Any) -> None:
            counted(super().backup, *given, **named)

    def counting(*given: Any, **named: Any) -> Any:
        return connect(*given, **{**named, "factory": Connection})

    sqlite3.connect = counting
    return count


def migrate(world: Any, kill_at: int | None = None, late: bool = False) -> int | None:
    """Open the database in a process of its own; return how many statements that took, None: killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            count = statements_counted(kill_at, late)
            SqliteJournal.open(world.db, RISK).close()
            os.write(writing, str(count[0]).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as answer:
        told = answer.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert os.WEXITSTATUS(status) == 0
    return int(told)


def shape(db: Path) -> list[tuple[Any, ...]]:
    return read(db, "SELECT name, sql FROM sqlite_master ORDER BY name")


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_migration_killed_at_any_statement_is_made_whole_by_the_next_start(
    late: bool, released: Callable[..., Any], dumper: Dumper
) -> None:
    never = released("never")
    old = dumper(never.db, without=()), shape(never.db)
    SqliteJournal.open(released("imports").db, RISK).close()  # imports: once, not in every child
    statements = migrate(never)
    assert statements is not None
    assert statements > 50
    new = dumper(never.db, without=()), shape(never.db)
    before_commit = after_commit = 0
    for n in range(1, statements + 1):
        world = released(f"killed-{n}")
        assert migrate(world, n, late) is None
        left = dumper(world.db, without=()), shape(world.db)
        assert left in (old, new), f"killed at statement {n} of {statements}"
        before_commit += left == old
        after_commit += left == new
        migrate(world)
        again = dumper(world.db, without=()), shape(world.db)
        assert again == new, f"killed at statement {n} of {statements}"
        (copy,) = world.folder.glob("*.bak")
        assert dumper(copy, without=()) == old[0]
        assert not list(world.folder.glob("*.partial"))
    assert before_commit > 20
    assert after_commit > 0
