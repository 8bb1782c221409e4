"""A bot over a fake exchange, in memory, that can be stopped after any minute and started again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from smabot.engine.loop import Engine
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.hooks.default_sizer import DefaultSizer
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config
from smabot.testing.fake_exchange import FakeExchange

R = TypeVar("R")


class FakeBot:
    """The real engine with your plugins. ``journal`` and ``exchange`` outlive each process.

    Each start makes new plugins by calling the factories, as a new process would: what they
    remember beside their declared records is gone.
    """

    def __init__(self, exchange: FakeExchange, **plugins: Callable[[], object]) -> None:
        """``plugins``: by their names, what makes each: ``streak=lambda: Streak(settings)``."""
        self.exchange = exchange
        self.journal = MemoryJournal()
        self._plugins = plugins

    @hookimpl
    def open_journal(self) -> MemoryJournal:
        return self.journal

    @contextmanager
    def opened(self, **settings: Any) -> Iterator[BotSession]:
        """Open journal and exchange, and restore the book; settings are those of `smabot.api.Config`,
        without the audit of sessions."""
        config = Config(**{"broker": "fake", "audit": False, **settings})
        plugins = Plugins()
        made = {name: make() for name, make in self._plugins.items()}
        sizer = DefaultSizer(config.sizing)
        for name, plugin in {
            **made, "fake.exchange": self.exchange, "fake.journal": self, "core.sizing": sizer,
        }.items():  # fmt: skip
            plugins.register(name, plugin)
        plugins.check()
        session = open_session(config, plugins)
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def started(self, **settings: Any) -> Iterator[Engine]:
        """Start on what is there. Raises what a start raises."""
        with self.opened(**settings) as session:
            yield recover(session)

    def play(self, minutes: int | None = None, **settings: Any) -> None:
        """Start, let so many minutes pass (None: all that are left), and be gone."""
        with self.started(**settings) as engine:
            if minutes is None:
                engine.run()
                return
            until = self.exchange.now() + timedelta(minutes=minutes)
            while self.exchange.now() < until and (batch := self.exchange.next(0)) is not None:
                engine.take(batch)

    def rows(self, kind: type[R]) -> list[R]:
        """Return the journal's records of a class, by their primary key."""
        return self.journal.rows(kind)
