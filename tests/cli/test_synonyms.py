"""What people type instead of a command or an option: answered with what to type, and never done."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from smabot import __version__
from smabot.cli.command_group import COMMANDS, smabot
from smabot.cli.help.synonyms import COMMANDS_TYPED, OPTIONS_TYPED

pytestmark = pytest.mark.plugins

Call = Callable[..., Any]
ANSWERS = [*COMMANDS_TYPED.values(), *(answer for _, _, answer in OPTIONS_TYPED)]
OF_PLUGINS = {"exchange", "breaker", "data", "db"}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("stop", "there is no command 'stop': Ctrl-C or `kill -TERM PID` stops the bot (`smabot status` shows its pid);"),
        ("start", "there is no command 'start': `smabot run` starts the bot"),
        ("START", "there is no command 'START': `smabot run` starts the bot"),
        ("positions", "there is no command 'positions': `smabot status` shows positions"),
        ("portfolio --json", "there is no command 'portfolio': `smabot status`"),
        ("balance", "there is no command 'balance': `smabot status`"),
        ("account", "there is no command 'account': `smabot status`"),
        ("logs", "there is no command 'logs': `smabot events`"),
        ("history", "there is no command 'history': `smabot trades`"),
        ("close AAPL", "there is no command 'close': `smabot flatten`"),
        ("panic", "there is no command 'panic': `smabot flatten`"),
        ("sell", "there is no command 'sell': `smabot flatten`"),
        ("buy SPY 10", "there is no command 'buy': a strategy decides"),
        ("pause", "there is no command 'pause': `smabot halt`"),
        ("replay x.csv", "there is no command 'replay': `smabot backtest --data FILE`"),
        ("backtest x.csv", "backtest: 'x.csv' stands alone: give the data with --data x.csv"),
        ("backtest --start 2026-03-02", "backtest: there is no option --start; give --from DATE"),
        ("backtest --until 2026-03-02", "backtest: there is no option --until; give --to DATE"),
        ("help stop", "there is no command 'stop': "),
        ("run --paper", "run: there is no option --paper; paper money is the default: leave it out;"),
        ("--paper run", "there is no option --paper; paper money is the default"),
        ("run --dry-run", "run: there is no option --dry-run; paper money is the default"),
        ("run --strategy sma", "run: there is no option --strategy; name strategies with --plugins"),
        ("run --symbol SPY", "run: there is no option --symbol; name symbols with --symbols"),
        ("orders --symbols SPY", "orders: there is no option --symbols; name one symbol with --symbol"),
        ("run --config x.toml", "run: there is no option --config; give --settings FILE"),
        ("-c x.toml run", "there is no option -c; give --settings FILE"),
        ("run --real-money", "run: there is no option --real-money; --live trades with real money, and asks first"),
        ("run --api-key K", "run: there is no option --api-key; put the variables APCA_API_KEY_ID and"),
        ("run rising.py", "run: 'rising.py' stands alone: give the file with --plugins ./rising.py"),
        ("run ./rising.py", "run: './rising.py' stands alone: give the file with --plugins ./rising.py"),
        ("run bars.csv", "run: 'bars.csv' stands alone: give the data with --data bars.csv"),
        ("run SPY", "run: 'SPY' stands alone: give symbols with --symbols SPY"),
        ("run spy,qqq", "run: 'spy,qqq' stands alone: give symbols with --symbols spy,qqq"),
        ("run sma,risk", "run: 'sma,risk' stands alone: give strategies with --plugins sma,risk"),
        ("run sma", "run: 'sma' stands alone: give strategies with --plugins sma"),
    ],
)  # fmt: skip
def test_it_is_one_line_that_says_what_to_type(call: Call, typed: str, message: str) -> None:
    result = call(*typed.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"smabot: {message}")
    assert result.err.count("\n") == 1
    assert not list(Path().iterdir())


def test_what_no_table_has_is_answered_as_ever(call: Call) -> None:
    assert call("frobnicate").err == "smabot: no such command 'frobnicate'; see `smabot --help`\n"
    assert "see `smabot status --help`" in call("status", "--strategy", "sma").err
    assert "see `smabot run --help`" in call("run", "--frobnicate").err


def test_help_and_version_are_commands_too(call: Call) -> None:
    assert call("help") == call("--help")
    for path in (["run"], ["config", "show"]):
        shown = call("help", *path)
        assert (shown.code, shown.err) == (0, "")
        assert shown == call(*path, "--help")
    assert call("version") == (0, f"smabot {__version__}\n", "")


def test_an_answer_comes_with_wrong_settings_too(call: Call) -> None:
    Path("settings.toml").write_text("[default]\nspeed = 'x'\n")
    assert call("stop").code == 2
    assert call("help").code == 0


def test_the_answers_name_commands_and_options_that_are_there() -> None:
    context = click.Context(smabot)
    named = {name for answer in ANSWERS for name in re.findall(r"smabot (\w+)", answer)}
    assert named - OF_PLUGINS <= set(COMMANDS)
    assert not set(COMMANDS_TYPED) & {*COMMANDS, *OF_PLUGINS}
    options = {
        each
        for name in COMMANDS
        for parameter in getattr(smabot.get_command(context, name), "params", ())
        for each in parameter.opts
    }
    assert {needed for _, needed, _ in OPTIONS_TYPED if needed} <= options
    assert {each for answer in ANSWERS for each in re.findall(r"--[\w-]+", answer)} <= options


def test_a_plugin_may_have_a_command_of_such_a_name(
    execute: Call, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = tmp_path_factory.mktemp("site")
    (site / "stopping.py").write_text(
        "import click\nfrom smabot.api import hookimpl\n"
        "class Stopping:\n    @hookimpl\n    def register_commands(self, cli):\n"
        "        for name in ('stop', 'help'):\n"
        "            cli.add_command(click.Command(name, callback=lambda: click.echo('mine')))\n"
    )
    info = site / "stopping-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stopping\nVersion: 1.0\n")
    points = "[smabot]\nstopping = stopping:Stopping\n"
    (info / "entry_points.txt").write_text(points)
    variables = {"PYTHONPATH": str(site), "SMABOT_PLUGINS": '["stopping"]', "SMABOT_BASE_PLUGINS": "[]"}  # fmt: skip
    assert execute("stop", **variables).out == "mine\n"
    assert execute("help", **variables).out.startswith("Usage: smabot")
    (info / "entry_points.txt").write_text(f"{points}[smabot.commands]\nhelp = stopping\n")
    assert execute("help", **variables).out == "mine\n"
