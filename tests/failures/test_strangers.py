"""A plugin that somebody else wrote takes nothing away: not from commands, the book, or the screen."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smabot.hooks.discovery import discover

HEAD = """
import sys
from dataclasses import dataclass
from smabot.api import *

"""
QUIET = "    @hookimpl\n    def on_bar(self, bar): pass\n"
CLASHING = """
@record(table="trades", key=("symbol",))
class Mine:
    symbol: str
"""
OPTIONAL_KEY = """
@record(table="mine", key=("symbol",))
class Mine:
    symbol: str | None
"""
BAD_COLUMN = """
@record(table="mine", key=("symbol",))
class Mine:
    symbol: str
    prices: list
"""
DECLARING = "\nclass Plugin:\n    @hookimpl\n    def records(self): return [Mine]\n"
FAILING = (
    "class Plugin:\n    @hookimpl(tryfirst=True)\n    def open_rows(self): raise OSError('gone')\n"
)
BROKEN = {
    "a table of core": CLASHING + DECLARING,
    "a key that may be None": OPTIONAL_KEY + DECLARING,
    "a column that can't be": BAD_COLUMN + DECLARING,
    "open_rows": FAILING,
    "an import": "raise ImportError('no such thing')",
    "an exit": "raise SystemExit(0)",
    "no hook": "class Plugin:\n    def on_bar(self, bar): pass\n",
    "its verbs": "class Plugin:\n    @hookimpl\n    def register_commands(self, cli): raise KeyError(1)\n",
    "a verb of core": """
import click
class Plugin:
    @hookimpl
    def register_commands(self, cli):
        for name in ("run", "status", "breaker"):
            cli.add_command(click.Command(name, callback=lambda: print("mine")))
""",
    "its words": "class Plugin:\n    @hookimpl\n    def describe(self, book): raise KeyError(1)\n",
    "noise": "print('{')\nclass Plugin:\n" + QUIET + "    def __init__(self): print('made')\n",
}
VERBS = (["status"], ["orders"], ["halt", "why"], ["resume"], ["flatten", "--yes"], ["breaker"])
SELECTED = '["sma", "risk", "mine"]'


def answers(world: Any, *arguments: Any, **options: Any) -> list[Any]:
    return [world.run(*verb, *arguments, **options) for verb in VERBS]


@pytest.mark.parametrize("fault", BROKEN)
def test_an_unselected_plugin_never_matters(
    fault: str, world: Any, installed: Callable[..., Path]
) -> None:
    world.half_way()
    folder = installed("mine", HEAD + BROKEN[fault])
    for verb, answer in zip(VERBS, answers(world, "--json", plugins=folder), strict=True):
        assert (answer.code, answer.err) == (0, ""), verb
        for line in answer.out.splitlines():
            json.loads(line)
    assert world.run("run", plugins=folder).code == 0
    assert not world.tables().keys() & {"mine"}


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("a table of core", "table 'trades' is already declared by core"),
        ("a column that can't be", "records: record Mine: column 'prices' has a type"),
        ("an import", "can't be imported: ImportError: no such thing"),
        ("an exit", "can't be imported: SystemExit: 0"),
        ("no hook", "on_bar is not a valid hook"),
    ],
)
def test_the_list_of_plugins_says_what_is_wrong_with_one(
    fault: str, why: str, world: Any, installed: Callable[..., Path]
) -> None:
    folder = installed("mine", HEAD + BROKEN[fault])
    listed = world.run("plugins", "--json", plugins=folder)
    assert (listed.code, listed.err) == (0, "")
    (mine,) = [each for each in json.loads(listed.out)["plugins"] if each["name"] == "mine"]
    assert why in mine["broken"]


@pytest.mark.parametrize("fault", BROKEN)
def test_a_selected_plugin_that_is_broken_costs_itself(
    fault: str, world: Any, installed: Callable[..., Path]
) -> None:
    world.half_way()
    folder = installed("mine", HEAD + BROKEN[fault])
    told = answers(world, "--json", plugins=folder, SMABOT_PLUGINS=SELECTED)
    for verb, answer in zip(VERBS, told, strict=True):
        assert answer.code == 0, (verb, answer.err)
        for line in answer.out.splitlines():
            json.loads(line)
        if verb[0] in ("halt", "resume"):
            assert answer.err == ""
        elif answer.err:
            assert "\n".join(answer.err.splitlines()) + "\n" == answer.err
            assert all(
                line.startswith("smabot: warning: ") and "mine" in line
                for line in answer.err.splitlines()
            ), answer.err


def test_halt_and_flatten_get_by_with_the_plugin_that_keeps_the_database(
    world: Any, installed: Callable[..., Path]
) -> None:
    """A base plugin that can't be imported is told of, and that is all."""
    world.half_way()
    folder = installed("mine", "raise ImportError('no such thing')")
    base = '["mine", "persistence_sqlite", "reconciliation", "exchange"]'
    for verb in (["halt"], ["resume"], ["flatten", "--yes"]):
        answer = world.run(*verb, plugins=folder, SMABOT_BASE_PLUGINS=base)
        assert answer.code == 0
        assert answer.line.startswith("warning: plugin 'mine' (mine_module:Plugin) can't be imp")


def test_flatten_goes_on_without_a_plugin_that_fails_meanwhile(
    world: Any, installed: Callable[..., Path]
) -> None:
    code = f"{HEAD}class Plugin:\n{QUIET}" + "".join(
        f"    @hookimpl\n    def {hook}(self): raise KeyError('{hook}')\n"
        for hook in ("before_submit", "may_leave", "on_order", "on_fill", "on_equity")
    )
    world.half_way()
    folder = installed("mine", code)
    done = world.run("flatten", "--yes", plugins=folder, SMABOT_PLUGINS=SELECTED)
    assert done.code == 0
    if done.err:
        assert done.line.startswith("warning: plugin 'mine' raised in ")
    assert "all is flat" in done.out


def test_status_knows_the_plugins_of_the_last_run(
    world: Any, installed: Callable[..., Path]
) -> None:
    code = HEAD + (
        '@record(table="mine", key=("symbol",))\nclass Mine:\n    symbol: str\n'
        + DECLARING
        + "    @hookimpl\n    def on_fill(self, fill, book): book.apply(Mine(fill.symbol))\n"
        "    @hookimpl\n    def describe(self, book): return 'mine', f'{len(book.table(Mine))} rows'\n"
    )
    folder = installed("mine", code)
    assert world.run("run", "--plugins", "sma,risk,mine", plugins=folder).code == 0
    shown = world.run("status", "--json", plugins=folder)
    assert json.loads(shown.out)["plugins"]["mine"] == "2 rows"
    gone = world.run("status", "--json")
    assert (gone.code, gone.line) == (
        0, f"warning: plugin 'mine' is not installed; installed are: {', '.join(sorted(discover()))}",
    )  # fmt: skip


def test_a_waiting_command_of_a_plugin_stays_where_the_plugin_is_not_asked(world: Any) -> None:
    world.half_way()
    edit = "INSERT INTO commands VALUES ('c1', 'breaker reset', '', '2026-03-02T14:50:00Z', NULL, '', NULL)"
    with closing(sqlite3.connect(world.db)) as db, db:
        db.execute(edit)
    assert world.run("halt").code == 0
    with closing(sqlite3.connect(world.db)) as db:
        assert db.execute("SELECT applied_at FROM commands WHERE id = 'c1'").fetchone() == (None,)
    assert world.run("breaker", "reset").code == 0
    with closing(sqlite3.connect(world.db)) as db:
        assert db.execute("SELECT answer FROM commands WHERE id = 'c1'").fetchone() != ("",)


# -- the start -------------------------------------------------------------------------------------


def test_two_distributions_with_one_plugin_name(world: Any, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    for number in (1, 2):
        info = folder / f"smabot_rival{number}-1.{number}.dist-info"
        info.mkdir(parents=True)
        (folder / f"rival{number}.py").write_text(f"{HEAD}class Plugin:\n{QUIET}")
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: smabot-rival{number}\nVersion: 1.{number}\n"
        )
        (info / "entry_points.txt").write_text(f"[smabot]\nmine = rival{number}:Plugin\n")
    assert world.run("run", plugins=folder).code == 0
    refused = world.run("run", "--plugins", "sma,mine", plugins=folder)
    assert refused.code == 3
    for part in ("plugin 'mine' is installed twice", "smabot-rival1 1.1 (rival1:Plugin)", "smabot-rival2 1.2"):  # fmt: skip
        assert part in refused.line
    listed = [p for p in json.loads(world.run("plugins", "--json", plugins=folder).out)["plugins"] if p["name"] == "mine"]  # fmt: skip
    assert [p["distribution"] for p in listed] == ["smabot-rival1", "smabot-rival2"]
    assert all("is installed twice" in p["broken"] for p in listed)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("    def on_bar(self, bar): pass", "plugin 'mine': on_bar is not a valid hook: mark the method with @hookimpl"),
        ("    def watch(self, bar): pass", "plugin 'mine' has no hook: mark its methods with @hookimpl"),
        (QUIET + "    def on_fill(self, fill): pass", "plugin 'mine': on_fill is not a valid hook: mark"),
        (QUIET + "    def __init__(self): self.lookback = 30", "plugin 'mine': lookback is not a valid hook: mark"),
        ("    @hookimpl\n    @staticmethod\n    def on_bar(bar): pass", "plugin 'mine': on_bar is not a valid hook: @hookimpl goes right above `def`"),
        ("    @property\n    @hookimpl\n    def on_bar(self): raise KeyError", "plugin 'mine': on_bar is not a valid hook: @hookimpl goes"),
        ("    @hookimpl\n    async def on_bar(self, bar): pass", "plugin 'mine': on_bar is async: hooks are called and not awaited; write `def`"),
        ("    @hookimpl\n    def on_bar(self, bar): yield Signal.long(bar)", "plugin 'mine': on_bar has a `yield`: return the answer instead"),
        ("    @hookimpl\n    def on_bar(self, *bars): pass", "plugin 'mine': on_bar: argument 'bars' may not be there"),
        (QUIET + "    def __init__(self, settings): pass", "annotate its constructor's argument 'settings' with a subclass of smabot.api.Settings"),
        (QUIET + "    @hookimpl\n    def records(self): return [Position]", "plugin 'mine': record smabot.domain.records.Position: table 'positions_snapshot' is already declared by core"),
    ],
)  # fmt: skip
def test_what_an_author_does_wrong_stops_the_start(
    body: str, line: str, world: Any, installed: Callable[..., Path]
) -> None:
    refused = world.run("run", "--plugins", "mine", plugins=installed("mine", f"{HEAD}class Plugin:\n{body}\n"))  # fmt: skip
    assert refused.code == 3
    assert line in refused.line
    assert not world.db.exists()


def test_a_static_hook_below_its_decorator_is_one(
    world: Any, installed: Callable[..., Path]
) -> None:
    body = "    @staticmethod\n    @hookimpl\n    def on_bar(bar): return None\n"
    folder = installed("mine", f"{HEAD}class Plugin:\n{body}")
    assert world.run("run", "--plugins", "sma,mine", plugins=folder).code == 0


@pytest.mark.parametrize("name", ["my strategy", "core", "core.mine", "me-too"])
def test_a_name_that_no_order_id_can_begin_with(
    name: str, world: Any, installed: Callable[..., Path]
) -> None:
    folder = installed("mine", f"{HEAD}class Plugin:\n{QUIET}")
    (folder / "mine-1.0.dist-info/entry_points.txt").write_text(f"[smabot]\n{name} = mine_module:Plugin\n")  # fmt: skip
    refused = world.run("run", "--plugins", name, plugins=folder)
    assert refused.code == 3
    assert refused.line.startswith(
        f"plugin '{name}' (mine 1.0 (mine_module:Plugin)): its name starts"
    )


# -- what it prints --------------------------------------------------------------------------------

NOISY = """
import threading
print("imported")

class Plugin:
    def __init__(self):
        print("made")

    @hookimpl
    def on_bar(self, bar):
        print("a bar", end="\\n")
        if not hasattr(self, "told"):
            self.told = threading.Thread(target=print, args=("from a thread",))
            self.told.start()
            sys.stdout.write("half of ")
            sys.stdout.buffer.write(b"a line\\n")
            sys.stdout.close()

    @hookimpl
    def describe(self, book):
        print("described")
"""


def test_what_a_plugin_prints_goes_to_the_log(world: Any, installed: Callable[..., Path]) -> None:
    folder = installed("mine", HEAD + NOISY)
    log = world.folder / "bot.log"
    run = world.run("run", "--json", "--plugins", "sma,risk,mine", plugins=folder, SMABOT_LOG__FILE=str(log))  # fmt: skip
    assert (run.code, run.err) == (0, "")
    events = [json.loads(line) for line in run.out.splitlines()]
    assert events[-1]["event"] == "summary"
    logged = log.read_text()
    for line in ("imported", "made", "a bar", "from a thread", "half of a line", "described"):
        assert f" mine_module: {line}\n" in logged or f" threading: {line}\n" in logged, line


def test_what_a_plugin_prints_stays_out_of_every_json(
    world: Any, installed: Callable[..., Path]
) -> None:
    world.half_way()
    folder = installed("mine", HEAD + NOISY)
    for verb in (["status"], ["plugins"], ["config", "show"], ["doctor"], ["reconcile"]):
        shown = world.run(*verb, "--json", plugins=folder, SMABOT_PLUGINS=SELECTED)
        for line in shown.out.splitlines():
            json.loads(line)
        assert "made" not in shown.out
        assert shown.err == ""


# -- what it opens ---------------------------------------------------------------------------------

BROKER = """
from smabot_exchange.plugin import ExchangePlugin, ExchangeSettings

class Around:
    def __init__(self, inner): self.inner = inner
    def __getattr__(self, name): return getattr(self.inner, name)
    {method}

class Plugin:
    def __init__(self): self.exchange = ExchangePlugin(ExchangeSettings())

    @hookimpl(tryfirst=True)
    def open_broker(self, config): return {broker}(self.exchange.open_broker(config))

    @hookimpl(tryfirst=True)
    def open_feed(self, config): return {feed}(self.exchange.open_feed(config))
"""


@pytest.mark.parametrize(
    ("opened", "method", "code", "line"),
    [
        ("broker", "def account(self): raise KeyError('x')", 1, "plugin 'mine' raised in Around.account: KeyError: 'x' ("),
        ("broker", "def submit(self, order): return {}[9]", 1, "plugin 'mine' raised in Around.submit: KeyError: 9 ("),
        ("broker", "def calendar(self): return 5", 3, "plugin 'mine': its broker's calendar() answered 5: it must return a Calendar"),
        ("broker", "def account(self): return None", 3, "plugin 'mine': its broker's account() answered None: it must return a BrokerAccount"),
        ("feed", "def next(self, timeout): raise KeyError('x')", 1, "plugin 'mine' raised in Around.next: KeyError: 'x' ("),
        ("feed", "def next(self, timeout): return []", 3, "plugin 'mine': its feed's next() answered []: it must return a Batch"),
        ("feed", "def now(self): return 5", 3, "plugin 'mine': its feed's now() answered 5: it must return a datetime"),
    ],
)  # fmt: skip
def test_an_error_of_a_broker_or_feed_names_its_plugin(
    opened: str, method: str, code: int, line: str, world: Any, installed: Callable[..., Path]
) -> None:
    wrapped = {"broker": "", "feed": "", opened: "Around"}
    folder = installed("mine", HEAD + BROKER.format(method=method, **wrapped))
    stopped = world.run("run", "--plugins", "sma,risk,mine", plugins=folder)
    assert stopped.code == code
    assert stopped.line.startswith(line)


@pytest.mark.parametrize("hook", ["open_broker", "open_feed", "open_journal"])
def test_something_opened_that_lacks_a_method(
    hook: str, world: Any, installed: Callable[..., Path]
) -> None:
    code = f"{HEAD}class Plugin:\n    @hookimpl(tryfirst=True)\n    def {hook}(self): return object()\n"
    stopped = world.run("run", "--plugins", "sma,mine", plugins=installed("mine", code))
    assert stopped.code == 3
    assert stopped.line.startswith(f"plugin 'mine': what {hook} answered has no '")


def test_a_row_that_can_not_be_kept_names_its_plugin(
    world: Any, installed: Callable[..., Path]
) -> None:
    code = HEAD + (
        '@record(table="mine", key=("symbol",))\nclass Mine:\n    symbol: str\n    count: int\n'
        + DECLARING
        + "    @hookimpl\n    def on_fill(self, fill, book): book.apply(Mine(fill.symbol, 'many'))\n"
    )
    stopped = world.run("run", "--plugins", "sma,mine", plugins=installed("mine", code))
    assert stopped.code == 1
    assert stopped.line.startswith("plugin 'mine': 'many' can't be kept in mine.count")


# -- the book --------------------------------------------------------------------------------------

OWN = """
@record(table="mine", key=("symbol",))
class Mine:
    symbol: str
    bars: int = 0

class Plugin:
    @hookimpl
    def records(self): return [Mine]

    @hookimpl
    def lookback(self): return 5

    @hookimpl
    def on_bar(self, bar, book):
        row = book.row(Mine, bar.symbol) or Mine(bar.symbol)
        book.apply(Mine(bar.symbol, row.bars + 1))
"""


def test_on_bar_may_apply_its_own_rows_and_counts_no_bar_twice(
    world: Any, installed: Callable[..., Path], make_world: Callable[..., Any]
) -> None:
    folder = installed("mine", HEAD + OWN)
    flags = ("--plugins", "sma,risk,mine")
    for until in ("2026-03-02T14:40:00Z", "2026-03-02T14:50:00Z"):
        assert world.run("run", *flags, "--until", until, plugins=folder).code == 0
    assert world.run("run", *flags, plugins=folder).code == 0
    other = make_world("other")
    assert other.run("run", *flags, plugins=folder).code == 0
    assert world.dump("mine") == other.dump("mine")


@pytest.mark.parametrize("hook", ["on_bar", "on_fill", "on_equity", "on_order", "before_submit"])
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("book.apply(Position('mine', 'SPY', book.cash if 0 else 1, 0, 0, 0, book.now))", "plugin 'mine' applied a row of Position: a plugin may apply rows of"),
        ("book.apply(Block('core', 'entries', 'mine', book.now))", "plugin 'mine' applied a Block in the name of 'core': a plugin may"),
    ],
)  # fmt: skip
def test_a_plugin_applies_nothing_but_its_own(
    hook: str, change: str, line: str, world: Any, installed: Callable[..., Path]
) -> None:
    body = f"class Plugin:\n    @hookimpl\n    def {hook}(self, book): {change}\n"
    stopped = world.run("run", "--plugins", "sma,mine", plugins=installed("mine", HEAD + body))
    assert stopped.code == 3
    assert stopped.line.startswith(line)


@pytest.mark.parametrize("change", ["book.now = None", "book.drain()", "book.restore([])", "book.apply_bars([])", "book.positions.clear()", "book.blocks.clear()", "book.in_symbol('SPY').clear()"])  # fmt: skip
def test_there_is_no_other_way_to_change_the_book(
    change: str, world: Any, installed: Callable[..., Path]
) -> None:
    body = f"class Plugin:\n    @hookimpl\n    def on_startup_recover(self, recovery):\n        book = recovery.book\n        {change}\n"
    stopped = world.run("run", "--plugins", "sma,mine", plugins=installed("mine", HEAD + body))
    assert stopped.code == (1 if "clear" in change else 3)
    assert stopped.line.startswith("plugin 'mine' ")


# -- variables -------------------------------------------------------------------------------------


def test_a_variable_keeps_the_case_of_a_symbol(world: Any) -> None:
    shown = world.run("config", "show", "plugin.sma", "--origin", "--json", SMABOT_PLUGIN__SMA__SYMBOLS__QQQ__FAST="7", SMABOT_PLUGIN__SMA__SLOW="31")  # fmt: skip
    name = "SMABOT_PLUGIN__SMA__SYMBOLS__QQQ__FAST"
    settings = json.loads(shown.out)
    assert settings["plugin.sma.symbols.QQQ.fast"] == {"value": 7, "origin": name}
    assert settings["plugin.sma.slow"]["value"] == 31


def test_a_lower_case_symbol_in_a_table_of_sma_is_the_same_symbol(world: Any) -> None:
    (world.folder / "settings.toml").write_text("[default.plugin.sma.symbols.spy]\nfast = 7\n")
    shown = json.loads(world.run("config", "show", "plugin.sma", "--json").out)
    assert shown["plugin.sma.symbols.SPY.fast"] == 7


DISTURBING = {
    "its import": "import decimal, os\ndecimal.getcontext().prec = 6\n"
    "decimal.DefaultContext.prec = 6\nos.chdir('/')\nclass Plugin:\n" + QUIET,
    "its hooks": "import decimal, os\nclass Plugin:\n    @hookimpl\n    def on_bar(self, bar):\n"
    "        decimal.getcontext().traps[decimal.Inexact] = True\n"
    "    @hookimpl\n    def on_order(self, order): decimal.getcontext().prec = 3\n",
}


@pytest.mark.parametrize("way", DISTURBING)
def test_sums_and_paths_stay_what_they_were(
    way: str, world: Any, installed: Callable[..., Path]
) -> None:
    """A strategy that sets the decimal context, or goes to another folder."""
    folder = installed("mine", HEAD + DISTURBING[way])
    world.half_way()
    mine = {"plugins": folder, "SMABOT_PLUGINS": SELECTED}
    assert world.run("flatten", "--yes", **mine).code == 0
    (world.folder / "data").rename(world.folder / "flat")
    assert world.run("run", **mine).code == 0
    with_it = world.tables()["trades"]
    assert with_it
    (world.folder / "data").rename(world.folder / "with it")
    assert world.run("run").code == 0
    assert world.tables()["trades"] == with_it


def test_a_thread_of_a_plugin_does_not_keep_the_process(
    world: Any, installed: Callable[..., Path]
) -> None:
    body = "import threading, time\nclass Plugin:\n" + QUIET
    body += "    def __init__(self): threading.Thread(target=time.sleep, args=(600,), name='mine').start()\n"
    folder = installed("mine", HEAD + body)
    ended = world.execute("run", "--plugins", "sma,mine", PYTHONPATH=str(folder))
    assert ended.code == 0
    assert ended.line.startswith(
        "warning: a plugin's thread is still running at exit: mine; make it a"
    )
