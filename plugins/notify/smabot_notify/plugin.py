"""The plugin: alerts of what was committed, and a heartbeat while the bot decides."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from smabot.api import Config, ConfigError, Finding, Plugin, hookimpl
from smabot_notify.settings import NotifySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from smabot.api import CommittedStep, Run
    from smabot_notify.delivery import Delivery

NOTHING_SET = (
    "plugin.notify.urls is empty: name who gets the alerts, as in urls = ['mailto://…'], or take notify out "
    "of `plugins`"
)


class NotifyPlugin(Plugin):
    """Tells each receiver of each step, and looks every second for what has lasted long enough to tell."""

    def __init__(self, settings: NotifySettings) -> None:
        from smabot_notify.sender import Sender

        self._settings = settings
        self._sender = Sender()
        self._deliveries: dict[str, Delivery] = {}
        self._ended = threading.Event()

    @hookimpl
    def receivers(self) -> Sequence[str]:
        """Open all receivers. Raises ConfigError for one that can't be used."""
        from smabot_notify.delivery import Delivery
        from smabot_notify.receiver import opened_receivers

        if not self._settings.urls:
            raise ConfigError(NOTHING_SET)
        self._deliveries = {
            receiver.name: Delivery(receiver, self._settings, self._sender)
            for receiver in opened_receivers(self._settings)
        }
        return tuple(self._deliveries)

    @hookimpl
    def after_commit(self, step: CommittedStep, receiver: str, memory: str) -> str:
        return self._deliveries[receiver].take(step, memory)

    @hookimpl
    def on_start(self, run: Run) -> None:
        from smabot_notify.delivery import WATCH_SECONDS

        self._sender.bot, self._sender.mode = bot_name(run), run.mode

        def watch(delivery: Delivery) -> None:
            while not self._ended.wait(WATCH_SECONDS):
                delivery.watch()

        self._ended.clear()
        for name, delivery in self._deliveries.items():
            watching = threading.Thread(
                target=watch, args=(delivery,), name=f"watch {name}", daemon=True
            )
            watching.start()

    @hookimpl
    def on_stop(self) -> None:
        self._ended.set()

    @hookimpl
    def diagnose(self, config: Config) -> list[Finding]:
        from smabot_notify.receiver import opened_receivers

        if not self._settings.urls:
            return [Finding.failure("alerts", NOTHING_SET)]
        try:
            found = opened_receivers(self._settings)
        except ConfigError as error:
            return [Finding.failure("alerts", str(error))]
        services = ", ".join(receiver.service for receiver in found)
        return [Finding.ok("alerts", f"to {services}; `smabot notify test` sends one to each")]

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        from smabot_notify.commands import notify_group

        cli.add_command(notify_group(self._settings))


def bot_name(run: Run) -> str:
    """Return the name of a run's bot, from the settings that it keeps."""
    try:
        return str(json.loads(run.settings or "")["bot"]["value"])
    except (KeyError, TypeError, ValueError):
        return "smabot"
