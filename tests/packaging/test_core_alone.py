"""Core runs without any plugin and without what the plugins need."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

HEAVY = ("sqlalchemy", "alembic", "pandas", "numpy", "pyarrow", "exchange_calendars", "alpaca")
SMABOT = Path(sys.executable).with_name("smabot")
alone = pytest.mark.skipif(
    bool(entry_points(group="smabot")), reason="plugins are installed beside core"
)

EVERY_MODULE = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    sys.modules[name] = None
import smabot
for module in pkgutil.walk_packages(smabot.__path__, "smabot."):
    importlib.import_module(module.name)
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(in_tmp: Path) -> Run:
    def run(*command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, env=os.environ, timeout=60,
        )  # fmt: skip

    return run


def test_no_module_of_core_imports_anything_heavy(run: Run) -> None:
    done = run(sys.executable, "-c", EVERY_MODULE, *HEAVY)
    assert done.returncode == 0, done.stderr


@alone
def test_nothing_heavy_is_installed_with_core() -> None:
    assert [name for name in HEAVY if importlib.util.find_spec(name)] == []


@alone
def test_the_command_answers_without_plugins(run: Run) -> None:
    helped = run(SMABOT, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "run" in helped.stdout
    listed = run(SMABOT, "plugins", "--json")
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)["plugins"] == []
    refused = run(SMABOT, "run", "--plugins", "sma")
    assert refused.returncode == 3
    assert refused.stderr.count("\n") == 1
    assert "is not installed" in refused.stderr
