"""A plugin that raises, in each hook: one line that names both, and nothing is lost."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

LATE = "from __future__ import annotations"
HEAD = """
from smabot.settings.model import Settings
from smabot.hooks.specifications import hookimpl

class Plugin:
"""
RAISING = """
    @hookimpl{options}
    def {hook}(self):
        raise KeyError("nothing of the kind")
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
    stopped = world.run("run", "--plugins", "sma,risk,broken", plugins=folder)
    assert stopped.code == 1
    assert stopped.line.startswith(f"plugin 'broken' raised in {hook}: KeyError: 'nothing of the")
    assert "broken_module.py:" in stopped.line
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


def test_a_raising_on_bar_while_warming_up(
    world: Any, installed: Callable[..., Path], undisturbed: dict[str, Any]
) -> None:
    world.half_way()
    stopped = world.run("run", "--plugins", "sma,risk,broken", plugins=installed("broken", broken("on_bar")))  # fmt: skip
    assert stopped.code == 1
    assert stopped.line.startswith("plugin 'broken' raised in on_bar: KeyError: ")
    assert world.run("run").code == 0
    assert world.tables() == undisturbed


def test_a_raising_before_submit_blocks_the_order_and_keeps_it(
    world: Any, installed: Callable[..., Path]
) -> None:
    stopped = world.run("run", "--plugins", "sma,risk,broken", plugins=installed("broken", broken("before_submit")))  # fmt: skip
    assert stopped.code == 1
    assert stopped.line.startswith("plugin 'broken' raised in before_submit: KeyError: ")
    (order,) = world.tables()["order_intents"]
    assert "blocked" in order
    assert any(stopped.line in str(column) for column in order)
    assert world.run("run").code == 0
    assert order in world.tables()["order_intents"]


@pytest.mark.parametrize(
    ("hook", "verb"),
    [
        ("open_rows", ["orders"]),
        ("describe", ["status"]),
        ("records", ["status"]),
        ("register_commands", ["breaker"]),
    ],
)
def test_a_raising_hook_of_a_verb_costs_its_plugin_alone(
    hook: str, verb: list[str], world: Any, installed: Callable[..., Path]
) -> None:
    world.half_way()
    shown = world.run(*verb)
    folder = installed("broken", broken(hook))
    without = world.run(*verb, plugins=folder, SMABOT_PLUGINS='["sma", "risk", "broken"]')
    assert (without.code, without.out) == (0, shown.out)
    assert without.line.startswith(f"warning: plugin 'broken' raised in {hook}: KeyError: ")
    assert without.line.endswith("; it is left out")


def test_a_command_that_a_plugin_fails_at_says_so(
    world: Any, installed: Callable[..., Path], undisturbed: Any
) -> None:
    world.half_way()
    folder, selected = installed("broken", broken("on_command")), '["sma", "risk", "broken"]'
    failed = world.run("breaker", "reset", plugins=folder, SMABOT_PLUGINS=selected)
    assert failed.code == 1
    assert failed.line.startswith("plugin 'broken' raised in on_command: KeyError: ")
    assert world.run("breaker", "reset").code == 0
    assert world.run("run").code == 0
    without = ("circuit_breaker", "events")  # the reset leaves its time there
    assert world.tables(*without) == {k: v for k, v in undisturbed.items() if k not in without}


def test_a_command_that_a_plugin_fails_at_is_answered_and_done_with(
    world: Any, installed: Callable[..., Path]
) -> None:
    """It would else stop every later start."""
    world.half_way()
    edit = "INSERT INTO commands VALUES ('c1', 'breaker reset', '', '2026-03-02T14:50:00Z', NULL, '', NULL)"
    with closing(sqlite3.connect(world.db)) as db:
        db.execute(edit)
        db.commit()
    folder = installed("broken", broken("on_command"))
    stopped = world.run("run", "--plugins", "sma,risk,broken", plugins=folder)
    assert stopped.code == 1
    assert stopped.line.startswith("plugin 'broken' raised in on_command: KeyError: ")
    with closing(sqlite3.connect(world.db)) as db:
        ((answer,),) = db.execute("SELECT answer FROM commands WHERE applied_at IS NOT NULL")
    assert answer == stopped.line
    assert world.run("run", "--plugins", "sma,risk,broken", plugins=folder).code == 0


@pytest.mark.parametrize(
    ("code", "exit_code", "line"),
    [
        ("import nothing_of_the_kind", 3, "plugin 'broken' (broken_module:Plugin) can't be imported: ModuleNotFoundError: "),
        ("class Plugin(: pass", 3, "plugin 'broken' (broken_module:Plugin) can't be imported: SyntaxError: "),
        ("raise SystemExit(0)", 3, "plugin 'broken' (broken_module:Plugin) can't be imported: SystemExit: 0"),
        ("class Mine(BaseException): pass\nraise Mine('out')", 3, "plugin 'broken' (broken_module:Plugin) can't be imported: Mine: out"),
        ("class Plugins: pass", 3, "plugin 'broken' (broken_module:Plugin) can't be imported: AttributeError: "),
        (HEAD + "    def __init__(self): raise KeyError('no')", 1, "plugin 'broken' raised in its constructor: KeyError: 'no' ("),
        (HEAD + "    def __init__(self, settings): pass", 3, "plugin broken_module.Plugin: annotate its constructor's argument 'settings' with a subclass of smabot.api.Settings"),
        (HEAD + "    def __init__(self, settings: dict): pass", 3, "plugin broken_module.Plugin: annotate its constructor's argument 'settings' with"),
        (HEAD + "    def __init__(self, window): pass", 3, "plugin broken_module.Plugin: its constructor asks for 'window': it is given 'settings' and nothing else"),
        (LATE + HEAD + "    def __init__(self, settings: Unheard): pass", 3, "plugin broken_module.Plugin: the types of its constructor's arguments can't be read: name 'Unheard'"),
        (HEAD + "    @hookimpl\n    def on_baar(self, bar): pass", 3, "plugin 'broken': no hook 'on_baar' (did you mean 'on_bar'?)"),
        (HEAD + "    @hookimpl\n    def on_bar(self, bar): raise SystemExit(0)", 1, "plugin 'broken' raised in on_bar: SystemExit: 0 ("),
        (HEAD + "    @hookimpl\n    def on_bar(self, bar): return 1", 3, "plugin 'broken': on_bar answered 1: return a Signal"),
        (HEAD + "    @hookimpl\n    def on_bar(self, bar): return self.later()\n    async def later(self): pass", 3, "plugin 'broken': on_bar answered <coroutine object Plugin.later"),
        (HEAD + "    @hookimpl\n    def on_bar(self, bar):\n        from smabot.api import Signal\n        return [Signal.long(bar), Signal.flat(bar)]", 3, "plugin 'broken': on_bar answered both targets of "),
        (HEAD + "    @hookimpl\n    def on_equity(self, point): return 1", 3, "plugin 'broken': on_equity answered 1: it must return EquityBounds or None"),
        (HEAD + "    @hookimpl\n    def on_fill(self, fill): return 'sell'", 3, "plugin 'broken': on_fill answered 'sell': nothing is done with an answer"),
        (HEAD + "    @hookimpl\n    def lookback(self): return '9'", 3, "plugin 'broken': lookback answered '9': it must return int or None"),
        (HEAD + "    @hookimpl\n    def records(self): return [int]", 3, "records: <class 'int'> is not declared with @record"),
        (HEAD + "    @hookimpl(tryfirst=True)\n    def on_signal(self): return 10", 3, "plugin 'broken': on_signal answered 10: it must return OrderIntent or None"),
        (HEAD + "    @hookimpl\n    def describe(self): return 'well'", 3, "plugin 'broken': describe answered 'well'"),
        (HEAD + "    @hookimpl\n    def on_startup_recover(self): return 'ok'", 3, "plugin 'broken': on_startup_recover answered 'ok': it must return RecoveryStep or None"),
        (HEAD + "    @hookimpl(tryfirst=True)\n    def reconcile(self): return True", 3, "plugin 'broken': reconcile answered True: it must return Reconciliation or None"),
    ],
)  # fmt: skip
def test_a_plugin_that_is_wrong_in_itself(
    code: str, exit_code: int, line: str, world: Any, installed: Callable[..., Path]
) -> None:
    refused = world.run("run", "--plugins", "sma,risk,broken", plugins=installed("broken", code))
    assert refused.code == exit_code
    assert line in refused.line
    assert "broken" in refused.line


@pytest.mark.parametrize(
    "answer",
    [
        "OrderIntent(signal.symbol, Side.BUY, 10)", "OrderIntent('KO', Side.BUY, D(10))",
        "OrderIntent(signal.symbol, Side.BUY, D('NaN'))", "OrderIntent(signal.symbol, Side.BUY, D(0))",
        "OrderIntent(signal.symbol, Side.BUY, D(1), OrderType.LIMIT)",
        "OrderIntent(signal.symbol, Side.BUY, D(1), OrderType.LIMIT, 9.5)",
    ],
)  # fmt: skip
def test_an_order_that_makes_no_sense(
    answer: str, world: Any, installed: Callable[..., Path]
) -> None:
    code = (
        "from decimal import Decimal as D\nfrom smabot.domain.records import OrderIntent, OrderType, Side\n"
        f"{HEAD}    @hookimpl(tryfirst=True)\n    def on_signal(self, signal): return {answer}\n"
    )
    stopped = world.run("run", "--plugins", "sma,broken", plugins=installed("broken", code))
    assert stopped.code == 3
    assert re.match(
        r"plugin 'broken': on_signal for (SPY|IBM) answered OrderIntent\(", stopped.line
    )
    assert world.tables()["order_intents"] == []
