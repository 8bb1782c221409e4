"""`smabot doctor`: its options; what it checks is `smabot.cli.setup_check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import (
    BROKER_OPTIONS,
    PLUGIN_OPTIONS,
    SYMBOLS_OPTION,
    load_settings,
    with_options,
)

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@with_options(*PLUGIN_OPTIONS, SYMBOLS_OPTION, *BROKER_OPTIONS)
@click.pass_obj
def doctor(app: App, /, **flags: Any) -> int:
    """Check the set-up, one line per finding; changes nothing.

    Exit code 3: a wrong set-up; 4: a broker error; 6: database and broker disagree.
    """
    from smabot.cli.setup_check import show_findings

    return show_findings(app, lambda: load_settings(app, flags))
