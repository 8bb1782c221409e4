"""The plugin: alerts of what was committed, and a heartbeat while the bot decides."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from smabot.api import Config, ConfigError, Finding, Plugin, hookimpl
from smabot_notify.settings import NotifySettings
from smabot_notify.step_alerts import ENDED_WELL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from smabot.api import CommittedStep, Health, Run
    from smabot_notify.delivery import Delivery
    from smabot_notify.heartbeat import Heartbeat

LAST_PHASES = frozenset({"stopping", "ended"})
"""In these no ping comes any more: it would follow that of a failure."""


class NotifyPlugin(Plugin):
    """Tells each receiver of each step, and looks every second for what has lasted long enough to tell."""

    def __init__(self, settings: NotifySettings) -> None:
        from smabot_notify.sender import Sender

        self._settings = settings
        self._sender = Sender()
        self._deliveries: dict[str, Delivery] = {}
        self._ended = threading.Event()
        self._heartbeat: Heartbeat | None = None
        if (url := settings.heartbeat_url) is not None:
            from smabot_notify.heartbeat import Heartbeat

            self._heartbeat = Heartbeat(url.get_secret_value(), settings.heartbeat_seconds)

    @hookimpl
    def receivers(self) -> Sequence[str]:
        """Open all receivers. Raises ConfigError for one that can't be used."""
        from smabot_notify.delivery import Delivery
        from smabot_notify.receiver import opened_receivers

        if not self._settings.urls and self._heartbeat is not None:
            return ()
        self._deliveries = {}
        for receiver in opened_receivers(self._settings):
            first = Delivery(receiver, self._settings, self._sender)
            routine = Delivery(receiver, self._settings, self._sender, first=first)
            self._deliveries[receiver.name] = first
            self._deliveries[f"{receiver.name}-routine"] = routine
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
    def on_health(self, health: Health) -> None:
        """Ping: core calls this only while its deciding thread goes on."""
        if self._heartbeat is not None and health.phase not in LAST_PHASES:
            self._heartbeat.beat()

    @hookimpl
    def on_stop(self, run: Run) -> None:
        self._ended.set()
        if self._heartbeat is not None and run.exit_code not in ENDED_WELL:
            self._heartbeat.fail()

    @hookimpl
    def diagnose(self, config: Config) -> list[Finding]:
        from smabot_notify.receiver import opened_receivers

        if not self._settings.urls and self._heartbeat is not None:
            return [Finding.ok("alerts", "none; only the heartbeat")]
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
