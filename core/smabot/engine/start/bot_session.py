"""What a start has opened: journal, broker, feed and book, from their opening to their closing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from smabot.domain.book import Book
from smabot.engine.start.book_restore import look_up_in
from smabot.engine.start.startup_report import StartupReport
from smabot.engine.surroundings import Surroundings
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Broker, BrokerAccount, Feed, Journal
from smabot.hooks.recovery_answers import Recovery
from smabot.settings.model import Config


class Opened(NamedTuple):
    """The three things outside the process, all of them open."""

    journal: Journal
    broker: Broker
    feed: Feed


@dataclass(slots=True)
class BotSession:
    """What a start opened, in the order of opening; `close` closes it."""

    config: Config
    plugins: Plugins
    book: Book
    report: StartupReport = field(default_factory=StartupReport)
    journal: Journal | None = None
    broker: Broker | None = None
    feed: Feed | None = None
    account: BrokerAccount | None = None
    """The broker's newest answer about its account, once the broker is connected."""
    symbols: tuple[str, ...] = ()
    """Those whose bars come: what is held or has open orders first, then those that may be entered."""
    enterable: tuple[str, ...] = ()
    """Those of them that may be entered, as the settings name them."""
    surroundings: Surroundings = field(default_factory=Surroundings)
    ignored_blocks: tuple[str, ...] = ()
    """Plugins that are not part of the run, and whose blocks hold no order of it all the same."""

    def opened(self) -> Opened:
        """Return journal, broker and feed, which are all open."""
        assert self.journal is not None
        assert self.broker is not None
        assert self.feed is not None
        return Opened(self.journal, self.broker, self.feed)

    def use(self, journal: Journal) -> None:
        """Keep all in a journal from now on; the book looks up there what it has forgotten."""
        self.journal = journal
        look_up_in(self.book, journal)

    def recovery(self) -> Recovery:
        """Return what plugins may look at."""
        journal, broker, feed = self.opened()
        seen, wait = cast(Broker, _SeenBroker(broker, self)), self.surroundings.wait
        return Recovery(self.config, self.book, journal, seen, feed, self.symbols, wait=wait)

    def close(self) -> None:
        """Close feed, broker and journal. Safe to call at any stage, and twice."""
        for name in ("feed", "broker", "journal"):
            opened = getattr(self, name)
            setattr(self, name, None)
            if opened is not None:
                opened.close()


class _SeenBroker:
    """The broker, for whoever compares: what it says about its account is the session's to know, too."""

    def __init__(self, broker: Broker, session: BotSession) -> None:
        self._broker = broker
        self._session = session

    def account(self) -> BrokerAccount:
        self._session.account = account = self._broker.account()
        return account

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)
