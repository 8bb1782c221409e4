"""The commands on a real database, as a person types them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main
from smabot.cli.app import App
from smabot.domain.bot_records import Event
from smabot.domain.records import EquityPoint
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot_risk.breaker_state import BreakerState
from smabot_risk.daily_counts import DayCounts, SymbolCounts

pytest.importorskip("smabot_persistence_sqlite")
pytest.importorskip("smabot_reconciliation")
pytest.importorskip("smabot_exchange")
pytest.importorskip("smabot_sma")

MONDAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
TRIPPED = BreakerState(
    "main", 5, True, NOON, "5 submissions failed in a row", "smabot-1 rejected", MONDAY,
    Decimal(100_000), Decimal(101_000),
)  # fmt: skip
ROWS = [
    EquityPoint(NOON, Decimal(98_800), Decimal(90_000), Decimal(8_800), Decimal(-1_200)),
    DayCounts(date(2026, 2, 27), 9, 9, Decimal(0), Decimal(100_000)),
    DayCounts(MONDAY, 3, 4, Decimal(-1_200), Decimal(100_000)),
    SymbolCounts("SPY", MONDAY, 3),
    SymbolCounts("IBM", MONDAY, 1),
    SymbolCounts("F", date(2026, 2, 27), 9),
]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = Config()
    journal = Plugins.load(config).open_journal(config)
    assert journal is not None
    journal.commit([*ROWS, TRIPPED])
    journal.close()


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("database")
def test_breaker_shows_why_it_tripped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["breaker"]) == 0
    shown = capsys.readouterr().out
    assert "TRIPPED at 2026-03-02 12:00:00 ET: 5 submissions failed in a row" in shown
    assert "5 of 5" in shown
    assert "100,000.00, trips 5.00% below" in shown
    data = answer(capsys, "breaker")
    assert (data["failure_count"], data["tripped"]) == (5, True)
    assert data["tripped_at"] == "2026-03-02T17:00:00Z"


@pytest.mark.usefixtures("database")
def test_breaker_reset_arms_it_from_the_equity_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["breaker", "reset"]) == 0
    assert "the circuit breaker is reset; it was: TRIPPED" in capsys.readouterr().out
    with App().rows() as rows:
        (event,) = rows.rows(Event)
    assert (event.kind, event.subject) == ("breaker_reset", "risk.circuit_breaker")
    assert event.text.startswith("by the operator; was: TRIPPED at 2026-03-02 17:00:00 UTC")
    data = answer(capsys, "breaker")
    assert (data["failure_count"], data["tripped"]) == (0, False)
    assert (data["tripped_at"], data["reason"], data["failed_orders"]) == (None, "", "")
    assert (data["session_equity"], data["peak_equity"]) == ("98800", "98800")


@pytest.mark.usefixtures("database")
def test_limits_shows_what_the_newest_date_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["limits"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in lines if line.strip()}
    assert "limits on 2026-03-02" in lines[1]
    assert shown["max_trades"] == "3 of 200"
    assert shown["max_orders_per_symbol"] == "3 of 100 (SPY)"
    assert shown["max_loss"] == "1,200.00 of 2,000.00"
    assert shown["max_loss_fraction"] == "1,200.00, no limit"
    assert shown["max_exposure"] == "8,800.00 of 100,000.00"
    data = answer(capsys, "limits")
    assert data["orders_per_symbol"] == {"SPY": 3, "IBM": 1}
    assert (data["loss"], data["start_equity"]) == ("1200", "100000")
