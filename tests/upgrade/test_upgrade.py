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
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.records import Block, Command, Order, Position, Side, SignalState, Status
from smabot.recovery import apply_command, recover
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.stamp import LINEAGE
from smabot_risk.circuit_breaker import RESET, BreakerState
from smabot_risk.daily_limits import DayCounts

pytestmark = pytest.mark.plugins

Dump = dict[str, list[tuple[Any, ...]]]
Dumper = Callable[..., Dump]
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
REVISION = "0002"
"""The release's schema."""
AT_ONCE = 4
BREAKER, HALTED = ("risk.circuit_breaker", "entries"), ("core", "entries")
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


def shares_here(world: Any) -> dict[str, int]:
    held: Counter[str] = Counter()
    for position in world.rows(Position):
        held[position.symbol] += int(position.qty)
    return {symbol: qty for symbol, qty in held.items() if qty}


def orders(world: Any) -> dict[str, Order]:
    return {order.client_order_id: order for order in world.rows(Order)}


def tell(world: Any, *verbs: str) -> None:
    """Give the stopped bot an operator's commands."""
    from smabot.plugins import Plugins

    config = world.config()
    for number, verb in enumerate(verbs):
        command = Command(f"upgrade-{number}", verb, "", OPEN + timedelta(minutes=27))
        apply_command(config, Plugins.load(config), command)


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
    blocks = {(block.plugin, block.scope): block for block in world.rows(Block)}
    assert blocks.keys() == {BREAKER, HALTED}
    assert all(block.until is None for block in blocks.values())
    assert blocks[HALTED].reason == scenario["HALT"]
    ((state,),) = [world.rows(BreakerState)]
    assert (state.tripped, state.tripped_at) == (True, blocks[BREAKER].since)
    assert blocks[BREAKER].reason == state.reason
    (copy,) = world.folder.glob("*.bak")
    assert dumper(copy, without=()) == whole


def test_a_bot_upgraded_goes_on_where_the_release_was_killed(
    released: Callable[..., Any], scenario: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = released()
    before = shares_there(world)
    arrived = {name for (name,) in there(world, "SELECT client_order_id FROM orders")}
    ((limits,),) = [world.rows(DayCounts)]
    sent: Counter[str] = Counter()
    with world.opened() as session:
        submit_many = session.broker.submit_many

        def counted(several: Any) -> Any:
            sent.update(order.client_order_id for order in several)
            return submit_many(several)

        monkeypatch.setattr(session.broker, "submit_many", counted)
        engine = recover(session)
        assert shares_here_of(session) == shares_there(world) == before
        state = session.book.signals["missed", "DDD"]
        assert (state.missed, state.target) == (True, 0)
        world.go(engine, scenario["RESUMES"] - scenario["KILLED"] - 1)
        assert session.book.holding("missed", "DDD") == scenario["SHARES"]
        world.go(engine, 1)
        (exit,) = [order for order in session.book.open_orders() if order.symbol == "DDD"]
        assert exit.bar_time == OPEN + timedelta(minutes=scenario["RESUMES"])
        assert engine.run() == "ended"

    # each of the orders that were on their way has its proper end
    ours = orders(world)
    new = ours.keys() - arrived
    assert {
        name: ours[name].status for name in (PARTLY_FILLED_EXIT, UNSENT_EXIT, UNANSWERED_EXIT)
    } == {
        PARTLY_FILLED_EXIT: Status.FILLED,
        UNSENT_EXIT: Status.FILLED,
        UNANSWERED_EXIT: Status.FILLED,
    }
    for name in (UNSENT_ENTRY, LOST_ENTRY):
        assert ours[name].status.terminal
        assert ours[name].filled_qty == 0
    assert all(order.status.terminal for order in ours.values())

    # nothing was sent twice, and nothing but two exits was sent at all
    assert sent == {UNSENT_EXIT: 1, exit.client_order_id: 1}
    known = Counter(name for (name,) in there(world, "SELECT client_order_id FROM orders"))
    assert set(known) == arrived | set(sent)
    assert set(known.values()) == {1}
    exits = Counter(o.symbol for o in ours.values() if o.side is Side.SELL and o.filled_qty)
    assert exits == {"CCC": 1, "DDD": 1, "EEE": 1, "GGG": 1}

    # still halted and tripped: the entry that a strategy wanted since then was blocked
    (later,) = [ours[name] for name in new if ours[name].strategy == "later"]
    assert later.status is Status.BLOCKED
    assert {(b.plugin, b.scope) for b in world.rows(Block) if b.until is None} == {BREAKER, HALTED}
    assert world.rows(BreakerState)[0].tripped

    # what is held is what the exchange has, and the limits count on
    assert world.held() == {("one", "AAA"): 10, ("two", "BBB"): 10}
    assert shares_there(world) == shares_here(world) == {"AAA": 10, "BBB": 10}
    (state,) = [state for state in world.rows(SignalState) if state.strategy == "missed"]
    assert not state.missed
    ((after,),) = [world.rows(DayCounts)]
    assert after.trading_date == limits.trading_date
    assert after.start_equity == limits.start_equity
    assert after.order_count == limits.order_count + 1
    assert after.trade_count == len(
        {order.client_order_id for order in ours.values() if order.filled_qty}
    )
    assert after.realized_pnl == sum((p.realized_pnl for p in world.rows(Position)), Decimal(0))
    assert world.compared() == 0


def shares_here_of(session: Any) -> dict[str, int]:
    held: Counter[str] = Counter()
    for position in session.book.positions.values():
        held[position.symbol] += int(position.qty)
    return {symbol: qty for symbol, qty in held.items() if qty}


@pytest.mark.parametrize(
    "verbs, most, status",
    [
        (("resume", RESET), 0, Status.FILLED),
        (("resume",), 0, Status.BLOCKED),
        ((RESET,), 0, Status.BLOCKED),
        (("resume", RESET), 12, Status.BLOCKED),
        (("resume", RESET), 13, Status.FILLED),
    ],
    ids=["allowed", "still tripped", "still halted", "the day's orders used", "one order left"],
)
def test_an_operator_allows_entries_again_within_what_the_day_has_left(
    released: Callable[..., Any], verbs: tuple[str, ...], most: int, status: Status
) -> None:
    """The release made 11 orders, the exit in DDD is the twelfth."""
    limits = {"daily_limits": {"max_orders": most}, "circuit_breaker": {"max_session_drawdown": 0}}
    world = released(plugin={"risk": limits})
    world.here()
    tell(world, *verbs)
    world.play()
    (later,) = [order for order in world.rows(Order) if order.strategy == "later"]
    assert later.status is status
    assert world.held().get(("later", "III"), 0) == later.filled_qty
