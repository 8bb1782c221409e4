"""Plugins written for the names of 0.1 run unchanged, and their users are told what to do."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from smabot import old_names
from smabot.system.deprecation import OldName

WRITTEN = Path(__file__).parent / "written_for_0_1"
SMABOT = Path(sys.executable).with_name("smabot")
NAMES = [
    (module, name)
    for line in (WRITTEN / "public_names.txt").read_text().splitlines()
    for module, _, names in [line.partition(":")]
    for name in names.split()
]
INSIDE = [each for each in old_names.MODULES if each.startswith(("cli.", "engine."))]
"""Modules that nobody was told of; they can still be imported."""
RUN = "run --broker exchange --data tape.csv --speed max --plugins"


@pytest.fixture(autouse=True)
def _nobody_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_names, "_told", set())


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_name_of_0_1_answers_where_it_was(module: str, name: str) -> None:
    pytest.importorskip("hypothesis")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(import_module(f"smabot.{module}"), name)
    moved = module in old_names.MODULES or f"{module}.{name}" in old_names.NAMES
    assert [each.category for each in caught] == [OldName] * moved
    if moved:
        assert f"{__name__} imports smabot.{module}" in str(caught[0].message)
        assert caught[0].filename == __file__


@pytest.mark.parametrize("module", INSIDE)
def test_a_module_that_nobody_was_told_of_answers_too(module: str) -> None:
    old, new = (
        import_module(f"smabot.{module}"),
        import_module(f"smabot.{old_names.MODULES[module]}"),
    )
    assert set(dir(new)) == set(dir(old))


@pytest.mark.parametrize("old", old_names.NAMES)
def test_an_old_name_is_the_same_object_as_the_new_one(old: str) -> None:
    (module, _, name), (to, _, renamed) = old.rpartition("."), old_names.NAMES[old].rpartition(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OldName)
        found = getattr(import_module(f"smabot.{module}"), name)
    assert found is getattr(import_module(f"smabot.{to}"), renamed)


def test_a_package_is_told_once_of_each_old_module() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from smabot.records import Bar, Signal  # type: ignore[import-not-found]  # noqa: F401
        from smabot.tables import record  # type: ignore[import-not-found]  # noqa: F401

        exec("from smabot.records import Order", {"__name__": "another.plugin"})
    said = [str(each.message).partition(";")[0] for each in caught]
    assert said == [
        f"{__name__} imports smabot.records",
        f"{__name__} imports smabot.tables",
        "another.plugin imports smabot.records",
    ]


def test_all_of_an_old_module_can_be_imported_at_once() -> None:
    from smabot.system import lock

    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OldName)
        exec("from smabot.lock import *", names)
    assert (names["FileLock"], names["holder"]) == (lock.FileLock, lock.lock_holder)


def test_what_never_was_is_not_there() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"smabot\.nothing"):
        import_module("smabot.nothing")
    for module in ("smabot", "smabot.settings", "smabot.errors", "smabot.records"):
        with pytest.raises(AttributeError, match="nothing"):
            import_module(module).nothing  # noqa: B018


def test_the_old_names_cost_a_start_nothing() -> None:
    code = (
        "import sys, smabot.cli.app, smabot.hooks.plugins; print('smabot.old_names' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.fixture
def installed(
    in_tmp: Path, uv: Callable[..., str], tape_writer: Callable[..., Path]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Build and install both distributions, and call a command with them."""
    for needed in ("smabot_persistence_sqlite", "smabot_reconciliation", "smabot_exchange"):
        pytest.importorskip(needed)
    sources = [WRITTEN / "streak", WRITTEN / "copied_sma"]
    uv("pip", "install", "--python", sys.executable, "--target", "site", "--no-deps", *sources)
    closes = [round(100 + 3 * math.sin(minute / 2.7), 2) for minute in range(120)]
    tape_writer(in_tmp / "tape.csv", {"SPY": closes})
    environ = {
        **os.environ,
        "PYTHONPATH": str(in_tmp / "site"),
        "SMABOT_PLUGIN__COPIED_SMA": "{fast = 3, slow = 6}",
    }

    def call(*command: object) -> subprocess.CompletedProcess[str]:
        words = [str(each) for each in command]
        return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=120)

    return call


@pytest.mark.slow
def test_plugins_written_for_0_1_run_and_their_user_is_told(
    installed: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ran = installed(SMABOT, *RUN.split(), "streak,copied_sma", "--json")
    assert ran.returncode == 0, ran.stderr
    assert {"copied_sma", "streak"} <= set(re.findall(r'"strategy": "(\w+)"', ran.stdout))
    assert ran.stderr.splitlines() == [
        f"smabot: warning: plugin 'copied_sma' imports {old}; smabot 0.3 removes it: use {new}"
        for old, new in [
            ("smabot.hookspecs", "smabot.api or smabot.provider"),
            ("smabot.records", "smabot.api or smabot.provider"),
            ("smabot.config", "smabot.api"),
        ]
    ]
    helped = installed(SMABOT, "--help")
    assert re.search(r"^  streak +Show the losing trades", helped.stdout, re.M)
    assert helped.stderr == ""
    check = WRITTEN / "streak" / "check_streak.py"
    tested = installed(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", check)
    assert tested.returncode == 0, tested.stdout
    assert "imports smabot.testing.bot; smabot 0.3 removes it: use smabot.testing" in tested.stdout
