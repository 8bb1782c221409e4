"""A block outlives its plugin's absence: a run without the plugin needs the operator's word."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("smabot_exchange")
pytest.importorskip("smabot_reconciliation")

Call = Callable[..., Any]
BREAKER = "risk.circuit_breaker"
WAVE = [100.0 + (n % 40 if n % 40 < 20 else 40 - n % 40) / 4 for n in range(390)]
SETTINGS = """
[default]
broker = "exchange"
data = "tape.csv"
speed = "max"
plugins = ["sma", "risk"]
[default.plugin.sma]
fast = 2
slow = 5
"""


def ask(sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect("data/trades.db")) as db:
        return db.execute(sql).fetchall()


def run(execute: Call, minute: int, *flags: str) -> Any:
    until = f"2026-03-02T{14 + (30 + minute) // 60}:{(30 + minute) % 60:02}:00Z"
    return execute("run", "--until", until, *flags)


_made: list[Path] = []


@pytest.fixture
def tripped(
    in_tmp: Path, tape_writer: Callable[..., Path], tmp_path_factory: Any, call: Call
) -> Callable[..., None]:
    """Make a bot that holds SPY after some minutes, and whose breaker blocks a scope since then."""
    if not _made:
        tape_writer(in_tmp / "tape.csv", {"SPY": WAVE})
        (in_tmp / "settings.toml").write_text(SETTINGS)
        assert run(call, 55).code == 0
        _made.append(shutil.copytree(in_tmp, tmp_path_factory.mktemp("made") / "tripped"))
    shutil.copytree(_made[0], in_tmp, dirs_exist_ok=True)
    assert held() == 10

    def make(scope: str = "entries") -> None:
        with closing(sqlite3.connect("data/trades.db")) as db, db:
            block = (BREAKER, scope, "equity fell", "2026-03-02T15:25:00Z", None)
            db.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)", block)
            db.execute(
                "UPDATE circuit_breaker SET tripped = 1, tripped_at = '2026-03-02T15:25:00Z', "
                "reason = 'equity fell'"
            )

    return make


def held() -> float:
    ((qty,),) = ask("SELECT SUM(qty) FROM positions_snapshot")
    return float(qty)


def entries() -> int:
    ((count,),) = ask("SELECT COUNT(*) FROM trades WHERE side = 'buy'")
    return int(count)


@pytest.mark.parametrize("flags", [("--plugins", "sma"), ("--no-plugin", BREAKER)])
def test_a_start_without_the_plugin_of_a_block_that_holds_ends_with_code_5(
    tripped: Call, execute: Call, flags: tuple[str, ...]
) -> None:
    tripped()
    before = ask("SELECT * FROM order_intents"), ask("SELECT * FROM events")
    done = run(execute, 60, *flags)
    assert done.code == 5
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"smabot: {BREAKER} blocks entries: equity fell. This run has no")
    assert f"--ignore-block {BREAKER}" in done.err
    assert (ask("SELECT * FROM order_intents"), ask("SELECT * FROM events")) == before
    assert run(execute, 60).code == 0


def test_an_ignored_block_holds_nothing_in_this_run_and_is_told_at_each_start(
    tripped: Call, call: Call
) -> None:
    tripped()
    bought = entries()
    flags = ("--plugins", "sma", "--ignore-block", BREAKER)
    for number, minute in enumerate((100, 110), 1):
        done = run(call, minute, *flags)
        assert done.code == 0, done.err
        assert f"! block ignored {BREAKER}: its block of entries is ignored" in done.out
        ignored = ask("SELECT grave FROM events WHERE kind = 'block_ignored'")
        assert ignored == [(1,)] * number
    assert entries() > bought
    assert ask("SELECT ignored_blocks FROM runs ORDER BY started_at")[1:] == [(BREAKER,)] * 2
    assert ask("SELECT plugin, until FROM blocks") == [(BREAKER, None)]
    assert run(call, 120, "--plugins", "sma").code == 5


def test_a_halted_run_says_so_at_its_start_and_at_its_end(tripped: Call, call: Call) -> None:
    assert "halted" not in run(call, 60).out
    assert call("halt", "earnings", "today").code == 0
    begun, ended = run(call, 65).out.split("ready in", 1)
    assert "halted: earnings today" in begun
    assert re.search(r"halted +YES: earnings today; `smabot resume` ends it", ended)


@pytest.mark.parametrize(
    ("name", "flags", "line"),
    [
        ("core", (), "--ignore-block core: that is a halt: `smabot resume` ends it"),
        (BREAKER, (), f"--ignore-block {BREAKER}: {BREAKER} is part of this run, and blocks by"),
        ("risk.daily_limits", ("--plugins", "sma"), "no block of risk.daily_limits holds"),
        ("risk.circuit", ("--plugins", "sma"), f"holds (did you mean '{BREAKER}'?)"),
    ],
)
def test_only_a_block_that_holds_and_whose_plugin_is_absent_can_be_ignored(
    tripped: Call, call: Call, name: str, flags: tuple[str, ...], line: str
) -> None:
    tripped()
    done = run(call, 60, *flags, "--ignore-block", name)
    assert done.code == 2
    assert line in done.err
    assert done.err.count("\n") == 1


def test_reconcile_and_flatten_need_no_plugin_and_no_word(tripped: Call, call: Call) -> None:
    tripped()
    (Path("settings.toml")).write_text(SETTINGS.replace('["sma", "risk"]', '["sma"]'))
    assert call("reconcile").code == 0
    doctor = call("doctor")
    assert doctor.code == 0
    assert f"a start ends with exit code 5: {BREAKER} blocks entries: equity fell" in doctor.out
    done = call("flatten", "--yes")
    assert done.code == 0, done.err
    assert held() == 0


def test_a_block_of_all_orders_lets_no_exit_pass_unless_it_is_ignored(
    tripped: Call, call: Call
) -> None:
    tripped("all")
    flags = ("flatten", "--yes", "--plugins", "sma")
    done = call(*flags)
    assert done.code == 1
    assert "--ignore-block NAME" in done.err
    assert held() == 10
    done = call(*flags, "--ignore-block", BREAKER)
    assert done.code == 0, done.err
    assert held() == 0
