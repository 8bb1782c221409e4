"""`smabot export`: files that agree with each other, the same each time, and never over others."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from smabot.cli import main

pytestmark = pytest.mark.plugins
FILES = {"trades.csv", "round_trips.csv", "lots.csv", "cash_movements.csv", "adjustments.csv"}


def read(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def test_lots_make_the_same_gain_as_round_trips_and_the_files_are_the_same_each_time(
    folder: Path, tmp_path: Path
) -> None:
    db = str(folder / "bot.db")
    assert main(["export", "--csv", str(tmp_path / "a"), "--db", db]) == 0
    assert main(["export", "--csv", str(tmp_path / "b"), "--db", db]) == 0
    files = {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()}
    assert files.keys() == FILES
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "b").iterdir()}
    lots, trips = read(tmp_path / "a/lots.csv"), read(tmp_path / "a/round_trips.csv")
    assert len(lots) > 3
    assert all(lot["sold_at"].endswith("Z") for lot in lots)
    gain = sum(Decimal(lot["gain"]) for lot in lots)
    assert gain == sum(Decimal(trip["realized_pnl"]) for trip in trips)


def test_nothing_is_overwritten(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "out" / "lots.csv"
    there.parent.mkdir()
    there.write_text("mine")
    assert main(["export", "--csv", str(there.parent), "--db", str(folder / "bot.db")]) == 3
    assert "lots.csv" in capsys.readouterr().err
    assert [file.name for file in there.parent.iterdir()] == ["lots.csv"]
    assert there.read_text() == "mine"


def test_the_days_that_were_asked_for(folder: Path, tmp_path: Path) -> None:
    line = ["export", "--db", str(folder / "bot.db"), "--from", "2026-03-03"]
    assert main([*line, "--csv", str(tmp_path / "none")]) == 0
    assert read(tmp_path / "none/trades.csv") == []
