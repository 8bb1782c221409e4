"""The command `smabot`: its commands are imported when they are used, plugins only for commands of theirs.

A plugin adds commands in its hook ``register_commands``. To be listed by ``smabot --help``, which
imports no plugin, it names them as entry points in group ``smabot.commands`` too.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

import smabot as package
from smabot.cli.app import App
from smabot.cli.help.command_help import command_sections, description_of, write_options
from smabot.cli.help.synonyms import COMMANDS_TYPED, answer_to_command
from smabot.errors import CANNOT_TELL, SmabotError, UsageError, suggest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from click.shell_completion import CompletionItem

COMMANDS = {
    "run": "run",
    "backtest": "backtest",
    "reconcile": "reconcile",
    "audit": "audit",
    "flatten": "flatten",
    "status": "status",
    "health": "health",
    "orders": "orders",
    "trades": "trades",
    "signals": "signals",
    "equity": "equity",
    "pnl": "pnl",
    "report": "report",
    "export": "export",
    "explain": "explain",
    "events": "events",
    "runs": "runs",
    "halt": "halt",
    "resume": "resume",
    "init": "init",
    "new": "new",
    "doctor": "doctor",
    "plugins": "plugins_list",
    "verify": "verify",
    "simulate": "simulate",
    "config": "config",
    "service": "service",
    "completion": "completion",
}
"""Each command of core and its module in `smabot.cli.commands`."""
WIDEST_HELP = 64
"""Characters of a command's description, which fits 80 columns with the name before it."""


def _shared(*names: str, **options: Any) -> click.Option:
    def remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            ctx.ensure_object(App).set_option(str(parameter.name), value)

    return click.Option(names, expose_value=False, callback=remember, **options)


def _refuse_blank(option: click.Option) -> None:
    """Let an option take no blank value: it may be an unset variable of a script, and means something
    else where nothing is a value, as in ``--symbol``."""
    if "convert" in vars(option.type):
        return
    kind: Any = copy(option.type)
    convert = kind.convert

    def refuse(value: Any, param: Any, ctx: Any) -> Any:
        if isinstance(value, str) and not value.strip():
            raise click.BadParameter("is blank: give a value, or leave it out", ctx, param)
        return convert(value, param, ctx)

    kind.convert = refuse
    option.type = kind


def _file() -> click.Path:
    from pathlib import Path

    return click.Path(path_type=Path)


SHARED = (
    _shared("--settings", type=_file(), metavar="FILE", help="Settings file. [./settings.toml]"),
    _shared("--db", type=_file(), metavar="PATH", help="Database. [data/trades.db]"),
    _shared("--json", "as_json", is_flag=True, help="Print JSON on stdout."),
    _shared("--utc", is_flag=True, help="Show times in UTC. [New York's, ET]"),
    _shared("-v", "--verbose", count=True, help="Log more; twice for everything."),
    _shared("--debug", is_flag=True, help="Show the traceback of an error."),
)
"""The options that every command takes, before or after its name."""


NEW_DATABASE = _shared(
    "--db", type=_file(), metavar="PATH", help="Keep it in a new database. [nothing is kept]"
)
"""The same option of a backtest."""


def add_shared_options(command: click.Command) -> click.Command:
    """Give the shared options to a command and its subcommands, but those it has itself; ``--help``
    shows options under headings."""
    taken = {option for parameter in command.params for option in parameter.opts}
    command.params += [
        NEW_DATABASE if command.name == "backtest" and "--db" in option.opts else option
        for option in SHARED
        if not taken & set(option.opts)
    ]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            _refuse_blank(parameter)
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        add_shared_options(inner)
    if type(command).format_options in (click.Command.format_options, click.Group.format_options):
        command.format_options = partial(write_options, command)  # type: ignore[method-assign]
    return command


class CommandGroup(click.Group):
    """Core's commands, and those of the installed plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *_plugin_entry_points()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            return add_shared_options(_core_command(cmd_name))
        if ctx.resilient_parsing and cmd_name not in _plugin_entry_points():
            return None  # a shell waits for the completion: look no further
        command = self._of_plugins(ctx, cmd_name).get(cmd_name)
        return add_shared_options(command) if command else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_for_health = "health" in args
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if asks_for_health:
                error.exit_code = CANNOT_TELL  # type: ignore[misc]
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SystemExit as error:
            raise SmabotError(f"a plugin ended the process: SystemExit: {error.code}") from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and args[0] in ("help", "version"):
            args = _answered_as_option(ctx, args)
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            raise self._unknown(ctx, args[0]) from None

    def _unknown(self, ctx: click.Context, name: str) -> click.UsageError | UsageError:
        if (point := _plugin_entry_points().get(name)) is not None:
            return UsageError(
                f"'{name}' is a command of {_distribution_of(point)}, which is not selected or does not "
                "work: see `smabot plugins`"
            )
        if (answer := answer_to_command(name)) is not None:
            return UsageError(answer)
        hint = suggest(name, [*COMMANDS, *self._of_plugins(ctx, name)])
        files = "" if hint else ", ".join(ctx.ensure_object(App).unnamed_files().values())
        if files:
            hint = f"; if it is one of {files}, name that file under plugins in the settings"
        return click.UsageError(f"no such command '{name}'{hint}", ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command from the entry points: no plugin is imported for it."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        told = {name: _core_command(name).get_short_help_str(WIDEST_HELP) for name in COMMANDS}
        points = _plugin_entry_points().items()
        told |= {name: description_of(point, WIDEST_HELP) for name, point in points}
        return [
            CompletionItem(name, help=text)
            for name, text in told.items()
            if name.startswith(incomplete)
        ]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = [
            (title, [(name, _core_command(name).get_short_help_str(WIDEST_HELP)) for name in names])
            for title, names in command_sections(COMMANDS)
        ]
        points = _plugin_entry_points().items()
        sections.append(
            ("Of plugins", [(name, description_of(point, WIDEST_HELP)) for name, point in points])
        )
        longest = max(len(name) for _, listed in sections for name, _ in listed)
        for title, listed in sections:
            if listed:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(longest), text) for name, text in listed])

    def _of_plugins(self, ctx: click.Context, wanted: str) -> Mapping[str, click.Command]:
        """Return the plugins' commands. Raises SmabotError unless ``wanted`` is a mistyped command."""
        try:
            return ctx.ensure_object(App).plugins().commands(taken=COMMANDS)
        except SmabotError:
            mistyped = wanted in COMMANDS_TYPED or suggest(wanted, COMMANDS)
            if not mistyped or wanted in _plugin_entry_points():
                raise
            return {}


def _core_command(name: str) -> click.Command:
    command = getattr(import_module(f"smabot.cli.commands.{COMMANDS[name]}"), name)
    assert isinstance(command, click.Command)
    return command


def _plugin_entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    points = sorted(entry_points(group="smabot.commands"))
    return {point.name: point for point in points if point.name not in COMMANDS}


def _distribution_of(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value.partition(":")[0]


def _answered_as_option(ctx: click.Context, args: list[str]) -> list[str]:
    """Answer `smabot help` and `smabot version`; return `smabot help run` as `run --help`."""
    asked, *names = [arg for arg in args if not arg.startswith("-")]
    if asked in _plugin_entry_points():
        return args
    if asked == "version" or not names:
        click.echo(ctx.get_help() if asked == "help" else f"smabot {package.__version__}")
        ctx.exit()
    return [*names, "--help"]


@click.group(
    cls=CommandGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(
    package.__version__, "-V", "--version", prog_name="smabot", message="%(prog)s %(version)s"
)
@click.pass_context
def smabot(ctx: click.Context) -> None:
    """A crash-safe trading bot: it survives kill -9, power cuts and lost networks.

    Paper trading unless --live is given. Data goes to stdout, everything else to stderr.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


add_shared_options(smabot)
