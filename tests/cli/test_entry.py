"""The executable: exit codes, one line for each failure, and a help that costs nothing."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from smabot import __version__
from smabot.cli.command_group import COMMANDS, smabot

Call = Callable[..., Any]


def test_help_imports_nothing_heavy(in_tmp: Path) -> None:
    code = (
        "import sys\nfrom smabot.cli import main\nmain(['--help'])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "rich", "pydantic", "dynaconf", "loguru", "pluggy", "sqlite3", "sqlalchemy", "pandas",
        "numpy", "smabot.settings.model", "smabot.hooks.plugins", "smabot.settings.loading", "smabot.domain.records",
    }  # fmt: skip
    imported = set(done.stderr.split())
    assert not imported & heavy
    assert not [name for name in imported if name.startswith("smabot_")]


@pytest.mark.plugins
def test_help_lists_every_verb_and_those_of_plugins(execute: Call) -> None:
    result = execute("--help")
    assert result.code == 0
    for verb in (*COMMANDS, "breaker", "limits", "db"):
        assert f"\n  {verb} " in result.out


@pytest.mark.plugins
@pytest.mark.parametrize("verb", [*COMMANDS, "breaker", "breaker reset", "limits", "db backup"])
def test_every_verb_has_help_and_takes_the_shared_options(in_tmp: Path, verb: str) -> None:
    result = CliRunner().invoke(smabot, [*verb.split(), "--help"])
    assert result.exit_code == 0
    for option in ("--settings", "--db", "--json", "--verbose", "--debug"):
        assert option in result.output


def test_no_arguments_show_the_help(execute: Call) -> None:
    assert execute() == execute("--help")


def test_version(execute: Call) -> None:
    assert execute("--version").out == f"smabot {__version__}\n"


@pytest.mark.plugins
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("statsu", "smabot: no such command 'statsu' (did you mean 'status'?); see `smabot --help`"),
        ("braeker", "smabot: no such command 'braeker' (did you mean 'breaker'?)"),
        ("config shwo", "'shwo'"),  # codespell:ignore
        ("db prune", "smabot: db prune: give either --bars-before DATE or --keep-days N\n"),
        ("run --symbls A", "--symbols"),
        ("orders --limit 0", "--limit"),
        ("orders --limit x", "--limit"),
        ("pnl --by hour", "'day', 'week', 'month'"),
        ("trades --date yesterday", "--date"),
        ("reconcile --accept me", "broker"),
        ("run --live", "smabot: --live asks for confirmation, and there is no terminal: add --yes-live ACCOUNT"),
        ("run --yes-live A1", "smabot: --yes-live goes with --live"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_code_2(
    call: Call, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())
    result = call(*arguments.split())
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert result.err.startswith("smabot: ")
    assert "?;" not in result.err


@pytest.mark.plugins
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run --speed fast", "smabot: --speed: speed = 'fast': must be 'max' or a number\n"),
        (
            "run --until noon",
            "smabot: --until: until = 'noon': give a time as in 2026-03-02T15:30:00Z",
        ),
        ("run --plugins smaa", "smabot: plugin 'smaa' is not installed (did you mean 'sma'?)"),
        ("run --no-plugin rsik", "smabot: plugin 'rsik' is not installed (did you mean 'risk'?)"),
        ("--settings no.toml status", "smabot: --settings no.toml: no such file\n"),
        ("status --settings no.toml", "smabot: --settings no.toml: no such file\n"),
        ("status", "smabot: no database at data/trades.db"),
        ("trades --db other.db", "smabot: no database at other.db"),
        ("--db other.db halt", "smabot: no database at other.db"),
        ("breaker", "smabot: no database at data/trades.db"),
    ],
)
def test_wrong_configuration_is_one_line_and_code_3(
    call: Call, arguments: str, message: str
) -> None:
    result = call(*arguments.split())
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(message)
    assert result.err.count("\n") == 1
    assert not Path("data").exists()
    assert not Path("other.db").exists()


@pytest.mark.plugins
def test_a_plugin_command_with_wrong_settings_tells_of_the_settings(call: Call) -> None:
    Path("settings.toml").write_text("[default]\nspeed = 'x'\n")
    assert call("limits").code == 3
    assert call("statsu").code == 2


def test_the_executable_ends_with_the_code(execute: Call) -> None:
    assert [execute(*line.split()).code for line in ("status", "statsu", "run --live")] == [3, 2, 2]


def test_a_held_lock_is_code_7(journal: Any, execute: Call) -> None:
    result = execute("run", "--speed", "max")
    assert result.code == 7
    assert f"(pid {os.getpid()})" in result.err


def test_a_closed_pipe_is_quiet(database: Path) -> None:
    executable = Path(sys.executable).with_name("smabot")
    pipe = subprocess.Popen(
        [executable, "equity"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert pipe.stdout is not None
    assert pipe.stderr is not None
    pipe.stdout.close()
    assert pipe.stderr.read() == ""
    assert pipe.wait() == 1
    pipe.stderr.close()


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr("smabot.cli.output.print_screen", fail)


@pytest.mark.plugins
def test_an_interrupt_is_code_130(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(KeyboardInterrupt(), monkeypatch)
    result = call("config", "check")
    assert result.code == 130
    assert result.err.strip() == "smabot: interrupted"


def test_a_bug_is_one_redacted_line_and_a_traceback_on_demand(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMABOT_PLUGIN__NOT_INSTALLED__TOKEN", "hidden-value")
    fail_with(TypeError("bad\nhidden-value"), monkeypatch)
    result = call("config", "show")
    assert result.code == 1
    assert result.err.splitlines()[-1] == (
        "smabot: internal error: TypeError: bad ******** (run with --debug for the traceback)"
    )
    assert "hidden" not in result.err
    for debugged in (call("--debug", "config", "show"), call("config", "show", "--debug")):
        assert debugged.code == 1
        assert "Traceback" in debugged.err
        assert "hidden" not in debugged.err
    monkeypatch.setenv("SMABOT_DEBUG", "1")
    assert "Traceback" in call("config", "show").err


def test_the_verbs_are_click_commands_of_their_names() -> None:
    context = click.Context(smabot)
    for verb in COMMANDS:
        command = smabot.get_command(context, verb)
        assert command is not None
        assert command.name == verb


@pytest.mark.plugins
def test_real_money_needs_limits_before_anybody_is_asked(in_tmp: Path) -> None:
    mine, theirs = pty.openpty()
    smabot = Path(sys.executable).with_name("smabot")
    done = subprocess.run(
        [smabot, "run", "--live"], stdin=theirs, capture_output=True, text=True, timeout=60
    )
    os.close(theirs)
    os.close(mine)
    assert done.returncode == 3
    assert done.stderr.startswith("smabot: --live needs limits that you chose: ")
    assert done.stderr.count("\n") == 1
