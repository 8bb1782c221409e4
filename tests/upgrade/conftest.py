"""A copy of what an older release left behind, for today's bot to start on."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FIXTURE = HERE / "fixture"
BOOKS = ("trades.db", "trades.exchange.db")


@pytest.fixture(scope="session")
def scenario() -> dict[str, Any]:
    return runpy.run_path(str(HERE / "scenario.py"))


@pytest.fixture(scope="session")
def world_of() -> Any:
    """The recovery tests' world: a bot over a folder with a database and a ledger."""
    return runpy.run_path(str(HERE.parent / "recovery" / "conftest.py"))["World"]


@pytest.fixture
def released(tmp_path: Path, scenario: dict[str, Any], world_of: Any) -> Callable[..., Any]:
    """Worlds in which the older release was killed, each in a folder of its own."""

    def released(name: str = "t", **settings: Any) -> Any:
        folder = tmp_path / name
        folder.mkdir()
        for book in BOOKS:
            shutil.copy(FIXTURE / book, folder)
        world = world_of(folder, FIXTURE / "market.csv", scenario["SETTINGS"] | settings)
        world.follow(**scenario["WANTS"])
        return world

    return released
