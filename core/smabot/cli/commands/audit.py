"""`smabot audit`: its options; the audit itself is `smabot.cli.broker_audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import BROKER_OPTIONS, load_settings, with_options
from smabot.cli.records.time_arguments import TimeArgument

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.records.time_arguments import TypedTime


@click.command()
@with_options(*BROKER_OPTIONS)
@click.option(
    "--since", type=TimeArgument(days=True), metavar="DATE",
    help="From this date on.  [the first start]",
)  # fmt: skip
@click.option(
    "--accept",
    type=click.Choice(["broker"]),
    help="Accept the broker's word: write audited adjustments.",
)
@click.pass_obj
def audit(app: App, /, since: TypedTime | None, accept: str | None, **flags: Any) -> int:
    """Compare fills and cash with the broker's account activities.

    Exit code 6 where anything differs. It only reads, also while the bot is running; --accept needs the bot stopped.
    """
    loaded = load_settings(app, flags)
    app.set_up_log()

    from smabot.cli.broker_audit import accept_audit, show_audit

    return show_audit(app, loaded, since) if accept is None else accept_audit(app, loaded, since)
