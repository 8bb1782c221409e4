"""`smabot service`: the bot as a service of systemd."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smabot.errors import UsageError

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.settings.model import Config


@click.group()
def service() -> None:
    """Run the bot as a service of systemd."""


@service.command(context_settings={"ignore_unknown_options": True})
@click.argument("run_options", nargs=-1, type=click.UNPROCESSED)
@click.option("--user", metavar="NAME", help="Who runs it. [you; smabot for root]")
@click.option("--name", default="smabot", metavar="NAME", help="The service's name. [smabot]")
@click.pass_context
def show(ctx: click.Context, run_options: Sequence[str], user: str | None, name: str) -> None:
    """Print the unit of a run in this folder.

    RUN_OPTIONS are those of `smabot run`. Each line is explained. Nothing is installed or changed.
    """
    from smabot.cli.service_unit import service_unit

    app: App = ctx.obj
    for option, value in (("--user", user), ("--name", name)):
        if value is not None and not re.fullmatch(r"[\w.@-]+", value):
            raise UsageError(f"{option} {value}: give letters, digits, '.', '-' and '_' alone")
    command = [*_program(), "run", *_shared(app), *run_options]
    config = _checked(ctx, app, run_options)
    if config.live and config.live_account is None:
        raise UsageError("--live: a service can't be asked: add --yes-live ACCOUNT")
    folder = Path.cwd()
    unit = service_unit(
        f"{name}.service", user or _whoever(), folder, command, config.db, _written(config)
    )
    app.emit({"unit": unit}, unit.rstrip("\n")) if app.as_json else click.echo(unit, nl=False)


def _checked(ctx: click.Context, app: App, run_options: Sequence[str]) -> Config:
    """Return the settings of such a run. Raises what is wrong with its options, plugins and their settings."""
    from smabot.cli.broker_options import load_settings
    from smabot.cli.command_group import add_shared_options
    from smabot.cli.commands.run import run
    from smabot.hooks.plugins import Plugins

    flags = add_shared_options(run).make_context("run", [*run_options], parent=ctx).params
    flags.pop("ignored_blocks", None)
    loaded = load_settings(app, flags)
    Plugins.load(loaded.config, origins=loaded.origins)
    return loaded.config


def _program() -> list[str]:
    """Return the program that runs now, as it can be started from anywhere."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return [sys.executable, "-m", "smabot"]
    found = started if os.sep in sys.argv[0] else Path(shutil.which(sys.argv[0]) or started)
    return [str(found.absolute())]


def _shared(app: App) -> list[str]:
    """Return the options of every command that were given, in words."""
    named = (("--settings", app.settings), ("--db", app.db))
    return [word for option, path in named if path is not None for word in (option, str(path))]


def _whoever() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "smabot"
    return "smabot" if name == "root" else name


def _written(config: Config) -> list[Path]:
    """Return the folders that a run writes to, each once."""
    files = [config.db, config.ledger_path, *([config.log.file] if config.log.file else [])]
    return list(dict.fromkeys(file.resolve().parent for file in files))
