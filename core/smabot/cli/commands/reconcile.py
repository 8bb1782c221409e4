"""`smabot reconcile`: its options; the comparison itself is `smabot.cli.broker_reconciliation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import (
    BROKER_OPTIONS,
    SYMBOLS_OPTION,
    load_settings,
    with_options,
)

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@with_options(SYMBOLS_OPTION, *BROKER_OPTIONS)
@click.option(
    "--accept",
    type=click.Choice(["broker"]),
    help="Accept the broker's state: write audited adjustments.",
)
@click.pass_obj
def reconcile(app: App, /, accept: str | None, **flags: Any) -> int:
    """Compare the database with the broker, without trading."""
    loaded = load_settings(app, flags)
    app.set_up_log()

    from smabot.cli.broker_reconciliation import reconcile_with_broker

    return reconcile_with_broker(loaded, accept, app.as_json, app.times)
