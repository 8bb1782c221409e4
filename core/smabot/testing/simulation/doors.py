"""The plugin by which one simulated process reaches what outlives it: database, broker and feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smabot.hooks.ports import Broker, Feed
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config
from smabot.testing.simulation.kept_records import KeptRecords


class Doors:
    """Opens what it was made of."""

    def __init__(self, journal: KeptRecords, broker: Broker, feed: Feed) -> None:
        self._journal = journal
        self._broker = broker
        self._feed = feed

    @hookimpl
    def open_journal(self, config: Config, records: Sequence[type]) -> Any:
        return self._journal.opened(records)

    @hookimpl
    def open_broker(self, config: Config) -> Any:
        return self._broker

    @hookimpl
    def open_feed(self, config: Config) -> Any:
        return self._feed
