"""The plugin: Alpaca as the bot's broker and feed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smabot.provider import (
    Config,
    Finding,
    Provider,
    SimulatedClient,
    SimulatedMachine,
    hookimpl,
)
from smabot_alpaca.settings import AlpacaSettings

if TYPE_CHECKING:
    import click

    from smabot_alpaca.broker import AlpacaBroker
    from smabot_alpaca.connection import AlpacaConnection
    from smabot_alpaca.feed.alpaca_feed import AlpacaFeed


class AlpacaPlugin(Provider):
    """Provides broker and feed, both over one connection, which is made when first asked for."""

    def __init__(self, settings: AlpacaSettings) -> None:
        self.settings = settings
        self._connection: AlpacaConnection | None = None

    @hookimpl
    def open_broker(self, config: Config) -> AlpacaBroker | None:
        if config.broker != "alpaca":
            return None
        from smabot_alpaca.broker import AlpacaBroker

        return AlpacaBroker(self._connect(config))

    @hookimpl
    def open_feed(self, config: Config) -> AlpacaFeed | None:
        if config.broker != "alpaca":
            return None
        from smabot_alpaca.feed.alpaca_feed import AlpacaFeed

        return AlpacaFeed(self._connect(config), config.speed)

    @hookimpl
    def simulated_client(self, config: Config, machine: SimulatedMachine) -> SimulatedClient:
        from smabot_alpaca.simulated_client import simulated_client

        return simulated_client(config, self.settings, machine)

    @hookimpl
    def diagnose(self, config: Config) -> list[Finding]:
        if config.broker != "alpaca":
            return []
        from smabot_alpaca.doctor import diagnose

        return diagnose(config, self.settings)

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        from smabot_alpaca.commands import alpaca_group
        from smabot_alpaca.data_commands import data_group

        cli.add_command(alpaca_group(self.settings))
        cli.add_command(data_group(self.settings))

    def _connect(self, config: Config) -> AlpacaConnection:
        if self._connection is None or self._connection.closed:
            from smabot_alpaca.connection import connect

            self._connection = connect(config, self.settings)
        return self._connection
