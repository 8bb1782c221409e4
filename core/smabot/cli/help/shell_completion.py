"""Completion in a shell: the script for it, its answers, and the values of options.

Only what is known without a plugin or a database is completed, but a plugin's own subcommands.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
VARIABLE = "_SMABOT_COMPLETE"
"""Set by the shell's script when it asks: the shell, and `complete` or `source`."""


def script(cli: click.Command, shell: str) -> str:
    """Return what lets a shell (bash, zsh, fish) complete a command; empty for any other shell."""
    kind = get_completion_class(shell)
    if kind is None:
        return ""
    completer = kind(cli, {}, "smabot", VARIABLE)
    return completer.source_template % completer.source_vars()


def answer_shell(cli: click.Command, app: Any, asked: str) -> int:
    """Answer a shell's script on stdout, and nothing else: it would stand in the line that is typed."""
    shell, _, what = asked.partition("_")
    kind = get_completion_class(shell)
    if what == "source":
        click.echo(script(cli, shell))
    elif kind is not None:
        try:
            with redirect_stderr(io.StringIO()):
                found = kind(cli, {"obj": app}, "smabot", VARIABLE).complete()
        except Exception:  # noqa: BLE001 - what is wrong is told when the command is run
            return 1
        click.echo(found)
    return 0


def one_of(*values: str) -> Complete:
    """Return what completes one of some values."""

    def complete(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
        return [CompletionItem(value) for value in values if value.startswith(begun)]

    return complete


def files(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Let the shell complete a path."""
    return [CompletionItem(begun, type="file")]


def plugin_names(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the last of some names, separated by commas: installed plugins, groups, files here."""
    from importlib.metadata import entry_points

    installed = {point.name for point in entry_points(group="smabot")}
    groups = {name.partition(".")[0] for name in installed}
    here = {f"./{path.name}" for path in Path().glob("*.py")}
    before, comma, last = begun.rpartition(",")
    taken = set(before.split(","))
    return [
        CompletionItem(f"{before}{comma}{name}")
        for name in sorted((installed | groups | here) - taken)
        if name.startswith(last)
    ]
