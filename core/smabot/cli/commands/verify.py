"""`smabot verify`: checks that plugins keep the promises of their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import DATA_ZONE_OPTION, SYMBOLS_OPTION, with_options
from smabot.cli.help.shell_completion import files

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@click.argument("names", metavar="NAME|FILE.py...", nargs=-1, required=True)
@click.option(
    "--check", "checks", multiple=True, metavar="NAME", help="Run only this check; repeat for more."
)
@click.option("--case", metavar="CASE", help="Try only this case, as a failed check names it.")
@click.option(
    "--data", metavar="PATH", shell_complete=files, help="Your own bars: spans of them are tried, too."
)  # fmt: skip
@with_options(DATA_ZONE_OPTION, SYMBOLS_OPTION)
@click.option(
    "--set", "assigned", multiple=True, metavar="KEY=VALUE",
    help="A setting for the trial, as sma.slow=20 or symbols=KO,PEP.",
)  # fmt: skip
@click.option("--thorough", is_flag=True, help="Kill at every boundary, not at a choice of them.")
@click.option(
    "--send-orders",
    "may_send",
    is_flag=True,
    help="Let a broker's checks send orders of one share: to paper accounts.",
)
@click.option("--badge", is_flag=True, help="Print a line for a README.")
@click.pass_obj
def verify(app: App, /, **options: Any) -> int:
    """Check that a plugin keeps the promises of its role.

    It is killed at each boundary and restarted, for example, on generated bars. No order leaves, but
    with --send-orders, and no database is touched. Exit code 1: a check failed, or proved nothing.
    """
    from smabot.cli.verification_screen import VerifyOptions, verify_plugins

    return verify_plugins(app, VerifyOptions(**options))
