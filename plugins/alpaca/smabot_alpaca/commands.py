"""`smabot alpaca probe`: what is assumed of Alpaca, tried at a paper account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smabot.provider import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smabot.api import App
    from smabot_alpaca.probe.assumption import Assumption
    from smabot_alpaca.settings import AlpacaSettings

DEFAULT_SYMBOL = "SPY"


def alpaca_group(settings: AlpacaSettings) -> click.Group:
    """Return the commands about Alpaca."""

    @click.group()
    def alpaca() -> None:
        """Alpaca, the broker: try what smabot assumes of it."""

    @alpaca.command()
    @click.option("--list", "only_list", is_flag=True, help="List the assumptions, and try none.")
    @click.option("--only", metavar="N,N", help="Only the assumptions of these numbers.")
    @click.option(
        "--symbol",
        metavar="SYMBOL",
        default=DEFAULT_SYMBOL,
        show_default=True,
        help="The symbol of the orders.",
    )
    @click.option("--url", metavar="URL", help="A server in Alpaca's place. [Alpaca's paper API]")
    @click.option(
        "--despite-open",
        is_flag=True,
        help="Even with open orders or a position in the symbol, which change the answers.",
    )
    @click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="The file to write. [smabot-probe-DATE-TIME.json]",
    )
    @click.pass_obj
    def probe(
        app: App,
        only_list: bool,
        only: str | None,
        symbol: str,
        url: str | None,
        despite_open: bool,
        out: Path | None,
    ) -> int:
        """Try at a paper account what smabot assumes of Alpaca.

        It sends orders of one share at half or at one and a half times the price, which do not fill, and
        cancels them. Live keys are refused. Exit code 0: all as expected, 1: something differs, or is left.
        """
        from smabot_alpaca.probe_command import list_assumptions, probe_account

        chosen = _chosen(only)
        if only_list:
            return list_assumptions(app, chosen)
        return probe_account(
            app, settings, chosen, symbol.upper(), url, out, despite_open=despite_open
        )

    return alpaca


def _chosen(only: str | None) -> Sequence[Assumption]:
    """Return the assumptions of these numbers, or all. Raises UsageError."""
    from smabot_alpaca.probe.catalogue import ASSUMPTIONS

    if only is None:
        return ASSUMPTIONS
    by_number = {str(each.number): each for each in ASSUMPTIONS}
    chosen = []
    for name in only.split(","):
        if (found := by_number.get(name.strip())) is None:
            raise UsageError(f"--only {only}: give numbers from 1 to {len(ASSUMPTIONS)}, as 3,7")
        chosen.append(found)
    return chosen
