"""The plugin: the embedded exchange as the bot's broker and feed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from smabot.provider import Config, ConfigError, Finding, Provider, Settings, hookimpl
from smabot_exchange.opening import open_exchange

if TYPE_CHECKING:
    import click

    from smabot_exchange.in_process import ExchangeBroker, ExchangeFeed, Line


class ExchangeSettings(Settings):
    """The account that a new ledger is opened with. A ledger keeps its own terms: what is set here must
    agree with them, what is not set is as the ledger has it."""

    cash: Decimal = Field(Decimal(100_000), gt=0, le=1_000_000_000_000)
    """Cash at the start, US dollars."""
    participation: Decimal = Field(Decimal("0.1"), gt=0, le=1)
    """The part of a bar's volume that one order may take; at least one share."""
    multiplier: Decimal = Field(Decimal(2), ge=1, le=4)
    """Buying power is this times equity, less what is invested and held for orders. Above 1 the account
    may sell short; 1: a cash account."""


class ExchangePlugin(Provider):
    """Provides broker and feed, both on one exchange, which is opened when first asked for."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self.settings = settings
        self._line: Line | None = None

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

        cli.add_command(exchange_group(self.settings))

    def _open(self, config: Config) -> Line:
        if config.url is not None:
            raise ConfigError(
                "--url and --broker exchange: the exchange in process has no address; leave one out"
            )
        if self._line is None or self._line.closed:
            from smabot_exchange.in_process import Line

            self._line = Line(open_exchange(config, self.settings))
        return self._line
