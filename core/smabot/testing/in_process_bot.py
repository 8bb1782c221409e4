"""A whole bot in this process, over given bars: run it, look at its tables, kill it anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any, TypeVar

from smabot.domain.calendar import MINUTE, Session
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.records import Bar
from smabot.engine.loop import Engine
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.engine.start.startup_reconciliation import accept_broker_state, compare_with_broker
from smabot.errors import ConfigError
from smabot.hooks.discovery import discover, load_plugin, select
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.testing.durable_world import DurableWorld, WorldPlugin
from smabot.testing.fake_activities import CashMove
from smabot.testing.fake_exchange import FakeExchange
from smabot.testing.kill_everywhere import KillReport, kill_everywhere, killed_at
from smabot.testing.kill_points import Switch, start_steps
from smabot.testing.process_plugins import ProcessPlugins
from smabot.testing.table_comparison import Tables, tables_of

R = TypeVar("R")
Tailor = Callable[[Plugins], None]
"""Changes the plugins of a process before it starts: watches their hooks, or raises a lookback."""


class Bot:
    """The real engine with your plugins, an exchange and a journal in memory.

    `run` starts a process where none is, and `kill` ends it: what was not committed is lost, and the
    next `run` recovers. Exchange and journal outlive it.
    """

    def __init__(
        self,
        plugins: Iterable[Any] = (),
        bars: Iterable[Bar] = (),
        settings: Mapping[str, Any] | None = None,
        *,
        cash: Decimal = Decimal(100_000),
        sessions: Iterable[Session] = (),
        actions: Iterable[CorporateAction] = (),
        follows_after: timedelta = timedelta(0),
        cash_moves: Iterable[CashMove] = (),
        each_process: Callable[[], None] = lambda: None,
    ) -> None:
        """``plugins``: classes, functions that make a plugin, modules, names of installed plugins and
        paths of files. ``settings`` are those of `smabot.api.Config`; a plugin's table is
        ``{"plugin": {"streak": {"bars": 5}}}``, by the name that `names` shows. ``each_process`` is called
        before each process begins: it undoes what the one before left in modules. ``actions`` are the splits that
        the exchange announces, and ``follows_after`` is how long after an ex-date begins its account follows.
        ``cash_moves`` is cash that comes and goes without a trade. Sessions are not audited unless ``settings``
        say so.

        Raises ConfigError for plugins and settings as a start does.
        """
        given = list(bars)
        if not given:
            raise ConfigError("a bot needs bars: give at least one")
        self.config = Config(**{"broker": "fake", "audit": False, **dict(settings or {})})
        self._each_process = each_process
        self._made_of = _named(plugins)
        self._processes = ProcessPlugins(self._made_of, self.config)
        self._begin = DurableWorld(
            FakeExchange(given, cash, sessions, actions, follows_after, cash_moves)
        )
        self._world = self._begin.copy()
        self._session: BotSession | None = None
        self._engine: Engine | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins' names: those of orders, strategies and settings tables."""
        return tuple(self._made_of)

    @property
    def world(self) -> DurableWorld:
        """What outlives its processes."""
        return self._world

    @property
    def exchange(self) -> FakeExchange:
        return self._world.exchange

    @property
    def journal(self) -> MemoryJournal:
        return self._world.journal

    @property
    def session(self) -> BotSession:
        """What the running process opened: its book, plugins, broker and feed."""
        if self._session is None:
            raise ConfigError("no process runs: call run() or start() first")
        return self._session

    def rows(self, kind: type[R]) -> list[R]:
        """Return the committed records of a class, by their primary key."""
        return self.journal.rows(kind)

    @property
    def tables(self) -> Tables:
        """The committed tables by name, each with its rows by their primary key."""
        return tables_of(self.journal)

    # -- a process -----------------------------------------------------------------------------------

    def start(self, *, switch: Switch | None = None, tailor: Tailor | None = None) -> Engine:
        """Start a process where none runs; returns its engine. Raises what a start raises.

        ``switch`` is told of each boundary at which the process can be killed.
        """
        if self._engine is not None:
            return self._engine
        self._each_process()
        plugins = self._processes.take(WorldPlugin(self._world, switch), switch)
        if tailor is not None:
            tailor(plugins)
        show = (lambda step: None) if switch is None else start_steps(switch)
        try:
            self._session = open_session(self.config, plugins, show)
            self._engine = recover(self._session)
        except BaseException:
            self._processes.give_back(plugins)
            self.kill()
            raise
        return self._engine

    def run(self, minutes: int | None = None) -> Bot:
        """Run for so many minutes of the bars, or to the end (then the process ends, too)."""
        engine = self.start()
        if minutes is None:
            engine.run()
            self.kill()
            return self
        until = self.exchange.now() + minutes * MINUTE
        feed = self.session.opened().feed
        while self.exchange.now() < until and (batch := feed.next(0)) is not None:
            engine.take(batch)
        return self

    def kill(self) -> Bot:
        """End the process at once: what was not committed is lost."""
        session, self._session, self._engine = self._session, None, None
        if session is not None:
            self._processes.give_back(session.plugins)
            session.close()
        return self

    def accept(self) -> Bot:
        """Take the broker's state where no process runs, as `smabot reconcile --accept broker` does."""
        plugins = self._processes.take(WorldPlugin(self._world, None), None)
        session = open_session(self.config, plugins)
        try:
            if (found := compare_with_broker(session)) is not None:
                accept_broker_state(session, found)
        finally:
            self._processes.give_back(plugins)
            session.close()
        return self

    # -- from the beginning, once more ---------------------------------------------------------------

    def again(self, world: DurableWorld | None = None) -> Bot:
        """Return a bot like this one, from the first bar; or on what ``world`` kept."""
        other = object.__new__(Bot)
        other.__dict__.update(self.__dict__)
        other._world = (self._begin if world is None else world).copy()
        other._session = other._engine = None
        return other

    def with_settings(self, **changes: Any) -> Bot:
        """Return a bot like this one, from the first bar, with other settings."""
        other = self.again()
        values = {name: getattr(self.config, name) for name in self.config.model_fields_set}
        other.config = Config(**{**values, **changes})
        other._processes = ProcessPlugins(self._made_of, other.config)
        return other

    def kill_everywhere(self, most: int | None = None) -> KillReport:
        """Kill at each boundary, restart, run on, compare the tables row by row with an uninterrupted run.

        It begins at the first bar, whatever this bot has done. ``most``: only so many of the states that
        kills leave. Raises AssertionError at the first difference: which boundary, which row, what
        differs, and how to replay it.
        """
        report = kill_everywhere(self, most)
        if report.failure is not None:
            raise AssertionError(str(report.failure))
        return report

    def kill_at(self, *boundaries: int) -> Bot:
        """Replay one case of `kill_everywhere`: return a bot killed just there, to run on.

        A second number is a boundary of the restart.
        """
        killed: Bot = killed_at(self, boundaries)
        return killed


def _named(plugins: Iterable[Any]) -> dict[str, Any]:
    """Return by name what each plugin is made of. Raises ConfigError where two have one name."""
    found: dict[str, Any] = {}
    for given in plugins:
        for name, target in _resolved(given):
            if name in found:
                raise ConfigError(f"two plugins are named '{name}'")
            found[name] = target
    return found


def _resolved(given: Any) -> Sequence[tuple[str, Any]]:
    if isinstance(given, str):
        installed = discover([given])
        names = select([given], (), installed)
        return [(name, load_plugin(name, installed[name])) for name in names]
    if isinstance(given, tuple):
        name, target = given
        return [(name, target)]
    if not callable(given) and not isinstance(given, ModuleType):
        raise ConfigError(
            f"{type(given).__name__} is a plugin already made: give its class, or a function that makes "
            "it, because each process makes its own"
        )
    return [(given.__name__.rpartition(".")[2].lower(), given)]
