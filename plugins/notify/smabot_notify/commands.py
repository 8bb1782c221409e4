"""`smabot notify test`: a message to each receiver, so that you see which ones work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from smabot_notify.alerts import KINDS
from smabot_notify.settings import NotifySettings

if TYPE_CHECKING:
    from smabot.api import App


def notify_group(settings: NotifySettings) -> click.Group:
    """Return the commands about alerts."""

    @click.group()
    def notify() -> None:
        """Alerts: try who gets them, and see what they look like."""

    @notify.command()
    @click.option("--kind", type=click.Choice(list(KINDS)), help="Send an example of this kind.")
    @click.option("--show", is_flag=True, help="Show the message, and send nothing.")
    @click.pass_obj
    def test(app: App, kind: str | None, show: bool) -> int:
        """Send a message to each URL of the settings, and say which one took it.

        Exit code 0: all did, 3: a URL can't be used, 4: one did not take it.
        """
        from smabot_notify.trial import send_test

        return send_test(app, settings, kind, only_show=show)

    return notify
