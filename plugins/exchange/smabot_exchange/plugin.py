"""The plugin: the embedded exchange as the bot's broker and feed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smabot.provider import Bar, Config, ConfigError, Finding, Provider, SimulatedAction, hookimpl
from smabot_exchange.opening import open_exchange, requested_terms
from smabot_exchange.settings import ExchangeSettings

if TYPE_CHECKING:
    import click

    from smabot_exchange.in_memory import ExchangesInMemory
    from smabot_exchange.in_process import ExchangeBroker, ExchangeFeed, SharedExchange


class ExchangePlugin(Provider):
    """Provides broker and feed, both on one exchange, which is opened when first asked for."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self.settings = settings
        self._shared: SharedExchange | None = None

    @hookimpl
    def open_broker(self, config: Config) -> ExchangeBroker | None:
        if config.live or config.broker != "exchange":
            return None
        from smabot_exchange.in_process import ExchangeBroker

        return ExchangeBroker(self._open(config))

    @hookimpl
    def open_feed(self, config: Config) -> ExchangeFeed | None:
        if config.live or config.broker != "exchange":
            return None
        from smabot_exchange.in_process import ExchangeFeed

        return ExchangeFeed(self._open(config), config.speed)

    @hookimpl
    def simulated_exchanges(
        self, config: Config, bars: Sequence[Bar], actions: Sequence[SimulatedAction]
    ) -> ExchangesInMemory:
        from smabot_exchange.in_memory import ExchangesInMemory

        return ExchangesInMemory(bars, requested_terms(self.settings), actions)

    @hookimpl
    def diagnose(self, config: Config) -> list[Finding]:
        from smabot_exchange.doctor import diagnose

        return diagnose(config)

    @hookimpl
    def account_files(self, config: Config, account_id: str) -> list[Path]:
        """Name the ledger, where it holds that account."""
        from smabot_exchange.doctor import account_of

        ledger = config.ledger_path
        return [ledger] if account_of(ledger) == account_id else []

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        from smabot_exchange.commands import exchange_group
        from smabot_exchange.data_commands import data_group

        cli.add_command(exchange_group(self.settings))
        cli.add_command(data_group(self.settings))

    def _open(self, config: Config) -> SharedExchange:
        if config.url is not None:
            raise ConfigError(
                "--url and --broker exchange: the exchange in process has no address; leave one out"
            )
        if self._shared is None or self._shared.closed:
            from smabot_exchange.in_process import SharedExchange

            self._shared = SharedExchange(open_exchange(config, self.settings))
        return self._shared
