"""The bot that a state machine drives: opened on a scene's files, stepped, killed and opened again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smabot.domain.records import Batch, Order
from smabot.engine.loop import Engine
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.testing.faulty_connection import FarBroker, Market, NearBroker, Stream
from smabot.testing.kill_points import KillSwitch, MortalJournal
from smabot.testing.machine_scene import Scene
from smabot.testing.scheduled_dispatcher import ScheduledDispatcher, ScheduledSurroundings
from smabot.testing.simulation.actors import ACTORS, Actor, Wants


@dataclass(frozen=True, slots=True)
class BotSetup:
    """How a bot is opened."""

    scene: Scene
    market_of: Callable[[BotSession], Market]
    far: bool
    """Whether a miss at the broker proves nothing."""


class BotUnderTest:
    """A bot whose threads and line to the broker are scheduled. Its files outlive each process."""

    def __init__(self, setup: BotSetup, within: Path | None) -> None:
        self._setup = setup
        self._folder = Path(tempfile.mkdtemp(prefix="smabot-machine-", dir=within))
        for path in (setup.scene.database, setup.scene.ledger):
            shutil.copy(path, self._folder / path.name)
        self.schedule: Wants = {}
        self.enterable = setup.scene.symbols
        self.wall = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
        self.kill_switch = KillSwitch()
        self.dispatcher = ScheduledDispatcher(self.kill_switch)
        self._session: BotSession | None = None
        self._engine: Engine | None = None
        self._market: Market | None = None

    @property
    def is_open(self) -> bool:
        return self._session is not None

    @property
    def session(self) -> BotSession:
        assert self._session is not None
        return self._session

    @property
    def market(self) -> Market:
        """The exchange; it can be looked at while no bot runs, too."""
        assert self._market is not None
        return self._market

    @property
    def stream(self) -> Any:
        """The feed, as `Stream`."""
        return self.session.feed

    @property
    def line(self) -> Any:
        """The broker, as `NearBroker`."""
        return self.session.broker

    def open(self, arriving: Callable[[Order], None]) -> None:
        """Open a session as a new process would; ``arriving`` gets each order that reaches the exchange."""
        self.kill_switch.revive()
        scene = self._setup.scene
        config = Config(
            db=self._folder / scene.database.name, data=scene.data, speed="max", broker="exchange",
            base_plugins=("persistence_sqlite", "reconciliation", "exchange"), plugins=("risk",),
            symbols=self.enterable, **scene.settings,
        )  # fmt: skip
        plugins = Plugins.load(config)
        for name in ACTORS:
            plugins.register(name, Actor(name, self.schedule))
        plugins.check()
        session = open_session(config, plugins)
        self._session = session
        self._market = self._setup.market_of(session)
        line = FarBroker if self._setup.far else NearBroker
        session.broker = line(session.broker, arriving)
        session.feed = Stream(session.feed)
        session.journal = MortalJournal(session.journal, self.kill_switch)
        self.dispatcher = ScheduledDispatcher(self.kill_switch)
        session.surroundings = ScheduledSurroundings(self.dispatcher, lambda: self.wall)

    def recover(self) -> None:
        self._engine = recover(self.session)

    def skip_minutes(self, minutes: int) -> None:
        """Let minutes pass at the exchange while the bot does nothing."""
        for _ in range(minutes):
            self.stream._feed.next(0)

    def take(self, batch: Batch) -> None:
        assert self._engine is not None
        self._engine.take(batch)

    def step(self) -> None:
        """Take a batch without bars."""
        doubt = "down" if self.stream.down else ""
        self.take(Batch(self.stream.now(), doubt=doubt))

    def stop(self) -> None:
        """End the process: what was not committed and not sent is lost."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def has_data_left(self) -> bool:
        progress = self.stream.progress()
        return progress is None or progress.done < progress.total

    def remove_files(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
