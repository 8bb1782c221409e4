"""The database of a day's trading at the built-in exchange, to be tampered with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from smabot.cli import main

DATA = "simulated:symbols=2,sessions=1,seed=1"


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database of a day's trading, and the exchange's ledger."""
    folder = tmp_path_factory.mktemp("traded")
    line = ["run", "--plugins", "sma", "--broker", "exchange", "--speed", "max", "--data", DATA]
    assert main([*line, "--db", str(folder / "bot.db")]) == 0
    return folder


@pytest.fixture
def folder(traded: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    for file in traded.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path
