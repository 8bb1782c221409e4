"""One process of the bot, from its start to its end. What outlives it is given to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from smabot.domain.book import Book
from smabot.engine.loop import Engine
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.engine.start.startup_reconciliation import accept_broker_state, compare_with_broker
from smabot.errors import SmabotError
from smabot.hooks.simulated_machine import SimulatedClient
from smabot.settings.model import Config
from smabot.testing.kill_points import TAKEN, start_steps
from smabot.testing.process_plugins import ProcessPlugins
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.deliveries import Deliveries, SimulatedFeed, kind_of_batch
from smabot.testing.simulation.doors import Doors
from smabot.testing.simulation.kept_records import Committed, KeptRecords
from smabot.testing.simulation.market import Market
from smabot.testing.simulation.points import Points
from smabot.testing.simulation.replayed_minutes import ReplayedMinutes
from smabot.testing.simulation.server import Server
from smabot.testing.simulation.socket_line import SocketLine
from smabot.testing.simulation.timeline import Timeline
from smabot.testing.simulation.virtual_surroundings import VirtualSurroundings
from smabot.testing.simulation.wire import FarBroker, NearBroker, Wire

LAST_SECONDS = 2.0
"""Between an error and the end of the process."""


@dataclass(frozen=True)
class Outside:
    """What outlives a process."""

    timeline: Timeline
    wire: Wire
    market: Market
    deliveries: Deliveries | SocketLine
    points: Points
    database: Database
    symbols: tuple[str, ...]
    far: bool
    replay: ReplayedMinutes
    wall: Callable[[], datetime]
    struck: Callable[[str], None]
    committed: Committed
    commit_faults: list[str] = field(default_factory=list)


class Life:
    """A process: `begin` is its start, `step` takes what its feed delivers next, `end` throws it away."""

    def __init__(
        self,
        outside: Outside,
        plugins: ProcessPlugins,
        config: Config,
        server: Server | None = None,
    ) -> None:
        """``server``: what a plugin's own broker and feed talk to; without it they are simulated."""
        outside.wire.life += 1
        outside.points.revive()
        self.symbols = config.symbols
        """Those that it may enter."""
        self.ready = False
        """Whether its start is done."""
        self.config = config
        self._outside = outside
        self._processes = plugins
        self._around = VirtualSurroundings(outside.wire, outside.wall, far=outside.far)
        self._records = KeptRecords(
            outside.database,
            outside.points,
            outside.commit_faults,
            outside.struck,
            outside.committed,
        )
        self._client = server.clients if server is not None else None
        self._machine = server.machine() if server is not None else None
        self._session: BotSession | None = None
        self._engine: Engine | None = None

    @property
    def book(self) -> Book | None:
        """Its book, once it is open."""
        return self._session.book if self._session is not None else None

    @property
    def plugins(self) -> Collection[str]:
        """The names of the plugins that are part of its run."""
        return self._session.plugins.names if self._session is not None else ()

    @property
    def committed(self) -> int:
        """How many steps with a bar or an order it has committed."""
        return self._records.steps

    @property
    def command_read(self) -> bool:
        """Whether it has read a command and not yet committed what that does."""
        return self._records.command_read

    @property
    def entries_paused(self) -> bool:
        """Whether the broker has not confirmed its positions, or contradicts them."""
        if self._engine is None:
            return False
        standing = self._engine.gate.standing
        return bool(standing.degraded or standing.conflict)

    def begin(self, ignored_blocks: tuple[str, ...] = ()) -> None:
        """Start. Raises what a start raises."""
        session = self._opened()
        session.ignored_blocks = ignored_blocks
        self._engine = recover(session)
        self.ready = True

    def accept_broker_state(self) -> None:
        """Do what `smabot reconcile --accept broker` does."""
        session = self._opened()
        found = compare_with_broker(session)
        if found is not None:
            accept_broker_state(session, found)

    def step(self) -> bool:
        """Take what comes next; False where nothing comes any more."""
        assert self._session is not None
        assert self._engine is not None
        batch = self._session.opened().feed.next(0.5)
        if batch is None:
            return False
        if self._machine is not None:
            self._outside.deliveries.taken(batch)
            self._outside.points.point(TAKEN + kind_of_batch(batch))
        try:
            self._engine.take(batch)
        except SmabotError:
            self._engine.close()
            if self._outside.far:
                self._outside.timeline.sleep(LAST_SECONDS)
            raise
        return True

    def stop(self) -> None:
        """End as after a signal: nothing leaves any more, and what was under way is answered."""
        assert self._engine is not None
        self._engine.stopping.set()
        self._engine.run()

    def end(self) -> None:
        """Throw the process away, dead or not."""
        self._around.dead = True
        self._outside.timeline.drop_waiting()
        if self._machine is not None:
            self._machine.end()
        session, self._session, self._engine = self._session, None, None
        if session is not None:
            self._processes.give_back(session.plugins)
            session.close()

    def _opened(self) -> BotSession:
        outside = self._outside
        client = self._new_client()
        doors = Doors(self._records, client.broker, client.feed)
        plugins = self._processes.take(doors, outside.points)
        try:
            self._session = open_session(self.config, plugins, start_steps(outside.points))
        except BaseException:
            self._processes.give_back(plugins)
            raise
        self._session.surroundings = self._around
        return self._session

    def _new_client(self) -> SimulatedClient:
        outside = self._outside
        if self._machine is not None and self._client is not None:
            return self._client(self._machine)
        assert isinstance(outside.deliveries, Deliveries)
        broker = FarBroker(outside.wire) if outside.far else NearBroker(outside.wire)
        feed = SimulatedFeed(
            outside.timeline, outside.market, outside.deliveries, outside.points, outside.symbols,
            None if outside.far else outside.replay,
        )  # fmt: skip
        return SimulatedClient(broker, feed)


class Lives:
    """Begins one process after the other, with the settings of the moment."""

    def __init__(self, outside: Outside, made_of: Mapping[str, Any], config: Config) -> None:
        """``made_of``: the plugins by name, each as `ProcessPlugins` takes it."""
        self._outside = outside
        self._made_of = made_of
        self._config = config
        self._known: dict[tuple[Any, ...], tuple[ProcessPlugins, Config]] = {}
        self.left_out: frozenset[str] = frozenset()
        """Plugins that the next process runs without."""
        self.symbols = self.all_symbols = outside.symbols
        """Symbols that the next process may enter."""
        self.changes: dict[str, Any] = {}
        """Settings that differ in the next process."""
        self.server: Server | None = None
        """Where broker and feed are a plugin's own."""

    def new(self) -> Life:
        """Return a process that has not begun."""
        key = (self.left_out, self.symbols, repr(self.changes))
        if key not in self._known:
            config = self._config.model_copy(update={"symbols": self.symbols, **self.changes})
            made_of = {n: kind for n, kind in self._made_of.items() if n not in self.left_out}
            self._known[key] = ProcessPlugins(made_of, config), config
        plugins, config = self._known[key]
        return Life(self._outside, plugins, config, self.server)
