"""A database of its own for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from smabot.cli import main


class Result(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "trades.db"


@pytest.fixture
def smabot(db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """`smabot db …` on the test's database, with no plugin but this one."""
    only = tmp_path / "settings" / "settings.toml"
    only.parent.mkdir()
    only.write_text('[default]\nplugins = []\nbase_plugins = ["persistence_sqlite"]\n')

    def call(*arguments: str) -> Result:
        code = main(["--db", str(db), "--settings", str(only), "db", *arguments])
        return Result(code, *capsys.readouterr())

    return call
