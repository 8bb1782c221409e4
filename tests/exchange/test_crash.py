"""Killed anywhere and opened again, the exchange ends as if it had never been stopped."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest


@pytest.fixture
def tape(lab: Any) -> Path:
    """Two symbols over two sessions, with thin minutes and missing ones."""
    rng = Random(5)
    lines = []
    for day in ("2026-03-02", "2026-03-03"):
        for symbol, price in (("KO", 70.0), ("SPY", 600.0)):
            for minute in range(14):
                if rng.random() < 0.2:
                    continue
                price = round(price * (1 + rng.uniform(-0.002, 0.002)), 2)
                four = [price, round(price + 0.3, 2), round(price - 0.3, 2), price]
                lines.append(
                    lab.row(symbol, f"{day} 15:{46 + minute}", four, rng.choice([0, 40, 150, 900]))
                )
    path: Path = lab.tape(lines)
    return path


def test_killed_at_every_commit_boundary(lab: Any, tape: Path, player: dict[str, Any]) -> None:
    """What is on disk after each commit is opened elsewhere, as after a kill, and played on."""
    copies, copy = lab.killed_copies("whole.db")
    exchange = lab.open(tape, "whole.db", multiplier=Decimal(2))
    player["play"](exchange, copy)
    exchange.close()
    whole = player["contents"](lab.folder / "whole.db")
    assert {row[9] for row in whole["orders"]} >= {"filled", "expired", "canceled", "replaced"}
    classes = {row[25] for row in whole["orders"] if row[9] == "filled"}
    assert classes >= {"simple", "bracket"}
    assert any(row[4] == "sell" and row[26] == "sell_to_open" for row in whole["orders"])
    assert len(copies) > 60
    for ledger in copies:
        again = lab.open(tape, str(ledger.relative_to(lab.folder)), multiplier=Decimal(2))
        player["play"](again)
        again.close()
        assert player["contents"](ledger) == whole


@pytest.mark.slow
def test_killed_for_real_at_random_moments(lab: Any, tape: Path, player: dict[str, Any]) -> None:
    exchange = lab.open(tape, "whole.db", multiplier=Decimal(2))
    player["play"](exchange)
    exchange.close()
    lab.open(tape, "ledger.db", multiplier=Decimal(2)).close()

    rng = Random(11)
    ledger = lab.folder / "ledger.db"
    command = [sys.executable, player["__file__"], str(ledger), str(tape)]
    for _ in range(6):
        process = subprocess.Popen([*command, "0.02"], stderr=subprocess.PIPE)
        try:
            process.wait(0.3 + rng.uniform(0, 0.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert not errors
    subprocess.run([*command, "0"], check=True, timeout=60)
    assert player["contents"](ledger) == player["contents"](lab.folder / "whole.db")


def test_a_lost_cursor_is_caught_up(lab: Any, tape: Path, client: Any) -> None:
    """After a power cut the last minutes without orders may be missing: they play again."""
    exchange = lab.open(tape, "whole.db")
    client(exchange).buy(1, id="first")
    exchange.advance()
    folder = lab.folder / "cut"
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(lab.folder / f"whole.db{suffix}", folder / f"ledger.db{suffix}")
    bars = [minute.bars for minute in (exchange.advance() for _ in range(5))]
    later = exchange.now
    again = lab.open(tape, "cut/ledger.db")
    assert again.now < later
    from smabot_exchange.in_process import ExchangeFeed, SharedExchange

    feed = ExchangeFeed(SharedExchange(again))
    feed.catch_up(later)
    assert feed.now() == later
    assert list(feed.history(exchange.symbols, bars[0][0].time, 0)) == bars[1:]
    assert again.account() == exchange.account()
