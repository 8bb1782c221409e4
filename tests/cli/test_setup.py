"""`config`, `plugins`, and what a broken or foreign plugin does to the command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

PLUGIN = """
import click
from smabot.hooks.specifications import hookimpl

class Shout:
    @hookimpl
    def register_commands(self, cli):
        @cli.command()
        @click.pass_obj
        def shout(app):
            "Say it loudly."
            app.emit({"said": app.config().bot.upper()}, app.config().bot.upper())
"""


def install(folder: Path, name: str, code: str, commands: str = "") -> Path:
    """Lay out a distribution as pip would, with one plugin."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}_module.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: Makes it {name}\n")  # fmt: skip
    point = f"{name} = {name}_module:{name.title()}\n"
    (info / "entry_points.txt").write_text(
        f"[smabot]\n{point}"
        + (f"[smabot.commands]\n{commands} = {name}_module\n" if commands else "")
    )
    return folder


@pytest.mark.plugins
def test_config_show_tells_values_and_origins(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMABOT_PLUGIN__SMA__SLOW", "40")
    shown = call("config", "show", "--json").json
    assert shown["sizing.shares"] == 10
    assert shown["plugin.sma.slow"] == 40
    assert shown["plugin.sma.fast"] == 10
    told = call("config", "show", "--origin", "--json", "--db", "x.db").json
    assert told["plugin.sma.slow"] == {"value": 40, "origin": "SMABOT_PLUGIN__SMA__SLOW"}
    assert told["plugin.sma.fast"]["origin"] == "default"
    assert told["db"] == {"value": "x.db", "origin": "--db"}
    lines = call("config", "show", "plugin.sma", "--origin").out.splitlines()
    assert lines[1].split() == ["plugin.sma.fast", "10", "(default)"]
    assert lines[2].split() == ["plugin.sma.slow", "40", "(SMABOT_PLUGIN__SMA__SLOW)"]
    assert call("config", "show", "spede").err == (
        "smabot: no setting 'spede' (did you mean 'speed'?)\n"
    )


@pytest.mark.plugins
def test_config_show_masks_secrets(call: Call) -> None:
    secrets = Path(".secrets.toml")
    secrets.write_text("[default]\nbot = 'hidden_bot'\n")
    secrets.chmod(0o600)
    for options in ((), ("--json",), ("--origin",), ("--origin", "--json")):
        result = call("config", "show", *options)
        assert result.code == 0
        assert "hidden" not in result.out
        assert "********" in result.out


@pytest.mark.plugins
def test_config_check(call: Call) -> None:
    assert call("config", "check").out.startswith("PAPER: all settings valid, 0 changed\nplugins: ")
    assert call("config", "check", "--json").json["ok"] is True


@pytest.mark.plugins
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default.plugin.smaa]\nslow = 1", "plugin.smaa: no such plugin is installed (did you mean 'sma'?)"),
        ("[default.plugin.sma]\nslow = 5", "settings.toml [default]: plugin.sma: fast (10) must be smaller than slow (5)"),
        ("[default.plugin.sma]\nslow = 'x'", "settings.toml [default]: plugin.sma.slow = 'x': must be a whole number"),
        ("[default.plugin.risk.daily_limits]\nmax_trade = 5", "unknown setting 'plugin.risk.daily_limits.max_trade'"),
        ("[default]\nplugins = ['smaa']", "plugin 'smaa' is not installed (did you mean 'sma'?)"),
    ],
)  # fmt: skip
def test_config_check_finds_what_is_wrong(call: Call, text: str, message: str) -> None:
    Path("settings.toml").write_text(text)
    result = call("config", "check")
    assert result.code == 3
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.plugins
def test_plugins_lists_what_is_installed(call: Call) -> None:
    found = {p["name"]: p for p in call("plugins", "--json").json["plugins"]}
    assert found["sma"]["distribution"] == "smabot-sma"
    assert found["sma"]["hooks"] == ["lookback", "on_bar"]
    assert found["sma"]["selected"] is True
    assert all(p["broken"] is None for p in found.values())


@pytest.mark.plugins
def test_a_foreign_plugin_adds_a_verb(execute: Call, tmp_path: Path) -> None:
    path = install(tmp_path / "site", "shout", PLUGIN, commands="shout")
    variables = {"PYTHONPATH": str(path), "SMABOT_PLUGINS": '["shout"]'}
    assert re.search(r"\n  shout +Say it loudly\.\n", execute("--help", **variables).out)
    assert execute("shout", **variables).out == "SMABOT\n"
    assert execute("shout", "--json", **variables).json == {"said": "SMABOT"}
    assert execute("shuot", **variables).err.startswith(
        "smabot: no such command 'shuot' (did you mean 'shout'?)"
    )


def test_a_broken_plugin_breaks_no_other_verb(
    database: Path, execute: Call, tmp_path: Path
) -> None:
    path = install(tmp_path / "site", "broken", "import nowhere_to_be_found", commands="crash")
    variables = {"PYTHONPATH": str(path), "SMABOT_PLUGINS": '["sma", "risk", "broken"]'}
    assert execute("--help", **variables).code == 0
    for verb in ("status", "limits"):
        result = execute(*verb.split(), **variables)
        assert result.code == 0
        assert result.err.startswith("smabot: warning: plugin 'broken' (broken_module:Broken) can't be imported: ModuleNotFoundError")  # fmt: skip
        assert result.err.count("\n") == 1
    listed = execute("plugins", "--json", **variables).json["plugins"]
    assert "nowhere_to_be_found" in next(p["broken"] for p in listed if p["name"] == "broken")
    for verb in ("config check", "run"):
        result = execute(*verb.split(), **variables)
        assert (result.code, result.out) == (3, "")
        assert "plugin 'broken'" in result.err


def test_this_python_runs_the_executable_of_the_tests() -> None:
    assert Path(sys.executable).with_name("smabot").exists()


LOUD = """
import click
from smabot.hooks.specifications import hookimpl

class {name}:
    @hookimpl
    def register_commands(self, cli):
        group = click.Group("voice", help="Say it.")
        group.command("{own}")(click.pass_obj(lambda app: click.echo("{own}")))
        group.command("both")(click.pass_obj(lambda app: click.echo("both of {own}")))
        cli.add_command(group)
"""


def test_groups_of_one_name_are_one_group(execute: Call, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name, own in (("shout", "loudly"), ("whisper", "softly")):
        install(site, name, LOUD.format(name=name.title(), own=own), commands="voice")
    variables = {"PYTHONPATH": str(site), "SMABOT_PLUGINS": '["whisper", "shout"]'}
    for own in ("loudly", "softly"):
        assert execute("voice", own, **variables).out == f"{own}\n"
    both = execute("voice", "both", **variables)
    assert both.out == "both of softly\n"  # of the plugin that is named first
    assert "plugin 'shout': its command 'voice both' is left out, the name is taken" in both.err
    listed = execute("voice", "--help", **variables).out
    assert re.findall(r"^  (both|loudly|softly)\b", listed, re.M) == ["both", "loudly", "softly"]
