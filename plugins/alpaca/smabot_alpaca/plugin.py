"""The plugin: Alpaca as the bot's broker and feed."""

from __future__ import annotations

from smabot.config import Config, Settings
from smabot.hookspecs import hookimpl
from smabot.ports import Broker, Feed


class AlpacaSettings(Settings):
    """How Alpaca is reached."""


class AlpacaPlugin:
    """Provides broker and feed, both over one connection to Alpaca or to an exchange like it."""

    def __init__(self, settings: AlpacaSettings) -> None:
        self.settings = settings

    @hookimpl
    def open_broker(self, config: Config) -> Broker | None:
        return None

    @hookimpl
    def open_feed(self, config: Config) -> Feed | None:
        return None
