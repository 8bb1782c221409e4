"""A plugin from a file: named by its path, found beside the settings, and right about what is wrong."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.plugins

Call = Callable[..., Any]
SMABOT = str(Path(sys.executable).with_name("smabot"))
API = "from smabot.api import *\n"
HOOK = "    @hookimpl\n    def on_bar(self, bar): pass\n"
RISING = """
from smabot.api import Bar, Signal, hookimpl


class Rising:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        if bar.close > bar.open:
            return Signal.long(bar)
        return Signal.flat(bar)
"""
COUNTING = """
import click
from pydantic import Field
from smabot.api import *


class CountingSettings(Settings):
    every: int = Field(3, gt=0)
    only: dict[str, int] = {}


@record(table="counted_bars", key=("symbol",))
class Counted:
    symbol: str
    bars: int = 0


class Counting(Strategy):
    def __init__(self, settings: CountingSettings) -> None:
        self.settings = settings

    @hookimpl
    def records(self):
        return [Counted]

    @hookimpl
    def on_bar(self, bar, book):
        row = book.row(Counted, bar.symbol) or Counted(bar.symbol)
        book.apply(Counted(bar.symbol, row.bars + 1))
        bought = row.bars // self.settings.every % 2 == 0
        return Signal.long(bar) if bought else Signal.flat(bar)

    @hookimpl
    def describe(self, book):
        return "counting", f"{len(book.table(Counted))} symbols"

    @hookimpl
    def register_commands(self, cli):
        @cli.command()
        @click.pass_obj
        def counted(app):
            with app.rows() as rows:
                app.emit({}, [f"{row.symbol} {row.bars}" for row in rows.rows(Counted)])
"""
CLOSES = {"SPY": [100 + n % 7 for n in range(120)], "IBM": [50 - n % 5 for n in range(120)]}


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def tape(in_tmp: Path, tape_writer: Any) -> Path:
    path: Path = tape_writer(in_tmp / "bars.csv", CLOSES)
    return path


RUN = ("run", "--broker", "exchange", "--data", "bars.csv", "--speed")


# -- a run -----------------------------------------------------------------------------------------


def test_a_file_trades_under_its_own_name_and_no_other(tape: Path, execute: Call) -> None:
    write("rising.py", RISING)
    ran = execute(*RUN, "max", "--plugins", "./rising.py,risk")
    assert (ran.code, ran.err) == (0, "")
    assert "by rising" in ran.out
    with closing(sqlite3.connect("data/trades.db")) as db:
        assert set(db.execute("SELECT DISTINCT strategy FROM order_intents")) == {("rising",)}
        ids = [each for (each,) in db.execute("SELECT client_order_id FROM order_intents")]
        assert all(each.startswith("smabot-rising-") for each in ids)
        (plugins,) = db.execute("SELECT plugins FROM runs").fetchone()
    assert plugins.endswith(",rising,risk.circuit_breaker,risk.daily_limits")
    assert not Path("__pycache__").exists()


@pytest.mark.slow
def test_killed_and_run_again_it_ends_as_if_it_never_was(
    tape: Path, execute: Call, dumper: Any
) -> None:
    write("strategies/counting.py", COUNTING)
    whole = ("--plugins", "strategies/counting.py,risk")
    assert execute(*RUN, "max", *whole, "--db", "whole.db").code == 0
    for speed in ("40", "60"):
        with subprocess.Popen(
            [SMABOT, *RUN, speed, *whole, "--db", "killed.db"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as bot:  # fmt: skip
            assert bot.stdout is not None
            while "bought 10" not in (line := bot.stdout.readline()):
                assert line
            bot.send_signal(signal.SIGKILL)
        status = execute("status", "--db", "killed.db")
        assert status.err == ""
        assert "was killed" in status.out
    assert execute(*RUN, "max", *whole, "--db", "killed.db").code == 0
    without = ("runs", "bot_state", "account")
    killed, never = (dumper(Path(db), without=without) for db in ("killed.db", "whole.db"))
    assert killed == never
    assert never["counted_bars"] == [("IBM", 120), ("SPY", 120)]


@pytest.mark.slow
def test_an_operator_controls_a_bot_that_runs_a_file(tape: Path, execute: Call) -> None:
    write("rising.py", RISING)
    with subprocess.Popen(
        [SMABOT, *RUN, "15", "--plugins", "./rising.py,risk"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as bot:  # fmt: skip
        assert bot.stdout is not None
        while "bought 10" not in (line := bot.stdout.readline()):
            assert line
        assert "running, pid" in execute("status").out
        for command in ("halt lunch", "breaker", "flatten --yes"):
            done = execute(*command.split())
            assert (done.code, done.err) == (0, ""), command
        bot.send_signal(signal.SIGKILL)
    status = execute("status").out
    assert "was killed" in status
    assert "positions: none" in status
    ran = execute(*RUN, "max", "--plugins", "./rising.py,risk")
    assert ran.code == 0, ran.err
    assert "halted" in ran.out
    assert "bought" not in ran.out


def test_commands_without_the_file_work_and_say_where_it_is(tape: Path, execute: Call) -> None:
    write("counting.py", f"{COUNTING}\nprint('imported', __file__)\n")
    until = ("--until", "2026-03-02T14:40:00Z")
    assert execute(*RUN, "max", "--plugins", "./counting.py,risk", *until).code == 0
    Path("counting.py").rename("kept.py")
    write("counting.py", "raise SystemExit('a database must not make code run')")
    status = execute("status")
    assert (status.code, status.err) == (0, "")
    assert re.search(
        r"counting +from \./counting\.py, not loaded: name it under plugins", status.out
    )
    assert execute("status", "--json").json["plugin_files"] == {"counting": "./counting.py"}
    for command in ("halt", "breaker", "orders", "trades", "resume", "config check"):
        assert (execute(*command.split()).code, execute(*command.split()).err) == (0, "")
    unknown = execute("counted")
    assert unknown.code == 2
    assert "./counting.py" in unknown.err
    flat = execute("flatten", "--yes", "--broker", "exchange", "--data", "bars.csv")
    assert flat.code == 0, flat.err
    Path("kept.py").replace("counting.py")
    write("settings.toml", '[default]\nplugins = ["./counting.py", "risk"]\n')
    shown = execute("status")
    assert re.search(r"counting +.*2 symbols", shown.out)
    assert "not loaded" not in shown.out
    assert execute("counted").out.splitlines()[1:] == ["IBM 10", "SPY 10"]


def test_a_run_without_the_file_names_it_where_it_holds_something(
    tape: Path, execute: Call
) -> None:
    file = write("rising.py", RISING)
    until = ("--until", "2026-03-02T14:33:00Z")
    assert execute(*RUN, "max", "--plugins", "./rising.py,risk", *until).code == 0
    after = execute(*RUN, "max", "--plugins", "risk")
    assert after.code == 0, after.err
    told = " ".join(after.out.split())
    assert (
        f"rising (last loaded from {file.resolve()}) holds 10 SPY, but that plugin is not part"
        in told
    )


def test_a_run_without_the_file_of_a_block_names_it(tape: Path, execute: Call) -> None:
    file = write(
        "floor.py",
        f"{API}\nclass Floor(Rule):\n    @hookimpl\n    def on_equity(self, point, book):\n"
        "        book.apply(Block('floor', 'entries', 'too low', point.time))\n",
    )
    until = ("--until", "2026-03-02T14:33:00Z")
    assert execute(*RUN, "max", "--plugins", "./floor.py,sma,risk", *until).code == 0
    refused = execute(*RUN, "max", "--plugins", "sma,risk")
    assert refused.code == 5
    assert f"This run has no floor (last loaded from {file.resolve()}): add it to" in refused.err


def test_a_file_that_is_gone_costs_a_run_and_nothing_else(tape: Path, execute: Call) -> None:
    write("rising.py", RISING)
    write("settings.toml", '[default]\nplugins = ["./rising.py", "risk"]\n')
    until = ("--until", "2026-03-02T14:33:00Z")
    assert execute(*RUN, "max", *until).code == 0
    Path("rising.py").unlink()
    gone = "smabot: plugin './rising.py': no such file\n"
    assert execute("run") == execute("config", "check") == (3, "", gone)
    for command in ("status", "orders", "breaker", "plugins", "config show"):
        done = execute(*command.split())
        assert (done.code, done.err) == (0, gone.replace("plugin", "warning: plugin", 1)), command
    assert execute("halt").err == ""
    flat = execute("flatten", "--yes", "--broker", "exchange", "--data", "bars.csv")
    assert flat.code == 0, flat.err
    assert "all is flat" in flat.out


# -- where paths begin -----------------------------------------------------------------------------


def test_a_path_in_the_settings_begins_at_their_file_one_from_elsewhere_here(
    in_tmp: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("bots/rising.py", RISING)
    write("bots/settings.toml", '[default]\nplugins = ["rising.py"]\nno_plugins = ["./rising.py"]')
    settings = ("--settings", "bots/settings.toml")
    assert call("config", "show", "plugins", *settings, "--json").json["plugins"] == [
        "bots/rising.py"
    ]
    assert call("config", "check", *settings).code == 0
    write("here.py", RISING)
    flagged = call("plugins", "--plugins", "here.py", *settings, "--json").json["plugins"]
    assert {p["name"] for p in flagged if p["selected"] and p["file"]} == {"here"}
    monkeypatch.setenv("SMABOT_PLUGINS", '["./here.py"]')
    assert "here" in call("config", "check", *settings).out
    monkeypatch.setenv("HOME", str(in_tmp))
    assert call("plugins", "~/here.py", "--json").json["plugins"][0]["hooks"] == ["on_bar"]


def test_its_settings_table_is_checked_as_any_other(
    in_tmp: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("counting.py", COUNTING)
    table = "[default.plugin.counting]\nevery = "
    write("settings.toml", f'[default]\nplugins = ["./counting.py"]\n{table}5\n')
    assert call("config", "show", "--json").json["plugin.counting.every"] == 5
    monkeypatch.setenv("SMABOT_PLUGIN__COUNTING__ONLY__SPY", "4")
    shown = call("config", "show", "--json").json
    assert shown["plugin.counting.only.SPY"] == 4
    assert call("config", "check").code == 0
    write("settings.toml", f"[default]\n{table}0\n")
    assert call("config", "check", "--db", "x.db").err == (
        "smabot: settings: plugin.counting: no such plugin is installed; one in a file needs its path in "
        "plugins\n"
    )
    wrong = call("run", "--plugins", "./counting.py")
    assert (wrong.code, wrong.err) == (
        3,
        "smabot: settings.toml [default]: plugin.counting.every = 0: must be greater than 0\n",
    )
    write("settings.toml", f"[default]\n{table}1\nevry = 2\n")
    assert "unknown setting 'plugin.counting.evry' (did you mean 'plugin.counting.every'?)" in (
        call("run", "--plugins", "./counting.py").err
    )


def test_the_settings_of_a_file_that_is_not_named_are_masked(in_tmp: Path, call: Call) -> None:
    write(
        "settings.toml", '[default]\nplugins = ["risk"]\n[default.plugin.tok]\nhook = "hunter2"\n'
    )
    for words in (["--json"], [], ["--origin"]):
        shown = call("config", "show", *words).out
        assert "hunter2" not in shown
        assert "plugin.tok.hook" in shown


def test_two_names_of_one_file_are_two_plugins(tape: Path, execute: Call) -> None:
    write("rising.py", RISING)
    Path("other.py").symlink_to("rising.py")
    ran = execute(*RUN, "max", "--plugins", "./other.py,./rising.py,risk")
    assert (ran.code, ran.err) == (0, "")
    signals = execute("signals", "--json").json["signals"]
    assert {each["strategy"] for each in signals} == {"other", "rising"}


def test_it_is_listed_with_its_hooks(in_tmp: Path, call: Call) -> None:
    write("rising.py", RISING)
    (listed,) = call("plugins", "./rising.py", "--json").json["plugins"]
    assert listed == {
        "name": "rising", "distribution": "", "version": "", "file": "./rising.py",
        "selected": False, "hooks": ["on_bar"], "broken": None,
    }  # fmt: skip
    every = call("plugins", "--plugins", "./rising.py,risk", "--json").json["plugins"]
    selected = {p["name"] for p in every if p["selected"]}
    assert {"rising", "risk.daily_limits"} < selected
    assert "sma" in {p["name"] for p in every} - selected
    lines = call("plugins").out.splitlines()
    assert lines[0].split() == ["plugin", "from", "selected"]
    assert {
        "sma                   smabot-sma 0.1.0                 yes",
        "  lookback, on_bar",
    } < set(lines)
    assert max(map(len, lines)) < 80
    write("broken.py", "1/0")
    assert "BROKEN: plugin 'broken' (broken.py:1) can't be imported" in " ".join(
        call("plugins", "broken.py").out.split()
    )


# -- what is the plugin ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("one.py", f"{API}class One(Strategy):\n{HOOK}"),
        ("./one.py", f"{API}@hookimpl\ndef on_bar(bar): pass\n"),
        ("one.py:B", f"{API}class A:\n{HOOK}\nclass B:\n{HOOK}"),
        ("one.py", f"{API}class _Base:\n{HOOK}\nclass B(_Base): pass"),
        ("one.py:Out.In", f"{API}class Out:\n    class In:\n    {HOOK.replace(chr(10), chr(10) + '    ')}\n"),
        ("one.py", "from smabot_sma.plugin import Sma\nclass Mine(Sma): pass"),
        ("one.py", f"from __future__ import annotations\n{API}import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int\nclass One:\n{HOOK}"),
    ],
)  # fmt: skip
def test_the_plugin_is_the_class_with_hooks(
    in_tmp: Path, call: Call, reference: str, text: str
) -> None:
    write("one.py", text)
    checked = call("config", "check", "--json", "--db", "x.db")
    assert checked.code == 0
    listed = call("plugins", reference, "--json").json["plugins"]
    assert [(p["name"], p["broken"]) for p in listed] == [("one", None)]
    assert "on_bar" in listed[0]["hooks"]


@pytest.mark.parametrize(
    ("name", "text", "reference", "message"),
    [
        ("two.py", f"{API}class A:\n{HOOK}\nclass B:\n{HOOK}", "", "plugin 'two' (./two.py) has hooks in 2 classes, A, B: name one, as ./two.py:A"),
        ("both.py", f"{API}@hookimpl\ndef on_bar(bar): pass\nclass A:\n{HOOK}", "", "plugin 'both' (./both.py) has hooks in functions and in A: name a class, as ./both.py:A,"),
        ("plain.py", f"{API}class A:\n    def on_bar(self, bar): pass\n", "", "plugin 'plain': on_bar is not a valid hook: mark the method with @hookimpl"),
        ("none.py", f"{API}class A: pass\n", "", "plugin 'none' (./none.py) has no hook: it needs a class with a method that is marked with @hookimpl"),
        ("other.py", "from smabot_sma.plugin import Sma\n", "", "plugin 'other' (./other.py) has no hook: Sma is imported from smabot_sma.plugin"),
        ("syntax.py", "\ndef f(:\n", "", "plugin 'syntax' (./syntax.py:2) can't be imported: SyntaxError: invalid syntax"),
        ("fails.py", f"{API}\n1/0\n", "", "plugin 'fails' (./fails.py:3) can't be imported: ZeroDivisionError: division by zero"),
        ("needs.py", "import nosuch\n", "", "plugin 'needs' (./needs.py:1) can't be imported: ModuleNotFoundError: No module named 'nosuch'"),
        ("exits.py", "import sys\nsys.exit(0)\n", "", "plugin 'exits' (./exits.py:2) can't be imported: SystemExit: 0"),
        ("zeros.py", "\0", "", "plugin 'zeros' (./zeros.py) can't be imported: SyntaxError: source code string"),
        ("relative.py", "from . import x\n", "", "plugin 'relative' (./relative.py:1): a relative import:"),
        ("my-own.py", "", "", "plugin 'my-own' (./my-own.py): its name starts order ids: name the file with letters, digits and"),
        ("core.py", "", "", "plugin 'core' (./core.py): its name starts order ids"),
        ("a.b.py", "", "", "plugin 'a.b' (./a.b.py): its name starts order ids"),
        ("sma.py", "", "", "plugin 'sma' (./sma.py) has the name of an installed plugin, of smabot-sma"),
        ("risk.py", "", "", "plugin 'risk' (./risk.py) has the name of an installed plugin, of smabot-risk"),
        ("a/x.py", "", "./a/x.py,./x.py", "plugin './x.py': no such file"),
        ("x.py", f"{API}class A:\n{HOOK}", "./x.py:B", "plugin './x.py:B': ./x.py has no B"),
        ("x.py", f"{API}class A:\n{HOOK}", "./x.py:", "plugin './x.py:': name a class after the colon, or leave it out"),
        ("x.py", f"{API}class A:\n{HOOK}", "./x.py:A,./x.py", "plugin 'x' is named twice, by ./x.py:A and by ./x.py:"),
        ("rising.py", "", "rising", "plugin 'rising' is not installed (for the file rising.py write ./rising.py); installed are:"),
        ("rising.py", "", "./rising", "plugin './rising' is no Python file: give ./rising.py"),
        ("rising.py", "", "./risng.py", "plugin './risng.py': no such file (did you mean 'rising.py'?)"),
        ("rising.txt", "", "./rising.txt", "plugin './rising.txt' is no Python file: a plugin's file ends with .py"),
        ("a/rising.py", "", "./a", "plugin './a' is a folder: name a file in it, as ./a/rising.py"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_code_3(
    in_tmp: Path, call: Call, name: str, text: str, reference: str, message: str
) -> None:
    write(name, text)
    result = call("run", "--plugins", reference or f"./{name}")
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(f"smabot: {message}")
    assert result.err.count("\n") == 1
    assert not Path("data").exists()


def test_a_file_that_can_not_be_read_is_one_line(
    in_tmp: Path, call: Call, unprivileged: Any
) -> None:
    write("rising.py", RISING).chmod(0)
    with unprivileged():
        result = call("run", "--plugins", "./rising.py")
    assert result.code == 3
    assert "plugin 'rising' (./rising.py) can't be imported: PermissionError" in result.err


# -- the modules beside it -------------------------------------------------------------------------


def test_it_imports_the_modules_beside_it(tape: Path, execute: Call) -> None:
    write("bot/levels.py", "from further import LEVEL\n")
    write("bot/further.py", "LEVEL = 3\n")
    write("bot/json.py", "raise SystemExit('not mine')\n")
    write("bot/rising.py", f"import levels\n{RISING}\nassert levels.LEVEL == 3\n")
    ran = execute(*RUN, "max", "--plugins", "bot/rising.py,risk")
    assert (ran.code, ran.err) == (0, "")
    write("bot/levels.py", "\n\nLEVEL = 1 / 0\n")
    failed = execute(*RUN, "max", "--plugins", "bot/rising.py,risk")
    assert failed.err == (
        "smabot: plugin 'rising' (bot/levels.py:3) can't be imported: ZeroDivisionError: division by "
        "zero\n"
    )


def test_another_module_of_the_same_name_is_not_taken_for_it(in_tmp: Path, execute: Call) -> None:
    for folder in ("a", "b"):
        write(f"{folder}/levels.py", "")
        write(f"{folder}/{folder}.py", f"import levels\n{RISING}")
    both = execute("config", "check", SMABOT_PLUGINS='["a/a.py", "b/b.py"]')
    assert both.code == 3
    assert both.err.startswith("smabot: plugin 'b' (b/b.py:1): imports levels, which is ")
    assert both.err.endswith(
        "a/levels.py and not the levels beside it: give that one another name\n"
    )
    write("c/json.py", "")
    write("c/c.py", f"import json\n{RISING}")
    assert "not the json beside it" in execute("config", "check", SMABOT_PLUGINS='["c/c.py"]').err


def test_nothing_is_added_to_the_search_path_for_a_file_alone(in_tmp: Path, execute: Call) -> None:
    write("bot/other.py", "")
    alone = (
        f"import sys\n{RISING}\nassert not [each for each in sys.path if each.endswith('/bot')]\n"
    )
    write("bot/rising.py", alone)
    assert execute("config", "check", SMABOT_PLUGINS='["bot/rising.py"]').code == 0
    write("bot/rising.py", f"import other\n{alone}")
    assert "bot/rising.py:" in execute("config", "check", SMABOT_PLUGINS='["bot/rising.py"]').err


# -- a packaged plugin of the same name ------------------------------------------------------------


def test_packaged_under_the_same_name_it_keeps_its_positions(
    tape: Path, execute: Call, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write("rising.py", RISING)
    until = ("--until", "2026-03-02T14:33:00Z")
    assert execute(*RUN, "max", "--plugins", "./rising.py,risk", *until).code == 0
    site = tmp_path_factory.mktemp("site")
    (site / "smabot_rising.py").write_text(RISING)
    info = site / "smabot_rising-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: smabot-rising\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[smabot]\nrising = smabot_rising:Rising\n")
    clash = execute(*RUN, "max", "--plugins", "./rising.py", PYTHONPATH=str(site))
    assert "has the name of an installed plugin, of smabot-rising 1.0" in clash.err
    status = execute("status", PYTHONPATH=str(site))
    assert "rising    SPY" in status.out
    assert "not loaded" not in status.out
    ran = execute(*RUN, "max", "--plugins", "rising,risk", PYTHONPATH=str(site))
    assert ran.code == 0, ran.err
    assert "is not part of this run" not in ran.out
    assert "by rising" in ran.out


def test_what_a_hook_raises_has_file_and_line(tape: Path, execute: Call) -> None:
    write("click.py", RISING.replace("if bar.close > bar.open", "if bar.shut > bar.open"))
    ran = execute(*RUN, "max", "--plugins", "./click.py,risk")
    assert ran.code == 1
    assert ran.err == (
        "smabot: plugin 'click' raised in on_bar: AttributeError: 'Bar' object has no attribute 'shut' "
        f"({Path('click.py').resolve()}:8)\n"
    )
