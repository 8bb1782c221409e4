"""A plugin that raises, in each hook: one line that names both, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HEAD = """
from smabot.config import Settings
from smabot.hookspecs import hookimpl

class Plugin:
"""
RAISING = """
    @hookimpl{options}
    def {hook}(self):
        raise KeyError("nothing of the kind")
"""
STREAK = """
from smabot.tables import record

@record(table="streaks", key=("symbol",))
class Streak:
    symbol: str
    days: int = 0
"""
FIRST = ("on_signal", "reconcile", "open_journal", "open_rows", "open_broker", "open_feed")
"""Hooks whose first answer counts: to be asked at all, the broken plugin goes first."""
IN_A_RUN = (
    "records", "lookback", "on_startup_recover", "on_bar", "on_signal", "on_order", "on_fill",
    "on_equity", "describe", "reconcile", "open_journal", "open_broker", "open_feed",
)  # fmt: skip


def broken(hook: str) -> str:
    options = "(tryfirst=True)" if hook in FIRST else ""
    return HEAD + RAISING.format(hook=hook, options=options)


@pytest.mark.parametrize("hook", IN_A_RUN)
def test_a_raising_hook_stops_the_run_and_loses_nothing(
    hook: str, world: Any, installed: Callable[..., Path], undisturbed: dict[str, Any]
) -> None:
    folder = installed("broken", broken(hook))
    with_it = ("run", "--plugins", "sma,risk,broken")
    stopped = world.run(*with_it, plugins=folder)
    assert stopped.code == 1
    assert stopped.line.startswith(f"plugin 'broken' raised in {hook}: KeyError: 'nothing of the")
    assert "broken_module.py:" in stopped.line
    again = world.run(*with_it, plugins=folder)
    assert (again.code, again.line) == (1, stopped.line)
    assert world.run("run").code == 0
    assert world.tables() == undisturbed
