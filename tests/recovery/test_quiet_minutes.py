"""Quiet minutes share a commit, and a kill among them changes nothing: the restart meets them again."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.records import Bar, EquityPoint, Order, Signal
from smabot.engine.start.recovery import recover
from smabot.errors import PluginError
from smabot.hooks.specifications import hookimpl

EVENING = datetime(2026, 3, 2, 20, 40, tzinfo=UTC)
"""Twenty minutes before the close: the next session opens 1050 minutes after that."""
MORNING = 20 + 1050
LONG, FLAT = 1, 0


def two_sessions(price: float, turn: float) -> list[float | None]:
    """The end of a session, whose last two minutes have no bar, and the beginning of the next one."""
    closes = [round(price + 2 * math.sin(minute / turn), 2) for minute in range(60)]
    return [*closes[:18], None, None, *[None] * 1050, *closes[18:]]


CLOSES = {"SPY": two_sessions(500, 4), "IBM": two_sessions(90, 7)}
SETTINGS = {
    "plugins": ("risk",),
    "sizing": {"method": "shares", "shares": 100},
    "plugin": {
        "risk": {
            "circuit_breaker": {"max_session_drawdown": "0.001", "max_peak_drawdown": 0},
            "daily_limits": {"max_exposure_per_symbol": 0, "max_order_notional": 0},
        }
    },
}  # fmt: skip


class Wants:
    """Wants what it was told to want, by symbol and minute since the evening's begin."""

    def __init__(self, wants: dict[tuple[str, int], int]) -> None:
        self._wants = wants

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        target = self._wants.get((bar.symbol, (bar.time - EVENING) // timedelta(minutes=1)))
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)


class Killed(BaseException):
    """The process is dead."""


@contextmanager
def dies_at(world: Any, nth: int) -> Iterator[None]:
    """Begin a process that dies at its so many-th boundary: around commits and calls of the feed."""
    left = nth

    def mortal(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **named: Any) -> Any:
            boundary()
            answer = call(*given, **named)
            boundary()
            return answer

        return called

    def boundary() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Killed

    with world.opened() as session:
        for port, names in (("journal", ["commit"]), ("feed", ["next", "keep"])):
            for name in names:
                opened = getattr(session, port)
                setattr(opened, name, mortal(getattr(opened, name)))
        with suppress(Killed):
            assert recover(session).run() == "ended"
        yield


def minutes_ahead(world: Any) -> int:
    """How many minutes the exchange has played, as a restart finds it, that the database lacks."""
    ((newest,),) = world.ask("SELECT coalesce(max(ts), 0) FROM bars")
    with closing(sqlite3.connect(world.config().ledger_path)) as ledger:
        played = "SELECT count(DISTINCT ts) FROM bars, state WHERE ts > ? AND ts < now"
        ((count,),) = ledger.execute(played, (newest,)).fetchall()
    return int(count)


def lives(world: Any, *deaths: int) -> Any:
    """Let processes die one after the other, and one that lives to the end."""
    for nth in deaths:
        with dies_at(world, nth):
            pass
    world.play()
    return world


def make(make_world: Any, name: str) -> Any:
    world = make_world(CLOSES, start=EVENING, name=name, audit=True, **SETTINGS)
    a = {("SPY", 4): LONG, ("SPY", 12): FLAT, ("SPY", MORNING + 9): LONG}
    b = {("IBM", 6): LONG, ("IBM", MORNING + 20): FLAT, ("IBM", MORNING + 30): LONG}
    world.strategies = {"a": Wants(a), "b": Wants(b)}
    return world


def tables(world: Any, dumper: Any) -> Any:
    """The database but for the account's id, which each exchange makes itself."""
    found = dumper(world.db)
    found["account"] = [row[1:] for row in found["account"]]
    return found


def test_the_scenario_has_quiet_minutes_trades_and_a_trip(make_world: Any) -> None:
    world = lives(make(make_world, "whole"))
    assert world.ask("SELECT count(*) FROM bars") == [(120,)]
    assert len(world.rows(EquityPoint)) >= 60
    statuses = [order.status.value for order in world.rows(Order)]
    assert (statuses.count("filled"), statuses.count("blocked")) == (4, 2)
    assert [event.kind for event in world.rows(Event)].count("breaker_tripped") == 1


def test_quiet_minutes_share_a_commit(make_world: Any) -> None:
    world = make_world({"SPY": [100.0] * 100}, reconcile_every_minutes=1_000)
    world.follow(s={})
    commits = []
    with world.opened() as session:
        commit = session.journal.commit
        session.journal.commit = lambda rows, bars=(): (
            commits.append(len(bars)) or commit(rows, bars)
        )
        recover(session).run()
    assert sum(commits) == 100
    assert len([bars for bars in commits if bars]) <= 3


@pytest.mark.parametrize("first", range(4))
def test_a_kill_at_every_boundary_changes_nothing(make_world: Any, dumper: Any, first: int) -> None:
    expected = tables(lives(make(make_world, "whole")), dumper)
    nth = 1 + first
    while True:
        world = make(make_world, f"killed {nth}")
        with dies_at(world, nth):
            ended = world.ask("SELECT count(*) FROM bars") == [(120,)]
        assert minutes_ahead(world) <= 1, nth
        world.play()
        assert tables(world, dumper) == expected, nth
        if ended:
            return
        nth += 16


@pytest.mark.slow(seconds=60)
def test_many_kills_in_a_row_change_nothing(make_world: Any, dumper: Any) -> None:
    expected = tables(lives(make(make_world, "whole")), dumper)
    for seed in range(40):
        chance = Random(seed)
        deaths = [chance.randint(1, 120) for _ in range(chance.randint(2, 6))]
        world = lives(make(make_world, f"killed {seed}"), *deaths)
        assert tables(world, dumper) == expected, deaths


def test_a_real_kill_among_quiet_minutes_changes_nothing(make_world: Any, dumper: Any) -> None:
    expected = tables(lives(make(make_world, "whole")), dumper)
    for nth in (8, 17, 30, 45):
        world, calls = make(make_world, f"killed {nth}"), 0

        def now(*given: Any, nth: int = nth) -> bool:
            nonlocal calls
            calls += 1
            return calls == nth

        world.killed_at("feed", "next", when=now)
        assert world.ask("SELECT count(*) FROM bars")[0][0] < 2 * nth
        world.play()
        assert tables(world, dumper) == expected, nth


def test_quiet_minutes_before_a_plugins_failure_are_committed(make_world: Any, dumper: Any) -> None:
    class Fails:
        def __init__(self, at: datetime | None) -> None:
            self.at = at

        @hookimpl
        def on_bar(self, bar: Bar) -> Signal | None:
            if bar.time == self.at:
                raise ValueError("as planned")
            return None

    start = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
    world = make_world({"SPY": [100.0] * 20})
    world.strategies = {"fails": Fails(start + timedelta(minutes=11))}
    with pytest.raises(PluginError):
        world.play()
    assert world.ask("SELECT count(*) FROM bars") == [(11,)]
    world.strategies = {"fails": Fails(None)}
    world.play()
    whole = make_world({"SPY": [100.0] * 20}, name="whole")
    whole.strategies = {"fails": Fails(None)}
    whole.play()
    assert tables(world, dumper) == tables(whole, dumper)


def test_a_bot_that_is_stopped_has_committed_all_minutes(make_world: Any) -> None:
    world = make_world({"SPY": [100.0] * 30}, until=datetime(2026, 3, 2, 14, 47, tzinfo=UTC))
    world.follow(s={})
    with world.started() as (_, engine):
        assert engine.run() == "until"
    assert world.ask("SELECT count(*) FROM bars") == [(17,)]
