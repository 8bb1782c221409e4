"""What outlives a bot's process in a test: the exchange and the journal, as one that can be copied."""

from __future__ import annotations

from typing import Any

from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.recovery_answers import Reconciliation, Recovery
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config
from smabot.testing.fake_exchange import FakeExchange
from smabot.testing.kill_points import MortalBroker, MortalFeed, MortalJournal, Switch


class DurableWorld:
    """A fake exchange and a journal in memory, as the plugins that a bot opens them by."""

    def __init__(self, exchange: FakeExchange, journal: MemoryJournal | None = None) -> None:
        self.exchange = exchange
        self.journal = journal or MemoryJournal()

    def copy(self) -> DurableWorld:
        return DurableWorld(self.exchange.copy(), self.journal.copy())

    def is_as(self, other: DurableWorld) -> bool:
        """Whether both kept exactly the same: bots that start on them can't tell them apart."""
        return self.journal.is_as(other.journal) and vars(self.exchange) == vars(other.exchange)


class WorldPlugin:
    """Opens a world for one process, with a boundary at each commit, call and event."""

    def __init__(self, world: DurableWorld, switch: Switch | None) -> None:
        self._world = world
        self._switch = switch

    @hookimpl
    def open_journal(self, config: Config) -> Any:
        journal = self._world.journal
        return journal if self._switch is None else MortalJournal(journal, self._switch)

    @hookimpl
    def open_broker(self, config: Config) -> Any:
        exchange = self._world.exchange
        return exchange if self._switch is None else MortalBroker(exchange, self._switch)

    @hookimpl
    def open_feed(self, config: Config) -> Any:
        feed = self._world.exchange.open_feed(config)
        return feed if self._switch is None else MortalFeed(feed, self._switch)

    @hookimpl(trylast=True)
    def reconcile(self, recovery: Recovery) -> Reconciliation:
        return self._world.exchange.reconcile(recovery)
