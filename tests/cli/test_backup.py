"""A backup is a whole state: with the built-in exchange the account's ledger belongs to it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.plugins, pytest.mark.slow]
Call = Callable[..., Any]
SMABOT = str(Path(sys.executable).with_name("smabot"))
SETTINGS = """
[default]
broker = "exchange"
data = "tape.csv"
speed = "max"
[default.plugin.sma]
fast = 2
slow = 3
"""


@pytest.fixture
def folder(in_tmp: Path, tape_writer: Callable[..., Path]) -> Path:
    closes = [100.0 + 5 * (minute % 4 in (0, 1)) for minute in range(390)]
    tape_writer(in_tmp / "tape.csv", {"SPY": closes})
    (in_tmp / "settings.toml").write_text(SETTINGS)
    return in_tmp


@pytest.mark.slow
def test_a_backup_of_a_running_bot_starts_without_conflict(folder: Path, call: Call) -> None:
    """Whatever moment it is taken at: an order may be on its way."""
    with subprocess.Popen(
        [SMABOT, "run", "--speed", "120"], stdout=subprocess.PIPE, text=True
    ) as bot:
        assert any(line.startswith("ready in") for line in bot.stdout or ())
        for name in ("a", "b", "c"):
            told = call("db", "backup", f"{name}.db", "--json")
            assert told.code == 0, told.err
            (ledger,) = told.json["account_files"]
            assert (told.json["path"], ledger["path"]) == (f"{name}.db", f"{name}.exchange.db")
        bot.terminate()
        assert bot.wait(60) == 0
    ends = []
    for db in ("data/trades.db", "a.db", "b.db", "c.db"):
        again = call("run", "--db", db)
        assert again.code == 0, again.err
        with closing(sqlite3.connect(db)) as opened:
            query = "SELECT client_order_id, status, filled_qty FROM order_intents ORDER BY 1"
            ends.append(opened.execute(query).fetchall())
    assert ends[0]
    assert all(end == ends[0] for end in ends)


def test_a_ledger_of_another_account_is_not_copied(folder: Path, call: Call) -> None:
    assert call("run", "--until", "2026-03-02T14:35:00Z").code == 0
    assert call("run", "--until", "2026-03-02T14:35:00Z", "--db", "other.db").code == 0
    shutil.copy("other.exchange.db", "data/trades.exchange.db")
    told = call("db", "backup", "copy.db")
    assert told.out.count("checked") == 1
    assert not Path("copy.exchange.db").exists()


def test_a_backup_overwrites_no_ledger(folder: Path, call: Call) -> None:
    assert call("run", "--until", "2026-03-02T14:35:00Z").code == 0
    Path("copy.exchange.db").write_text("mine")
    told = call("db", "backup", "copy.db")
    assert (told.code, told.err) == (
        2, "smabot: copy.exchange.db exists: name another file for the backup\n",
    )  # fmt: skip
    assert Path("copy.exchange.db").read_text() == "mine"
    assert not Path("copy.db").exists()


def test_a_ledger_elsewhere_keeps_its_name(folder: Path, call: Call) -> None:
    Path("settings.toml").write_text(SETTINGS.replace("speed", 'ledger = "paper.db"\nspeed'))
    assert call("run", "--until", "2026-03-02T14:35:00Z").code == 0
    assert "copy.paper.db: " in call("db", "backup", "copy.db").out
