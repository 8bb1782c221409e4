"""Help as it is read: grouped, each line said once, narrow enough, and there at once."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from smabot.cli.command_group import COMMANDS, smabot
from smabot.cli.help.command_help import (
    COMMAND_SECTIONS,
    OPTION_SECTIONS,
    OTHERS,
    SHARED,
    command_sections,
)

Call = Callable[..., Any]
SMABOT = str(Path(sys.executable).with_name("smabot"))


def sections(text: str) -> dict[str, dict[str, str]]:
    """The lines of a help text under their headings, by the command or option."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if heading := re.fullmatch(r"([A-Z][\w ]+):", line):
            here = found.setdefault(heading[1], {})
        elif found and (entry := re.match(r"  (\S.*?)(?:  +(.*))?$", line)):
            here[entry[1]] = entry[2] or ""
    return found


def commands(command: click.Command, path: str = "") -> dict[str, click.Command]:
    found = {path.strip(): command}
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        found |= commands(inner, f"{path} {name}")
    return found


@pytest.mark.plugins
def test_commands_stand_under_headings_each_once_each_with_words_of_its_own(execute: Call) -> None:
    told = sections(execute("--help").out)
    titles = list(told)
    assert titles[:3] == ["Trade", "Look", "Set up and check"]
    assert titles[-2:] == ["Of plugins", "Options"]
    listed = [name for title in titles[:-1] for name in told[title]]
    assert len(listed) == len(set(listed))
    assert set(listed) >= {*COMMANDS, "breaker", "limits", "db", "exchange"}
    texts = [text for title in titles[:-1] for text in told[title].values()]
    assert len(texts) == len(set(texts))
    assert all(texts)
    assert told["Of plugins"]["limits"].startswith("Show what the last trading date used")
    assert told["Of plugins"]["breaker"].startswith("Show the circuit breaker")


def test_a_command_without_a_heading_is_listed_all_the_same() -> None:
    assert dict(command_sections(["status", "novel", "run"])) == {
        "Trade": ["run"], "Look": ["status"], OTHERS: ["novel"],
    }  # fmt: skip


def test_no_command_stands_under_two_headings() -> None:
    names = [name for listed in COMMAND_SECTIONS.values() for name in listed]
    assert len(names) == len(set(names))
    options = [name for listed in OPTION_SECTIONS.values() for name in listed]
    assert len(options) == len(set(options))


def test_the_options_of_run_stand_under_headings(execute: Call) -> None:
    told = sections(execute("run", "--help").out)
    assert [each for each in told if each != "Options"] == [*OPTION_SECTIONS, SHARED]
    assert [each.split()[0] for each in told["What trades"]] == [
        "--plugins", "--no-plugin", "--ignore-block", "--symbols",
    ]  # fmt: skip
    assert [each.split()[0] for each in told["Real money"]] == ["--live", "--yes-live"]
    assert list(sections(execute("orders", "--help").out)) == [
        "Options",
        "Options of every command",
    ]


@pytest.mark.plugins
def test_help_fits_80_columns_and_cuts_nothing(in_tmp: Path, call: Call) -> None:
    context = click.Context(smabot)
    names = [*COMMANDS, "breaker", "limits", "db", "exchange", "data"]
    every = [
        path.split()
        for name in names
        for path in commands(smabot.get_command(context, name) or click.Command("?"), name)
    ]
    for path in [[], *every]:
        shown = CliRunner().invoke(smabot, [*path, "--help"], terminal_width=80)
        assert shown.exit_code == 0
        assert [line for line in shown.output.splitlines() if len(line) > 80] == [], path
        assert "..." not in re.sub(r"(?m)^Usage:.*|\]\.\.\.", "", shown.output), path


def test_a_command_of_others_has_its_own_words_or_its_distributions(
    execute: Call, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = tmp_path_factory.mktemp("site")
    (site / "smabot_noise").mkdir()
    (site / "smabot_noise" / "__init__.py").write_text("raise SystemExit('help imports a plugin')")
    (site / "smabot_noise" / "verbs.py").write_text(
        "import click\n\n@click.command('make-noise')\ndef noise():\n"
        '    """Be loud.\n\n    Louder than others.\n    """\n'
        "\n@click.command(help='Be quiet.')\ndef hush(): pass\n"
        "\ndef later(settings):\n    @click.group()\n    def much_later():\n        'Be late.'\n"
    )
    info = site / "smabot_noise-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: smabot-noise\nVersion: 1.0\nSummary: Noise of all kinds\n"
    )
    points = {"make-noise": "noise", "hush": "hush", "much-later": "later", "gone": "gone"}
    lines = [f"{name} = smabot_noise.verbs:{value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text(
        "\n".join(["[smabot.commands]", *lines, "nowhere = smabot_nowhere:x\n"])
    )
    told = sections(execute("--help", PYTHONPATH=str(site)).out)["Of plugins"]
    assert {name: told[name] for name in (*points, "nowhere")} == {
        "make-noise": "Be loud.", "hush": "Be quiet.", "much-later": "Be late.",
        "gone": "Noise of all kinds", "nowhere": "Noise of all kinds",
    }  # fmt: skip


@pytest.mark.slow
def test_help_is_there_at_once(in_tmp: Path, is_quick: Call) -> None:
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = str(in_tmp / "compiled")
    for arguments in (["--help"], ["run", "--help"], ["version"]):
        assert is_quick([SMABOT, *arguments], environ), arguments
